import math
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from profilemesh.config.model import ExecutionConfig, WarehouseConfig
from profilemesh.errors import (
    ScanCancelled,
    StatementFailed,
    StatementTimeout,
    TableMissing,
    WarehouseBusy,
    WarehouseUnreachable,
)
from profilemesh.planning.snapshots import Confidence
from profilemesh.tables import Kind, TableRef
from profilemesh.warehouses import open_warehouse
from profilemesh.warehouses.sqlite import SQLiteScan, SQLiteWarehouse
from profilemesh.warehouses.sqlite_readings import kind_of

HOSTILE = 'x"; DROP TABLE t; --'


def run_elsewhere(path: Path, script: str) -> None:
    """Change a file with Python's own SQLite: in a process of its own, as two libraries must not share one."""
    code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.executescript(sys.argv[2]); c.close()"
    subprocess.run([sys.executable, "-c", code, str(path), script], check=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "team data%20#1.db"


@pytest.fixture
def warehouse(path: Path) -> SQLiteWarehouse:
    return SQLiteWarehouse(WarehouseConfig("team", "sqlite", filepath=path, extra_params={"busy_timeout_ms": 50}))


def column_values(path: Path, warehouse, snapshot_of, cells, declared: str, values: str) -> tuple[list, list]:
    run_elsewhere(path, f"CREATE TABLE t (c {declared}); INSERT INTO t VALUES {values};")
    found = cells(warehouse, snapshot_of(warehouse, "t"))
    return found["c"], found["c/odd"]


@pytest.mark.parametrize(
    ("declared", "kind"),
    [
        ("INTEGER", Kind.INTEGER),
        ("unsigned big int", Kind.INTEGER),
        ("VARCHAR(20)", Kind.TEXT),
        ("nvarchar", Kind.TEXT),
        ("CLOB", Kind.TEXT),
        ("BLOB", Kind.BYTES),
        ("double precision", Kind.FLOAT),
        ("DECIMAL(10, 2)", Kind.DECIMAL),
        ("NUMERIC", Kind.DECIMAL),
        ("boolean", Kind.BOOLEAN),
        ("DATE", Kind.DATE),
        ("TIME", Kind.TIME),
        ("DATETIME", Kind.TIMESTAMP),
        ("timestamp with time zone", Kind.TIMESTAMP),
        ("UUID", Kind.UUID),
        ("JSON", Kind.JSON),
        ("", Kind.OTHER),
        ("WHATEVER", Kind.OTHER),
    ],
)
def test_declared_types_have_kinds(declared: str, kind: Kind) -> None:
    assert kind_of(declared) is kind


def test_integers_arrive_exactly_and_others_are_odd(path, warehouse, snapshot_of, cells) -> None:
    values = "(NULL), (9007199254740993), (-9223372036854775808), (1.5), ('one'), (x'00')"
    sent, odd = column_values(path, warehouse, snapshot_of, cells, "INTEGER", values)
    assert sent == [None, 9007199254740993, -(2**63), None, None, None]
    assert odd == [False, False, False, True, True, True]


def test_reals_take_integers_and_infinities(path, warehouse, snapshot_of, cells) -> None:
    sent, odd = column_values(path, warehouse, snapshot_of, cells, "REAL", "(NULL), (2), (0.5), (9e999), ('x')")
    assert sent == [None, 2.0, 0.5, math.inf, None]
    assert odd == [False, False, False, False, True]


def test_numbers_are_sent_as_plain_digits(path, warehouse, snapshot_of, cells) -> None:
    values = "(1.50), (9223372036854775807), (3.14), (1e20), (-2.5e-7), (0.1 + 0.2), (-9e999), ('n/a'), (-0.0)"
    sent, odd = column_values(path, warehouse, snapshot_of, cells, "DECIMAL(10,2)", values)
    digits = ["1.5", "9223372036854775807", "3.14", "1" + "0" * 20, "-0.00000025", "0.30000000000000004", "-Infinity"]
    assert sent == [*digits, None, "0"]
    assert odd == [False] * 7 + [True, False]


def test_plain_digits_name_the_same_double(path, warehouse, snapshot_of, cells) -> None:
    doubles = [5e-324, 1.7976931348623157e308, 1e15, 1e16, 1e17, 123456789012345678.0, 1 / 3, 1e-5, 2.0**-1074]
    values = ", ".join(f"({value!r})" for value in doubles)
    sent, _ = column_values(path, warehouse, snapshot_of, cells, "NUMERIC", values)
    assert [float(text) for text in sent] == doubles
    assert not any("e" in text for text in sent)


def test_booleans_are_zero_and_one(path, warehouse, snapshot_of, cells) -> None:
    sent, odd = column_values(path, warehouse, snapshot_of, cells, "BOOLEAN", "(0), (1), (2), ('true'), (NULL)")
    assert sent == [False, True, None, None, None]
    assert odd == [False, False, True, True, False]


def test_times_are_text_and_numbers_are_odd(path, warehouse, snapshot_of, cells) -> None:
    sent, odd = column_values(path, warehouse, snapshot_of, cells, "DATETIME", "('2026-01-02 03:04:05'), (17), (NULL)")
    assert sent == ["2026-01-02 03:04:05", None, None]
    assert odd == [False, True, False]


def test_text_takes_numbers_and_survives_bad_bytes(path, warehouse, snapshot_of, cells) -> None:
    values = "(''), (12), ('żółć 🦆'), (CAST(x'ff41' AS TEXT)), (x'00'), (NULL)"
    sent, odd = column_values(path, warehouse, snapshot_of, cells, "TEXT", values)
    assert sent == ["", "12", "żółć 🦆", "\ufffdA", None, None]
    assert odd == [False, False, False, False, True, False]


def test_long_cells_are_cut_and_told_apart(path, warehouse, snapshot_of, cells) -> None:
    run_elsewhere(
        path,
        "CREATE TABLE t (c TEXT, b BLOB); INSERT INTO t VALUES"
        " (printf('%.*c', 5000, 'ł') || '1', zeroblob(3000)), (printf('%.*c', 5000, 'ł') || '2', x'01'), ('x', NULL);",
    )
    found = cells(warehouse, snapshot_of(warehouse, "t"))
    assert [len(cell) for cell in found["c"]] == [2048, 2048, 1]
    first, second, short = found["c/overflow"]
    assert first.startswith("5001:") and second.startswith("5001:") and first != second and short is None
    assert [cell and len(cell) for cell in found["b"]] == [2048, 1, None]
    assert found["b/overflow"][0].startswith("3000:") and found["b/overflow"][1:] == [None, None]


def test_five_hundred_columns_are_one_statement(path, warehouse, snapshot_of, cells) -> None:
    columns = ", ".join(f"c{n} {('TEXT', 'INTEGER', 'DECIMAL', 'UUID')[n % 4]}" for n in range(500))
    values = ", ".join("x'00'" if n in (0, 250, 499) else "NULL" for n in range(500))
    run_elsewhere(path, f"CREATE TABLE t ({columns}); INSERT INTO t (c1) VALUES (7); INSERT INTO t VALUES ({values});")
    found = cells(warehouse, snapshot_of(warehouse, "t"))
    assert found["c1"] == [7, None]
    assert [name for name in found if name.endswith("/odd") and any(found[name])] == ["c0/odd", "c250/odd", "c499/odd"]
    assert found["c250/odd"] == [False, True]


def test_types_do_not_depend_on_the_first_rows(path, warehouse, snapshot_of, cells) -> None:
    run_elsewhere(
        path,
        "CREATE TABLE t (i INTEGER, r REAL, s TEXT, b BLOB);"
        "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 70000)"
        " SELECT NULL, NULL, NULL, NULL FROM n;"
        "INSERT INTO t VALUES (7, 0.25, 'late', x'ff');",
    )
    found = cells(warehouse, snapshot_of(warehouse, "t"))
    assert [len(found[name]) for name in "irsb"] == [70001] * 4
    assert [found[name][-1] for name in "irsb"] == [7, 0.25, "late", b"\xff"]


def test_an_empty_table_has_typed_batches(path, warehouse, snapshot_of, cells) -> None:
    run_elsewhere(path, "CREATE TABLE t (i INTEGER, s TEXT);")
    found = cells(warehouse, snapshot_of(warehouse, "t"))
    assert found["i"] == [] and found["s"] == []


def test_odd_tables_are_listed_with_their_columns(path, warehouse) -> None:
    run_elsewhere(
        path,
        f"""CREATE TABLE "{HOSTILE.replace('"', '""')}" ("select" TEXT PRIMARY KEY, "ü b" INT) WITHOUT ROWID;
        CREATE TABLE t (a INT, twice INT GENERATED ALWAYS AS (a * 2), kept INT AS (a + 1) STORED);
        CREATE VIEW v AS SELECT a FROM t;
        CREATE VIEW broken AS SELECT nope FROM gone;
        CREATE VIRTUAL TABLE words USING fts5(body);""",
    )
    found = {s.table.name: [c.name for c in s.columns] for s in warehouse.catalogue()}
    assert found == {
        HOSTILE: ["select", "ü b"],
        "t": ["a", "twice", "kept"],
        "v": ["a"],
        "broken": [],
        "words": ["body"],
    }


def test_hostile_names_can_be_read(path, warehouse, snapshot_of, cells) -> None:
    name = HOSTILE.replace('"', '""')
    run_elsewhere(path, f'CREATE TABLE "{name}" ("{name}" TEXT, "100% %s :x" INT); INSERT INTO "{name}" VALUES (1, 2);')
    found = cells(warehouse, snapshot_of(warehouse, HOSTILE))
    assert found[HOSTILE] == ["1"] and found["100% %s :x"] == [2]


def test_views_prove_themselves_or_are_doubted(path, warehouse) -> None:
    run_elsewhere(
        path,
        """CREATE TABLE t (a INT, d TEXT);
        CREATE VIEW plain AS SELECT a, count(*) AS n FROM t GROUP BY a;
        CREATE VIEW clock AS SELECT a FROM t WHERE d > date('now');
        CREATE VIEW above AS SELECT * FROM clock;
        CREATE VIEW dice AS SELECT abs(random()) AS r FROM t;""",
    )
    confidence = {s.table.name: s.confidence for s in warehouse.catalogue()}
    assert confidence == {
        "t": Confidence.EXACT,
        "plain": Confidence.EXACT,
        "clock": Confidence.NONE,
        "above": Confidence.NONE,
        "dice": Confidence.NONE,
    }


def test_the_catalogue_takes_as_many_statements_for_many_tables(path, warehouse, monkeypatch) -> None:
    counts = []
    rows = SQLiteScan.rows
    monkeypatch.setattr(SQLiteScan, "rows", lambda scan, statement: counts.append(1) or rows(scan, statement))
    for tables in (5, 50):
        run_elsewhere(path, "".join(f"CREATE TABLE IF NOT EXISTS t{n} (a INT);" for n in range(tables)))
        assert len(warehouse.catalogue()) == tables
    assert len(counts) == 4


def test_row_estimates_come_from_analyze(path, warehouse, snapshot_of) -> None:
    run_elsewhere(path, "CREATE TABLE t (a INT); CREATE INDEX i ON t (a); INSERT INTO t VALUES (1), (2), (2); ANALYZE;")
    assert snapshot_of(warehouse, "t").rows_estimate == 3


def test_writing_is_refused(path, warehouse) -> None:
    run_elsewhere(path, "CREATE TABLE t (a INT);")
    with warehouse.open_scan(TableRef("team", "main", "t")) as scan, pytest.raises(StatementFailed, match="readonly"):
        scan.rows(sa.text("INSERT INTO t VALUES (1)"))


def test_a_missing_file_is_told_and_not_made(path, warehouse) -> None:
    with pytest.raises(WarehouseUnreachable, match="there is no file"):
        warehouse.catalogue()
    assert not path.exists()


def test_another_kind_of_file_is_told(path, warehouse) -> None:
    path.write_text("hello " * 1000)
    with pytest.raises(WarehouseUnreachable, match="not a SQLite file"):
        warehouse.catalogue()
    assert [result.ok for result in warehouse.check()] == [False]


def test_a_missing_table_is_told(path, warehouse) -> None:
    run_elsewhere(path, "CREATE TABLE t (a INT);")
    with warehouse.open_scan(TableRef("team", "main", "gone")) as scan, pytest.raises(TableMissing, match="gone"):
        list(scan.batches(sa.select(sa.column("a", sa.Integer)).select_from(sa.table("gone"))))


def test_a_writer_makes_it_busy(path, warehouse) -> None:
    run_elsewhere(path, "CREATE TABLE t (a INT);")
    code = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute('BEGIN EXCLUSIVE'); print('locked', flush=True); sys.stdin.read(); c.close()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdin and writer.stdout and writer.stdout.readline()
        with pytest.raises(WarehouseBusy, match="locked by a writer"):
            warehouse.catalogue()
        writer.stdin.close()


def many_rows(rows: int) -> sa.Select:
    n = sa.text(f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) SELECT i FROM n")
    return sa.select(sa.column("i", sa.Integer)).select_from(n.columns(sa.column("i", sa.Integer)).subquery())


def test_a_scan_times_out_between_batches(path) -> None:
    run_elsewhere(path, "CREATE TABLE t (a INT);")
    slow = SQLiteWarehouse(
        WarehouseConfig("team", "sqlite", filepath=path), ExecutionConfig(statement_timeout_seconds=0.05)
    )
    with slow.open_scan(TableRef("team", "main", "t")) as scan, pytest.raises(StatementTimeout, match=r"0\.05 s"):
        for _ in scan.batches(many_rows(10**9)):
            time.sleep(0.02)


def test_a_scan_can_be_cancelled(path, warehouse) -> None:
    run_elsewhere(path, "CREATE TABLE t (a INT);")
    with warehouse.open_scan(TableRef("team", "main", "t")) as scan:
        timer = threading.Timer(0.1, scan.cancel)
        timer.start()
        with pytest.raises(ScanCancelled):
            list(scan.batches(many_rows(10**9)))
        timer.join()


def test_a_scan_keeps_its_lock_while_the_file_is_probed(path, warehouse, snapshot_of) -> None:
    run_elsewhere(path, "CREATE TABLE t (a INT);")
    fill = (
        "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 70000) SELECT i FROM n"
    )
    run_elsewhere(path, fill)
    writer = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN EXCLUSIVE')"
    with warehouse.open_scan(TableRef("team", "main", "t")) as scan:
        batches = scan.batches(sa.select(sa.column("a", sa.Integer)).select_from(sa.table("t")))
        next(batches)
        assert snapshot_of(warehouse, "t").token
        refused = subprocess.run([sys.executable, "-c", writer, str(path)], capture_output=True)
        batches.close()
    allowed = subprocess.run([sys.executable, "-c", writer, str(path)], capture_output=True)
    assert b"locked" in refused.stderr and allowed.returncode == 0


def test_the_registry_opens_it(path) -> None:
    warehouse = open_warehouse(WarehouseConfig("team", "sqlite", filepath=path), ExecutionConfig())
    assert isinstance(warehouse, SQLiteWarehouse) and warehouse.strategy == "stream"
