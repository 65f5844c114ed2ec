import dataclasses
import threading
import uuid
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock

import psycopg2
import pytest
import sqlalchemy as sa

from profilemesh.config.model import ExecutionConfig, WarehouseConfig
from profilemesh.errors import (
    PermissionDenied,
    ScanCancelled,
    StatementFailed,
    StatementTimeout,
    TableMissing,
    WarehouseUnreachable,
)
from profilemesh.planning.snapshots import Confidence
from profilemesh.tables import Kind, TableRef
from profilemesh.warehouses.base import Misconfigured
from profilemesh.warehouses.postgres import PostgresWarehouse

HOSTILE = 'x"; DROP TABLE t; --'


@pytest.fixture
def run(postgres_server, postgres_database):
    """Run statements as the owner, in a session that ends: its counters are flushed then."""

    def execute(*statements: str, user: str = "postgres") -> list[tuple]:
        return postgres_server.execute(*statements, database=postgres_database, user=user)

    return execute


@pytest.fixture
def connect(postgres_server, postgres_database):
    def open_warehouse(seconds: float = 60, **changes) -> PostgresWarehouse:
        given = {
            "host": postgres_server.socket_dir,
            "database": postgres_database,
            "username": "postgres",
            "password": "s3cr3t-word",
        }
        config = WarehouseConfig("pg", "postgres", **{**given, **changes})
        return PostgresWarehouse(config, ExecutionConfig(statement_timeout_seconds=seconds))

    return open_warehouse


@pytest.fixture
def warehouse(connect) -> PostgresWarehouse:
    return connect()


@pytest.fixture
def role(postgres_server, postgres_database):
    """A role of this test alone that may log in and nothing more."""
    name = f"r{uuid.uuid4().hex[:12]}"
    postgres_server.execute(f"CREATE ROLE {name} LOGIN")
    yield name
    postgres_server.execute(f"DROP OWNED BY {name}", database=postgres_database)
    postgres_server.execute(f"DROP ROLE {name}")


VALUES = {
    "smallint": ("-32768", Kind.INTEGER, -32768),
    "bigint": ("9007199254740993", Kind.INTEGER, 9007199254740993),
    "oid": ("4294967295", Kind.INTEGER, 4294967295),
    "numeric": ("1.5000", Kind.DECIMAL, "1.5"),
    "numeric(10,2)": ("1.5", Kind.DECIMAL, "1.50"),
    "numeric(30)": ("123456789012345678901234567890", Kind.DECIMAL, "123456789012345678901234567890"),
    "money": ("'12.34'", Kind.DECIMAL, "12.34"),
    "real": ("0.5", Kind.FLOAT, 0.5),
    "double precision": ("'Infinity'", Kind.FLOAT, float("inf")),
    "boolean": ("true", Kind.BOOLEAN, True),
    "date": ("'2026-02-28'", Kind.DATE, date(2026, 2, 28)),
    "time": ("'10:00:00.5'", Kind.TIME, clock(10, 0, 0, 500000)),
    "timetz": ("'10:00+02'", Kind.TIME, clock(8, 0)),
    "timestamp": ("'2026-02-28 10:00'", Kind.TIMESTAMP, datetime(2026, 2, 28, 10, tzinfo=UTC).replace(tzinfo=None)),
    "timestamptz": ("'2026-02-28 10:00+02'", Kind.TIMESTAMP, datetime(2026, 2, 28, 8, tzinfo=UTC)),
    "interval": ("'1 day 00:00:01.5'", Kind.INTERVAL, 86401.5),
    "text": ("'żółć 🦆'", Kind.TEXT, "żółć 🦆"),
    "varchar(5)": ("'abc'", Kind.TEXT, "abc"),
    "char(5)": ("'abc'", Kind.TEXT, "abc"),
    "name": ("'abc'", Kind.TEXT, "abc"),
    "mood": ("'so so'", Kind.TEXT, "so so"),
    "bytea": ("'\\x00ff'", Kind.BYTES, b"\x00\xff"),
    "uuid": ("'00000000-0000-0000-0000-00000000000a'", Kind.UUID, "00000000-0000-0000-0000-00000000000a"),
    "json": ("'{\"a\":  1}'", Kind.JSON, '{"a":  1}'),
    "jsonb": ("'{\"a\":  1}'", Kind.JSON, '{"a": 1}'),
    "int[]": ("'{1,NULL,3}'", Kind.ARRAY, "{1,NULL,3}"),
    "mood[]": ("'{sad}'", Kind.ARRAY, "{sad}"),
    "inet": ("'10.0.0.1'", Kind.OTHER, "10.0.0.1/32"),
    "bit(3)": ("B'101'", Kind.OTHER, "101"),
    "int4range": ("'[1,3)'", Kind.OTHER, "[1,3)"),
    "point": ("'(1,2)'", Kind.OTHER, "(1,2)"),
    "pair": ("'(1,x)'", Kind.OTHER, "(1,x)"),
    "tsvector": ("'a b'", Kind.OTHER, "'a' 'b'"),
    "positive": ("7", Kind.INTEGER, 7),
    "price": ("1.50", Kind.DECIMAL, "1.5"),
    "moment": ("'10:00+02'", Kind.TIME, clock(8, 0)),
    "ids": ("'{1,2}'", Kind.ARRAY, "{1,2}"),
}
TYPES = (
    "CREATE TYPE mood AS ENUM ('sad', 'so so')",
    "CREATE TYPE pair AS (a int, b text)",
    "CREATE DOMAIN positive AS int CHECK (VALUE > 0)",
    "CREATE DOMAIN amount AS numeric(10,2)",
    "CREATE DOMAIN price AS amount",
    "CREATE DOMAIN moment AS timetz",
    "CREATE DOMAIN ids AS int[]",
)


