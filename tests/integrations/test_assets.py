"""A table's asset: its turn as the scheduler takes it, what was counted as metadata, what drift found as checks."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import dagster as dg
import duckdb
import sqlalchemy as sa

from bench._demo import Shop, Support
from profilemesh.integrations.dagster import asset_key
from profilemesh.integrations.dagster.names import op_name
from profilemesh.integrations.dagster.results import checked, portrait
from profilemesh.runner import utc_now
from profilemesh.storage import states, triage
from profilemesh.storage.clock import storage_now
from profilemesh.storage.models import LoggedDecision, Run, StoredFinding
from profilemesh.tables import TableRef
from tests.integrations.deployment import (
    CUSTOMERS,
    EVERY_TICK,
    ORDERS,
    Deployment,
    checks,
    metadata,
)
from tests.webhook import receiving

NEW = "INSERT INTO orders SELECT i, i, DATE '2026-03-07' FROM range(1000) r(i)"

END = date(2026, 3, 12)
VIEW = TableRef("shop", "main", "broken")
BROKEN = ("CREATE TABLE base AS SELECT 1 AS a", "CREATE VIEW broken AS SELECT a FROM base", "DROP TABLE base")


def test_the_demo_is_materialised_as_its_tables_are(deployment: Deployment) -> None:
    for file in ("shop.duckdb", "desk.sqlite"):
        (deployment.folder / file).unlink()
    shop, support = Shop(deployment.folder / "shop.duckdb", END, END), Support(deployment.folder / "desk.sqlite")
    shop.create()
    shop.load(END)
    support.create(END)
    result = deployment.materialize()
    assert result.success
    found = metadata(result)
    with duckdb.connect(str(deployment.folder / "shop.duckdb"), read_only=True) as connection:
        names = [name for (name,) in connection.execute("SELECT table_name FROM information_schema.tables").fetchall()]
        rows = {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchall()[0][0] for name in names}
    assert "web_events" in rows and "tickets" in found
    assert {name: found[name]["dagster/row_count"] for name in rows} == rows
    assert found["summary"]["profilemesh/tables"] == len(found) - 1


def test_what_was_counted_is_metadata(deployment: Deployment) -> None:
    result = deployment.materialize(ORDERS)
    assert checks(result) == {}, "there is nothing to compare a first profile with"
    told = metadata(result)["orders"]
    [run] = deployment.rows(sa.select(Run))
    assert (told["dagster/row_count"], told["profilemesh/rows_read"], told["profilemesh/columns"]) == (1000, 1000, 3)
    assert (told["profilemesh/null_percent"], told["profilemesh/scope"]) == (0.0, "full")
    assert (told["profilemesh/run_id"], told["profilemesh/as_of"]) == (run.run_id, run.as_of.timestamp())
    assert told["profilemesh/decision"] == "full: never profiled before"
    columns = told["dagster/column_schema"].columns
    assert [(each.name, each.type) for each in columns] == [("id", "BIGINT"), ("v", "BIGINT"), ("day", "DATE")]
    by_name = {record.data["column"]: record.data for record in result_table(result)}
    assert (by_name["id"]["min"], by_name["id"]["max"], by_name["id"]["mean"]) == ("0", "999", 499.5)
    assert (by_name["v"]["distinct_count"], by_name["day"]["mean"]) == (7, None)


def result_table(result: dg.ExecuteInProcessResult) -> list[dg.TableRecord]:
    [event] = [each for each in result.all_events if each.event_type_value == "ASSET_MATERIALIZATION"]
    return list(event.materialization.metadata["profilemesh/profile"].records)


def test_sensitive_values_are_not_shown(deployment: Deployment) -> None:
    deployment.configure(profiling={"tables": [{"table": "customers", "columns": {"sensitive": ["name"]}}]})
    [record] = [each.data for each in result_table(deployment.materialize(CUSTOMERS)) if each.data["column"] == "name"]
    assert (record["min"], record["max"], record["distinct_count"]) == (None, None, 300)


def test_one_that_is_unneeded_answers_from_the_stored_profile(deployment: Deployment) -> None:
    first, again = (metadata(deployment.materialize(ORDERS))["orders"] for _ in range(2))
    assert again["profilemesh/decision"] == "skip: proved unchanged"
    same = ("dagster/row_count", "profilemesh/run_id", "profilemesh/as_of", "profilemesh/profile")
    assert {name: again[name] for name in same} == {name: first[name] for name in same}
    assert deployment.count(Run) == 1
    reasons = deployment.rows(sa.select(LoggedDecision.reason).order_by(LoggedDecision.id))
    assert reasons == ["first_profile", "snapshot_match"]


def test_an_unneeded_one_reads_no_row_and_asks_little(
    deployment: Deployment, postgres_server: Any, postgres_database: str
) -> None:
    """Counted by the server: whoever reads the table, or asks anything, is seen there."""
    postgres_server.execute("CREATE TABLE big AS SELECT i FROM generate_series(1, 50000) i", database=postgres_database)
    connection = {"type": "postgres", "host": postgres_server.socket_dir, "username": "postgres"}
    deployment.configure(warehouses={"pg": {**connection, "database": postgres_database}})
    big = TableRef("pg", "public", "big")
    assert metadata(deployment.materialize(big))["big"]["dagster/row_count"] == 50_000

    def read() -> int:
        wanted = "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'big'"
        postgres_server.execute("SELECT pg_stat_force_next_flush()", database=postgres_database)
        [(rows,)] = postgres_server.execute(wanted, database=postgres_database)
        return rows

    before, sent = read(), statements_of(deployment, big)
    assert read() == before
    assert deployment.count(Run) == 1
    assert len(sent) <= 20, "\n".join(sent)
    assert not [each for each in sent if each.startswith(("COPY", "LOCK"))]


def statements_of(deployment: Deployment, table: TableRef) -> list[str]:
    """All that SQLAlchemy sends in this process while the asset answers, to the storage and to the warehouse; what
    Dagster's own storage is sent is left out."""
    sent: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if "profilemesh" in statement or connection.dialect.name == "postgresql":
            sent.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        told = metadata(deployment.materialize(table))
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
    assert told["big"]["dagster/row_count"] == 50_000
    return sent


