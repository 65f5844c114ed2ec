"""Runs on real warehouses compared with their history: what is found, stored once, and never at a run's cost."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from profilemesh import comparing
from profilemesh.config.model import (
    ChangeDetectionConfig,
    ColumnRule,
    CostControlsConfig,
    DriftRule,
    ExpectedPeriod,
    PartialProfilingConfig,
    PartitionRule,
    TableRule,
)
from profilemesh.storage import profiles
from profilemesh.storage.models import Event, FindingOccurrence, ProfileNumbers, StoredFinding
from profilemesh.storage.upgrade import upgrade
from tests.engine.loads import START, Calm, table, tick
from tests.engine.ticks import Project


def found(project: Project) -> dict[tuple[str, str, str], StoredFinding]:
    with project.storage() as storage, storage.read() as session:
        stored = session.scalars(sa.select(StoredFinding))
        return {(each.table_name, each.column_name, each.metric_name): each for each in stored}


def rows(project: Project, model: Any, *where: Any) -> list[Any]:
    with project.storage() as storage, storage.read() as session:
        return list(session.scalars(sa.select(model).where(*where)))


def drift(project: Project) -> list[Event]:
    return rows(project, Event, Event.event_type.in_(["DataDriftDetected", "SchemaChangeDetected"]))


NULLS = ("orders", "email", "null_percent")


def test_a_shift_is_found_in_its_run_stored_once_and_told_as_an_event(project_on_both: Project, calm: Calm) -> None:
    project = calm(project_on_both, "orders")
    assert found(project) == {}
    tick(project, 5, table("orders", one_in=5))
    finding = found(project)[NULLS]
    last = project.left().runs["orders"][-1]
    assert (finding.state, finding.severity, finding.last_run_id) == ("open", "high", last.run_id)
    assert "null share of orders.email rose from 0" in finding.sentence
    assert [run.has_drift for run in project.left().runs["orders"]] == [False] * 5 + [True]
    [event] = [each for each in drift(project) if each.column_name == "email" and each.metric_name == "null_percent"]
    assert (event.run_id, event.warehouse, event.table_name) == (last.run_id, "shop", "orders")
    assert json.loads(event.details or "")["finding_id"] == finding.finding_id
    [occurrence] = rows(project, FindingOccurrence, FindingOccurrence.finding_id == finding.finding_id)
    assert (occurrence.event_id, len(occurrence.details["baseline_runs"])) == (event.event_id, 5)
    assert len(rows(project, ProfileNumbers)) == 6


def test_the_same_tick_again_gives_no_second_finding(project_on_both: Project, calm: Calm) -> None:
    project = calm(project_on_both, "orders")
    tick(project, 5, table("orders", one_in=5))
    before = {key: each.finding_id for key, each in found(project).items()}
    events = len(drift(project))
    tick(project, 5)
    assert len(drift(project)) == events
    tick(project, 6, force=True)
    assert {key: each.finding_id for key, each in found(project).items()} == before
    assert found(project)[NULLS].occurrences == 2


def test_normal_again_resolves_and_gone_wrong_again_reopens(project: Project, calm: Calm) -> None:
    calm(project, "orders")
    tick(project, 5, table("orders", one_in=5))
    for day in (6, 7):
        tick(project, day, table("orders", n=4000 + day))
    assert found(project)[NULLS].state == "resolved"
    tick(project, 8, table("orders", one_in=5))
    assert (found(project)[NULLS].state, found(project)[NULLS].occurrences) == ("open", 2)


def test_two_tables_in_one_tick_never_influence_each_other(project_on_both: Project, tmp_path: Any, calm: Calm) -> None:
    both = calm(project_on_both, "orders", "calm", "wild")
    tick(both, 5, table("orders", one_in=5), table("calm"), table("wild", one_in=2, n=9000))
    assert {name for name, *_ in found(both)} == {"orders", "wild"}
    together = told(both, "orders")
    alone = Project(tmp_path / "alone")
    alone.folder.mkdir()
    upgrade(alone.url)
    calm(alone, "orders")
    tick(alone, 5, table("orders", one_in=5))
    assert told(alone, "orders") == together


def told(project: Project, name: str) -> dict[Any, Any]:
    """All that was found of a table, but for what names its runs."""
    findings = {each.finding_id: key for key, each in found(project).items() if key[0] == name}
    occurrences = rows(project, FindingOccurrence)
    return {
        findings[each.finding_id]: (each.sentence, each.severity, each.details | {"baseline_runs": None})
        for each in occurrences
        if each.finding_id in findings
    }


def test_a_sample_is_compared_with_samples_alone(project: Project, calm: Calm) -> None:
    calm(project, "orders")
    tight = CostControlsConfig(max_rows_scanned=2000, fallback_strategy="sample", sample_fraction=0.3)
    project.incremental["cost_controls"] = tight
    tick(project, 5, table("orders", one_in=3, n=5000))
    assert project.left().runs["orders"][-1].scope == "sample"
    assert found(project) == {}
    for day in range(6, 10):
        tick(project, day, table("orders", one_in=3, n=5000 + day))
    assert found(project) == {}
    tick(project, 10, table("orders", one_in=500, n=9000))
    samples = {run.run_id for run in project.left().runs["orders"] if run.scope == "sample"}
    [occurrence] = [each for each in rows(project, FindingOccurrence) if "null share" in each.sentence]
    assert len(samples) == 6 and set(occurrence.details["baseline_runs"]) < samples
    assert ("orders", "", "row_count") not in found(project)


def test_samples_neither_resolve_what_full_runs_found_nor_stand_in_baselines(project: Project, calm: Calm) -> None:
    calm(project, "orders")
    tick(project, 5, table("orders", one_in=5))
    project.incremental["cost_controls"] = CostControlsConfig(max_rows_scanned=2000)
    for day in (6, 7, 8):
        tick(project, day, table("orders", n=4000 + day))
    assert (found(project)[NULLS].state, found(project)[NULLS].quiet_runs) == ("open", 0)
    project.incremental["cost_controls"] = CostControlsConfig()
    tick(project, 9, table("orders", one_in=5))
    samples = {run.run_id for run in project.left().runs["orders"] if run.scope == "sample"}
    [last] = [e for e in rows(project, FindingOccurrence) if e.at == START + timedelta(9) and "null" in e.sentence]
    assert len(samples) == 3 and not samples & set(last.details["baseline_runs"])


def divided(project: Project) -> None:
    project.profiling["tables"] = (TableRule(partition=PartitionRule(key=("day",)), watermark="id"),)
    project.incremental["partial_profiling"] = PartialProfilingConfig(min_rows=0)
    project.incremental["change_detection"] = ChangeDetectionConfig(snapshot_ttl_minutes=100_000)


def test_a_partial_run_is_compared_as_the_whole_table_and_names_the_partition(project: Project) -> None:
    divided(project)
    day_of = "DATE '2026-02-10' + CAST(i // 500 AS INTEGER) AS day"
    tick(project, 0, f"CREATE TABLE t AS SELECT i AS id, {day_of}, 'm' || i AS email FROM range(5000) r(i)")
    for day in range(1, 6):
        new = f"SELECT i AS id, {day_of}, 'm' || i AS email FROM range({4500 + 500 * day}, {5000 + 500 * day}) r(i)"
        tick(project, day, f"INSERT INTO t {new}")
    assert {run.scope for run in project.left().runs["t"][1:]} == {"merged"}
    assert found(project) == {}
    tick(project, 6, f"INSERT INTO t SELECT i AS id, {day_of}, NULL FROM range(7500, 8000) r(i)")
    assert project.left().runs["t"][-1].rows_scanned == 500
    finding = found(project)["t", "email", "null_percent"]
    assert finding.sentence.endswith("100 % of it in 2026-02-25")
    [occurrence] = rows(project, FindingOccurrence, FindingOccurrence.finding_id == finding.finding_id)
    assert occurrence.details["culprits"] == [{"partition": "2026-02-25", "share": pytest.approx(1.0)}]


def test_a_failed_run_is_compared_with_nothing_and_no_baseline(project: Project, calm: Calm) -> None:
    calm(project, "orders")
    lost = ("CREATE TABLE lost AS SELECT 1 AS id", "CREATE VIEW orders AS SELECT * FROM lost", "DROP TABLE lost")
    tick(project, 5, "DROP TABLE orders", *lost)
    assert project.left().statuses("orders")[-1] == "failed"
    assert found(project) == {}
    tick(project, 6, "DROP VIEW orders", table("orders", one_in=5))
    failed = next(run.run_id for run in project.left().runs["orders"] if run.status == "failed")
    occurrences = rows(project, FindingOccurrence)
    assert NULLS in found(project)
    assert not any(failed in each.details.get("baseline_runs", ()) for each in occurrences)


@pytest.mark.parametrize("broken", ["_comparison", "record"])
def test_a_comparison_that_goes_wrong_never_costs_the_run(
    project_on_both: Project, monkeypatch: pytest.MonkeyPatch, broken: str, calm: Calm
) -> None:
    project = calm(project_on_both, "orders")

    def fail(*arguments: object, **more: object) -> None:
        raise ZeroDivisionError("odd numbers")

    monkeypatch.setattr(comparing, broken, fail)
    tick(project, 5, table("orders", one_in=5))
    last = project.left().runs["orders"][-1]
    assert (last.status, last.has_drift, last.row_count) == ("success", False, 4000)
    assert last.scope_detail["drift_error"].endswith("ZeroDivisionError: odd numbers")
    assert project.left().is_whole and found(project) == {}
    monkeypatch.undo()
    tick(project, 6, table("orders", one_in=5))
    assert NULLS in found(project)


def test_a_database_that_refuses_a_finding_still_takes_the_run(project_on_both: Project, calm: Calm) -> None:
    project = calm(project_on_both, "orders")
    with project.storage() as storage, storage.begin() as session:
        session.execute(sa.text("ALTER TABLE profilemesh_occurrences RENAME TO elsewhere"))
    tick(project, 5, table("orders", one_in=5))
    assert project.left().statuses("orders")[-1] == "success"
    assert "could not be stored" in project.left().runs["orders"][-1].scope_detail["drift_error"]
    assert found(project) == {} and drift(project) == []


def test_runs_of_before_there_were_numbers_are_compared_by_their_metrics(project_on_both: Project, calm: Calm) -> None:
    project = calm(project_on_both, "orders")
    with project.storage() as storage, storage.begin() as session:
        session.execute(sa.delete(ProfileNumbers))
    tick(project, 5, table("orders", one_in=5))
    finding = found(project)[NULLS]
    [occurrence] = rows(project, FindingOccurrence, FindingOccurrence.finding_id == finding.finding_id)
    assert len(occurrence.details["baseline_runs"]) == 5


def test_a_changed_schema_is_found_against_the_run_before(project_on_both: Project, calm: Calm) -> None:
    project = calm(project_on_both, "orders", days=2)
    assert drift(project) == []
    tick(project, 2, "ALTER TABLE orders ADD COLUMN note VARCHAR", "ALTER TABLE orders ALTER v TYPE VARCHAR")
    assert {key[1:]: each.kind for key, each in found(project).items()} == {
        ("note", "added"): "schema",
        ("v", "retyped"): "schema",
    }
    assert {(each.event_type, each.metric_name) for each in drift(project)} == {("SchemaChangeDetected", "schema")}
    assert project.left().runs["orders"][-1].has_drift
    tick(project, 3, force=True)
    tick(project, 4, force=True)
    assert {each.state for each in found(project).values()} == {"resolved"}


def test_an_expected_period_is_silent_and_no_baseline(project: Project, calm: Calm) -> None:
    calm(project, "orders")
    period = ExpectedPeriod(START + timedelta(days=4.5), START + timedelta(days=5.5), note="campaign")
    project.drift["expected"] = (period,)
    tick(project, 5, table("orders", one_in=5))
    assert (found(project)[NULLS].state, drift(project)) == ("expected", [])
    assert not project.left().runs["orders"][-1].has_drift
    tick(project, 6, table("orders", one_in=5))
    assert found(project)[NULLS].state == "open"


def test_a_pinned_run_is_the_baseline_however_old(project: Project, calm: Calm) -> None:
    calm(project, "orders", days=3)
    pinned = project.left().runs["orders"][0].run_id
    project.drift["rules"] = (DriftRule(table="orders", pinned_run=pinned),)
    tick(project, 200, table("orders", one_in=5))
    [occurrence] = [each for each in rows(project, FindingOccurrence) if "null share" in each.sentence]
    assert (occurrence.details["baseline"], occurrence.details["baseline_runs"]) == ("pinned", [pinned])


def test_drift_that_is_switched_off_finds_nothing_and_keeps_the_numbers(project: Project, calm: Calm) -> None:
    project.drift["enabled"] = False
    calm(project, "orders")
    tick(project, 5, table("orders", one_in=5))
    assert (found(project), len(rows(project, ProfileNumbers))) == ({}, 6)


def test_owners_come_from_the_table_s_own_entry(project: Project, calm: Calm) -> None:
    project.profiling["tables"] = (TableRule(table="*", owner="data"), TableRule(table="orders", owner="sales"))
    calm(project, "orders", "others")
    tick(project, 5, table("orders", one_in=5), table("others", one_in=5))
    assert {key[0]: each.owner for key, each in found(project).items()} == {"orders": "sales", "others": "data"}


def test_what_becomes_sensitive_is_forgotten_in_findings_too(project: Project) -> None:
    for day in range(5):
        tick(
            project,
            day,
            f"CREATE OR REPLACE TABLE t AS SELECT 'v' || (i % 3) AS kind, {day} AS n FROM range(3000) r(i)",
        )
    tick(project, 5, "CREATE OR REPLACE TABLE t AS SELECT 'secret' AS kind, 5 AS n FROM range(3000) r(i)")
    finding = found(project)["t", "kind", "distribution"]
    assert "'secret'" in finding.sentence or "v" in finding.sentence
    project.profiling["tables"] = (TableRule(columns=ColumnRule(sensitive=("kind",))),)
    tick(project, 6, "INSERT INTO t SELECT 'secret', 6 FROM range(10)")
    told = [each.sentence for each in (*rows(project, StoredFinding), *rows(project, FindingOccurrence))]
    told += [json.dumps(each.details) for each in rows(project, FindingOccurrence)]
    told += [each.details or "" for each in drift(project)]
    told += [repr(dict(profiles.unpacked(each.payload)[1])) for each in rows(project, ProfileNumbers)]
    assert not any("secret" in each or "'v" in each for each in told)


def daily(project: Project, days: int) -> None:
    for day in range(days):
        tick(project, day, table("orders", n=3000 + day))


def test_data_that_stands_still_too_long_is_found_once_attached_to_the_last_run(project_on_both: Project) -> None:
    project = project_on_both
    daily(project, 13)
    tick(project, 13)
    assert found(project) == {}
    for day in (14, 15, 16, 17, 18):
        tick(project, day)
    finding = found(project)["orders", "", "freshness"]
    last = project.left().runs["orders"][-1]
    assert (finding.state, finding.last_run_id, finding.occurrences) == ("open", last.run_id, 1)
    assert [(each.run_id, each.metric_name) for each in drift(project)] == [(last.run_id, "freshness")]
    assert last.has_drift
    tick(project, 19, table("orders", n=3019))
    assert found(project)["orders", "", "freshness"].state == "resolved"


def statements(project: Project, run: Callable[[], object]) -> int:
    sent: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        # Progress is told every second, however many that are.
        if any(f"profilemesh_{noun}" in statement for noun in ("profile_numbers", "summaries", "findings", "results")):
            sent.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        run()
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
    return len(sent)


def test_comparing_takes_as_many_statements_for_a_long_history_as_for_a_short_one(project: Project, calm: Calm) -> None:
    calm(project, "orders", days=2)
    few = statements(project, lambda: tick(project, 2, table("orders", n=4002)))
    for day in range(3, 12):
        tick(project, day, table("orders", n=4000 + day))
    many = statements(project, lambda: tick(project, 12, table("orders", n=4012)))
    assert many == few
