"""Traps found by attacking the planner: content that comes back, clocks that go back, long keys, tiny samples."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from profilemesh.config.model import (
    AdaptiveSchedulingConfig,
    CostControlsConfig,
    PartialProfilingConfig,
    PartitionRule,
    SamplingRule,
    TableRule,
    WarehouseConfig,
)
from profilemesh.planning import Decision, Reason
from profilemesh.reasons import why
from profilemesh.runner import Silence, look, opened, utc_now
from profilemesh.storage.models import Result
from tests.conftest import PostgresServer
from tests.engine.storage.kept import kept_savings
from tests.engine.ticks import Project, outcomes

NOW = datetime(2026, 3, 10, tzinfo=UTC)
CHANGE = "UPDATE t SET v = 77"
BACK = "UPDATE t SET v = 1"


class Before(Silence):
    """Does something between the plan and the reading."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act

    def started(self, decision: Decision) -> None:
        self.act()


def ruled(project: Project, **rule: Any) -> Project:
    project.profiling["tables"] = (TableRule(**rule),)
    project.incremental["partial_profiling"] = PartialProfilingConfig(min_rows=0)
    return project


def decided(report: Any, table: str = "t") -> tuple[str, str]:
    decision = next(d for d in report.plan.decisions if d.table.name == table)
    return decision.action.value, decision.reason.value


def highest(project: Project, column: str = "v") -> set[str | None]:
    with project.storage() as storage, storage.read() as session:
        run = project.left().states["t"].last_run_id
        same = sa.and_(Result.run_id == run, Result.column_name == column, Result.metric_name == "max")
        return set(session.scalars(sa.select(Result.metric_value).where(same)))


@pytest.mark.parametrize("kind", ["duckdb", "sqlite"])
@pytest.mark.parametrize("key", [(), ("k",)])
def test_rows_that_were_others_while_they_were_read_are_not_proved_by_a_checksum(
    project: Project, kind: str, key: tuple[str, ...]
) -> None:
    ruled(project, checksum=True, partition=PartitionRule(key=key))
    write = getattr(project, kind)
    write("w", "CREATE TABLE t (k INTEGER, v INTEGER)", "INSERT INTO t VALUES (1, 1), (2, 1)")
    project.tick(listener=Before(lambda: write("w", CHANGE)))
    assert highest(project) == {"77"}
    write("w", BACK)
    assert decided(project.tick())[0] != "skip"
    assert highest(project) == {"1"}
    assert decided(project.tick()) == ("skip", Reason.SNAPSHOT_MATCH)


def test_a_view_that_was_another_while_it_was_read_is_read_again(
    project: Project, postgres_server: PostgresServer, postgres_database: str
) -> None:
    def write(*statements: str) -> None:
        postgres_server.execute(*statements, database=postgres_database)

    where = {"host": postgres_server.socket_dir, "database": postgres_database, "username": "postgres"}
    project.warehouses["w"] = WarehouseConfig("w", "postgres", **where)
    ruled(project, table="t", checksum=True)
    write("CREATE TABLE source AS SELECT 1 AS v", "CREATE VIEW t AS SELECT v FROM source")
    project.tick(listener=Before(lambda: write("UPDATE source SET v = 77")))
    write("UPDATE source SET v = 1")
    assert decided(project.tick()) == ("full", Reason.SNAPSHOT_CHANGED)
    assert highest(project) == {"1"}


def test_partitions_told_by_metadata_are_not_probed_after_the_reading(
    project: Project, postgres_server: PostgresServer, postgres_database: str
) -> None:
    where = {"host": postgres_server.socket_dir, "database": postgres_database, "username": "postgres"}
    project.warehouses["w"] = WarehouseConfig("w", "postgres", **where)
    ruled(project, watermark="id", checksum=True)
    parts = (f"CREATE TABLE t_{n} PARTITION OF t FOR VALUES IN ({n})" for n in range(2))
    postgres_server.execute("CREATE TABLE t (id INT, n INT) PARTITION BY LIST (n)", *parts, database=postgres_database)
    with project.storage() as storage, opened(project.config) as warehouses:
        plan = look(project.config, storage, warehouses, utc_now())
    [planned] = plan.reading.values()
    assert planned.division is not None and planned.probe is None


