import math
from typing import Any

import pytest

from tests.api.contract.shapes import ALERT, all_misfits, moment
from tests.api.contract.world import SEVERITIES, Drifted, World

FAR = {"limit": 1000, "days": 3650}


def ids(found: list[dict[str, Any]]) -> list[str]:
    return [alert["event_id"] for alert in found]


def as_stored(event: Drifted) -> dict[str, Any]:
    """What the contract makes of an event, severity aside."""
    told = {
        "event_id": event.event_id,
        "run_id": event.run_id or "",
        "table_name": event.table,
        "column_name": event.column,
        "metric_name": event.metric or "schema",
        "baseline_value": finite(event.baseline),
        "current_value": finite(event.current),
        "warehouse_type": event.type,
    }
    change = finite(event.change)
    return told | ({} if change is None else {"change_percent": change})


def finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


def test_every_alert_has_every_field(world: World) -> None:
    assert all_misfits(world.json("/api/drift", FAR), ALERT) == []


@pytest.mark.parametrize("days", [1, 7, 30, 90, 3650])
def test_the_list_is_what_was_stored(world: World, days: int) -> None:
    answer = world.get("/api/drift", {"days": days, "limit": 1000})
    wanted = world.drifts(days)
    assert ids(answer.json) == [event.event_id for event in wanted]
    assert answer.headers["X-Total-Count"] == str(len(wanted))
    for found, event in zip(answer.json, wanted, strict=True):
        told = as_stored(event)
        assert {name: found[name] for name in told} == told
        assert moment(found["timestamp"]) == event.at


def test_a_change_that_is_unknown_is_left_out_and_not_null(world: World) -> None:
    for alert in world.json("/api/drift", FAR):
        change = next(event.change for event in world.events if event.event_id == alert["event_id"])
        assert ("change_percent" in alert) is (finite(change) is not None)


def test_a_change_of_schema_has_no_values(world: World) -> None:
    changes = [alert for alert in world.json("/api/drift", FAR) if alert["metric_name"] == "schema"]
    assert len(changes) == sum(event.event_type == "SchemaChangeDetected" for event in world.events)
    assert all((alert["baseline_value"], alert["current_value"]) == (None, None) for alert in changes)


def test_what_is_no_drift_is_not_listed(world: World) -> None:
    others = {event.event_id for event in world.events if not event.is_drift}
    assert others and others.isdisjoint(ids(world.json("/api/drift", FAR)))


def test_severities_are_written_small(world: World) -> None:
    stored = {event.event_id: event.severity for event in world.events}
    for alert in world.json("/api/drift", FAR):
        severity = stored[alert["event_id"]]
        assert severity is None or alert["severity"] == severity.lower()


def test_the_severities_divide_the_list(world: World) -> None:
    parts = {severity: world.json("/api/drift", {**FAR, "severity": severity}) for severity in SEVERITIES}
    for severity, part in parts.items():
        assert {alert["severity"] for alert in part} == {severity}
    assert sorted(sum(map(ids, parts.values()), [])) == sorted(ids(world.json("/api/drift", FAR)))


@pytest.mark.parametrize("warehouse", ["shop", "duckdb", "postgres", "unknown", "nowhere"])
def test_a_warehouse_is_a_name_or_a_type(world: World, warehouse: str) -> None:
    found = world.json("/api/drift", {**FAR, "warehouse": warehouse})
    assert ids(found) == [event.event_id for event in world.drifts(3650, warehouse)]


@pytest.mark.parametrize("table", ["orders", "customers", "sales", "nope", "ORDERS"])
def test_a_table_is_meant_by_its_bare_name(world: World, table: str) -> None:
    found = world.json("/api/drift", {**FAR, "table": table})
    assert ids(found) == [event.event_id for event in world.drifts(3650) if event.table == table]


def test_filters_narrow_together(world: World) -> None:
    found = world.json("/api/drift", {"table": "orders", "severity": "high", "days": 7, "warehouse": "duckdb"})
    wanted = [e for e in world.drifts(7) if e.table == "orders" and (e.severity or "").lower() == "high"]
    assert ids(found) == [event.event_id for event in wanted] and found


@pytest.mark.parametrize("query", ["warehouse=", "table=", "severity=", "colour=blue"])
def test_an_empty_filter_is_none_and_a_strange_one_is_ignored(world: World, query: str) -> None:
    assert world.get("/api/drift", query).headers["X-Total-Count"] == str(len(world.drifts(30)))


def test_runs_with_drift_say_so(world: World) -> None:
    found = {run["run_id"] for run in world.json("/api/runs", FAR) if run["has_drift"]}
    assert found == {run.run_id for run in world.runs if run.has_drift}
