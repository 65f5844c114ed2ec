"""PostgreSQL leaf by leaf: what is told apart, how it is read alone, what a look after the reading finds."""

import threading
import uuid
from dataclasses import dataclass

import psycopg2
import pytest
import sqlalchemy as sa

from profilemesh.config.model import ExecutionConfig, WarehouseConfig
from profilemesh.errors import StatementFailed, TableMissing, WarehouseUnreachable
from profilemesh.planning.snapshots import Confidence, Manifest, Probe
from profilemesh.profiling import Scope, profile
from profilemesh.tables import Column, Kind, Rows, TableRef
from profilemesh.warehouses.postgres import PostgresWarehouse

P = TableRef("pg", "public", "p")
A = Column("a", "integer", Kind.INTEGER)
DAYS = (
    "CREATE TABLE p (a int, k int) PARTITION BY LIST (k)",
    "CREATE TABLE rest PARTITION OF p DEFAULT",
    "CREATE TABLE p0 PARTITION OF p FOR VALUES IN (0)",
    "CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1)",
    "CREATE SCHEMA attic",
    "CREATE TABLE attic.p2 PARTITION OF p FOR VALUES IN (2) PARTITION BY RANGE (a)",
    "CREATE TABLE attic.p2a PARTITION OF attic.p2 FOR VALUES FROM (0) TO (100)",
    "INSERT INTO p VALUES (1, 0), (2, 1), (3, 1), (4, 2), (5, 9)",
    "CREATE TABLE loose (a int, k int)",
)
KIN = (
    "CREATE TABLE p (a int)",
    "CREATE TABLE heir (b int) INHERITS (p)",
    "CREATE TABLE grandchild () INHERITS (heir, p)",
    "INSERT INTO p VALUES (1)",
    "INSERT INTO heir VALUES (2)",
    "INSERT INTO grandchild VALUES (3)",
)


@pytest.fixture(scope="module")
def database(postgres_server):
    """One for all tests of this file: making one takes longer than most of them."""
    name = f"t{uuid.uuid4().hex[:12]}"
    postgres_server.execute(f"CREATE DATABASE {name}")
    yield name
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def run(postgres_server, database):
    """Run statements in a session that ends: its counters are flushed then. What they make is dropped in the end."""

    def execute(*statements: str) -> list[tuple]:
        return postgres_server.execute(*statements, database=database)

    yield execute
    execute(
        "DROP SCHEMA IF EXISTS public, attic, other CASCADE",
        "DROP FOREIGN DATA WRAPPER IF EXISTS nothing CASCADE",
        f"ALTER DATABASE {database} RESET ALL",
        "CREATE SCHEMA public",
        "GRANT USAGE ON SCHEMA public TO PUBLIC",
    )


@pytest.fixture
def connect(postgres_server, database):
    def open_warehouse(user: str = "postgres", seconds: float = 60) -> PostgresWarehouse:
        config = WarehouseConfig("pg", "postgres", host=postgres_server.socket_dir, database=database, username=user)
        return PostgresWarehouse(config, ExecutionConfig(statement_timeout_seconds=seconds))

    return open_warehouse


@pytest.fixture
def warehouse(connect) -> PostgresWarehouse:
    return connect()


@pytest.fixture
def role(postgres_server, database):
    name = f"r{uuid.uuid4().hex[:12]}"
    postgres_server.execute(f"CREATE ROLE {name} LOGIN")
    yield name
    postgres_server.execute(f"DROP OWNED BY {name}", database=database)
    postgres_server.execute(f"DROP ROLE {name}")


def manifest_of(warehouse: PostgresWarehouse, table: TableRef = P) -> Manifest:
    snapshot = warehouse.look_again(table, None)
    assert snapshot is not None and snapshot.manifest is not None
    return snapshot.manifest


def names(manifest: Manifest) -> list[str]:
    return [part.name for part in manifest.parts.values()]


@dataclass(frozen=True)
class Seen:
    frame: str
    tokens: dict[str, str]

    @classmethod
    def by(cls, warehouse: PostgresWarehouse) -> "Seen":
        manifest = manifest_of(warehouse)
        return cls(manifest.frame, {part.name: part.token for part in manifest.parts.values()})

    def until(self, after: "Seen") -> str:
        """The difference, in words: `+` added, `-` dropped, `~` changed, `frame` where that differs."""
        before, later = self.tokens, after.tokens
        words = [f"+{name}" for name in later.keys() - before.keys()]
        words += [f"-{name}" for name in before.keys() - later.keys()]
        words += [f"~{name}" for name in later.keys() & before.keys() if before[name] != later[name]]
        return " ".join(sorted(words) + ["frame"] * (self.frame != after.frame))


