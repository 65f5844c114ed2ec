"""Partial runs and samples on real warehouses: what they read, what they store, and when they give up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from profilemesh import parts
from profilemesh.config.model import CostControlsConfig, PartialProfilingConfig, PartitionRule, TableRule
from profilemesh.planning import Decision
from profilemesh.runner import Silence
from profilemesh.storage import steering
from profilemesh.storage.models import LoggedDecision, Result, Run, Summary
from profilemesh.tables import TableRef
from tests.engine.ticks import Project, outcomes, wait_for, write_sqlite

DAYS = "DATE '2026-03-01' + CAST(i % 4 AS INTEGER)"
NOW = datetime(2026, 3, 10, tzinfo=UTC)
MEMORY = ("snapshot_id", "probe_token", "last_profiled_at", "last_run_id", "row_count", "manifest")


def divided(project: Project, **partial: Any) -> Project:
    project.profiling["tables"] = (TableRule(partition=PartitionRule(key=("day",)), watermark="id"),)
    project.incremental["partial_profiling"] = PartialProfilingConfig(**{"min_rows": 0} | partial)
    return project


@pytest.fixture
def shop(project: Project) -> Project:
    divided(project).duckdb("shop", f"CREATE TABLE t AS SELECT i AS id, {DAYS} AS day, i % 7 AS v FROM range(400) r(i)")
    project.tick()
    return project


def last(project: Project) -> Run:
    return project.left().runs["t"][-1]


def memory(project: Project) -> tuple[object, ...]:
    state = project.left().states["t"]
    return tuple(getattr(state, name) for name in MEMORY)


def metrics(project: Project, run: Run) -> dict[tuple[str, str], str | None]:
    with project.storage() as storage, storage.read() as session:
        rows = session.scalars(sa.select(Result).where(Result.run_id == run.run_id))
        return {(row.column_name, row.metric_name): row.metric_value for row in rows}


def test_a_partial_run_reads_the_changed_day_and_tells_of_the_whole_table(shop: Project) -> None:
    shop.duckdb("shop", "INSERT INTO t SELECT 1000 + i, DATE '2026-03-02', 99 FROM range(50) r(i)")
    outcome = outcomes(shop.tick())["t"]
    run = last(shop)
    assert (outcome.action, outcome.rows, outcome.rows_read) == ("partial", 450, 150)
    assert (run.scope, run.row_count, run.rows_scanned) == ("merged", 450, 150)
    found = metrics(shop, run)
    assert (found["v", "max"], found["v", "count"], found["id", "distinct_count"]) == ("99", "450", "450")


def test_the_scope_of_a_merged_profile_has_each_partition_and_its_time(shop: Project) -> None:
    first = last(shop)
    shop.duckdb("shop", "DELETE FROM t WHERE day = '2026-03-01'", "INSERT INTO t VALUES (1, '2026-03-09', 1)")
    shop.tick()
    run = last(shop)
    assert run.scope_detail is not None and run.started_at is not None and first.started_at is not None
    told = {part["name"]: (part["rows"], part["read"]) for part in run.scope_detail["partitions"]}
    assert told == {
        "2026-03-02": (100, False),
        "2026-03-03": (100, False),
        "2026-03-04": (100, False),
        "2026-03-09": (1, True),
    }
    assert {part["as_of"] for part in run.scope_detail["partitions"]} == {
        first.started_at.isoformat(),
        run.started_at.isoformat(),
    }
    assert run.scope_detail["dropped"] == ["2026-03-01"]


def test_nothing_but_a_dropped_partition_is_merged_without_reading(shop: Project) -> None:
    shop.duckdb("shop", "DELETE FROM t WHERE day = '2026-03-01'")
    shop.tick()
    assert (last(shop).action, last(shop).rows_scanned, last(shop).row_count) == ("partial", 0, 300)


def test_rows_without_a_day_are_a_partition_of_their_own(shop: Project) -> None:
    shop.duckdb("shop", "INSERT INTO t VALUES (5000, NULL, 3), (5001, NULL, 4)")
    shop.tick()
    assert (last(shop).rows_scanned, last(shop).row_count) == (2, 402)
    assert metrics(shop, last(shop))["day", "null_count"] == "2"


def test_a_day_that_leaves_both_ends_joins_the_rest_and_is_still_counted(project: Project) -> None:
    divided(project, max_partitions_per_run=2)
    project.duckdb("shop", f"CREATE TABLE t AS SELECT i AS id, {DAYS} AS day FROM range(400) r(i)")
    project.tick()
    for day, rows in (("2026-03-05", 410), ("2026-03-06", 420)):
        project.duckdb("shop", f"INSERT INTO t SELECT i, DATE '{day}' FROM range(10) r(i)")
        project.tick()
        assert (last(project).action, last(project).rows_scanned, last(project).row_count) == ("partial", 10, rows)
    project.duckdb("shop", "INSERT INTO t VALUES (1, '2026-03-04')")
    project.tick()
    assert (last(project).action, last(project).row_count) == ("full", 421)


def test_a_lost_partition_summary_fails_the_run_and_the_next_reads_the_whole_table(shop: Project) -> None:
    with shop.storage() as storage, storage.begin() as session:
        session.execute(sa.delete(Summary).where(Summary.partition_key == '["2026-03-03"]'))
    shop.duckdb("shop", "INSERT INTO t VALUES (1, '2026-03-02', 1)")
    before = memory(shop)[:-1]
    report = shop.tick()
    assert "not stored" in (outcomes(report)["t"].error or "")
    assert memory(shop)[:-1] == before
    shop.tick()
    assert (last(shop).action, last(shop).row_count) == ("full", 401)


class Meanwhile(Silence):
    """Writes when the first rows have been read."""

    def __init__(self, write: Callable[[], object]) -> None:
        self.write = write

    def read(self, table: Any, rows: int) -> None:
        self.write()


def test_a_reading_that_other_partitions_moved_under_is_thrown_away(project: Project) -> None:
    divided(project)
    path = project.sqlite(
        "desk",
        "PRAGMA journal_mode = WAL",
        "CREATE TABLE t (id INTEGER, day DATE)",
        "INSERT INTO t SELECT value, '2026-03-01' FROM json_each('[1, 2, 3, 4, 5, 6, 7, 8]')",
        "INSERT INTO t VALUES (12, '2026-03-02')",
    )
    project.tick()
    write_sqlite(path, "INSERT INTO t VALUES (14, '2026-03-02')")
    before = memory(project)
    moved = Meanwhile(
        lambda: write_sqlite(path, "DELETE FROM t WHERE id = 1", "INSERT INTO t VALUES (19, '2026-03-02')")
    )
    [outcome] = project.tick(listener=moved).outcomes
    assert (outcome.status, project.left().states["t"].decision_reason) == ("deferred", "changed_meanwhile")
    assert memory(project) == before
    assert project.left().statuses("t") == ["success"]
    assert outcomes(project.tick())["t"].rows == 10


def test_rows_of_a_partition_that_nobody_knew_of_are_never_stored_as_the_whole(project: Project) -> None:
    divided(project)
    path = project.sqlite(
        "desk",
        "PRAGMA journal_mode = WAL",
        "CREATE TABLE t (id INTEGER, day DATE)",
        "INSERT INTO t VALUES (1, '2026-03-01')",
    )

    class Before(Silence):
        def started(self, decision: Decision) -> None:
            write_sqlite(path, "INSERT INTO t VALUES (2, '2026-03-02')")

    [outcome] = project.tick(listener=Before()).outcomes
    assert outcome.status == "deferred"
    assert project.left().runs == {}
    assert outcomes(project.tick())["t"].rows == 2


def test_a_column_that_fails_in_one_partition_is_unknown_in_the_whole_and_the_rest_is_right(
    project: Project, postgres_server: Any, postgres_database: str
) -> None:
    from profilemesh.config.model import WarehouseConfig

    def write(*statements: str) -> None:
        postgres_server.execute(*statements, database=postgres_database)

    write(
        "CREATE TABLE t (id int, day date, v int) PARTITION BY LIST (day)",
        "CREATE TABLE t1 PARTITION OF t FOR VALUES IN ('2026-03-01')",
        "CREATE TABLE t2 PARTITION OF t FOR VALUES IN ('2026-03-02')",
        "INSERT INTO t SELECT i, DATE '2026-03-01' + i % 2, i FROM generate_series(1, 100) i",
        "CREATE ROLE reader LOGIN",
        "GRANT SELECT ON t, t1, t2 TO reader",
        "REVOKE SELECT ON t2 FROM reader",
        "GRANT SELECT (id, day) ON t2 TO reader",
    )
    project.warehouses["pg"] = WarehouseConfig(
        "pg", "postgres", host=postgres_server.socket_dir, database=postgres_database, username="reader"
    )
    divided(project)
    outcome = outcomes(project.tick())["t"]
    assert (outcome.status, outcome.rows) == ("success", 100)
    write("REVOKE ALL ON t, t1, t2 FROM reader", "DROP ROLE reader")


# Samples


def sampled(project: Project, **limits: Any) -> Project:
    project.incremental["cost_controls"] = CostControlsConfig(
        **{"max_rows_scanned": 1000, "sample_fraction": 0.2} | limits
    )
    return project


def test_a_sample_says_so_and_leaves_the_full_profile_as_it_was(project: Project) -> None:
    project.duckdb("shop", "CREATE TABLE t AS SELECT i AS id, i % 7 AS v FROM range(900) r(i)")
    project.tick()
    before = memory(project)
    project.duckdb("shop", "INSERT INTO t SELECT i, 3 FROM range(900, 10000) r(i)")
    sampled(project).tick()
    run, state = last(project), project.left().states["t"]
    assert (run.action, run.scope, run.reason) == ("sample", "sample", "cost_cap")
    assert run.scope_detail is not None and run.scope_detail["fraction"] == 0.1
    assert 0 < run.scope_detail["share_error_points"] < 10
    assert run.rows_scanned is not None and 600 < run.rows_scanned < 1400
    assert run.row_count == round(run.rows_scanned / 0.1)
    assert memory(project) == before
    assert state.sampled_token == state.evidence["token_after"] if state.probe_token is None else state.sampled_token


def test_an_unchanged_table_is_not_sampled_twice_and_gets_its_truth_when_it_fits(project: Project) -> None:
    project.duckdb("shop", "CREATE TABLE t AS SELECT i AS id FROM range(10000) r(i)")
    sampled(project).tick()
    sampled(project).tick()
    assert [run.action for run in project.left().runs["t"]] == ["sample"]
    assert project.left().states["t"].decision_reason == "sample_match"
    sampled(project, max_rows_scanned=10_000).tick()
    assert (last(project).action, last(project).row_count) == ("full", 10_000)


def test_what_is_put_off_is_pending_until_it_fits(project: Project) -> None:
    project.duckdb("shop", "CREATE TABLE t AS SELECT i AS id FROM range(10000) r(i)")
    sampled(project, fallback_strategy="defer").tick()
    state = project.left().states["t"]
    assert (state.decision, state.decision_reason, state.deferred_since is not None) == ("defer", "cost_cap", True)
    sampled(project, fallback_strategy="full").tick()
    assert last(project).row_count == 10_000
    assert project.left().states["t"].deferred_since is None


@pytest.mark.parametrize("kind", ["duckdb", "sqlite"])
def test_a_view_that_cannot_be_sampled_is_put_off(project: Project, kind: str) -> None:
    write = getattr(project, kind)
    write("w", "CREATE TABLE big (id INTEGER)", "CREATE VIEW t AS SELECT id FROM big")
    project.profiling["tables"] = (TableRule("t"),)
    sampled(project, max_rows_scanned=None, max_rows_per_tick=1)
    project.tick()
    assert project.left().statuses("t") == ["success"], "its cost is unknown, so no limit is met"


# Decisions and what came of them


def log(project: Project) -> list[LoggedDecision]:
    with project.storage() as storage, storage.read() as session:
        return list(session.scalars(sa.select(LoggedDecision).order_by(LoggedDecision.id)))


def test_the_log_has_what_was_expected_and_what_it_took(shop: Project) -> None:
    shop.duckdb("shop", "INSERT INTO t SELECT i, DATE '2026-03-02', 1 FROM range(20) r(i)")
    shop.tick()
    first, second = log(shop)
    assert (first.action, first.outcome, first.rows_actual) == ("full", "success", 400)
    assert (second.action, second.rows_estimated, second.rows_actual) == ("partial", 120, 120)
    assert second.rows_naive == 420
    assert second.seconds_actual is not None and second.run_id == last(shop).run_id


def test_equal_skips_are_one_row_of_the_log(shop: Project) -> None:
    for _ in range(3):
        shop.tick()
    [_, skip] = log(shop)
    assert (skip.action, skip.reason, skip.ticks, skip.outcome) == ("skip", "snapshot_match", 3, None)


def test_what_happened_is_told_once_each(shop: Project) -> None:
    shop.tick()
    shop.tick()
    shop.duckdb("shop", "INSERT INTO t VALUES (1, '2026-03-02', 1)")
    shop.tick()
    kinds = [kind for kind, _ in shop.left().events]
    assert kinds.count("profile_skipped_no_change") == 1
    assert kinds.count("profile_partial") == 1
    assert kinds.count("ProfilingCompleted") == 2


# Reconciling, vanishing, stopping


def test_a_merged_profile_is_compared_with_the_truth_when_it_is_due(shop: Project) -> None:
    shop.duckdb("shop", "INSERT INTO t VALUES (1, '2026-03-02', 1)")
    shop.tick()
    later = last(shop).profiled_at + timedelta(days=31)
    shop.tick(clock=lambda: later)
    run = last(shop)
    assert (run.reason, run.scope) == ("reconcile_due", "full")
    assert run.scope_detail == {"reconciled": {"rows_merged": 401, "rows_full": 401, "columns_off": {}}}


def test_a_table_that_vanished_keeps_its_history_and_starts_afresh_when_it_is_back(shop: Project) -> None:
    shop.duckdb("shop", "ALTER TABLE t RENAME TO u")
    shop.tick()
    left = shop.left()
    assert (left.states["t"].decision_reason, left.states["t"].vanished_at is not None) == ("vanished", True)
    assert left.statuses("t") == left.statuses("u") == ["success"]
    shop.duckdb("shop", "ALTER TABLE u RENAME TO t")
    shop.tick()
    state = shop.left().states["t"]
    assert (last(shop).reason, state.vanished_at, state.last_changed_at) == ("reappeared", None, None)


def test_a_scan_that_is_asked_to_stop_fails_its_run_and_keeps_the_old_profile(project: Project) -> None:
    project.duckdb("shop", "CREATE TABLE t AS SELECT i AS id FROM range(10) r(i)")
    project.tick()
    before = memory(project)
    slow = "SELECT hash(i) AS id FROM range(100000000000) r(i) WHERE hash(i) % 7 = 1"
    project.duckdb("shop", "DROP TABLE t", f"CREATE VIEW t AS {slow}")
    asking = threading.Thread(target=ask_to_stop, args=(project,))
    asking.start()
    [outcome] = project.tick().outcomes
    asking.join()
    assert (outcome.status, "cancelled by hand" in (outcome.error or "")) == ("failed", True)
    assert memory(project) == before
    assert project.left().is_whole


def ask_to_stop(project: Project) -> None:
    """As soon as somebody reads the table."""
    table = TableRef("shop", "main", "t")

    def asked() -> bool:
        with project.storage() as storage, storage.begin() as session:
            return steering.request_cancel(session, table, datetime.now(UTC))

    wait_for(asked)


def test_parts_are_read_sixteen_at_a_time(project: Project) -> None:
    divided(project)
    project.duckdb(
        "shop",
        "CREATE TABLE t AS SELECT i AS id, DATE '2026-01-01' + CAST(i % 40 AS INTEGER) AS day FROM range(4000) r(i)",
    )
    project.tick()
    assert parts.TOGETHER == 16
    # Three groups of partitions and the empty rest, three statements each; of no rows nothing is listed.
    assert len(last(project).statements or []) <= 12
    assert last(project).row_count == 4000
