"""What the probes, partitions and samples of both embedded engines have in common."""

import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profilemesh.errors import StatementFailed, WarehouseUnreachable
from profilemesh.planning.snapshots import Confidence, Probe
from profilemesh.tables import Column, Kind, Rows
from profilemesh.warehouses import probes
from tests.engine.warehouses.embedded import Desk

HOSTILE_TEXTS = ["", " ", "a", "A", "NULL", "null", "it's", 'say "x"', "back\\slash", "100% :x ?", "żółć 🦆", "1", "01"]


@pytest.fixture(params=["duckdb", "sqlite"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Desk:
    return Desk(tmp_path / f"shop.{request.param}")


def numbers(rows: int) -> str:
    return f"(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) SELECT i FROM n)"


def test_tables_are_coarse_and_sampleable_and_views_are_neither(desk: Desk) -> None:
    desk.run("CREATE TABLE t (a INTEGER)", "CREATE VIEW v AS SELECT a FROM t")
    table, view = desk.snapshot("t"), desk.snapshot("v")
    assert (table.is_coarse, table.is_sampleable) == (True, True)
    assert (view.is_coarse, view.is_sampleable, view.confidence) == (False, False, Confidence.EXACT)


@pytest.mark.parametrize("change", ["INSERT INTO t VALUES (9)", "DELETE FROM t WHERE a = 1"])
def test_a_plain_probe_sees_rows_come_and_go_and_no_other_table(desk: Desk, change: str) -> None:
    desk.run("CREATE TABLE t (a INTEGER)", "CREATE TABLE u (a INTEGER)", "INSERT INTO t VALUES (1), (2)")
    before = desk.probe()
    desk.run("INSERT INTO u VALUES (1)", "UPDATE u SET a = 2")
    assert desk.probe() == before
    desk.run(change)
    after = desk.probe()
    assert after.token != before.token and before.rows == 2
    assert after.confidence is Confidence.HEURISTIC and after.how.startswith("count and highest rowid")


def test_a_table_made_anew_is_seen(desk: Desk) -> None:
    desk.run("CREATE TABLE t (a INTEGER)", "INSERT INTO t VALUES (1)")
    before = desk.probe()
    desk.run("DROP TABLE t", "CREATE TABLE t (a INTEGER, b TEXT)", "INSERT INTO t VALUES (2, 'x')")
    assert desk.probe().token != before.token


def test_a_watermark_sees_an_update_that_moves_it(desk: Desk) -> None:
    desk.run("CREATE TABLE t (a INTEGER, upd TIMESTAMP)", "INSERT INTO t VALUES (1, '2026-01-01 00:00:00'), (2, NULL)")
    before = desk.probe(Probe(watermark="upd"))
    desk.run("UPDATE t SET a = 3, upd = '2026-01-02 00:00:00' WHERE a = 1")
    after = desk.probe(Probe(watermark="upd"))
    assert before.token != after.token and after.how.startswith("count and highest upd")


def test_two_hundred_tables_take_two_statements_more_than_none(desk: Desk, monkeypatch) -> None:
    desk.run(*(f"CREATE TABLE t{n} (a INTEGER)" for n in range(200)))
    sizes = []
    together = probes.Prober._together
    monkeypatch.setattr(
        probes.Prober, "_together", lambda self, group: sizes.append(len(group)) or together(self, group)
    )
    found = desk.warehouse.probe({desk.table(f"t{n}"): Probe() for n in range(200)})
    assert sizes == [100, 100] and len(found) == 200
    assert all(answer.token and not answer.failure for answer in found.values())


def test_a_table_that_cannot_be_probed_harms_no_other(desk: Desk) -> None:
    desk.run(
        "CREATE TABLE t (a INTEGER)",
        "CREATE TABLE u (a INTEGER)",
        "CREATE VIEW broken AS SELECT a FROM u",
        "CREATE TABLE dull (a INTEGER)",
        "DROP TABLE u",
    )
    wanted = {"t": Probe(), "broken": Probe(), "gone": Probe(), "dull": Probe(watermark="nope")}
    found = desk.warehouse.probe({desk.table(name): probe for name, probe in wanted.items()})
    failures = {table.name: answer.failure for table, answer in found.items()}
    assert failures["t"] is None and found[desk.table("t")].token
    assert failures["broken"] and failures["gone"] and "not there" in failures["gone"]
    assert failures["dull"] == "watermark of desk.main.dull: there is no column 'nope'; it has a"


def test_partitions_are_told_by_key_null_first(desk: Desk) -> None:
    desk.run(
        "CREATE TABLE t (d DATE, r TEXT, a INTEGER)",
        "INSERT INTO t VALUES ('2026-11-21', 'eu', 1), ('2026-11-20', 'eu', 2), ('2026-11-21', 'eu', 3),"
        " (NULL, 'us', 4), ('2026-11-20', NULL, 5)",
    )
    found = desk.probe(Probe(key=("d", "r")))
    assert found.manifest and found.manifest.key == ("d", "r")
    assert [(json.loads(key), part.name, part.rows) for key, part in found.manifest.parts.items()] == [
        ([None, "us"], "NULL, us", 1),
        (["2026-11-20", None], "2026-11-20, NULL", 1),
        (["2026-11-20", "eu"], "2026-11-20, eu", 1),
        (["2026-11-21", "eu"], "2026-11-21, eu", 2),
    ]
    assert found.rows == 5 and found.manifest.confidence is Confidence.HEURISTIC


def test_a_change_moves_its_partition_alone(desk: Desk) -> None:
    desk.run("CREATE TABLE t (d DATE, a INTEGER)", "INSERT INTO t VALUES ('2026-01-01', 1), ('2026-01-02', 2)")
    before = desk.probe(Probe(key=("d",)))
    desk.run("INSERT INTO t VALUES ('2026-01-02', 3), ('2026-01-03', 4)")
    after = desk.probe(Probe(key=("d",)))
    assert before.manifest and after.manifest and before.manifest.frame == after.manifest.frame
    old, new = before.manifest.parts, after.manifest.parts
    assert [part.name for key, part in new.items() if old.get(key) != part] == ["2026-01-02", "2026-01-03"]
    assert before.token != after.token


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("nope", "there is no column 'nope'; it has f, b, j, i"),
        ("f", "column 'f' is of type DOUBLE, whose values have no exact text"),
        ("b", "column 'b' is of type BLOB"),
        ("i", "i has more than 3 values, which is no partition key"),
    ],
)
def test_what_is_no_partition_key_is_refused_by_name(desk: Desk, monkeypatch, key: str, reason: str) -> None:
    monkeypatch.setattr(probes, "PARTITIONS", 3)
    desk.run("CREATE TABLE t (f DOUBLE, b BLOB, j TEXT, i INTEGER)", f"INSERT INTO t (i) SELECT i FROM {numbers(4)}")
    found = desk.probe(Probe(key=(key,)))
    assert found.failure and reason in found.failure and found.failure.startswith("partition.key of desk.main.t")
    assert found.token is None and found.manifest is None