def test_every_type_arrives_exactly(run, warehouse, snapshot_of, cells) -> None:
    columns = ", ".join(f"c{n} {type_}" for n, type_ in enumerate(VALUES))
    values = ", ".join(value for value, _, _ in VALUES.values())
    nulls = ", ".join("NULL" for _ in VALUES)
    run(*TYPES, f"CREATE TABLE t ({columns})", f"INSERT INTO t VALUES ({values}), ({nulls})")
    snapshot = snapshot_of(warehouse, "t")
    found = cells(warehouse, snapshot)
    expected = {type_: (kind, [value, None]) for type_, (_, kind, value) in VALUES.items()}
    arrived = {type_: (column.kind, found[column.name]) for type_, column in zip(VALUES, snapshot.columns, strict=True)}
    assert arrived == expected
    assert found[f"c{list(VALUES).index('int[]')}/length"] == [3, None]


def test_infinite_and_far_times_are_odd(run, warehouse, snapshot_of) -> None:
    run(
        "CREATE TABLE t (d date, s timestamp, z timestamptz)",
        "INSERT INTO t VALUES ('infinity', '-infinity', 'infinity'), ('300000-01-01', '294276-12-31', '294276-12-31'),"
        " ('0044-03-15 BC', '4713-01-01 BC', '294246-12-31'), (NULL, NULL, NULL)",
    )
    micros = "(extract(epoch FROM {}) * 1000000)::bigint"
    exact = f"SELECT d - DATE '1970-01-01', {micros.format('s')}, {micros.format('z')} FROM t WHERE d < 'now'"
    days, *times = run(exact)[0]
    readings = [warehouse.reading(column) for column in snapshot_of(warehouse, "t").columns]
    statement = sa.select(*(r.sent for r in readings), *(r.odd.label(f"odd{n}") for n, r in enumerate(readings)))
    with warehouse.open_scan(TableRef("pg", "public", "t")) as scan:
        (batch,) = scan.batches(statement.select_from(sa.table("t")))
    # As numbers: Python's own dates do not reach as far as Arrow's.
    numbers = [batch.column(n).cast(width).to_pylist() for n, width in enumerate(("int32", "int64", "int64"))]
    assert numbers == [[None, None, far, None] for far in (days, *times)]
    assert [column.to_pylist() for column in batch.columns[3:]] == [[True, True, False, False]] * 3