def test_partitions_are_listed_oldest_first_and_the_default_last(run, warehouse) -> None:
    run(*DAYS)
    manifest = manifest_of(warehouse)
    assert names(manifest) == ["p0", "p1", "attic.p2a", "rest"]
    assert list(manifest.parts)[2] == '["attic", "p2a"]'
    assert (manifest.confidence, manifest.key) == (Confidence.EXACT, ())
    assert [part.rows for part in manifest.parts.values()] == [1, 2, 1, 1]


def test_old_style_children_are_parts_beside_their_parent(run, warehouse) -> None:
    run(*KIN, "ANALYZE")
    manifest = manifest_of(warehouse)
    assert names(manifest) == ["p", "heir", "grandchild"]
    assert warehouse.look_again(P, None).rows_estimate == 3


@pytest.mark.parametrize(
    ("difference", "change"),
    [
        ("~p1", "INSERT INTO p VALUES (9, 1)"),
        ("~p1", "UPDATE p SET a = 7 WHERE a = 2"),
        ("~p1", "DELETE FROM p1 WHERE a = 2"),
        ("~p1", "COPY p1 FROM PROGRAM 'printf \"9\\\\t1\\\\n\"'"),
        ("~p1", "TRUNCATE p1"),
        ("~p1", "VACUUM FULL p1"),
        ("~p1", "BEGIN; INSERT INTO p VALUES (9, 1); ROLLBACK"),
        ("~p0 ~p1", "UPDATE p SET k = 1 WHERE k = 0"),
        ("~attic.p2a ~rest", "UPDATE p SET k = 2 WHERE k = 9"),
        ("~attic.p2a", "DELETE FROM p WHERE a = 4"),
        ("~rest", "INSERT INTO p VALUES (6, NULL)"),
        ("-p1", "ALTER TABLE p DETACH PARTITION p1"),
        ("-p1", "DROP TABLE p1"),
        ("+loose", "ALTER TABLE p ATTACH PARTITION loose FOR VALUES IN (3)"),
        ("+p3", "CREATE TABLE p3 PARTITION OF p FOR VALUES IN (3)"),
        ("+attic.p2b", "CREATE TABLE attic.p2b PARTITION OF attic.p2 FOR VALUES FROM (100) TO (200)"),
        ("+moved -p1", "ALTER TABLE p1 RENAME TO moved"),
        ("+attic.p1 -p1", "ALTER TABLE p1 SET SCHEMA attic"),
        ("~p0 ~p1", "ALTER TABLE p0 RENAME TO x; ALTER TABLE p1 RENAME TO p0; ALTER TABLE x RENAME TO p1"),
        ("~p1", "DROP TABLE p1; CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1); INSERT INTO p VALUES (2, 1), (3, 1)"),
        ("~p1", "ALTER TABLE p DETACH PARTITION p1; ALTER TABLE p ATTACH PARTITION p1 FOR VALUES IN (1, 11)"),
        # Merged and split: PostgreSQL has no word of its own for it yet.
        ("-p1 ~p0", "DROP TABLE p1; ALTER TABLE p DETACH PARTITION p0; INSERT INTO p0 VALUES (2, 1), (3, 1);"
         "ALTER TABLE p ATTACH PARTITION p0 FOR VALUES IN (0, 1)"),
        ("+p1x +p1y -p1", "DROP TABLE p1; CREATE TABLE p1x PARTITION OF p FOR VALUES IN (1) PARTITION BY RANGE (a);"
         "ALTER TABLE p DETACH PARTITION p1x; DROP TABLE p1x; CREATE TABLE p1x PARTITION OF p FOR VALUES IN (1);"
         "CREATE TABLE p1y PARTITION OF p FOR VALUES IN (11)"),
        ("~attic.p2a ~p0 ~p1 ~rest frame", "ALTER TABLE p ADD COLUMN c int DEFAULT 7"),
        ("", "ANALYZE; TABLE p; CREATE INDEX ON p (a); COMMENT ON TABLE p1 IS 'x'; GRANT SELECT ON p TO PUBLIC"),
    ],
)  # fmt: skip
def test_each_change_is_seen_at_its_partition(run, warehouse, difference: str, change: str) -> None:
    run(*DAYS)
    before, token = Seen.by(warehouse), warehouse.look_again(P, None).token
    run(change)
    assert before.until(Seen.by(warehouse)) == difference
    assert (warehouse.look_again(P, None).token == token) == (difference == "")