def test_a_partition_key_too_long_to_store_is_told_and_the_table_is_read(project_on_both: Project) -> None:
    project = ruled(project_on_both, partition=PartitionRule(key=("k",)))
    project.duckdb("w", "CREATE TABLE t AS SELECT i AS id, repeat(md5(i::VARCHAR), 200) AS k FROM range(3) r(i)")
    assert outcomes(project.tick())["t"].status == "success"
    project.duckdb("w", "INSERT INTO t VALUES (4, 'x')")
    report = project.tick()
    assert decided(report) == ("full", Reason.DETECTOR_FAILED) and outcomes(report)["t"].rows == 4
    assert "too long" in report.plan.decisions[0].evidence["message"]


@pytest.mark.parametrize("probed", [False, True])
def test_a_clock_that_was_set_back_keeps_no_change_waiting(project: Project, probed: bool) -> None:
    project.incremental["adaptive_scheduling"] = AdaptiveSchedulingConfig(enabled=not probed)
    project.duckdb("w", "CREATE TABLE t AS SELECT 1 AS id, 1 AS v")
    ruled(project, watermark="id", partition=PartitionRule(key=("id",)))
    project.tick(clock=lambda: NOW + timedelta(days=3650))
    project.duckdb("w", "UPDATE t SET v = 2")
    assert decided(project.tick(clock=lambda: NOW))[0] == "full"
    assert highest(project) == {"2"}


@pytest.mark.parametrize("kind", ["duckdb", "sqlite"])
def test_a_table_too_small_to_be_sampled_is_read_whole(project: Project, kind: str) -> None:
    ruled(project, sampling=SamplingRule(enabled=True, fraction=0.01))
    getattr(project, kind)(
        "w", "CREATE TABLE none (id INTEGER)", "CREATE TABLE t (v INTEGER)", "INSERT INTO t VALUES (1)"
    )
    report = project.tick()
    assert decided(report) == decided(report, "none") == ("full", Reason.FIRST_PROFILE)
    assert [outcome.rows for outcome in report.outcomes] == [0, 1]


@pytest.mark.parametrize("key", [(), ("k",)])
def test_a_checksum_that_read_every_row_spares_nothing(project: Project, key: tuple[str, ...]) -> None:
    ruled(project, checksum=True, partition=PartitionRule(key=key))
    project.duckdb("w", "CREATE TABLE t AS SELECT i % 5 AS k, 1 AS v FROM range(100) r(i)")
    project.tick()
    project.duckdb("w", "CREATE VIEW other AS SELECT * FROM t", "DROP VIEW other")
    assert decided(project.tick()) == ("skip", Reason.SNAPSHOT_MATCH)
    project.duckdb("w", "UPDATE t SET v = 2 WHERE k = 1")
    assert decided(project.tick())[0] == ("partial" if key else "full")
    with project.storage() as storage, storage.read() as session:
        assert [day.rows_measured + day.rows_estimated for day in kept_savings(session)] == [0] * (3 if key else 2)


def test_columns_in_another_order_are_named(project: Project) -> None:
    project.duckdb("w", "CREATE TABLE t AS SELECT 1 AS a, 2 AS b, 3 AS v")
    project.tick()
    project.duckdb("w", "CREATE OR REPLACE TABLE t AS SELECT 1 AS a, 3 AS v, 2 AS b")
    [decision] = project.tick().plan.decisions
    assert decision.evidence == {"added": [], "removed": [], "retyped": {}, "reordered": ["v"]}
    assert why(decision.reason, decision.evidence).endswith("in another order from column v on")


def test_a_budget_too_small_for_a_sample_puts_off_instead_of_failing(project: Project) -> None:
    project.incremental["cost_controls"] = CostControlsConfig(max_rows_per_tick=1)
    project.duckdb("w", "CREATE TABLE t AS SELECT i AS v FROM range(40) r(i)")
    report = project.tick()
    assert decided(report) == ("defer", Reason.BUDGET_SPENT) and report.outcomes == ()
    assert "too few rows" in report.plan.decisions[0].evidence["sample"]