def test_infinite_intervals_are_odd(run, warehouse, snapshot_of, cells) -> None:
    run("CREATE TABLE t (i interval)", "INSERT INTO t VALUES ('infinity'), ('-infinity'), ('1s')")
    found = cells(warehouse, snapshot_of(warehouse, "t"))
    assert found == {"i": [None, None, 1.0], "i/odd": [True, True, False]}


def test_numbers_that_are_none_are_named(run, warehouse, snapshot_of, cells) -> None:
    run("CREATE TABLE t (n numeric)", "INSERT INTO t VALUES ('NaN'), ('Infinity'), ('-Infinity'), (1e30), (100)")
    assert cells(warehouse, snapshot_of(warehouse, "t"))["n"] == ["NaN", "Infinity", "-Infinity", "1" + "0" * 30, "100"]


def test_long_cells_are_cut_and_told_apart(run, warehouse, snapshot_of, cells) -> None:
    run(
        "CREATE TABLE t (c text, b bytea, j jsonb)",
        "INSERT INTO t SELECT repeat('ł', 5000) || n, convert_to(repeat('x', 3000) || n, 'UTF8'),"
        " to_jsonb(repeat('y', 3000) || n) FROM generate_series(1, 2) AS n UNION ALL SELECT 'x', 'x', '1'",
    )
    found = cells(warehouse, snapshot_of(warehouse, "t"))
    assert [len(cell) for cell in found["c"]] == [len(cell) for cell in found["b"]] == [2048, 2048, 1]
    for name, length in (("c", "5001:"), ("b", "3001:"), ("j", "3003:")):
        first, second, short = found[f"{name}/overflow"]
        assert first.startswith(length) and second.startswith(length) and first != second and short is None


def test_hostile_names_can_be_read(run, warehouse, snapshot_of, cells) -> None:
    name = HOSTILE.replace('"', '""')
    run(
        f'CREATE SCHEMA "{name}"',
        f'CREATE TABLE "{name}"."{name}" ("{name}" int, "select" int, "100% %s :x" int, "ü ś" int)',
        f'INSERT INTO "{name}"."{name}" VALUES (1, 2, 3, 4)',
    )
    found = cells(warehouse, snapshot_of(warehouse, HOSTILE))
    assert found == {HOSTILE: [1], "select": [2], "100% %s :x": [3], "ü ś": [4]}


def test_what_is_listed(run, warehouse) -> None:
    run(
        "CREATE TABLE parent (id int, day date) PARTITION BY RANGE (day)",
        "CREATE TABLE child PARTITION OF parent FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')",
        "CREATE TABLE base (a int)",
        "CREATE TABLE heir (b int) INHERITS (base)",
        "CREATE VIEW v AS SELECT * FROM base",
        "CREATE MATERIALIZED VIEW m AS SELECT * FROM base",
        "CREATE TABLE empty_handed ()",
    )
    found = {s.table.name: s for s in warehouse.catalogue()}
    assert set(found) == {"parent", "base", "heir", "v", "m", "empty_handed"}
    assert [name for name, s in found.items() if s.is_view] == ["v"]
    assert found["empty_handed"].columns == ()


def test_estimates_sum_the_leaves(run, warehouse, snapshot_of) -> None:
    run(*PARTITIONED, "INSERT INTO p SELECT n, n % 2 FROM generate_series(1, 1000) AS n")
    assert snapshot_of(warehouse, "p").rows_estimate == 1000
    run("ANALYZE p")
    snapshot = snapshot_of(warehouse, "p")
    assert snapshot.rows_estimate == 1000 and snapshot.bytes_estimate and snapshot.bytes_estimate % 8192 == 0


