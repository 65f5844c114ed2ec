"""The ladder, and the effects that stand on it: zero, unknown and Decimal among them."""

import math
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profilemesh.config.model import Thresholds
from profilemesh.drift import severity as s
from profilemesh.drift.findings import Severity, Unit

LADDER = Thresholds(5, 15, 30)


@pytest.mark.parametrize(
    ("effect", "direction", "expected"),
    [
        (None, "both", None),
        (math.nan, "both", None),
        (0.0, "both", None),
        (4.99, "both", None),
        (5.0, "both", "low"),
        (-5.0, "both", "low"),
        (15.0, "both", "medium"),
        (29.9, "both", "medium"),
        (-30.0, "both", "high"),
        (math.inf, "both", "high"),
        (-math.inf, "both", "high"),
        (40.0, "down", None),
        (-40.0, "down", "high"),
        (40.0, "up", "high"),
        (-40.0, "up", None),
    ],
)
def test_the_ladder(effect: float | None, direction: Any, expected: str | None) -> None:
    assert s.severity_of(effect, LADDER, direction) == expected


def test_nothing_is_no_change_even_where_every_change_counts() -> None:
    assert s.severity_of(0.0, Thresholds(0, 0, 0)) is None
    assert s.severity_of(1e-9, Thresholds(0, 1, 2)) is Severity.LOW


@pytest.mark.parametrize(
    ("before", "now", "size", "unit"),
    [
        (100, 105, 5.0, Unit.PERCENT),
        (-100, -150, -50.0, Unit.PERCENT),
        (D("0.10"), D("0.13"), 30.0, Unit.PERCENT),
        (D("1E+30"), D("2E+30"), 100.0, Unit.PERCENT),
        (0, 7, 7.0, Unit.ABSOLUTE),
        (0.0, -3, -3.0, Unit.ABSOLUTE),
        (D(0), D("0.5"), 0.5, Unit.ABSOLUTE),
        (0, 0, 0.0, Unit.ABSOLUTE),
        (7, 0, -100.0, Unit.PERCENT),
    ],
)
def test_percent(before: Any, now: Any, size: float, unit: Unit) -> None:
    effect = s.percent(before, now)
    assert effect is not None
    assert (effect.size, effect.unit) == (pytest.approx(size), unit)


@pytest.mark.parametrize("unknown", [None, math.nan, math.inf, "12", True, D("NaN"), [1]])
def test_the_unknown_is_no_drift(unknown: Any) -> None:
    assert s.percent(unknown, 5) is s.percent(5, unknown) is None
    assert s.points(unknown, 5) is s.points(5, unknown) is None
    assert s.deviations(unknown, 5, 1) is s.deviations(5, unknown, 1) is s.deviations(5, 6, unknown) is None
    assert s.change_percent(unknown, 5) is s.change_percent(5, unknown) is None
    assert s.from_history([1, 2, 3], unknown) is None


def test_change_percent_of_zero_is_unknown() -> None:
    assert s.change_percent(0, 5) is None
    assert s.change_percent(D(0), D(5)) is None
    assert s.change_percent(D("0.1"), D("0.3")) == 200.0


@pytest.mark.parametrize(
    ("before", "now", "deviation", "size"),
    [(10, 11, 5, 0.2), (10, 9, 5, -0.2), (D(10), D(11), D(5), 0.2), (5, 5, 0, 0.0), (5, 6, 0, math.inf)],
)
def test_means_in_deviations(before: Any, now: Any, deviation: Any, size: float) -> None:
    effect = s.deviations(before, now, deviation)
    assert effect is not None
    assert effect.size == pytest.approx(size)


def test_an_infinite_effect_has_no_number() -> None:
    effect = s.deviations(5, 6, 0)
    assert effect is not None
    assert effect.finite is None


@pytest.mark.parametrize(("value", "size"), [(5, 0.0), (10, 0.0), (0, 0.0), (20, 1.0), (-5, -0.5), (1010, 100.0)])
def test_extremes_in_ranges(value: float, size: float) -> None:
    assert s.beyond(0, 10, value).size == size


def test_beyond_a_constant_in_its_size() -> None:
    assert s.beyond(4, 4, 5).size == 0.25
    assert s.beyond(0, 0, 5).size == math.inf
    assert s.beyond(0, 0, 0).size == 0


@pytest.mark.parametrize(
    ("values", "now", "size"),
    [
        ([10, 10], 50, None),
        ([9, 10, 11], 12, 2.0),
        ([9, 10, 11], 7, -3.0),
        ([5, 5, 5], 5, 0.0),
        ([5, 5, 5], 6, math.inf),
        ([0, 0, 0], 0.1, math.inf),
    ],
)
def test_deviations_of_the_history(values: list[float], now: float, size: float | None) -> None:
    effect = s.from_history(values, now)
    assert (effect and effect.size) == (size if size is None else pytest.approx(size))


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9))
def test_a_way_back_is_as_far_as_the_way_there(before: float, now: float) -> None:
    one, other = s.points(before, now), s.points(now, before)
    assert one is not None and other is not None
    assert s.severity_of(one.size, LADDER) == s.severity_of(other.size, LADDER)
    assert s.severity_of(one.size, LADDER, "up") == s.severity_of(other.size, LADDER, "down")


@given(st.lists(st.floats(0, 100), min_size=3, max_size=3).map(sorted), st.floats(0, 200), st.floats(0, 200))
def test_a_larger_effect_is_never_less_severe(steps: list[float], a: float, b: float) -> None:
    ladder = Thresholds(*steps)
    small, large = (s.severity_of(size, ladder) for size in sorted((a, b)))
    assert (small.rank if small else -1) <= (large.rank if large else -1)