def test_one_that_is_asked_for_by_force_is_read(settled: Deployment) -> None:
    told = metadata(settled.materialize(ORDERS, config={"force": True}))["orders"]
    assert told["profilemesh/decision"] == "full: asked for by hand"
    assert settled.count(Run, Run.dataset_name == "orders") == 2


def test_a_table_that_another_holds_is_left_to_it(settled: Deployment) -> None:
    settled.shop(NEW)
    with settled.storage() as storage, storage.begin() as session:
        assert states.claim(session, ORDERS, "elsewhere:1:1:x", storage_now(session), timedelta(minutes=5))
    result = settled.materialize(ORDERS)
    assert (result.success, metadata(result), checks(result)) == (True, {}, {})
    assert settled.count(Run, Run.dataset_name == "orders") == 1
    with settled.storage() as storage, storage.begin() as session:
        states.release(session, ORDERS, "elsewhere:1:1:x")
    assert metadata(settled.materialize(ORDERS))["orders"]["dagster/row_count"] == 2000


def test_drift_fails_its_check_by_severity_until_somebody_takes_care_of_it(settled: Deployment) -> None:
    for day in range(2):
        settled.shop(f"INSERT INTO orders SELECT 1000 + {day}, {day} % 7, DATE '2026-03-01'")
        calm = settled.materialize(ORDERS)
    assert checks(calm) == dict.fromkeys(("schema", "volume", "freshness", "drift"), (True, "WARN"))
    settled.shop("UPDATE orders SET v = NULL WHERE id % 3 > 0", "ALTER TABLE orders ADD COLUMN extra INTEGER")
    with receiving() as receiver:
        settled.configure(alerts={"routes": [{"name": "team", "to": [receiver.address("team")]}]})
        found = checks(settled.materialize(ORDERS))
        assert found["drift"] == (False, "ERROR")
        assert found["schema"][0] is False
        assert (found["volume"], found["freshness"]) == ((True, "WARN"), (True, "WARN"))
        assert receiver.on("team") == []
        settled.tick()
        settled.tick()
        assert len(receiver.on("team")) == 1, "whoever ticks sends what waits of alerts"
    assert checks(settled.materialize(ORDERS)) == found, "an answer from the stored profile tells the same"
    require_triage_heeded(settled)


def require_triage_heeded(settled: Deployment) -> None:
    now = utc_now()
    ids = settled.rows(sa.select(StoredFinding.finding_id))
    for act, passes in (
        (lambda session: triage.acknowledge(session, ids, who="ann", now=now), False),
        (lambda session: triage.snooze(session, ids, now + timedelta(days=1), who="ann", now=now), True),
        (lambda session: triage.snooze(session, ids, now - timedelta(days=1), who="ann", now=now), False),
        (lambda session: triage.expect(session, ids, who="ann", now=now), True),
    ):
        with settled.storage() as storage, storage.begin() as session:
            assert sorted(act(session)) == sorted(ids)
        with settled.storage() as storage:
            told = {each.check_name: each.passed for each in checked(asset_key(ORDERS), portrait(storage, ORDERS, now))}
        assert (told["drift"], told["schema"], told["volume"]) == (passes, passes, True)


def test_a_failure_is_the_tables_own(settled: Deployment) -> None:
    settled.shop(NEW, *BROKEN)
    result = settled.materialize(VIEW, ORDERS)
    assert not result.success
    assert metadata(result)["orders"]["dagster/row_count"] == 2000
    assert [each.step_key for each in result.get_step_failure_events()] == [op_name(asset_key(VIEW).path)]