def test_the_catalogue_takes_as_many_statements_for_many_tables(run, warehouse, monkeypatch) -> None:
    sent = []
    execute = psycopg2.extensions.cursor.execute

    class Counting(psycopg2.extensions.cursor):
        def execute(self, statement, parameters=None):
            sent.append(statement)
            return execute(self, statement, parameters)

    real = psycopg2.connect
    monkeypatch.setattr(psycopg2, "connect", lambda dsn, **more: real(dsn, cursor_factory=Counting, **more))
    for tables in (5, 50):
        sent.clear()
        run(*(f"CREATE TABLE IF NOT EXISTS t{n} (a int)" for n in range(tables)))
        sent.clear()
        assert len(warehouse.catalogue()) == tables
        assert len(sent) == 3


PARTITIONED = (
    "CREATE TABLE p (a int, k int) PARTITION BY LIST (k)",
    "CREATE TABLE p0 PARTITION OF p FOR VALUES IN (0)",
    "CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1)",
)
SETTING = (
    *PARTITIONED,
    "INSERT INTO p VALUES (1, 0), (2, 1)",
    "CREATE TABLE loose (a int, k int)",
    "CREATE TABLE t (a int, b text DEFAULT 'x')",
    "INSERT INTO t VALUES (1), (2)",
    "CREATE TABLE base (a int)",
    "CREATE TABLE heir () INHERITS (base)",
    "CREATE TYPE mood AS ENUM ('sad', 'glad')",
    "CREATE TABLE moods (m mood)",
    "CREATE MATERIALIZED VIEW m AS SELECT count(*) FROM t",
)


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("t", "INSERT INTO t VALUES (3)"),
        ("t", "UPDATE t SET a = 5 WHERE a = 1"),
        ("t", "DELETE FROM t WHERE a = 1"),
        ("t", "TRUNCATE t"),
        ("t", "VACUUM FULL t"),
        ("t", "ALTER TABLE t ADD COLUMN c int DEFAULT 7"),
        ("t", "ALTER TABLE t DROP COLUMN b"),
        ("t", "ALTER TABLE t RENAME COLUMN b TO c"),
        ("t", "ALTER TABLE t ALTER COLUMN a TYPE bigint"),
        ("t", "ALTER TABLE t ALTER COLUMN b SET DEFAULT 'y'"),
        ("t", "COPY t FROM PROGRAM 'printf \"9\\\\tz\\\\n\"'"),
        ("t", "SELECT pg_stat_reset()"),
        ("t", "SELECT pg_stat_reset_single_table_counters('t'::regclass)"),
        ("t", "BEGIN; DROP TABLE t CASCADE; CREATE TABLE t (a int, b text DEFAULT 'x'); COMMIT"),
        ("t", "ALTER TABLE t ENABLE ROW LEVEL SECURITY"),
        ("p", "INSERT INTO p VALUES (3, 1)"),
        ("p", "TRUNCATE p1"),
        ("p", "UPDATE p SET k = 1 WHERE k = 0"),
        ("p", "ALTER TABLE p DETACH PARTITION p1"),
        ("p", "ALTER TABLE p ATTACH PARTITION loose FOR VALUES IN (2)"),
        ("p", "CREATE TABLE p2 PARTITION OF p DEFAULT"),
        ("base", "INSERT INTO heir VALUES (1)"),
        ("base", "ALTER TABLE heir NO INHERIT base"),
        ("moods", "ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'"),
        ("m", "REFRESH MATERIALIZED VIEW m"),
    ],
)
def test_each_change_moves_the_token(run, warehouse, snapshot_of, table: str, change: str) -> None:
    run(*SETTING)
    before = snapshot_of(warehouse, table)
    run(change)
    after = snapshot_of(warehouse, table)
    assert before.confidence is Confidence.EXACT and before.token
    assert after.token != before.token


def test_what_is_no_change_keeps_the_tokens(run, warehouse) -> None:
    run(*SETTING)
    before = {s.table: s.token for s in warehouse.catalogue()}
    run("ANALYZE", "VACUUM t", "CREATE INDEX ON t (a)", "SELECT * FROM t", "COMMENT ON TABLE t IS 'x'", "CHECKPOINT")
    assert {s.table: s.token for s in warehouse.catalogue()} == before


