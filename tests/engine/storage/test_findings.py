"""Findings from run to run: opened, joined, reopened, resolved; their events; what alerts are told."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from profilemesh.drift import Finding, Kind, Severity
from profilemesh.storage import Storage, findings, triage
from profilemesh.storage.findings import Change, Recorded, Seen
from profilemesh.storage.models import Event, FindingOccurrence, Run, StoredFinding
from profilemesh.tables import TableRef
from tests.factories import add_run

TABLE = TableRef("shop", "main", "orders")
START = datetime(2026, 11, 2, 5, tzinfo=UTC)
NULLS = Finding(
    TABLE, Kind.METRIC, "email", "null_percent", Severity.MEDIUM, "null share rose", 0.2, 14.0, 6900.0, 13.8
)
ADDED = Finding(TABLE, Kind.SCHEMA, "note", "added", Severity.LOW, "column note was added")


def run(storage: Storage, day: int, *found: Finding, scope: str = "full", **more: Any) -> Recorded:
    """The run of a day, and what it found."""
    at = START + timedelta(day)
    table = found[0].table if found else TABLE
    seen = Seen(
        table, "production", f"run-{table.name}-{day}", at, scope, frozenset({"email", "total"}), frozenset({"email"})
    )
    seen = replace(seen, **more)
    with storage.begin() as session:
        if session.get(Run, (seen.run_id, table.name)) is None:
            add_run(session, table.name, at=at, run_id=seen.run_id, columns={}, scope=scope)
            session.flush()
        return findings.record(session, seen, found)


def stored(storage: Storage) -> list[StoredFinding]:
    with storage.read() as session:
        return list(session.scalars(sa.select(StoredFinding).order_by(StoredFinding.opened_at)))


def only(storage: Storage) -> StoredFinding:
    [found] = stored(storage)
    return found


def events(storage: Storage) -> list[Event]:
    with storage.read() as session:
        return list(session.scalars(sa.select(Event).order_by(Event.timestamp, Event.event_id)))


def changes(recorded: Recorded) -> list[Change]:
    return [told.change for told in recorded.told]


def test_a_new_fact_opens_a_finding_with_its_occurrence_and_its_event(storage: Storage) -> None:
    recorded = run(storage, 0, NULLS, owner="crm")
    found = only(storage)
    assert (found.state, found.severity, found.owner, found.occurrences) == ("open", "medium", "crm", 1)
    assert [(told.finding_id, told.change) for told in recorded.told] == [(found.finding_id, "opened")]
    assert recorded.has_drift
    [event] = events(storage)
    assert (event.event_type, event.run_id, event.table_name) == ("DataDriftDetected", "run-orders-0", "orders")
    assert (event.column_name, event.metric_name, event.drift_severity) == ("email", "null_percent", "medium")
    assert (event.baseline_value, event.current_value, event.change_percent) == (0.2, 14.0, 6900.0)
    told = json.loads(event.details or "")
    assert (told["finding_id"], told["sentence"], told["kind"]) == (found.finding_id, "null share rose", "metric")
    with storage.read() as session:
        occurrence = session.scalars(sa.select(FindingOccurrence)).one()
    assert (occurrence.event_id, occurrence.details["effect"]) == (event.event_id, 13.8)


def test_a_schema_change_is_an_event_of_its_own_kind(storage: Storage) -> None:
    run(storage, 0, ADDED)
    [event] = events(storage)
    assert (event.event_type, event.metric_name, event.column_name) == ("SchemaChangeDetected", "schema", "note")


def test_saying_it_again_of_the_same_run_changes_nothing(storage: Storage) -> None:
    run(storage, 0, NULLS)
    before = only(storage).occurrences, len(events(storage))
    assert changes(run(storage, 0, NULLS)) == []
    assert (only(storage).occurrences, len(events(storage))) == before
    with storage.begin() as session:
        triage.resolve(session, [only(storage).finding_id], who="ann", now=START)
    run(storage, 0, NULLS)
    assert only(storage).state == "resolved"


def test_the_next_run_joins_and_is_told_only_when_it_is_worse(storage: Storage) -> None:
    run(storage, 0, NULLS)
    assert changes(run(storage, 1, NULLS)) == []
    assert changes(run(storage, 2, replace(NULLS, severity=Severity.HIGH, sentence="it rose more"))) == ["worsened"]
    assert changes(run(storage, 3, replace(NULLS, severity=Severity.LOW))) == []
    found = only(storage)
    assert (found.severity, found.occurrences, len(events(storage))) == ("high", 4, 4)


def test_a_finding_is_of_the_environment_that_saw_it_last(storage: Storage) -> None:
    run(storage, 0, NULLS)
    assert only(storage).environment == "production"
    run(storage, 1, NULLS, environment="staging")
    assert only(storage).environment == "staging"
    run(storage, 2)
    assert only(storage).environment == "staging"


def test_two_quiet_runs_resolve_and_one_does_not(storage: Storage) -> None:
    run(storage, 0, NULLS)
    assert changes(run(storage, 1)) == []
    run(storage, 2, NULLS)
    assert changes(run(storage, 3)) == []
    assert changes(run(storage, 4)) == ["resolved"]
    found = only(storage)
    assert (found.state, found.resolved_at) == ("resolved", START + timedelta(4))
    assert changes(run(storage, 5)) == []


@pytest.mark.parametrize(
    "unlike",
    [
        {"scope": "sample"},
        {"is_compared": False},
        {"known": frozenset({"total"})},
        {"is_run": False},
    ],
)
def test_runs_that_could_not_have_found_it_are_not_quiet(storage: Storage, unlike: dict[str, Any]) -> None:
    run(storage, 0, NULLS)
    for day in (1, 2, 3):
        assert changes(run(storage, day, **unlike)) == []
    assert only(storage).quiet_runs == 0


def test_a_merged_run_is_quiet_for_a_full_one(storage: Storage) -> None:
    run(storage, 0, NULLS)
    run(storage, 1, scope="merged")
    assert changes(run(storage, 2, scope="merged")) == ["resolved"]


def test_what_another_fact_explains_is_not_quiet(storage: Storage) -> None:
    run(storage, 0, NULLS)
    rows = Finding(TABLE, Kind.VOLUME, "", "row_count", Severity.HIGH, "half is gone", explains=(NULLS,))
    run(storage, 1, rows)
    run(storage, 2, rows)
    assert {found.kind: found.state for found in stored(storage)} == {"metric": "open", "volume": "open"}


def test_a_finding_of_a_column_that_is_gone_becomes_quiet(storage: Storage) -> None:
    run(storage, 0, NULLS)
    gone: dict[str, Any] = {"columns": frozenset({"total"}), "known": frozenset({"total"})}
    run(storage, 1, **gone)
    assert changes(run(storage, 2, **gone)) == ["resolved"]


def test_old_data_is_fresh_again_as_soon_as_it_moves(storage: Storage) -> None:
    stale = Finding(TABLE, Kind.FRESHNESS, "", "freshness", Severity.LOW, "has not changed for 3 days")
    run(storage, 0)
    assert changes(run(storage, 0, stale, is_run=False)) == ["opened"]
    worse = replace(stale, severity=Severity.HIGH)
    assert changes(run(storage, 0, worse, is_run=False)) == ["worsened"]
    assert len(events(storage)) == 1
    assert changes(run(storage, 1, has_moved=False)) == []
    assert changes(run(storage, 2, has_moved=True)) == ["resolved"]


def test_what_is_back_within_two_weeks_is_the_same_finding(storage: Storage) -> None:
    run(storage, 0, NULLS)
    run(storage, 1)
    run(storage, 2)
    assert changes(run(storage, 9, NULLS)) == ["reopened"]
    assert (only(storage).state, only(storage).resolved_at) == ("open", None)
    run(storage, 10)
    run(storage, 11)
    assert changes(run(storage, 30, NULLS)) == ["opened"]
    assert [found.state for found in stored(storage)] == ["resolved", "open"]


def test_expected_findings_are_stored_and_silent(storage: Storage) -> None:
    recorded = run(storage, 0, replace(NULLS, is_expected=True))
    assert recorded == Recorded()
    assert (only(storage).state, events(storage)) == ("expected", [])


def test_what_only_a_period_expected_is_open_after_it(storage: Storage) -> None:
    run(storage, 0, replace(NULLS, is_expected=True))
    assert changes(run(storage, 1, NULLS)) == ["reopened"]
    with storage.begin() as session:
        triage.expect(session, [only(storage).finding_id], who="ann", now=START)
    assert run(storage, 2, NULLS) == Recorded()
    assert only(storage).state == "expected"
    run(storage, 3)
    assert changes(run(storage, 4)) == []
    assert only(storage).state == "resolved"


def test_snoozed_findings_wake_when_their_time_is_over_and_they_are_seen(storage: Storage) -> None:
    run(storage, 0, NULLS)
    with storage.begin() as session:
        triage.snooze(session, [only(storage).finding_id], START + timedelta(2), who="ann", now=START)
    recorded = run(storage, 1, replace(NULLS, severity=Severity.HIGH))
    assert (changes(recorded), recorded.has_drift, only(storage).state) == ([], True, "snoozed")
    assert changes(run(storage, 3, NULLS)) == ["reopened"]
    assert (only(storage).state, only(storage).snoozed_until) == ("open", None)


def test_tables_do_not_touch_each_other(storage: Storage) -> None:
    other = replace(NULLS, table=TableRef("shop", "main", "customers"))
    run(storage, 0, NULLS)
    run(storage, 0, other)
    run(storage, 1)
    run(storage, 2)
    assert {found.table_name: found.state for found in stored(storage)} == {"orders": "resolved", "customers": "open"}


def test_hostile_names_and_values_are_kept(storage: Storage) -> None:
    odd = TableRef("shop\0", "ma\ud800in", "or\0ders")
    finding = replace(
        NULLS, table=odd, column="e\0", sentence="a\ud800", details={"moved": {"value": "\0", "x": float("nan")}}
    )
    assert changes(run(storage, 0, finding)) == ["opened"]
    assert changes(run(storage, 1, finding)) == []
    assert only(storage).occurrences == 2
