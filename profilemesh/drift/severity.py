"""The one ladder, and what stands on it: how large a change is, in the unit of what changed.

Unknown is never drift: an effect that hangs on an unknown value is None. From zero to x is drift by the size of x.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import fmean, stdev

from profilemesh.config.model import Direction, Thresholds
from profilemesh.drift.findings import Severity, Unit
from profilemesh.drift.numbers import Number, number


@dataclass(frozen=True, slots=True)
class Effect:
    """Signed; infinite where something moved that never did."""

    size: float
    unit: Unit

    @property
    def finite(self) -> float | None:
        return self.size if math.isfinite(self.size) else None

    @property
    def direction(self) -> str:
        return "up" if self.size > 0 else "down"


def severity_of(effect: float | None, ladder: Thresholds, direction: Direction = "both") -> Severity | None:
    """The step that the effect reaches; None below the lowest, in the other direction, and for the unknown."""
    if effect is None or math.isnan(effect) or effect == 0:
        return None
    if direction != "both" and (effect > 0) != (direction == "up"):
        return None
    size = abs(effect)
    for severity in (Severity.HIGH, Severity.MEDIUM, Severity.LOW):
        if size >= getattr(ladder, severity):
            return severity
    return None


def change_percent(before: Number | None, now: Number | None) -> float | None:
    """Of the earlier value's size; None where that is 0 or one of the two is unknown."""
    was, is_ = number(before), number(now)
    if was is None or is_ is None or was == 0:
        return None
    if isinstance(before, Decimal) and isinstance(now, Decimal):
        return number((now - before) / abs(before) * 100)
    return number((is_ - was) / abs(was) * 100.0)


def percent(before: Number | None, now: Number | None) -> Effect | None:
    """In percent of the earlier value; from 0 on, the value itself."""
    was, is_ = number(before), number(now)
    if was is None or is_ is None:
        return None
    if was == 0:
        return Effect(is_, Unit.ABSOLUTE)
    changed = change_percent(before, now)
    return None if changed is None else Effect(changed, Unit.PERCENT)


def points(before: Number | None, now: Number | None) -> Effect | None:
    """Of a share in percent, in points."""
    was, is_ = number(before), number(now)
    return None if was is None or is_ is None else Effect(is_ - was, Unit.POINTS)


def deviations(before: Number | None, now: Number | None, deviation: Number | None) -> Effect | None:
    """Of a mean, in standard deviations of the column as it was; a constant that is another one is infinitely far."""
    was, is_, scale = number(before), number(now), number(deviation)
    if was is None or is_ is None or scale is None:
        return None
    return Effect(_ratio(is_ - was, scale), Unit.DEVIATIONS)


def beyond(low: float, high: float, value: float) -> Effect:
    """How far outside [low, high], in its width; of a constant, in its size."""
    over = max(value - high, 0.0) + min(value - low, 0.0)
    return Effect(_ratio(over, (high - low) or abs(high)), Unit.RANGES)


def from_history(values: Sequence[float], now: Number | None) -> Effect | None:
    """In standard deviations (n - 1) of the metric's own history about its mean; None below three values."""
    is_ = number(now)
    if is_ is None or len(values) < 3:
        return None
    return Effect(_ratio(is_ - fmean(values), stdev(values)), Unit.HISTORY)


def _ratio(difference: float, scale: float) -> float:
    # What is left of equal values after their mean was taken is no difference.
    if abs(difference) <= 1e-12 * abs(scale) or difference == 0:
        return 0.0
    return difference / scale if scale > 0 else math.copysign(math.inf, difference)