def test_another_table_keeps_its_token(run, warehouse, snapshot_of) -> None:
    run(*SETTING)
    before = {s.table.name: s.token for s in warehouse.catalogue()}
    run("INSERT INTO t VALUES (3)", "INSERT INTO p VALUES (1, 0)")
    after = {s.table.name: s.token for s in warehouse.catalogue()}
    assert {name for name in after if after[name] != before[name]} == {"t", "p"}


def test_uncommitted_work_appears_when_it_commits(run, warehouse, snapshot_of, postgres_url) -> None:
    run(*SETTING)
    before = snapshot_of(warehouse, "t").token
    writer = psycopg2.connect(postgres_url)
    with writer.cursor() as cursor:
        cursor.execute("INSERT INTO t VALUES (3)")
    during = snapshot_of(warehouse, "t")
    writer.commit()
    writer.close()
    assert during.token == before != snapshot_of(warehouse, "t").token


def test_a_rolled_back_insert_is_taken_for_a_change(run, warehouse, snapshot_of) -> None:
    run(*SETTING)
    before = snapshot_of(warehouse, "t").token
    run("BEGIN; INSERT INTO t VALUES (3); ROLLBACK")
    assert snapshot_of(warehouse, "t").token != before


def test_it_is_verified_as_of_the_flush_lag_ago(run, warehouse, snapshot_of) -> None:
    run(*SETTING)
    age = datetime.now(UTC) - snapshot_of(warehouse, "t").verified_as_of
    assert timedelta(seconds=59) < age < timedelta(seconds=70)


def test_a_busy_session_holds_back_what_is_verified(run, warehouse, snapshot_of, postgres_url, monkeypatch) -> None:
    run(*SETTING)
    monkeypatch.setattr("profilemesh.warehouses.postgres_catalogue.FLUSH_LAG", timedelta(0))
    writer = psycopg2.connect(postgres_url)
    with writer.cursor() as cursor:
        cursor.execute("SELECT now()")
        (started,) = cursor.fetchone()
    during = snapshot_of(warehouse, "t").verified_as_of
    writer.close()
    assert during <= started < snapshot_of(warehouse, "t").verified_as_of


def test_views_and_foreign_tables_prove_nothing(run, warehouse) -> None:
    run(
        *SETTING,
        "CREATE VIEW v AS SELECT * FROM t",
        "CREATE FOREIGN DATA WRAPPER nothing",
        "CREATE SERVER far FOREIGN DATA WRAPPER nothing",
        "CREATE FOREIGN TABLE f (a int) SERVER far",
        "CREATE FOREIGN TABLE p7 PARTITION OF p FOR VALUES IN (7) SERVER far",
    )
    found = {s.table.name: s for s in warehouse.catalogue()}
    assert {name for name, s in found.items() if s.confidence is Confidence.NONE} == {"v", "f", "p"}
    assert "view" in found["v"].doubt and "outside" in found["f"].doubt and found["p"].token is None


def test_counters_that_are_off_prove_nothing(run, connect, snapshot_of, role, postgres_database) -> None:
    run("CREATE TABLE t (a int)", f"ALTER ROLE {role} SET track_counts = off")
    warehouse = connect()
    assert snapshot_of(warehouse, "t").confidence is Confidence.NONE
    assert any(result.ok and "track_counts" in (result.remedy or "") for result in warehouse.check())
    run(f"ALTER ROLE {role} RESET ALL", f"ALTER DATABASE {postgres_database} SET track_counts = off")
    assert "track_counts is off" in snapshot_of(warehouse, "t").doubt


def test_a_standby_proves_nothing(warehouse) -> None:
    facts, _, _ = warehouse._look()
    assert facts.doubt() is None
    assert "standby" in dataclasses.replace(facts, is_standby=True).doubt()


