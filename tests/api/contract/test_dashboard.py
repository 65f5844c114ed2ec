"""Every number of the dashboard, computed from the rows once more."""

from typing import Any

import pytest

from tests.api.contract.shapes import ALERT, DASHBOARD, KPI, POINT, RUN, all_misfits, misfits
from tests.api.contract.world import GOOD, Ran, World, daily, points

ASKED = [
    {"days": 7},
    {"days": 30},
    {"days": 90},
    {"days": 30, "warehouse": "shop"},
    {"days": 30, "warehouse": "postgres"},
    {"days": 7, "warehouse": "unknown"},
    {"days": 30, "warehouse": "nowhere"},
    {"days": 3650},
]


@pytest.fixture(params=ASKED, ids=lambda query: "-".join(map(str, query.values())))
def query(request: pytest.FixtureRequest) -> dict[str, Any]:
    found: dict[str, Any] = request.param
    return found


def dashboard(world: World, query: dict[str, Any]) -> Any:
    return world.json("/api/dashboard/metrics", query)


def test_every_field_is_there(world: World, query: dict[str, Any]) -> None:
    found = dashboard(world, query)
    assert misfits(found, DASHBOARD) == []
    for name, shape in (
        ("kpis", KPI),
        ("run_trend", POINT),
        ("drift_trend", POINT),
        ("recent_runs", RUN),
        ("recent_drift", ALERT),
    ):
        assert all_misfits(found[name], shape) == [], name
    assert all(type(count) is int for count in found["warehouse_breakdown"].values())


def test_totals(world: World, query: dict[str, Any]) -> None:
    found, runs = dashboard(world, query), world.recent(**query)
    assert found["total_runs"] == len(runs)
    assert found["total_tables"] == len({run.place for run in runs})
    assert found["total_drift_events"] == len(world.drifts(**query))


def test_the_average_is_of_the_runs_that_counted_rows(world: World, query: dict[str, Any]) -> None:
    counted = [run.rows for run in world.recent(**query) if run.rows is not None]
    assert dashboard(world, query)["avg_row_count"] == pytest.approx(sum(counted) / len(counted) if counted else 0)


def test_runs_by_type_of_warehouse(world: World, query: dict[str, Any]) -> None:
    found, runs = dashboard(world, query)["warehouse_breakdown"], world.recent(**query)
    assert found == {type_: sum(run.type == type_ for run in runs) for type_ in {run.type for run in runs}}


def test_a_trend_has_a_point_for_every_day(world: World, query: dict[str, Any]) -> None:
    found = dashboard(world, query)
    runs = [run.at for run in world.recent(**query)]
    drifts = [event.at for event in world.drifts(**query)]
    for name, times in (("run_trend", runs), ("drift_trend", drifts)):
        trend = points(found[name])
        # So many days back from now touch one day more of UTC, of which only the end is meant.
        assert len(trend) in (query["days"], query["days"] + 1)
        assert trend == daily(times, len(trend))
        assert sum(count for _, count in trend) == len(times)


def test_the_newest_five(world: World, query: dict[str, Any]) -> None:
    found = dashboard(world, query)
    runs, drifts = world.recent(**query)[:5], world.drifts(**query)[:5]
    assert [(r["run_id"], r["dataset_name"]) for r in found["recent_runs"]] == [(r.run_id, r.table) for r in runs]
    assert [alert["event_id"] for alert in found["recent_drift"]] == [event.event_id for event in drifts]


def test_what_is_recent_is_as_the_lists_have_it(world: World) -> None:
    found = dashboard(world, {"days": 30})
    assert found["recent_runs"] == world.json("/api/runs", {"limit": 5})
    assert found["recent_drift"] == world.json("/api/drift", {"limit": 5})


def test_thirty_days_unless_asked_otherwise(world: World) -> None:
    assert world.json("/api/dashboard/metrics") == dashboard(world, {"days": 30})
    assert world.json("/api/dashboard/metrics", "warehouse=&colour=blue") == dashboard(world, {"days": 30})


def test_the_figures_are_compared_with_the_period_before(world: World, query: dict[str, Any]) -> None:
    kpis = {kpi["name"]: kpi for kpi in dashboard(world, query)["kpis"]}
    now, before = world.recent(**query), world.recent(**query, back=query["days"])
    figures = {
        "Runs": (len(now), len(before)),
        "Tables": (len({run.place for run in now}), len({run.place for run in before})),
        "Drift events": (len(world.drifts(**query)), len(world.drifts(**query, back=query["days"]))),
        "Average rows": (average(now), average(before)),
        "Success rate (%)": (success(now), success(before)),
    }
    assert kpis.keys() == figures.keys()
    for name, (value, earlier) in figures.items():
        assert is_close(kpis[name]["value"], value), (name, value)
        change = None if value is None or not earlier else 100 * (value - earlier) / earlier
        assert kpis[name]["change_percent"] == (None if change is None else pytest.approx(change)), (name, earlier)
        moved = 0 if None in (value, earlier) else (value or 0) - (earlier or 0)
        assert kpis[name]["trend"] == ("up" if moved > 0 else "down" if moved < 0 else "stable"), name


def average(runs: list[Ran]) -> float | None:
    counted = [run.rows for run in runs if run.rows is not None]
    return sum(counted) / len(counted) if counted else None


def success(runs: list[Ran]) -> float | None:
    ended = [run for run in runs if run.status != "running"]
    return 100 * sum(run.status in GOOD for run in ended) / len(ended) if ended else None


def is_close(found: Any, value: float | None) -> bool:
    return isinstance(found, str) if value is None else abs(found - value) <= 0.005


def test_nothing_is_zeros_and_not_an_error(small: World) -> None:
    found = dashboard(small, {"days": 7})
    assert misfits(found, DASHBOARD) == []
    assert (found["total_runs"], found["total_tables"], found["total_drift_events"]) == (0, 0, 0)
    assert (found["avg_row_count"], found["warehouse_breakdown"]) == (0, {})
    assert points(found["run_trend"]) == points(found["drift_trend"]) == daily([], len(found["run_trend"]))
    assert all_misfits(found["kpis"], KPI) == []


def test_only_failures_have_no_average(small: World) -> None:
    small.run("f", status="failed")
    small.session.commit()
    assert dashboard(small, {"days": 7})["avg_row_count"] == 0


def test_warehouses_are_those_that_have_runs(world: World) -> None:
    found = world.json("/api/warehouses")
    assert list(found) == ["warehouses"]
    assert len(found["warehouses"]) == len(set(found["warehouses"]))
    assert {run.type for run in world.runs} == set(found["warehouses"])
