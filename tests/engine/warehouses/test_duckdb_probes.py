import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
import sqlalchemy as sa

from profilemesh.config.model import ExecutionConfig
from profilemesh.errors import StatementFailed, WarehouseBusy
from profilemesh.planning.snapshots import Probe
from profilemesh.profiling import Scope, profile
from profilemesh.tables import Rows
from tests.engine.warehouses.embedded import Desk

KEEPING_WAL = "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); c.execute(sys.argv[2]); os._exit(0)"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "shop.duckdb")


def write_to_wal(desk: Desk, statement: str) -> None:
    subprocess.run([sys.executable, "-c", KEEPING_WAL, str(desk.file), statement], check=True)


def test_an_update_in_place_moves_its_table_and_no_other(desk: Desk) -> None:
    desk.run(*(f"CREATE TABLE {name} AS SELECT range AS a, 's' || range AS s FROM range(300000)" for name in "tu"))
    before, other = desk.probe(), desk.probe(name="u")
    desk.run("FORCE CHECKPOINT")
    assert desk.probe() == before
    desk.run("UPDATE t SET s = 'new' WHERE a = 17")
    after = desk.probe()
    assert after.token != before.token and after.how == "count and highest rowid, and where its blocks are"
    assert desk.probe(name="u") == other


def test_an_update_that_stays_in_the_wal_is_seen_each_time(desk: Desk) -> None:
    desk.run(*(f"CREATE TABLE {name} AS SELECT range AS a, 1 AS b FROM range(1000)" for name in "tu"))
    tokens, other = [desk.probe().token], desk.probe(name="u")
    for value in (5, 6):
        write_to_wal(desk, f"UPDATE t SET b = {value} WHERE a = 17")
        tokens.append(desk.probe().token)
    assert os.path.getsize(f"{desk.file}.wal") and len(set(tokens)) == 3
    assert desk.probe(name="u") == other


def test_a_checksum_tells_apart_what_only_compares_equal(desk: Desk) -> None:
    desk.run("CREATE TABLE t (f DOUBLE, i INTERVAL)")
    tokens = []
    for row in ("'0.0', '30 days'", "'-0.0', '30 days'", "'0.0', '1 month'", "'nan', '30 days'", "NULL, '30 days'"):
        desk.run("DELETE FROM t", f"INSERT INTO t VALUES ({row})")
        tokens.append(desk.probe(Probe(checksum=True)).token)
    assert None not in tokens and len(set(tokens)) == 5


KEYS = {
    "ENUM('a', 'it''s')": ["a", "it's"],
    "TIMESTAMPTZ": ["2026-03-29 02:30:00+02", "1900-01-01 00:00:00.000001+00"],
    "TIMESTAMP_NS": ["2026-01-01 00:00:00.123456789"],
    "DECIMAL(38, 10)": ["-0.0000000001", "1234567890123456789012345678"],
    "BOOLEAN": ["true", "false"],
    "UUID": ["550e8400-e29b-41d4-a716-446655440000"],
    "DATE": ["infinity", "5877642-06-25 (BC)", "2026-01-01"],
    "HUGEINT": ["-170141183460469231731687303715884105728"],
    "TIMETZ": ["00:00:00+02", "22:00:00+00"],
}


@pytest.mark.parametrize("type_", KEYS)
def test_every_exact_type_can_be_a_key(desk: Desk, type_: str) -> None:
    values = ", ".join("('" + value.replace("'", "''") + "')" for value in KEYS[type_])
    desk.run(f"CREATE TABLE t (k {type_})", f"INSERT INTO t VALUES {values}, (NULL), (NULL)")
    found = desk.probe(Probe(key=("k",)))
    assert found.manifest and len(found.manifest.parts) == len(KEYS[type_]) + 1
    columns = desk.key("k")
    for key, part in found.manifest.parts.items():
        assert desk.count(Rows(of=(key,), key=columns)) == part.rows
        assert desk.count(Rows(but=(key,), key=columns)) == (found.rows or 0) - (part.rows or 0)