def test_hidden_rows_are_told_and_policies_count(run, connect, snapshot_of, role) -> None:
    run(
        "CREATE TABLE t (a int, who text)",
        "INSERT INTO t VALUES (1, 'x'), (2, 'y')",
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
        f"GRANT SELECT ON t TO {role}",
        "CREATE POLICY few ON t USING (a < 2)",
    )
    table = TableRef("pg", "public", "t")
    limited = connect(username=role)
    before = snapshot_of(limited, "t")
    assert before.confidence is Confidence.EXACT
    assert "row-level security" in limited.hidden_rows_doubt(table)
    assert connect().hidden_rows_doubt(table) is None
    assert before.token != snapshot_of(connect(), "t").token
    run("ALTER POLICY few ON t USING (a < 3)")
    assert snapshot_of(limited, "t").token != before.token
    run("ALTER POLICY few ON t USING (who = current_setting('app.user', true))")
    assert snapshot_of(limited, "t").confidence is Confidence.NONE


def test_writing_is_refused(run, warehouse) -> None:
    run("CREATE TABLE t (a int)")
    with warehouse.open_scan(TableRef("pg", "public", "t")) as scan, pytest.raises(StatementFailed, match="read-only"):
        scan.rows(sa.text("INSERT INTO t VALUES (1)"))


def test_a_session_names_its_table(run, warehouse) -> None:
    run("CREATE TABLE t (a int)")
    with warehouse.open_scan(TableRef("pg", "public", "t")) as scan:
        assert scan.rows(sa.text("SELECT current_setting('application_name'), current_setting('TimeZone')")) == [
            ("profilemesh pg.public.t", "UTC")
        ]


def test_a_truncate_waits_for_the_scan(run, warehouse, postgres_url) -> None:
    run("CREATE TABLE t AS SELECT 1 AS a")
    with warehouse.open_scan(TableRef("pg", "public", "t")) as scan:
        with pytest.raises(psycopg2.errors.LockNotAvailable):
            run("SET lock_timeout = '50ms'", "TRUNCATE t")
        assert scan.rows(sa.text("SELECT a FROM t")) == [(1,)]


def test_materialised_views_and_single_columns_can_be_scanned(run, connect, role) -> None:
    run(
        "CREATE TABLE t AS SELECT 1 AS a, 2 AS b",
        "CREATE MATERIALIZED VIEW m AS SELECT * FROM t",
        f"GRANT SELECT (a) ON t TO {role}",
        f"GRANT SELECT ON m TO {role}",
    )
    warehouse = connect(username=role)
    for name in ("t", "m"):
        with warehouse.open_scan(TableRef("pg", "public", name)) as scan:
            assert scan.rows(sa.text(f"SELECT a FROM {name}")) == [(1,)]


def test_a_missing_table_is_told(warehouse) -> None:
    with pytest.raises(TableMissing, match="pg.public.gone"):
        warehouse.open_scan(TableRef("pg", "public", "gone"))


def test_a_denied_table_is_listed_and_told(run, connect, role) -> None:
    run("CREATE TABLE t (a int)", "CREATE TABLE open_to_all (a int)", "GRANT SELECT ON open_to_all TO PUBLIC")
    warehouse = connect(username=role)
    found = {s.table.name: s for s in warehouse.catalogue()}
    assert "GRANT SELECT" in found["t"].doubt and found["open_to_all"].confidence is Confidence.EXACT
    with warehouse.open_scan(found["t"].table) as scan, pytest.raises(PermissionDenied, match="grant SELECT"):
        list(scan.batches(sa.select(sa.column("a", sa.Integer)).select_from(sa.table("t"))))
    remedies = {result.subject: result.remedy for result in warehouse.check()}
    assert remedies["pg.public.t"] == f'GRANT SELECT ON "public"."t" TO "{role}"'
    assert remedies["pg"] == f'GRANT pg_read_all_stats TO "{role}"'


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"host": "127.0.0.1", "port": 1}, WarehouseUnreachable, "refused"),
        ({"host": "/nowhere"}, WarehouseUnreachable, "No such file"),
        ({"username": "nobody"}, Misconfigured, "login"),
        ({"database": "nosuch"}, Misconfigured, "login"),
        ({"extra_params": {"sslmod": "require"}}, Misconfigured, "extra_params"),
    ],
)
def test_no_connection_is_told_without_the_password(connect, changes, error, words: str) -> None:
    warehouse = connect(**changes)
    for act in (warehouse.catalogue, lambda: warehouse.open_scan(TableRef("pg", "public", "t"))):
        with pytest.raises(error, match=words) as caught:
            act()
        assert "pg" in str(caught.value) and "s3cr3t" not in str(caught.value)
    (result,) = warehouse.check()
    assert not result.ok and "s3cr3t" not in result.message


