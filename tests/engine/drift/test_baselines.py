"""Which runs are baselines: strictly before, alike, good, not expected; and how one is chosen among them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profilemesh.config.model import ExpectedPeriod
from profilemesh.drift.baselines import Baseline, Past
from profilemesh.drift.profiles import Profile
from profilemesh.drift.rules import Rules
from tests.engine.drift.made import DAY, MONDAY, numbers, rules


def past(current: Profile, *history: Profile, by: Rules | None = None) -> Past:
    return Past.of(current, history, by or rules())


def ids(found: Past) -> list[str]:
    return [run.run_id for run in found.runs]


def test_runs_are_strictly_before_and_in_order() -> None:
    runs = [numbers(day) for day in (3, 1, 5, 2, 4)]
    assert ids(past(numbers(4, run_id="now"), *runs)) == ["run-1", "run-2", "run-3"]
    assert ids(past(numbers(3), *runs)) == ["run-1", "run-2"]


@pytest.mark.parametrize(
    ("scope", "other", "alike"),
    [
        ("full", "full", True),
        ("full", "merged", True),
        ("merged", "full", True),
        ("sample", "sample", True),
        ("full", "sample", False),
        ("sample", "merged", False),
        ("partial", "full", False),
        ("full", "partial", False),
        ("partial", "partial", False),
        (None, "full", False),
        ("full", None, False),
    ],
)
def test_only_like_scope(scope: str | None, other: str | None, alike: bool) -> None:
    assert bool(past(numbers(1, scope=scope), numbers(0, scope=other)).runs) is alike


@pytest.mark.parametrize("status", ["failed", "running", "skipped", ""])
def test_only_good_runs(status: str) -> None:
    assert not past(numbers(1), numbers(0, status=status)).runs
    assert not past(numbers(1, status=status), numbers(0)).runs
    assert past(numbers(1), numbers(0, status="completed")).runs


def test_expected_runs_and_periods_are_left_out() -> None:
    period = ExpectedPeriod(MONDAY + DAY, MONDAY + 2 * DAY)
    runs = [numbers(0), numbers(1), numbers(2), numbers(3, is_expected=True), numbers(4)]
    assert ids(past(numbers(5), *runs, by=rules(expected=(period,)))) == ["run-0", "run-4"]


def baseline(values: list[float | None], day: int | None = None, **settings: Any) -> Baseline | None:
    runs = [numbers(place) for place in range(len(values))]
    by = rules(**settings)
    found = past(numbers(len(values) if day is None else day), *runs, by=by)
    return found.baseline(by.setting("amount", "mean"), values[: len(found.runs)])


def chosen(values: list[float | None], **settings: Any) -> tuple[str, list[str]]:
    found = baseline(values, **settings)
    assert found is not None
    return found.strategy, list(found.run_ids)


WEEK: list[float | None] = [10, 11, 10, 9, 10, 3, 2]


def test_auto_takes_the_last_run_while_there_are_few() -> None:
    assert chosen([1, 2, 3, 4]) == ("last", ["run-3"])


def test_auto_takes_the_median_of_a_window() -> None:
    assert chosen([float(x % 3) for x in range(20)]) == ("median", [f"run-{x}" for x in range(6, 20)])
    found = baseline([1, 1, 1, 9, 1, 1])
    assert found is not None and found.centre == 1


def test_auto_takes_the_weekday_once_three_weeks_show_a_pattern() -> None:
    assert chosen(WEEK * 4) == ("weekday", ["run-0", "run-7", "run-14", "run-21"])
    assert chosen(WEEK * 2)[0] == "median"
    assert chosen([5.0] * 28)[0] == "median"


def test_the_configuration_chooses() -> None:
    values: list[float | None] = [1, 2, 3, 4, 5, 6, 7, 8]
    assert chosen(values, baseline="last") == ("last", ["run-7"])
    assert chosen(values, baseline="median", window=3) == ("median", ["run-5", "run-6", "run-7"])
    assert chosen(values, baseline="weekday") == ("weekday", ["run-1"])


def test_unknown_values_are_no_baseline() -> None:
    assert chosen([1, 2, None, None]) == ("last", ["run-1"])
    assert baseline([None, None]) is None
    assert baseline([]) is None


def test_a_weekday_never_seen_is_no_baseline() -> None:
    assert baseline([1, 2, 3], baseline="weekday") is None


def test_what_a_metric_is_used_to_is_allowed() -> None:
    steady = baseline([10, 10.1, 9.9, 10, 10.2, 9.8, 10, 10.1])
    jumpy = baseline([10, 14, 7, 12, 6, 13, 9, 11])
    assert steady is not None and jumpy is not None
    assert not steady.allows(14)
    assert jumpy.allows(14)
    assert not jumpy.allows(60)


def test_one_odd_run_does_not_widen_what_is_usual() -> None:
    found = baseline([10, 10.1, 9.9, 90, 10.2, 9.8, 10, 10.1])
    assert found is not None
    assert not found.allows(14)


def test_a_constant_allows_nothing_and_few_runs_allow_nothing() -> None:
    for values in ([5.0] * 9, [5.0, 6.0]):
        found = baseline(list(values))
        assert found is not None
        assert not found.allows(6.5)


def test_a_weekday_may_be_as_it_was_a_week_ago() -> None:
    found = baseline([*WEEK, 10, 11, 10, 9, 10])
    assert found is not None
    assert found.strategy == "median"
    assert found.allows(3.2)


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), max_size=60), st.integers(1, 30))
def test_a_baseline_is_made_of_known_values_of_earlier_runs(values: list[float | None], window: int) -> None:
    found = baseline(values, window=window)
    if found is None:
        assert not [value for value in values if value is not None]
    else:
        assert found.values
        assert [values[int(run.run_id[4:])] for run in found.runs] == list(found.values)
        assert min(found.values) <= found.centre <= max(found.values)