CHANGES = [
    "UPDATE t SET s = 'x' WHERE i = 1",
    "UPDATE t SET i = CASE i WHEN 1 THEN 2 ELSE 1 END",
    "UPDATE t SET s = NULL WHERE i = 2",
    "INSERT INTO t SELECT * FROM t",
    "UPDATE t SET i = 3, s = 'a' WHERE i = 2",
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_checksum_sees_every_change(desk: Desk, change: str) -> None:
    desk.run("CREATE TABLE t (i INTEGER, s TEXT)", "INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    before = desk.probe(Probe(checksum=True))
    assert desk.probe(Probe(checksum=True)) == before and before.confidence is Confidence.EXACT
    desk.run(change)
    assert desk.probe(Probe(checksum=True)).token != before.token


def test_a_checksum_does_not_depend_on_the_order_and_counts_duplicates(desk: Desk) -> None:
    desk.run("CREATE TABLE t (i INTEGER, s TEXT)", "INSERT INTO t VALUES (1, 'a'), (1, 'a'), (2, 'b'), (2, 'b')")
    before = desk.probe(Probe(checksum=True))
    desk.run("DELETE FROM t", "INSERT INTO t VALUES (2, 'b'), (1, 'a'), (2, 'b'), (1, 'a')")
    assert desk.probe(Probe(checksum=True)) == before
    desk.run("DELETE FROM t", "INSERT INTO t VALUES (3, 'c'), (3, 'c'), (4, 'd'), (4, 'd')")
    assert desk.probe(Probe(checksum=True)).token != before.token


def test_a_checksum_by_partition_is_exact_and_names_the_one_updated_in_place(desk: Desk) -> None:
    desk.run(
        "CREATE TABLE t (d DATE, a INTEGER)", "INSERT INTO t VALUES ('2026-01-01', 1), ('2026-01-02', 2), (NULL, 3)"
    )
    probe = Probe(key=("d",), checksum=True)
    before = desk.probe(probe)
    desk.run("UPDATE t SET a = 9 WHERE a = 3")
    after = desk.probe(probe)
    assert before.manifest and after.manifest and after.manifest.confidence is Confidence.EXACT
    assert [p.name for key, p in after.manifest.parts.items() if before.manifest.parts[key] != p] == ["NULL"]
    assert after.how == "checksum of every row by d" and after.token != before.token


def test_a_query_of_the_users_is_sent_as_it_is(desk: Desk) -> None:
    desk.run("CREATE TABLE t (a INTEGER)", "INSERT INTO t VALUES (1)", "CREATE VIEW v AS SELECT a FROM t")
    probe = Probe(query="SELECT max(a), ' :x 12:30 100%' FROM v", is_exact=True)
    before = desk.probe(probe, "v")
    assert before.token and before.confidence is Confidence.EXACT and before.how == "the query of connector_overrides"
    desk.run("INSERT INTO t VALUES (2)")
    assert desk.probe(probe, "v").token != before.token
    assert "answers nothing" in str(desk.probe(Probe(query="SELECT max(a) FROM t WHERE a > 5")).failure)
    assert "nope" in str(desk.probe(Probe(query="SELECT nope FROM t")).failure)


def test_any_set_of_partitions_splits_the_rows_perfectly(tmp_path_factory) -> None:
    """Hostile values in a composite key: none is lost, none is in both halves."""

    @settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(
        rows=st.lists(
            st.tuples(
                st.none()
                | st.sampled_from(HOSTILE_TEXTS)
                | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=3),
                st.none() | st.sampled_from([0, 1, -1, -(2**63), 2**63 - 1]),
                st.none() | st.dates().map(str),
            ),
            min_size=1,
            max_size=20,
        ),
        data=st.data(),
    )
    def holds(rows: list[tuple[str | None, int | None, str | None]], data: st.DataObject) -> None:
        for desk in desks:
            values = ", ".join(f"({n}, {', '.join(map(literal, row))})" for n, row in enumerate(rows))
            desk.run("DELETE FROM t", f"INSERT INTO t VALUES {values}")
            found = desk.probe(Probe(key=("k", "i", "d")))
            assert found.manifest and not found.failure
            keys = data.draw(st.lists(st.sampled_from(list(found.manifest.parts)), unique=True, max_size=8))
            one = read(desk, Rows(of=tuple(keys), key=columns[1:]))
            other = read(desk, Rows(but=tuple(keys), key=columns[1:]))
            assert sorted(one + other) == list(range(len(rows)))
            assert len(one) == sum(found.manifest.parts[k].rows or 0 for k in keys)

    columns = (
        Column("n", "INTEGER", Kind.INTEGER),
        Column("k", "VARCHAR", Kind.TEXT),
        Column("i", "BIGINT", Kind.INTEGER),
        Column("d", "DATE", Kind.DATE),
    )

    def read(desk: Desk, rows: Rows) -> list[int]:
        source = desk.warehouse.source(desk.table(), columns[:1], rows)
        with desk.warehouse.open_scan(desk.table()) as scan:
            return [n for (n,) in scan.rows(sa.select(source.c.n).select_from(source))]

    desks = [Desk(tmp_path_factory.mktemp("split") / f"t.{engine}") for engine in ("duckdb", "sqlite")]
    for desk in desks:
        desk.run("CREATE TABLE t (n INTEGER, k TEXT, i BIGINT, d DATE)")
    holds()


def literal(value: str | int | None) -> str:
    if value is None:
        return "NULL"
    return f"({value})" if isinstance(value, int) else "'" + value.replace("'", "''") + "'"


def test_of_no_partition_there_is_no_row_and_but_none_are_all(desk: Desk) -> None:
    desk.run("CREATE TABLE t (d DATE, a INTEGER)", "INSERT INTO t VALUES ('2026-01-01', 1), (NULL, 2)")
    assert desk.rows("a", rows=Rows(of=(), key=desk.key("d"))) == []
    assert sorted(desk.rows("a", rows=Rows(but=(), key=desk.key("d")))) == [(1,), (2,)]


def test_a_filter_that_cannot_be_applied_is_never_dropped(desk: Desk) -> None:
    desk.run("CREATE TABLE t (d DATE, a INTEGER)")
    for rows in (Rows(of=('["x"]',)), Rows(but=('["x", "y"]',), key=desk.key("d"))):
        with pytest.raises(StatementFailed, match="has no value for each column of its key"):
            desk.rows("a", rows=rows)


def test_thousands_of_partitions_are_told_apart_in_one_statement(desk: Desk) -> None:
    desk.run("CREATE TABLE t (i INTEGER)", f"INSERT INTO t SELECT i FROM {numbers(2000)}")
    keys = tuple(json.dumps([str(n)]) for n in range(1, 1500))
    assert len(desk.rows("i", rows=Rows(but=keys, key=desk.key("i")))) == 501


def test_an_unchanged_file_is_looked_at_again_without_opening_it(desk: Desk, monkeypatch) -> None:
    desk.run("CREATE TABLE t (d DATE)", "INSERT INTO t VALUES ('2026-01-01')")
    probe = Probe(key=("d",))
    snapshot, answer = desk.snapshot(), desk.probe(probe)
    monkeypatch.setattr(type(desk.warehouse), "connect", None)
    again = desk.warehouse.look_again(desk.table(), probe)
    assert again and (again.token, again.probed) == (snapshot.token, answer)
    assert desk.warehouse.look_again(desk.table("gone"), probe) is None


def test_a_changed_file_is_looked_at_anew(desk: Desk) -> None:
    desk.run("CREATE TABLE t (d DATE)", "INSERT INTO t VALUES ('2026-01-01')")
    probe = Probe(key=("d",))
    snapshot, answer = desk.snapshot(), desk.probe(probe)
    desk.run("INSERT INTO t VALUES ('2026-01-02')")
    again = desk.warehouse.look_again(desk.table(), probe)
    assert again and again.probed and again.probed.token != answer.token and again.token != snapshot.token
    desk.run("DROP TABLE t", "CREATE TABLE u (a INTEGER)")
    assert desk.warehouse.look_again(desk.table(), probe) is None


def test_a_sample_of_a_partition_is_of_that_partition(desk: Desk) -> None:
    desk.run("CREATE TABLE t (first INTEGER, a INTEGER)", f"INSERT INTO t SELECT i % 2, i FROM {numbers(20000)}")
    rows = desk.rows("a", rows=Rows(of=('["1"]',), key=desk.key("first"), fraction=0.2))
    assert 1500 < len(rows) < 2500 and all(a % 2 for (a,) in rows)


def test_a_file_that_is_gone_is_no_answer(desk: Desk) -> None:
    with pytest.raises(WarehouseUnreachable, match="there is no file"):
        desk.probe()