def test_a_wrong_password_is_told_without_it(connect, snapshot_of) -> None:
    told = connect().translated('FATAL:  password authentication failed for user "u" s3cr3t-word', None, "warehouse pg")
    assert isinstance(told, Misconfigured) and "s3cr3t" not in str(told)
    assert "s3cr3t" not in repr(connect())


def test_a_long_statement_times_out(run, connect) -> None:
    run("CREATE TABLE t (a int)")
    with connect(seconds=0.1).open_scan(TableRef("pg", "public", "t")) as scan:
        with pytest.raises(StatementTimeout, match=r"longer than 0\.1 s"):
            scan.rows(sa.text("SELECT pg_sleep(5)"))


def long_rows(last: str) -> sa.Select:
    """6,000 rows of 10 kB, several batches, that are not made before they are sent."""
    rows = sa.text(f"SELECT repeat('x', 10000) || {last} AS a FROM (SELECT generate_series(1, 6000) AS n) AS s")
    return sa.select(sa.column("a")).select_from(rows.columns(sa.column("a")).subquery())


def test_a_scan_can_be_left_after_a_batch(run, warehouse) -> None:
    run("CREATE TABLE t (a int)")
    with warehouse.open_scan(TableRef("pg", "public", "t")) as scan:
        assert next(scan.batches(long_rows("'y'"))).num_rows
    run("SET lock_timeout = '1s'", "TRUNCATE t")


def test_a_cancel_between_batches_stops_the_next(run, warehouse) -> None:
    run("CREATE TABLE t (a int)")
    with warehouse.open_scan(TableRef("pg", "public", "t")) as scan:
        batches = scan.batches(long_rows("'y'"))
        next(batches)
        scan.cancel()
        with pytest.raises(ScanCancelled):
            list(batches)


def test_a_timeout_after_some_batches_raises(run, connect) -> None:
    run("CREATE TABLE t (a int)")
    with connect(seconds=1).open_scan(TableRef("pg", "public", "t")) as scan:
        got = []
        with pytest.raises(StatementTimeout):
            for batch in scan.batches(long_rows("CASE WHEN n = 6000 THEN pg_sleep(30)::text ELSE '' END")):
                got.append(batch.num_rows)
        assert got


def test_a_failure_after_some_batches_raises(run, warehouse) -> None:
    run("CREATE TABLE t (a int)")
    with warehouse.open_scan(TableRef("pg", "public", "t")) as scan:
        got = []
        with pytest.raises(StatementFailed, match="division by zero"):
            for batch in scan.batches(long_rows("(1 / (n - 6000))::text")):
                got.append(batch.num_rows)
        assert got


def test_a_running_statement_can_be_cancelled(run, warehouse) -> None:
    run("CREATE TABLE t (a int)")
    with warehouse.open_scan(TableRef("pg", "public", "t")) as scan:
        timer = threading.Timer(0.2, scan.cancel)
        timer.start()
        with pytest.raises(ScanCancelled):
            scan.rows(sa.text("SELECT pg_sleep(30)"))
        timer.join()


def test_a_lost_connection_is_told(run, warehouse) -> None:
    run("CREATE TABLE t (a int)")
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'profilemesh pg.public.t'"
    with warehouse.open_scan(TableRef("pg", "public", "t")) as scan:
        timer = threading.Timer(0.2, run, [kill])
        timer.start()
        with pytest.raises(WarehouseUnreachable, match="terminating connection"):
            scan.rows(sa.text("SELECT pg_sleep(30)"))
        timer.join()
