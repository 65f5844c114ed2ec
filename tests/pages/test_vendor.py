import hashlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VENDOR = ROOT / "static" / "vendor"
EVERY = (VENDOR, ROOT / "tests" / "browser" / "vendor")


@pytest.mark.parametrize("vendor", EVERY)
def test_every_vendored_file_is_listed_with_its_checksum(vendor: Path) -> None:
    listed = dict(re.findall(r"^\| (\S+@\S+/\S+) \| `([0-9a-f]{64})` \|$", (vendor / "README.md").read_text(), re.M))
    files = [path for path in vendor.rglob("*") if path.is_file() and path != vendor / "README.md"]
    assert listed == {str(f.relative_to(vendor)): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


@pytest.mark.parametrize("vendor", EVERY)
def test_every_vendored_package_has_its_licence(vendor: Path) -> None:
    assert all((folder / "LICENSE").exists() for folder in vendor.iterdir() if folder.is_dir())


def test_redoc_fetches_no_logo() -> None:
    bundle = next(VENDOR.glob("redoc@*/redoc.standalone.js")).read_text()
    assert "cdn.redoc" not in bundle and "redocly logo" not in bundle
