import json
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from profilemesh.errors import StatementFailed
from profilemesh.planning.snapshots import Confidence, Probe
from profilemesh.tables import Rows
from profilemesh.warehouses import sqlite_probes
from tests.engine.warehouses.embedded import Desk

WRITING = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], timeout=0); c.executescript(sys.argv[2])"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "shop.sqlite")


def numbers(rows: int) -> str:
    return f"(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) SELECT i FROM n)"


def write_elsewhere(desk: Desk, script: str) -> str:
    """Run in another process, as another program would; what it complained of."""
    return subprocess.run([sys.executable, "-c", WRITING, str(desk.file), script], capture_output=True).stderr.decode()


@pytest.mark.parametrize("change", ["UPDATE t SET a = 9", "DELETE FROM t; INSERT INTO t VALUES (7), (8)"])
def test_updates_in_place_and_reused_rowids_are_missed_and_so_heuristic(desk: Desk, change: str) -> None:
    desk.run("CREATE TABLE t (a INTEGER)", "INSERT INTO t VALUES (1), (2)")
    before = desk.probe()
    desk.run(*change.split("; "))
    assert desk.probe() == before and before.confidence is Confidence.HEURISTIC


def test_tables_without_numbers_are_counted_and_not_sampled(desk: Desk) -> None:
    desk.run(
        "CREATE TABLE keyed (a TEXT PRIMARY KEY) WITHOUT ROWID",
        "CREATE VIRTUAL TABLE words USING fts5(body)",
        "CREATE TABLE taken (rowid TEXT, _rowid_ TEXT, oid TEXT)",
        "CREATE VIEW v AS SELECT 1 AS a",
    )
    for name in ("keyed", "words", "taken", "v"):
        snapshot = desk.snapshot(name)
        assert (snapshot.is_sampleable, desk.probe(name=name).how) == (False, "count")
        with pytest.raises(StatementFailed, match="no numbers"):
            desk.warehouse.source(snapshot.table, snapshot.columns, Rows(fraction=0.5))


def test_a_column_called_rowid_is_not_taken_for_the_rows_number(desk: Desk) -> None:
    desk.run("CREATE TABLE t (rowid TEXT)", f"INSERT INTO t SELECT 'x' FROM {numbers(5000)}")
    assert desk.probe().how == "count and highest _rowid_"
    assert 400 < len(desk.rows("rowid", rows=Rows(fraction=0.1))) < 600


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_a_scan_is_one_truth_whatever_is_committed_meanwhile(desk: Desk, mode: str) -> None:
    desk.run(f"PRAGMA journal_mode = {mode}", "CREATE TABLE t (a INTEGER)", "INSERT INTO t VALUES (1)")
    count = sa.select(sa.func.count()).select_from(sa.table("t"))
    with desk.warehouse.open_scan(desk.table()) as scan:
        complaint = write_elsewhere(desk, "INSERT INTO t VALUES (2)")
        assert ("locked" in complaint) == (mode == "DELETE")
        with pytest.raises(StatementFailed):
            scan.rows(sa.text("SELECT nope FROM t"))
        assert scan.rows(count) == [(1,)]
        [batch] = scan.batches(sa.select(sa.column("a", sa.Integer)).select_from(sa.table("t")))
        assert batch.num_rows == 1 and scan.snapshots_taken == 1
    with desk.warehouse.open_scan(desk.table()) as scan:
        assert scan.rows(count) == [(2 if mode == "WAL" else 1,)]


def test_a_transaction_that_was_lost_is_counted(desk: Desk) -> None:
    desk.run("CREATE TABLE t (a INTEGER)")
    with desk.warehouse.open_scan(desk.table()) as scan:
        scan.rows(sa.text("ROLLBACK"))
        with pytest.raises(StatementFailed):
            scan.rows(sa.text("SELECT nope FROM t"))
        assert scan.snapshots_taken == 2


@pytest.mark.parametrize(
    ("declared", "values", "reason"),
    [
        ("NUMERIC", "(1), ('one')", "holds values of several types (integer, text)"),
        ("INTEGER", "(1), (1.5)", "no text stands for exactly"),
        ("TEXT", "('a'), (x'61')", "no text stands for exactly"),
        ("TEXT", "('a' || char(0) || 'b')", "no text stands for exactly"),
        ("TEXT", "(CAST(x'ff' AS TEXT))", "not valid UTF-8"),
        ("", "(1)", "of type unknown"),
    ],
)
def test_values_that_no_text_stands_for_are_no_keys(desk: Desk, declared: str, values: str, reason: str) -> None:
    desk.run(f"CREATE TABLE t (k {declared})", f"INSERT INTO t VALUES {values}")
    assert reason in str(desk.probe(Probe(key=("k",))).failure)


def test_a_column_that_ignores_case_is_split_by_bytes(desk: Desk) -> None:
    desk.run("CREATE TABLE t (k TEXT COLLATE NOCASE, n INTEGER)", "INSERT INTO t VALUES ('a', 1), ('A', 2), ('a ', 3)")
    for probe in (Probe(key=("k",)), Probe(key=("k",), checksum=True)):
        found = desk.probe(probe)
        assert found.manifest and [p.name for p in found.manifest.parts.values()] == ["A", "a", "a "]
    assert desk.rows("n", rows=Rows(of=('["a"]',), key=desk.key("k"))) == [(1,)]
    assert sorted(desk.rows("n", rows=Rows(but=('["a"]',), key=desk.key("k")))) == [(2,), (3,)]