@pytest.mark.parametrize("reset", ["pg_stat_reset()", "pg_stat_reset_single_table_counters('p1'::regclass)"])
def test_counters_reset_by_hand_are_another_frame(run, warehouse, reset: str) -> None:
    run(*DAYS)
    before = Seen.by(warehouse)
    run(f"SELECT {reset}")
    assert "frame" in before.until(Seen.by(warehouse))


@pytest.mark.parametrize(
    ("difference", "change"),
    [
        ("~p", "INSERT INTO p VALUES (9)"),
        ("~heir", "UPDATE p SET a = 9 WHERE a = 2"),
        ("~grandchild", "DELETE FROM heir WHERE a = 3"),
        ("-grandchild", "DROP TABLE grandchild"),
        ("~grandchild", "ALTER TABLE grandchild NO INHERIT heir"),
        ("", "CREATE TEMP TABLE passing () INHERITS (p); INSERT INTO passing VALUES (1)"),
    ],
)
def test_old_style_children_are_seen_one_by_one(run, warehouse, difference: str, change: str) -> None:
    run(*KIN)
    before = Seen.by(warehouse)
    run(change)
    assert before.until(Seen.by(warehouse)) == difference


def test_hot_updates_are_seen(run, warehouse) -> None:
    run(*DAYS)
    before = Seen.by(warehouse)
    run("UPDATE p1 SET a = a + 1")
    assert run("SELECT n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'p1'") == [(2,)]
    assert before.until(Seen.by(warehouse)) == "~p1"


def test_a_temporary_child_of_another_session_is_no_part(run, warehouse, postgres_server, database) -> None:
    run(*KIN)
    other = psycopg2.connect(postgres_server.url(database))
    with other, other.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE passing () INHERITS (p)")
    assert names(manifest_of(warehouse)) == ["p", "heir", "grandchild"]
    other.close()


def test_a_partition_in_the_middle_of_a_detach_is_gone(run, warehouse, postgres_server, database) -> None:
    run(*DAYS, "DROP TABLE rest")
    reader = psycopg2.connect(postgres_server.url(database))
    with reader.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM p")
        with pytest.raises(psycopg2.errors.QueryCanceled):
            run("SET statement_timeout = '200ms'", "ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY")
    assert names(manifest_of(warehouse)) == ["p0", "attic.p2a"]
    reader.close()
    assert run("SELECT count(*) FROM p WHERE k = 1") == [(0,)]


def test_a_table_in_one_piece_has_no_manifest(run, warehouse) -> None:
    run(
        "CREATE TABLE plain (a int)",
        "CREATE MATERIALIZED VIEW m AS SELECT * FROM plain",
        "CREATE TABLE p (a int) PARTITION BY LIST (a)",
        "CREATE TABLE only_one PARTITION OF p FOR VALUES IN (1)",
    )
    assert [snapshot.manifest for snapshot in warehouse.catalogue()] == [None, None, None]


def test_partitions_that_may_not_be_read_by_name_cost_a_grant(run, connect, role) -> None:
    run(*DAYS, f"GRANT SELECT ON p, p0 TO {role}")
    limited = connect(role)
    before = limited.look_again(P, None)
    assert before.manifest is None and before.confidence is Confidence.EXACT
    remedy = next(result.remedy for result in limited.check() if result.subject == "pg.public.p")
    assert remedy.startswith('GRANT USAGE ON SCHEMA "attic"') and '"public"."p0"' not in remedy
    run(*remedy.split("; "))
    after = limited.look_again(P, None)
    assert after.token == before.token
    assert names(after.manifest) == ["p0", "p1", "attic.p2a", "rest"]


