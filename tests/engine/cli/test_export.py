"""`profilemesh export`: every row in every format, as a file that is whole or not there."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa

from profilemesh.cli import export
from profilemesh.storage import open_storage
from profilemesh.storage.models import Run
from tests.commands import COMMAND, called, clean
from tests.factories import HOSTILE, NOW, add_drift, add_run

ROWS = 2500
CONFIG = "warehouses: {shop: {type: duckdb, filepath: shop.duckdb}}\n"


@pytest.fixture(scope="module")
def full(empty_storage: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More runs than are read at once, drift in one of them, and a table with a name of ill will."""
    folder = tmp_path_factory.mktemp("full")
    shutil.copy(empty_storage, folder / "profilemesh.db")
    (folder / "profilemesh.yml").write_text(CONFIG)
    storage = open_storage(f"sqlite:///{folder / 'profilemesh.db'}")
    with storage.begin() as session:
        first = add_run(session, columns={}, rows=10)
        add_drift(session, first)
        add_run(session, "=" + HOSTILE, columns={}, rows=None)
        kept = {column.name: getattr(first, column.name) for column in Run.__table__.columns}
        more = [kept | {"run_id": f"r{n}", "status": "failed", "has_drift": False} for n in range(ROWS - 2)]
        session.execute(sa.insert(Run), more)
    storage.close()
    return folder


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a file, each format by a reader of its own."""
    if path.suffix == ".json":
        [rows] = json.loads(path.read_text()).values()
        return list(rows)
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    if path.suffix == ".csv":
        return list(csv.DictReader(io.StringIO(path.read_text(), newline="")))
    found = duckdb.sql(f"SELECT * FROM read_parquet('{path}')")
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl", "parquet"])
def test_every_run_is_in_the_file_whose_name_tells_the_format(full: Path, tmp_path: Path, ending: str) -> None:
    target = tmp_path / f"runs.{ending}"
    done = called(full, "export", "runs", "-o", str(target))
    assert (done.code, done.stdout, done.stderr) == (0, "", f"2,500 rows written to {target}\n")
    rows = read(target)
    assert len({(row["run_id"], row["dataset_name"]) for row in rows}) == ROWS
    [odd] = [row for row in rows if HOSTILE in row["dataset_name"]]
    assert odd["dataset_name"] == ("'=" if ending == "csv" else "=") + HOSTILE
    assert odd["row_count"] == ("" if ending == "csv" else None)
    assert list(tmp_path.iterdir()) == [target]


def test_what_is_printed_is_csv_or_what_is_asked_for(full: Path) -> None:
    assert len(called(full, "export", "runs").stdout.splitlines()) == ROWS + 1
    found = json.loads(called(full, "export", "drift", "--json").stdout)["drift_alerts"]
    assert [(each["table_name"], each["warehouse_type"]) for each in found] == [("orders", "duckdb")]
    lines = called(full, "export", "drift", "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line) for line in lines] == found


def test_tables_and_times_narrow_it(full: Path) -> None:
    assert len(called(full, "export", "runs", "--table", "orders").stdout.splitlines()) == ROWS
    later = f"{NOW.year + 1}-01-01"
    assert called(full, "export", "runs", "--since", later, "--format", "jsonl").stdout == ""
    assert called(full, "export", "drift", "--table", "ordres").code == 2


def test_a_writing_that_stops_leaves_the_old_file(full: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "runs.csv"
    target.write_text("old")

    def cut_short(*arguments: Any) -> Any:
        yield from ()
        raise KeyboardInterrupt

    monkeypatch.setattr(export, "batches_of", cut_short)
    assert called(full, "export", "runs", "-o", str(target)).code == 130
    assert (target.read_text(), list(tmp_path.iterdir())) == ("old", [target])


def test_a_folder_that_is_not_there_is_told(full: Path) -> None:
    done = called(full, "export", "runs", "-o", "/nowhere/runs.csv")
    assert (done.code, "No such file or directory" in done.stderr) == (1, True)


def test_a_reader_that_goes_away_is_no_failure(full: Path) -> None:
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [COMMAND, "export", "runs"], cwd=full, env=clean(), stdout=writing, stderr=subprocess.PIPE, text=True
    )
    os.close(writing)
    assert os.read(reading, 10) == b"run_id,dat"
    os.close(reading)
    assert (process.communicate(timeout=60)[1], process.returncode) == ("", 0)