def test_a_partition_is_found_by_its_index(desk: Desk) -> None:
    desk.run("CREATE TABLE t (d DATE, a INTEGER)", "CREATE INDEX by_day ON t (d)")
    rows = Rows(of=('["2026-01-01"]', '["2026-01-02"]', "[null]"), key=desk.key("d"))
    source = desk.warehouse.source(desk.table(), desk.snapshot().columns, rows)
    with desk.warehouse.open_scan(desk.table()) as scan:
        sql = str(sa.select(source).compile(dialect=scan.dialect, compile_kwargs={"literal_binds": True}))
        plan = " ".join(row[3] for row in scan.rows(sa.text(f"EXPLAIN QUERY PLAN {sql}")))
    assert "USING INDEX by_day" in plan and "SCAN t" not in plan


CHANGES = [
    "a = '1'",
    "a = 1.0",
    "a = x'31'",
    "a = 1, b = '1'",
    "a = 'x' || char(0) || 'y'",
    "a = 'x' || char(0) || 'z'",
]


def test_a_checksum_tells_storage_classes_and_zeros_in_texts_apart(desk: Desk) -> None:
    desk.run("CREATE TABLE t (a, b)", "INSERT INTO t VALUES (1, NULL)")
    tokens = [desk.probe(Probe(checksum=True)).token]
    for change in CHANGES:
        desk.run(f"UPDATE t SET {change}")
        tokens.append(desk.probe(Probe(checksum=True)).token)
    assert None not in tokens and len(set(tokens)) == len(CHANGES) + 1


def test_a_checksum_of_long_cells_is_sent_in_small_batches(desk: Desk, monkeypatch) -> None:
    sizes = []
    hashed = sqlite_probes._hash
    monkeypatch.setattr(sqlite_probes, "_BATCH_BYTES", 1000)
    monkeypatch.setattr(sqlite_probes, "_hash", lambda row: sizes.append(len(row)) or hashed(row))
    desk.run("CREATE TABLE t (b BLOB)", "INSERT INTO t VALUES (zeroblob(100000)), (zeroblob(100001)), (NULL)")
    before = desk.probe(Probe(checksum=True))
    assert sizes == [200001, 200003, 5] and before.rows == 3
    desk.run("UPDATE t SET b = CAST(zeroblob(50000) || 'x' || zeroblob(49999) AS BLOB) WHERE length(b) = 100000")
    assert desk.probe(Probe(checksum=True)).token != before.token


def test_a_table_of_many_columns_has_a_checksum(desk: Desk) -> None:
    desk.run(f"CREATE TABLE t ({', '.join(f'c{n} TEXT' for n in range(1100))})", "INSERT INTO t (c1099) VALUES ('x')")
    before = desk.probe(Probe(checksum=True))
    desk.run("UPDATE t SET c1099 = 'y'")
    assert before.token and desk.probe(Probe(checksum=True)).token not in (None, before.token)


def test_a_sample_reads_its_share_spread_over_the_table_and_repeats_itself(desk: Desk) -> None:
    desk.run("CREATE TABLE t (a INTEGER)", f"INSERT INTO t SELECT i FROM {numbers(100000)}")
    first, again, other = (desk.rows("a", rows=Rows(fraction=0.1, seed=seed)) for seed in (1, 1, 2))
    assert sorted(first) == sorted(again) != sorted(other)
    assert 9_000 < len(first) < 11_000 and len(set(first)) == len(first)
    tenths = [sum(1 for (a,) in first if a * 10 // 100_001 == n) for n in range(10)]
    assert all(700 < rows < 1300 for rows in tenths)


@pytest.mark.parametrize("rowid", ["i", "-i", "i * 1000003", "-9223372036854775807 + i"])
def test_a_sample_is_fair_to_any_numbering(desk: Desk, rowid: str) -> None:
    desk.run("CREATE TABLE t (a INTEGER PRIMARY KEY)", f"INSERT INTO t SELECT {rowid} FROM {numbers(3000)}")
    drawn = [len(desk.rows("a", rows=Rows(fraction=0.5, seed=seed))) for seed in range(4)]
    assert 5000 < sum(drawn) < 7000


def test_a_sample_of_everything_is_everything_and_of_nothing_nothing(desk: Desk) -> None:
    desk.run("CREATE TABLE t (a INTEGER)")
    assert desk.rows("a", rows=Rows(fraction=0.5)) == []
    desk.run(f"INSERT INTO t SELECT i FROM {numbers(777)}")
    assert sorted(desk.rows("a", rows=Rows(fraction=1.0))) == [(n,) for n in range(1, 778)]


def test_a_key_may_stand_for_numbers_kept_as_numbers(desk: Desk) -> None:
    desk.run(
        "CREATE TABLE t (d DATE, b BOOLEAN)", "INSERT INTO t VALUES (20260101, 1), (20260102, 0), (20260101, NULL)"
    )
    found = desk.probe(Probe(key=("d", "b")))
    assert found.manifest
    keys = [json.loads(key) for key in found.manifest.parts]
    assert keys == [["20260101", None], ["20260101", "1"], ["20260102", "0"]]
    for key in found.manifest.parts:
        assert desk.count(Rows(of=(key,), key=desk.key("d", "b"))) == 1
