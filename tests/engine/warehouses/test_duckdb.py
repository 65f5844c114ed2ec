import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pytest
import sqlalchemy as sa

from profilemesh.config.model import Config, ExecutionConfig, RetryConfig, StorageConfig, WarehouseConfig
from profilemesh.errors import (
    PermissionDenied,
    ScanCancelled,
    StatementFailed,
    StatementTimeout,
    TableMissing,
    WarehouseBusy,
    WarehouseError,
    WarehouseUnreachable,
)
from profilemesh.planning.snapshots import Confidence
from profilemesh.tables import Kind, TableRef
from profilemesh.warehouses import open_warehouse, read_catalogue
from profilemesh.warehouses.duckdb import DuckDBScan, DuckDBWarehouse

HOSTILE = 'x"; DROP TABLE t; --'

TYPES = {
    Kind.INTEGER: "TINYINT SMALLINT INTEGER BIGINT HUGEINT UTINYINT USMALLINT UINTEGER UBIGINT UHUGEINT BIGNUM".split(),
    Kind.DECIMAL: ["DECIMAL(38, 10)", "DECIMAL"],
    Kind.FLOAT: ["FLOAT", "DOUBLE"],
    Kind.BOOLEAN: ["BOOLEAN"],
    Kind.DATE: ["DATE"],
    Kind.TIME: ["TIME", "TIMETZ", "TIME_NS"],
    Kind.TIMESTAMP: ["TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"],
    Kind.INTERVAL: ["INTERVAL"],
    Kind.TEXT: ["VARCHAR", "ENUM ('a(', 'b]')"],
    Kind.BYTES: ["BLOB"],
    Kind.UUID: ["UUID"],
    Kind.JSON: ["JSON"],
    Kind.ARRAY: ["INTEGER[]", "VARCHAR[3]", "STRUCT(a INTEGER)[]"],
    Kind.OTHER: ["STRUCT(a INTEGER[])", "MAP(VARCHAR, INTEGER)", "UNION(a INTEGER, b VARCHAR)", "BIT", "VARIANT"],
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shop.duckdb"


@pytest.fixture
def warehouse(path: Path) -> DuckDBWarehouse:
    return DuckDBWarehouse(WarehouseConfig("shop", "duckdb", filepath=path))


def write(path: Path, *statements: str) -> None:
    with duckdb.connect(str(path)) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_has_its_kind(path, warehouse, snapshot_of, kind: Kind) -> None:
    columns = ", ".join(f"c{n} {type_}" for n, type_ in enumerate(TYPES[kind]))
    write(path, f"CREATE TABLE t ({columns})")
    assert [(c.type, c.kind) for c in snapshot_of(warehouse, "t").columns if c.kind is not kind] == []


def test_all_schemas_and_views_are_listed(path, warehouse) -> None:
    write(
        path,
        'CREATE SCHEMA "my schema"',
        f'''CREATE TABLE "my schema"."{HOSTILE.replace('"', '""')}" ("select" INT, "ü b" VARCHAR NOT NULL)''',
        "CREATE TABLE t (a INT)",
        "INSERT INTO t SELECT range FROM range(10)",
        "CREATE VIEW v AS SELECT a FROM t",
        "CREATE TEMP TABLE mine (a INT)",
    )
    found = {(s.table.schema, s.table.name): s for s in warehouse.catalogue()}
    assert set(found) == {("my schema", HOSTILE), ("main", "t"), ("main", "v")}
    assert [(c.name, c.nullable) for c in found["my schema", HOSTILE].columns] == [("select", True), ("ü b", False)]
    assert found["main", "t"].rows_estimate == 10
    assert found["main", "v"].is_view and not found["main", "t"].is_view


def test_hostile_names_can_be_read(path, warehouse, source) -> None:
    name = HOSTILE.replace('"', '""')
    write(path, f'CREATE TABLE "{name}" ("{name}" INT, "100% %s :x" INT)', f'INSERT INTO "{name}" VALUES (1, 2)')
    table = TableRef("shop", "main", HOSTILE)
    columns = [sa.column(HOSTILE), sa.column("100% %s :x"), sa.literal("50%")]
    with warehouse.open_scan(table) as scan:
        assert scan.rows(sa.select(*columns).select_from(source(table))) == [(1, 2, "50%")]


def test_views_prove_themselves_or_are_doubted(path, warehouse, tmp_path) -> None:
    (tmp_path / "far.csv").write_text("a\n1\n")
    write(
        path,
        "CREATE TABLE t (a INT, d DATE)",
        "CREATE VIEW plain AS SELECT a, count(*) AS n, sum(a + 1) FROM t WHERE a IN (1, 2) GROUP BY a",
        "CREATE VIEW above AS SELECT * FROM plain",
        "CREATE VIEW clock AS SELECT a FROM t WHERE d > current_date",
        "CREATE VIEW moving AS SELECT a FROM t WHERE d > 'yesterday'::DATE",
        f"CREATE VIEW far AS SELECT * FROM '{tmp_path / 'far.csv'}'",
        "CREATE VIEW lucky AS SELECT * FROM t USING SAMPLE 10",
    )
    exact = {s.table.name for s in warehouse.catalogue() if s.confidence is Confidence.EXACT}
    assert exact == {"t", "plain", "above"}


def test_views_cannot_read_outside_the_file(path, warehouse, tmp_path) -> None:
    (tmp_path / "far.csv").write_text("a\n1\n")
    write(path, f"CREATE VIEW far AS SELECT * FROM read_csv('{tmp_path / 'far.csv'}')")
    with warehouse.open_scan(TableRef("shop", "main", "far")) as scan, pytest.raises(PermissionDenied, match="outside"):
        scan.rows(sa.select(sa.func.count()).select_from(sa.table("far")))


def test_the_catalogue_takes_one_statement_for_many_tables(path, warehouse, monkeypatch) -> None:
    counts = []
    rows = DuckDBScan.rows
    monkeypatch.setattr(DuckDBScan, "rows", lambda scan, statement: counts.append(1) or rows(scan, statement))
    for tables in (5, 50):
        write(path, *(f"CREATE TABLE IF NOT EXISTS t{n} (a INT)" for n in range(tables)))
        assert len(warehouse.catalogue()) == tables
    assert len(counts) == 2


def test_a_scan_runs_in_utc_within_its_memory_and_one_transaction(path, warehouse) -> None:
    write(path, "CREATE TABLE t (a TIMESTAMPTZ)", "INSERT INTO t VALUES ('2026-01-01 00:30:00+01')")
    with warehouse.open_scan(TableRef("shop", "main", "t")) as scan:
        assert scan.rows(sa.text("SELECT a::DATE::VARCHAR FROM t")) == [("2025-12-31",)]
        assert scan.rows(sa.text("SELECT current_setting('memory_limit'), txid_current()"))[0] == (
            f"{warehouse.execution.memory_limit_mb * 10_000_000 // 2**20 / 10} MiB",
            scan.rows(sa.text("SELECT txid_current()"))[0][0],
        )
        assert len(scan.statements) == 3


def test_writing_is_refused(path, warehouse) -> None:
    write(path, "CREATE TABLE t (a INT)")
    with warehouse.open_scan(TableRef("shop", "main", "t")) as scan, pytest.raises(StatementFailed, match="read-only"):
        scan.rows(sa.text("INSERT INTO t VALUES (1)"))


def test_a_missing_file_is_told_and_not_made(path, warehouse) -> None:
    with pytest.raises(WarehouseUnreachable, match="there is no file"):
        warehouse.catalogue()
    assert not path.exists()


@pytest.mark.parametrize("content", ["", "hello " * 1000])
def test_another_kind_of_file_is_told(path, warehouse, content: str) -> None:
    path.write_text(content)
    with pytest.raises(WarehouseUnreachable, match="not a DuckDB file"):
        warehouse.catalogue()


def test_a_missing_table_is_told(path, warehouse) -> None:
    write(path, "CREATE TABLE t (a INT)")
    with warehouse.open_scan(TableRef("shop", "main", "gone")) as scan, pytest.raises(TableMissing, match="gone"):
        scan.rows(sa.select(sa.func.count()).select_from(sa.table("gone", schema="main")))


def test_a_bad_value_is_a_failed_statement(path, warehouse) -> None:
    write(path, "CREATE TABLE t AS SELECT 'x' AS a")
    with warehouse.open_scan(TableRef("shop", "main", "t")) as scan, pytest.raises(StatementFailed, match="convert"):
        scan.rows(sa.text("SELECT a::INTEGER FROM t"))


def test_a_writing_process_makes_it_busy(path, warehouse) -> None:
    write(path, "CREATE TABLE t (a INT)")
    code = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('locked', flush=True); sys.stdin.read(); c.close()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdin and writer.stdout and writer.stdout.readline()
        with pytest.raises(WarehouseBusy, match="written by another process"):
            warehouse.catalogue()
        found = catalogue_of(warehouse)
        writer.stdin.close()
    assert found.troubles["shop"].reason == "warehouse_busy" and found.snapshots == {}


def test_a_writer_in_this_process_makes_it_busy(path, warehouse) -> None:
    with duckdb.connect(str(path)), pytest.raises(WarehouseBusy, match="in this very process"):
        warehouse.catalogue()


FOREVER = sa.text("SELECT count(*) FROM range(1000000000) AS a, range(1000000000) AS b WHERE a.range + b.range = 3")


def test_a_long_statement_times_out(path) -> None:
    write(path, "CREATE TABLE t (a INT)")
    slow = DuckDBWarehouse(
        WarehouseConfig("shop", "duckdb", filepath=path), ExecutionConfig(statement_timeout_seconds=0.1)
    )
    with slow.open_scan(TableRef("shop", "main", "t")) as scan:
        with pytest.raises(StatementTimeout, match=r"longer than 0\.1 s"):
            scan.rows(FOREVER)
        assert scan.rows(sa.text("SELECT count(*) FROM t")) == [(0,)]
        assert scan.snapshots_taken == 1


def test_a_running_statement_can_be_cancelled(path, warehouse) -> None:
    write(path, "CREATE TABLE t (a INT)")
    with warehouse.open_scan(TableRef("shop", "main", "t")) as scan:
        timer = threading.Timer(0.1, scan.cancel)
        timer.start()
        with pytest.raises(ScanCancelled):
            scan.rows(FOREVER)
        timer.join()
        with pytest.raises(ScanCancelled):
            scan.rows(sa.text("SELECT 1"))


def test_two_scans_of_one_file_go_side_by_side(path, warehouse) -> None:
    write(path, "CREATE TABLE t AS SELECT 1 AS a")
    table = TableRef("shop", "main", "t")
    with warehouse.open_scan(table) as one, warehouse.open_scan(table) as two:
        assert one.rows(sa.text("SELECT a FROM t")) == two.rows(sa.text("SELECT a FROM t")) == [(1,)]
        assert len(warehouse.catalogue()) == 1


def catalogue_of(*warehouses, **retry):
    config = Config(None, {}, StorageConfig("sqlite://"), retry=RetryConfig(**{"min_backoff": 0.01, **retry}))
    return read_catalogue(config, {warehouse.name: warehouse for warehouse in warehouses})


def test_one_warehouse_in_trouble_leaves_the_others_readable(path, warehouse, tmp_path) -> None:
    write(path, "CREATE TABLE t (a INT)")
    missing = DuckDBWarehouse(WarehouseConfig("lost", "duckdb", filepath=tmp_path / "lost.duckdb"))
    found = catalogue_of(warehouse, missing)
    assert list(found.snapshots) == [TableRef("shop", "main", "t")]
    assert found.warehouse_types == {"shop": "duckdb", "lost": "duckdb"}
    assert found.troubles["lost"].reason == "warehouse_unreachable" and "no file" in found.troubles["lost"].message


@pytest.mark.parametrize(("enabled", "tries"), [(True, 4), (False, 1)])
def test_only_lost_connections_are_retried(warehouse, monkeypatch, enabled: bool, tries: int) -> None:
    calls = []

    def fail(self):
        calls.append(1)
        raise WarehouseUnreachable("the line is dead")

    monkeypatch.setattr(DuckDBWarehouse, "catalogue", fail)
    assert catalogue_of(warehouse, enabled=enabled).troubles["shop"].message == "the line is dead"
    assert len(calls) == tries


def test_a_type_nobody_knows_is_refused() -> None:
    with pytest.raises(WarehouseError, match="'oracle' is unknown"):
        open_warehouse(WarehouseConfig("w", "oracle"), ExecutionConfig())


def test_a_type_that_is_not_built_yet_says_so_and_stops_nobody(path: Path, warehouse: DuckDBWarehouse) -> None:
    write(path, "CREATE TABLE t (d DATE)")
    cold = open_warehouse(WarehouseConfig("cold", "snowflake"), ExecutionConfig())
    config = Config(None, {"shop": warehouse.config, "cold": cold.config}, StorageConfig("sqlite://"))
    catalogue = read_catalogue(config, {"shop": warehouse, "cold": cold})
    assert [table.name for table in catalogue.snapshots] == ["t"]
    assert "type 'snowflake' is not built yet" in catalogue.troubles["cold"].message
    assert [result.ok for result in cold.check()] == [False]


def test_a_strategy_that_is_not_built_is_said_not_tried() -> None:
    config = WarehouseConfig("shop", "postgres", host="127.0.0.1", strategy="pushdown")
    [result] = open_warehouse(config, ExecutionConfig(memory_limit_mb=1)).check()
    assert not result.ok and "'pushdown' is not built for postgres yet" in result.message


def test_a_sqlite_file_is_told_by_name_and_nothing_is_fetched_for_it(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    path.write_bytes(b"SQLite format 3\0" + bytes(4080))
    [result] = open_warehouse(WarehouseConfig("desk", "duckdb", filepath=path)).check()
    assert not result.ok and "write `type: sqlite`" in result.message


def test_check_names_what_is_read_at_every_tick(path, warehouse) -> None:
    write(path, "CREATE TABLE t (d DATE)", "CREATE VIEW clock AS SELECT * FROM t WHERE d > current_date")
    first, second = warehouse.check()
    assert first.ok and "2 tables" in first.message
    assert second.ok and second.subject == "shop.main.clock" and second.remedy