@pytest.mark.parametrize(
    "type_", ["FLOAT", "DOUBLE", "BLOB", "JSON", "INTEGER[]", "STRUCT(a INTEGER)", "INTERVAL", "BIT"]
)
def test_types_without_an_exact_text_are_no_keys(desk: Desk, type_: str) -> None:
    desk.run(f"CREATE TABLE t (k {type_})")
    assert "choose a column of dates, whole numbers or texts" in str(desk.probe(Probe(key=("k",))).failure)


def test_a_probe_that_runs_too_long_stops_no_other(desk: Desk) -> None:
    desk.run(
        "CREATE TABLE t (d DATE)",
        "CREATE VIEW slow AS SELECT a.range FROM range(1000000000) a, range(1000000000) b WHERE a.range + b.range = 3",
    )
    desk.warehouse.execution = ExecutionConfig(statement_timeout_seconds=0.2)
    found = desk.warehouse.probe({desk.table("slow"): Probe(), desk.table("t"): Probe()})
    assert "longer than 0.2 s" in str(found[desk.table("slow")].failure)
    assert found[desk.table("t")].rows == 0 and found[desk.table("t")].failure is None


def test_a_writer_makes_a_probe_busy_not_wrong(desk: Desk) -> None:
    desk.run("CREATE TABLE t (a INTEGER)")
    with duckdb.connect(str(desk.file)), pytest.raises(WarehouseBusy):
        desk.probe()


def test_a_sample_is_drawn_once_and_outlives_a_failed_statement(desk: Desk) -> None:
    desk.run("CREATE TABLE t AS SELECT range AS a, 's' || range AS s FROM range(500000)")
    snapshot = desk.snapshot()
    source = desk.warehouse.source(snapshot.table, snapshot.columns, Rows(fraction=0.1))
    with desk.warehouse.open_scan(snapshot.table) as scan:
        held = scan.held(source)
        count = sa.select(sa.func.count(), sa.func.sum(held.c.a)).select_from(held)
        first = scan.rows(count)
        with pytest.raises(StatementFailed):
            scan.rows(sa.select(sa.cast(held.c.s, sa.Integer)).select_from(held))
        assert scan.rows(count) == first and scan.snapshots_taken == 1
        [(buckets,)] = scan.rows(sa.select(sa.func.count((held.c.a / 50000).distinct())).select_from(held))
    assert 20_000 < first[0][0] < 100_000 and "system(" in scan.statements[0].sql
    assert buckets > 9


def test_a_small_table_is_sampled_row_by_row(desk: Desk) -> None:
    desk.run("CREATE TABLE t AS SELECT range AS a FROM range(5000)")
    assert 350 < len(desk.rows("a", rows=Rows(fraction=0.1))) < 650


def test_a_sampled_profile_tells_one_and_the_same_sample(desk: Desk) -> None:
    desk.run("CREATE TABLE t AS SELECT range AS a, (range % 7)::VARCHAR AS s FROM range(20000)")
    snapshot = desk.snapshot()
    scope = Scope(snapshot.table, snapshot.columns, rows=Rows(fraction=0.2))
    with desk.warehouse.open_scan(snapshot.table) as scan:
        found = profile(desk.warehouse, scan, scope)
    top = found.summary.columns["s"].top
    assert 3000 < found.summary.rows < 5000 and not found.errors
    assert top is not None and sum(top.counts.values()) == found.summary.rows
    assert sum("TABLESAMPLE" in sent.sql for sent in scan.statements) == 1


def test_a_sample_larger_than_the_memory_limit_is_held_all_the_same(desk: Desk) -> None:
    desk.run("CREATE TABLE t AS SELECT md5(range::VARCHAR) || md5((range + 1)::VARCHAR) AS s FROM range(1000000)")
    desk.warehouse.execution = ExecutionConfig(memory_limit_mb=50)
    snapshot = desk.snapshot()
    with desk.warehouse.open_scan(snapshot.table) as scan:
        held = scan.held(desk.warehouse.source(snapshot.table, snapshot.columns, Rows(fraction=1.0)))
        assert scan.rows(sa.select(sa.func.count()).select_from(held)) == [(1_000_000,)]