@pytest.mark.parametrize("policed", ["p", "p1"])
def test_row_level_security_forbids_reading_apart(run, connect, role, policed: str) -> None:
    run(*DAYS, f"GRANT USAGE ON SCHEMA attic TO {role}", f"GRANT SELECT ON p, p0, p1, rest, attic.p2a TO {role}")
    assert manifest_of(connect(role))
    run(f"ALTER TABLE {policed} ENABLE ROW LEVEL SECURITY")
    snapshot = connect(role).look_again(P, None)
    assert snapshot.manifest is None and snapshot.token
    assert any("row-level security" in result.message for result in connect(role).check())
    assert manifest_of(connect())


def test_a_foreign_partition_leaves_doubt(run, warehouse) -> None:
    run(
        *DAYS,
        "CREATE FOREIGN DATA WRAPPER nothing",
        "CREATE SERVER far FOREIGN DATA WRAPPER nothing",
        "CREATE FOREIGN TABLE p7 PARTITION OF p FOR VALUES IN (7) SERVER far",
    )
    snapshot = warehouse.look_again(P, None)
    assert (snapshot.manifest, snapshot.token, snapshot.is_sampleable) == (None, None, False)


def read(warehouse: PostgresWarehouse, rows: Rows, table: TableRef = P) -> list[int]:
    source = warehouse.source(table, [A], rows)
    with warehouse.open_scan(table) as scan:
        return sorted(a for (a,) in scan.rows(sa.select(source.c["a"]).select_from(source)))


def keys(warehouse: PostgresWarehouse, *wanted: str) -> tuple[str, ...]:
    return tuple(key for key, part in manifest_of(warehouse).parts.items() if part.name in wanted)


def test_partitions_are_read_alone_or_together(run, warehouse) -> None:
    run(*DAYS)
    assert read(warehouse, Rows(of=keys(warehouse, "p1"))) == [2, 3]
    assert read(warehouse, Rows(of=keys(warehouse, "p0", "attic.p2a", "rest"))) == [1, 4, 5]
    assert read(warehouse, Rows()) == [1, 2, 3, 4, 5]


def test_an_old_style_parent_is_read_without_its_children(run, warehouse) -> None:
    run(*KIN)
    for name, rows in (("p", [1]), ("heir", [2]), ("grandchild", [3])):
        assert read(warehouse, Rows(of=keys(warehouse, name))) == rows


def test_other_partitions_are_not_touched(run, warehouse) -> None:
    run(*DAYS)
    read(warehouse, Rows(of=keys(warehouse, "p0", "rest")))
    touched = "SELECT relname FROM pg_stat_user_tables WHERE seq_scan > 0 ORDER BY 1"
    assert run(touched) == [("p0",), ("rest",)]


def test_a_part_is_profiled_as_a_table_is(run, warehouse) -> None:
    run(*DAYS, 'ALTER TABLE p ADD COLUMN "odd ""name %" text DEFAULT \'x\'')
    snapshot = warehouse.look_again(P, None)
    with warehouse.open_scan(P) as scan:
        of = keys(warehouse, "p1", "rest")
        found = profile(warehouse, scan, Scope(P, snapshot.columns, rows=Rows(of=of)))
        none = profile(warehouse, scan, Scope(P, (), rows=Rows(of=of)))
    assert (found.summary.rows, none.summary.rows, found.errors) == (3, 3, {})
    assert found.summary.columns['odd "name %'].rows == 3


def test_many_partitions_are_read_in_one_statement(run, warehouse) -> None:
    run(
        "CREATE TABLE p (a int) PARTITION BY LIST (a)",
        "DO $$ BEGIN FOR n IN 1..500 LOOP EXECUTE format("
        "'CREATE TABLE l%s PARTITION OF p FOR VALUES IN (%s)', n, n); END LOOP; END $$",
        "INSERT INTO p SELECT generate_series(1, 500)",
    )
    assert len(read(warehouse, Rows(of=tuple(manifest_of(warehouse).parts)[1:]))) == 499


@pytest.mark.parametrize(
    "rows", [Rows(of=("[1]",), key=(A,)), Rows(but=("[1]",), key=(A,)), Rows(but=('["public", "p1"]',)), Rows(of=())]
)
def test_rows_that_cannot_be_told_apart_are_refused(warehouse, rows: Rows) -> None:
    with pytest.raises(StatementFailed, match="partitions that are tables"):
        warehouse.source(P, [A], rows)


def test_a_partition_that_was_renamed_meanwhile_is_missing(run, warehouse) -> None:
    run(*DAYS)
    of = keys(warehouse, "p1")
    run("ALTER TABLE p1 RENAME TO other")
    with pytest.raises(TableMissing):
        read(warehouse, Rows(of=of))


