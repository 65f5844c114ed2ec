"""ProfileMesh as a library: quick to import, its page runs, and a profile shows itself."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

import profilemesh
from profilemesh.profiling.summary import ColumnSummary, TableSummary
from profilemesh.tables import Kind

PAGE = Path(__file__).parents[2] / "docs" / "python.md"
CONFIG = "warehouses: {shop: {type: duckdb, filepath: shop.duckdb}}\nincremental: {enabled: true}\n"


def test_the_code_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as shop:
        shop.execute("CREATE TABLE orders AS SELECT i AS id, (hash(i) % 900) / 7.0 AS amount FROM range(3000) r(i)")
    (tmp_path / "profilemesh.yml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROFILEMESH_DB_URL", raising=False)
    names: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102
    assert len(blocks) == 6
    assert "3,000 rows, 2 columns" in repr(names["profile"])


def test_every_public_name_is_there_is_described_and_is_on_the_page() -> None:
    for name in profilemesh.__all__:
        found = getattr(profilemesh, name)
        assert name == "utc_now" or (found.__doc__ or "").strip()
        assert name in PAGE.read_text()
    assert set(profilemesh.__all__) <= set(dir(profilemesh))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = profilemesh.nonsense


def test_the_import_alone_brings_no_driver() -> None:
    code = "import sys, profilemesh; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"sqlalchemy", "duckdb", "numpy", "marshmallow"} & set(done.stdout.split())


HOSTILE = '<script>"\u202e' + "x" * 2000


def test_a_profile_shows_itself_and_whatever_is_in_it_is_harmless() -> None:
    column = ColumnSummary(Kind.TEXT, HOSTILE, rows=4, nulls=1)
    shown = TableSummary(4, {HOSTILE: column, "n": replace(column, kind=Kind.INTEGER, nulls=None)}, "f")
    html = shown._repr_html_()
    assert "<script>" not in html and "&lt;script&gt;" in html and "\u202e" not in html + repr(shown)
    assert max(map(len, repr(shown).splitlines())) < 200
    assert repr(shown).splitlines()[0] == "4 rows, 2 columns"
    assert "25 %" in repr(shown) and "–" in repr(shown).splitlines()[-1]
    assert "and 40 more" in repr(TableSummary(1, {f"c{n}": column for n in range(100)}, "f"))
