"""What the statistical strategy compares of a column: one row per measure, each named as its metric is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from profilemesh.drift.profiles import number

Metrics = Mapping[str, Any]
Read = Callable[[Metrics], float | None]


@dataclass(frozen=True, slots=True)
class Measure:
    """`ladder` is the key of its thresholds, `whole` the number of rows or values that a share is of."""

    name: str
    label: str
    ladder: str
    read: Read
    whole: Read = lambda metrics: None


def rows(metrics: Metrics) -> float | None:
    return number(metrics.get("count"))


def present(metrics: Metrics) -> float | None:
    """Values that are not NULL."""
    count, nulls = rows(metrics), nulls_in(metrics)
    return None if count is None or nulls is None else count - nulls


def nulls_in(metrics: Metrics) -> float | None:
    found = number(metrics.get("null_count"))
    share, count = number(metrics.get("null_percent")), rows(metrics)
    if found is None and share is not None and count is not None:
        return share * count / 100.0
    return found


def _of(name: str) -> Read:
    return lambda metrics: number(metrics.get(name))


def _share(count: Read, whole: Read) -> Read:
    """In percent; unknown of nothing."""

    def read(metrics: Metrics) -> float | None:
        part, all_ = count(metrics), whole(metrics)
        return None if part is None or not all_ else 100.0 * part / all_

    return read


def _null_share(metrics: Metrics) -> float | None:
    found = number(metrics.get("null_percent"))
    return _share(nulls_in, rows)(metrics) if found is None else found


def _counted(name: str, label: str, ladder: str, whole: Read = present) -> Measure:
    return Measure(f"{name}_percent", label, ladder, _share(_of(f"{name}_count"), whole), whole)


SHARES = (
    Measure("null_percent", "null share", "shares", _null_share, rows),
    _counted("invalid", "share of invalid values", "shares", rows),
    _counted("blank", "share of blanks", "shares"),
    _counted("nan", "share of NaN", "shares"),
    _counted("infinite", "share of infinite values", "shares"),
    _counted("zero", "share of zeros", "value_shares"),
    _counted("negative", "share of negative values", "value_shares"),
    _counted("true", "share of true", "value_shares"),
)
DISTINCT = Measure("distinct_count", "number of distinct values", "counts", _of("distinct_count"))
MEAN = Measure("mean", "mean", "means", _of("mean"))
DEVIATION = Measure("stddev", "standard deviation", "deviations", _of("stddev"))
LENGTH = Measure("avg_length", "mean length", "lengths", _of("avg_length"))
EXTREMES = (
    Measure("min", "minimum", "extremes", _of("min")),
    Measure("max", "maximum", "extremes", _of("max")),
)
ROWS = Measure("row_count", "row count", "rows", _of("row_count"))
FRESHNESS = Measure("freshness", "freshness", "freshness", _of("freshness"))
DISTRIBUTION = "distribution"
SCHEMA = "schema"
LABELS = {each.name: each.label for each in (*SHARES, DISTINCT, MEAN, DEVIATION, LENGTH, *EXTREMES, ROWS)}


def is_identifier(metrics: Metrics) -> bool:
    """Whether an integer column numbers its rows: nearly all are different (within the estimate's error), and dense."""
    values, distinct = present(metrics), number(metrics.get("distinct_count"))
    low, high = number(metrics.get("min")), number(metrics.get("max"))
    if not values or values < 20 or distinct is None or low is None or high is None:
        return False
    return distinct >= 0.95 * values and high - low + 1 <= 20 * values


def is_running(highest: Sequence[float | None]) -> bool:
    """Whether a column's maximum rose in nearly every run, as that of a running number does."""
    known = [value for value in highest if value is not None]
    steps = [after > before for before, after in zip(known, known[1:], strict=False)]
    return len(steps) >= 4 and sum(steps) >= 0.8 * len(steps)
