"""Row counts against what the table usually brings, and data that stands still."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from profilemesh.config.model import DriftRule, ExpectedPeriod, Thresholds
from profilemesh.drift import Finding, Rules, freshness
from tests.engine.drift.made import DAY, MONDAY, ORDERS, found, numbers, rules


def judged(past: Sequence[int | None], now: int | None, by: Rules | None = None, **more: str) -> Finding | None:
    history = [numbers(day, rows=rows) for day, rows in enumerate(past)]
    findings = found(numbers(len(past), rows=now, **more), *history, by=by)
    assert len(findings) <= 1
    return findings[0] if findings else None


def severity(past: Sequence[int | None], now: int | None, **more: str) -> str | None:
    finding = judged(past, now, **more)
    return finding.severity if finding else None


STEADY = [1000, 1010, 990, 1005, 995, 1000, 1008, 992, 1001, 1003]
LEVEL = [1000, 990, 1010, 995, 1005, 600, 500] * 4
GROWING = [10_000 + 100 * day + day % 3 for day in range(12)]


@pytest.mark.parametrize(
    ("past", "now", "expected"),
    [
        ([], 5, None),
        ([1000], 1000, None),
        ([1000], 1100, None),
        ([1000], 800, None),
        ([1000], 500, "high"),
        ([1000], 600, "medium"),
        ([1000], 0, "high"),
        ([1000], None, None),
        ([None], 1000, None),
        ([0], 0, None),
        ([0], 40, "medium"),
        ([0], 100_000, "high"),
        (STEADY, 1004, None),
        (STEADY, 900, "low"),
        (STEADY, 700, "medium"),
        (STEADY, 2000, "high"),
        (STEADY, 0, "high"),
    ],
)
def test_levels(past: list[int | None], now: int | None, expected: str | None) -> None:
    assert severity(past, now) == expected


def test_each_weekday_has_its_level() -> None:
    assert severity(LEVEL, 1002) is None
    assert severity(LEVEL[:-1], 505) is None
    assert severity(LEVEL[:-1], 1000) == "high"
    assert severity(LEVEL, 600) == "medium"


def test_a_second_weekend_is_no_news() -> None:
    assert severity(LEVEL[:12], 605) is None
    assert severity(LEVEL[:13], 495) is None


def test_a_growing_table_is_expected_to_grow() -> None:
    assert severity(GROWING, GROWING[-1] + 100) is None
    assert severity([*GROWING, GROWING[-1] + 101], GROWING[-1] + 202) is None
    finding = judged(GROWING, GROWING[-1])
    assert finding is not None
    assert finding.severity == "high"
    assert finding.sentence == "0 rows came to orders where about 101 usually come (-100 %)"
    assert finding.baseline_value == GROWING[-1] + 101


def test_a_growing_table_that_lost_half_of_its_rows() -> None:
    finding = judged(GROWING, 5_500)
    assert finding is not None
    assert finding.severity == "high"
    assert finding.direction == "down"


def test_a_run_that_was_missed_doubles_what_is_expected() -> None:
    history = [numbers(day, rows=rows) for day, rows in enumerate(GROWING)]
    assert found(numbers(13, rows=GROWING[-1] + 200), *history) == []


def test_a_trickle_has_no_pace() -> None:
    trickle = [100, 101, 101, 103, 104, 104, 106, 107, 109, 110]
    assert severity(trickle, 110) is None
    assert severity(trickle, 114) is None


def test_the_rows_of_a_sample_are_unknown() -> None:
    history = [numbers(0, rows=None, scope="sample")]
    assert found(numbers(1, rows=None, scope="sample"), *history) == []


def test_rules_decide() -> None:
    assert judged(STEADY, 500, rules(direction="up")) is None
    assert judged(STEADY, 500, rules(DriftRule(metric="row_count", enabled=False))) is None
    assert judged(STEADY, 500, rules(enabled=False)) is None
    finding = judged(STEADY, 900, rules(DriftRule(table="orders", metric="row_*", thresholds=Thresholds(1, 2, 3))))
    assert finding is not None and finding.severity == "high"


def test_a_pinned_run_is_the_baseline() -> None:
    finding = judged(STEADY, 1100, rules(DriftRule(pinned_run="run-1")))
    assert finding is not None
    assert (finding.baseline, finding.baseline_runs) == ("pinned", ("run-1",))
    assert finding.change_percent == pytest.approx(100 * 90 / 1010)
    assert judged(STEADY, 2000, rules(DriftRule(pinned_run="gone"))) is None


HOURLY = [MONDAY + timedelta(hours=hour) for hour in range(30)]


@pytest.mark.parametrize(("hours", "expected"), [(0.5, None), (1.2, None), (1.6, "low"), (4, "medium"), (7, "high")])
def test_data_that_stands_still(hours: float, expected: str | None) -> None:
    finding = freshness(ORDERS, HOURLY, HOURLY[-1] + timedelta(hours=hours), rules())
    assert (finding and finding.severity) == expected


def test_the_longest_usual_pause_counts() -> None:
    nightly = [MONDAY + day * DAY + timedelta(hours=hour) for day in range(5) for hour in range(0, 10, 2)]
    assert freshness(ORDERS, nightly, nightly[-1] + timedelta(hours=17), rules()) is None
    late = freshness(ORDERS, nightly, nightly[-1] + timedelta(hours=30), rules())
    assert late is not None
    assert late.sentence == (
        "orders has not changed for 30 hours, since 2026-11-06 13:00 UTC; usually it does within 16 hours"
    )
    assert (late.kind, late.metric, late.column) == ("freshness", "freshness", "")


def test_one_outage_does_not_become_the_habit() -> None:
    changes = [*HOURLY, *(HOURLY[-1] + timedelta(hours=40 + hour) for hour in range(30))]
    late = freshness(ORDERS, changes, changes[-1] + timedelta(hours=8), rules())
    assert late is not None and late.severity == "high"


def test_without_a_habit_nothing_is_late() -> None:
    for changes in ([], HOURLY[:1], HOURLY[:10]):
        assert freshness(ORDERS, changes, HOURLY[-1] + 90 * DAY, rules()) is None
    assert freshness(ORDERS, HOURLY, HOURLY[-1] + 9 * DAY, rules(DriftRule(metric="freshness", enabled=False))) is None


def test_pauses_of_expected_times_do_not_count() -> None:
    period = ExpectedPeriod(HOURLY[-1], HOURLY[-1] + 2 * DAY)
    by = rules(expected=(period,))
    late = freshness(ORDERS, HOURLY, HOURLY[-1] + DAY, by)
    assert late is not None and late.is_expected