def test_a_run_reads_no_more_partitions_than_it_was_asked_for(settled: Deployment) -> None:
    divided_by_day(settled)
    settled.shop("INSERT INTO orders VALUES (1, 1, DATE '2026-03-03')")
    [request] = settled.tick().requests
    settled.shop("INSERT INTO orders VALUES (2, 2, DATE '2026-03-04')")
    result = settled.launch(request)
    assert (result.success, metadata(result)) == (True, {})
    [put_off] = settled.rows(sa.select(LoggedDecision).where(LoggedDecision.action == "defer"))
    assert (put_off.reason, put_off.evidence["message"]) == (
        "changed_meanwhile",
        "1 more of its partitions changed since the plan was made",
    )
    again = settled.settle()
    assert sorted(again.ops["orders"]["partitions"]) == ['["2026-03-03"]', '["2026-03-04"]']
    assert settled.tick().requests == []


def divided_by_day(settled: Deployment, *tags: str) -> None:
    """And read once so."""
    orders = {"table": "orders", "partition": {"key": "day"}, "tags": list(tags)}
    incremental = {**EVERY_TICK, "partial_profiling": {"min_rows": 1}}
    settled.configure(profiling={"tables": [orders]}, incremental=incremental)
    settled.materialize(ORDERS, config={"force": True})


def test_days_are_partitions_of_dagster(settled: Deployment) -> None:
    divided_by_day(settled, "dagster-daily=2026-03-01")
    days = dg.AssetKey(["profilemesh", "shop", "main", "orders", "days"])
    every = {f"2026-03-0{day}": 200 for day in range(1, 6)}
    assert rows_of(settled, days) == every
    settled.shop(
        "INSERT INTO orders VALUES (1, 1, DATE '2026-03-03')", "INSERT INTO orders VALUES (1, 1, '2026-03-06')"
    )
    asked = settled.settle().ops["orders"]
    assert (asked["action"], asked["reason"]) == ("partial", "partitions_changed")
    assert sorted(asked["partitions"]) == ['["2026-03-03"]', '["2026-03-06"]']
    [run] = settled.rows(sa.select(Run).where(Run.dataset_name == "orders", Run.action == "partial"))
    assert (run.row_count, run.rows_scanned) == (1002, 202)
    assert rows_of(settled, days) == {**every, "2026-03-03": 201, "2026-03-06": 1}
    assert settled.instance.get_materialized_partitions(days) == rows_of(settled, days).keys()
    require_asked_for_by_day(settled, days)


def require_asked_for_by_day(settled: Deployment, days: dg.AssetKey) -> None:
    """One that has changed, and one that the table does not have."""
    settled.shop("INSERT INTO orders VALUES (1, 1, DATE '2026-03-03')")
    for day in ("2026-03-03", "2026-03-07"):
        assets = settled.definitions.assets or ()
        assert dg.materialize(assets, selection=[days], partition_key=day, instance=settled.instance).success
    found = rows_of(settled, days)
    assert (found["2026-03-03"], found["2026-03-07"]) == (202, 0)


def rows_of(settled: Deployment, key: dg.AssetKey) -> dict[str, int]:
    """What was last told of each partition."""
    found = settled.instance.fetch_materializations(key, limit=100, ascending=True).records
    return {
        str(each.partition_key): each.asset_materialization.metadata["dagster/partition_row_count"].value
        for each in found
        if each.asset_materialization
    }


def test_hours_are_partitions_too(settled: Deployment) -> None:
    settled.shop(
        "CREATE TABLE hits AS SELECT TIMESTAMP '2026-03-01 00:00:00' + INTERVAL (i % 3) HOUR AS at FROM range(30) r(i)"
    )
    hits = {"table": "hits", "partition": {"key": "at"}, "tags": ["dagster-hourly=2026-03-01"]}
    settled.configure(profiling={"tables": [hits]}, incremental={**EVERY_TICK, "partial_profiling": {"min_rows": 1}})
    settled.materialize(TableRef("shop", "main", "hits"))
    hours = dg.AssetKey(["profilemesh", "shop", "main", "hits", "hours"])
    assert rows_of(settled, hours) == {f"2026-03-01-0{hour}:00": 10 for hour in range(3)}


def test_the_summary_is_told_though_a_table_fails(settled: Deployment) -> None:
    settled.shop(*BROKEN)
    result = settled.materialize()
    assert not result.success
    told = metadata(result)
    assert told.keys() == {"orders", "customers", "tickets", "summary"}
    summary = told["summary"]
    assert (summary["profilemesh/tables"], summary["profilemesh/profiled"], summary["profilemesh/rows"]) == (4, 3, 1302)


def test_a_table_that_is_gone_is_no_answer(settled: Deployment) -> None:
    assert settled.definitions
    settled.shop("DROP TABLE customers")
    result = settled.materialize(CUSTOMERS)
    assert (result.success, metadata(result)) == (True, {})


def test_a_check_alone_reads_nothing(settled: Deployment) -> None:
    settled.shop(NEW)
    settled.materialize(ORDERS)
    settled.shop(NEW)
    runs = settled.count(Run)
    key = dg.AssetCheckKey(asset_key(ORDERS), "drift")
    job = dg.define_asset_job("check", selection=dg.AssetSelection.checks(key))
    made = dg.Definitions(assets=settled.definitions.assets, jobs=[job])
    result = made.resolve_job_def("check").execute_in_process(instance=settled.instance)
    assert checks(result).keys() == {"drift"}
    assert (metadata(result), settled.count(Run)) == ({}, runs)