def test_all_parts_are_read_in_one_state(run, warehouse) -> None:
    run(*DAYS)
    first, second = (warehouse.source(P, [A], Rows(of=keys(warehouse, name))) for name in ("p0", "p1"))
    with warehouse.open_scan(P) as scan:
        before = scan.rows(sa.select(sa.func.count()).select_from(first))
        run("UPDATE p SET k = 1 WHERE k = 0")
        assert before + scan.rows(sa.select(sa.func.count()).select_from(second)) == [(1,), (2,)]
        assert scan.snapshots_taken == 1


def test_a_failure_makes_the_scan_look_anew(run, warehouse) -> None:
    run(*DAYS)
    with warehouse.open_scan(P) as scan:
        with pytest.raises(StatementFailed):
            scan.rows(sa.text("SELECT 1 / 0"))
        assert scan.snapshots_taken == 2


def test_no_partition_can_be_emptied_during_a_scan(run, warehouse) -> None:
    run(*DAYS)
    with warehouse.open_scan(P), pytest.raises(psycopg2.errors.LockNotAvailable):
        run("SET lock_timeout = '50ms'", "TRUNCATE attic.p2a")


def test_a_truncate_between_look_and_scan_is_seen_afterwards(run, warehouse) -> None:
    run(*DAYS)
    before = Seen.by(warehouse)
    of = keys(warehouse, "p1")
    run("TRUNCATE p1")
    assert read(warehouse, Rows(of=of)) == []
    assert before.until(Seen.by(warehouse)) == "~p1"


def test_looking_again_tells_what_the_catalogue_tells(run, warehouse) -> None:
    run(*DAYS)
    listed = next(snapshot for snapshot in warehouse.catalogue() if snapshot.table == P)
    again = warehouse.look_again(P, None)
    assert (again.token, again.manifest, again.columns) == (listed.token, listed.manifest, listed.columns)


def test_looking_again_reads_one_table_only(run, warehouse) -> None:
    run(*DAYS, "CREATE SCHEMA other", "CREATE TABLE other.p (x int)")
    facts, leaves, roots = warehouse._look(P)
    assert [root.table for root in roots] == [P]
    assert {leaf.name for tree in leaves.values() for leaf in tree} == {"p", "p0", "p1", "p2", "p2a", "rest"}


def test_a_table_that_went_is_not_found_again(run, warehouse) -> None:
    run(*DAYS)
    assert warehouse.look_again(TableRef("pg", "public", "gone"), Probe()) is None
    # A partition is no table of its own.
    assert warehouse.look_again(TableRef("pg", "public", "p1"), None) is None


