import hashlib
import re
from pathlib import Path

VENDOR = Path(__file__).parents[2] / "static" / "vendor"


def test_every_vendored_file_is_listed_with_its_checksum() -> None:
    listed = dict(re.findall(r"^\| (\S+@\S+/\S+) \| `([0-9a-f]{64})` \|$", (VENDOR / "README.md").read_text(), re.M))
    files = [path for path in VENDOR.rglob("*") if path.is_file() and path != VENDOR / "README.md"]
    assert listed == {str(f.relative_to(VENDOR)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def test_every_vendored_package_has_its_licence() -> None:
    assert all((folder / "LICENSE").exists() for folder in VENDOR.iterdir() if folder.is_dir())


def test_redoc_fetches_no_logo() -> None:
    bundle = next(VENDOR.glob("redoc@*/redoc.standalone.js")).read_text()
    assert "cdn.redoc" not in bundle and "redocly logo" not in bundle