@pytest.mark.parametrize(("rows", "method"), [(2_000, "bernoulli"), (150_000, "system")])
@pytest.mark.parametrize("name", ["plain", "m", "p"])
def test_a_sample_is_a_share_of_the_rows(run, warehouse, rows: int, method: str, name: str) -> None:
    run(
        "CREATE TABLE p (a int, t text) PARTITION BY RANGE (a)",
        f"CREATE TABLE low PARTITION OF p FOR VALUES FROM (0) TO ({rows // 2})",
        f"CREATE TABLE high PARTITION OF p FOR VALUES FROM ({rows // 2}) TO ({rows + 1})",
        "CREATE TABLE plain (a int, t text)",
        f"INSERT INTO {'p' if name == 'p' else 'plain'} SELECT n, repeat('x', 60) FROM generate_series(1, {rows}) AS n",
        "CREATE MATERIALIZED VIEW m AS SELECT * FROM plain",
        "ANALYZE",
    )
    table = TableRef("pg", "public", name)
    assert warehouse.look_again(table, None).is_sampleable
    wanted = Rows(fraction=0.1, seed=7)
    assert method in str(warehouse.source(table, [A], wanted))
    found = read(warehouse, wanted, table)
    assert 0.05 * rows < len(found) < 0.15 * rows
    assert found == read(warehouse, wanted, table) != read(warehouse, Rows(fraction=0.1, seed=8), table)
    assert not set(found).isdisjoint(range(rows // 2)) and not set(found).isdisjoint(range(rows // 2, rows))


def test_a_sample_of_partitions_is_of_these_only(run, warehouse) -> None:
    run(*DAYS, "INSERT INTO p SELECT n, 1 FROM generate_series(10, 2000) AS n")
    found = read(warehouse, Rows(of=keys(warehouse, "p1", "rest"), fraction=0.5))
    assert 800 < len(found) < 1200 and 4 not in found


def test_views_cannot_be_sampled(run, warehouse) -> None:
    run("CREATE TABLE t (a int)", "CREATE VIEW v AS SELECT * FROM t")
    assert {s.table.name: s.is_sampleable for s in warehouse.catalogue()} == {"t": True, "v": False}


def test_what_was_never_counted_is_unknown(run, warehouse) -> None:
    run("CREATE TABLE p (a int)")
    assert warehouse.look_again(P, None).rows_estimate is None
    run("INSERT INTO p SELECT generate_series(1, 50)")
    assert warehouse.look_again(P, None).rows_estimate == 50


VIEW = ("CREATE TABLE t (a int, asked float8)", "INSERT INTO t VALUES (1, 0.1), (2, NULL)", "CREATE VIEW p AS TABLE t")


@pytest.mark.parametrize(
    ("probe", "confidence", "change", "is_noticed"),
    [
        (Probe(watermark="a"), Confidence.HEURISTIC, "INSERT INTO t VALUES (3)", True),
        (Probe(watermark="a"), Confidence.HEURISTIC, "UPDATE t SET asked = 9 WHERE a = 1", False),
        (Probe(checksum=True), Confidence.EXACT, "UPDATE t SET asked = 0.10000000000000002 WHERE a = 1", True),
        (Probe(checksum=True), Confidence.EXACT, "UPDATE t SET asked = NULL WHERE a = 1", True),
        (Probe(checksum=True), Confidence.EXACT, "UPDATE t SET a = 3 - a", True),
        (Probe(checksum=True), Confidence.EXACT, "INSERT INTO t TABLE t", True),
        (Probe(checksum=True), Confidence.EXACT, "UPDATE t SET a = a", False),
        (Probe(query="SELECT max(a) FROM t"), Confidence.HEURISTIC, "INSERT INTO t VALUES (3)", True),
        (Probe(query="SELECT 'a%' AS x", is_exact=True), Confidence.EXACT, "INSERT INTO t VALUES (3)", False),
    ],
)
def test_a_probe_notices_what_it_asks_for(run, warehouse, probe, confidence, change: str, is_noticed: bool) -> None:
    run(*VIEW)
    before = warehouse.look_again(P, probe).probed
    run(change)
    after = warehouse.probe({P: probe})[P]
    assert before.confidence is after.confidence is confidence and before.failure is None
    assert (before.token != after.token) == is_noticed
    assert before.rows == (None if probe.query else 2)


def test_a_checksum_tells_all_digits_whatever_the_database_prints(run, warehouse, database) -> None:
    run(*VIEW, f"ALTER DATABASE {database} SET extra_float_digits = 0")
    before = warehouse.probe({P: Probe(checksum=True)})[P]
    run("UPDATE t SET asked = 0.10000000000000002 WHERE a = 1")
    assert warehouse.probe({P: Probe(checksum=True)})[P].token != before.token


def test_a_failing_probe_leaves_the_others_alone(run, connect) -> None:
    run(*VIEW)
    gone, slow, idle = (TableRef("pg", "public", name) for name in ("gone", "slow", "idle"))
    found = connect(seconds=0.3).probe(
        {
            gone: Probe(checksum=True),
            slow: Probe(query="SELECT pg_sleep(5)"),
            idle: Probe(query="SELECT NULL WHERE false"),
            P: Probe(watermark="a"),
        }
    )
    assert [bool(found[table].failure) for table in (gone, slow, idle, P)] == [True, True, True, False]
    assert "longer than 0.3 s" in found[slow].failure and "nothing" in found[idle].failure and found[P].token


def test_a_probe_cannot_write(run, warehouse) -> None:
    run(*VIEW)
    assert "read-only" in warehouse.probe({P: Probe(query="DELETE FROM t RETURNING a")})[P].failure


def test_a_connection_lost_in_a_probe_is_the_warehouses_trouble(run, warehouse) -> None:
    run(*VIEW)
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'profilemesh pg probe'"
    timer = threading.Timer(0.2, run, [kill])
    timer.start()
    with pytest.raises(WarehouseUnreachable, match="was lost"):
        warehouse.probe({P: Probe(query="SELECT pg_sleep(30)")})
    timer.join()
