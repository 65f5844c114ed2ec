"""What the statistical strategy compares of a column: one row per measure, each named as its metric is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from profilemesh.drift.numbers import Series, number

Metrics = Mapping[str, Any]
Read = Callable[[Metrics], float | None]
Formula = Callable[..., float | None]


@dataclass(frozen=True, slots=True)
class Measure:
    """`parts` are the metrics it is made of, by `formula` where there are several. `ladder` is the key of its
    thresholds, `whole` the number of rows or values that a share is of."""

    name: str
    label: str
    ladder: str
    parts: tuple[str, ...]
    formula: Formula | None = None
    whole: Read = lambda metrics: None

    def read(self, metrics: Metrics) -> float | None:
        values = [number(metrics.get(part)) for part in self.parts]
        return self.formula(*values) if self.formula else values[0]

    def series(self, past: Series, column: str) -> list[float | None]:
        """In each of these runs."""
        values = [past.of(column, part) for part in self.parts]
        return list(map(self.formula, *values)) if self.formula else values[0]


def rows(metrics: Metrics) -> float | None:
    return number(metrics.get("count"))


def present(metrics: Metrics) -> float | None:
    """Values that are not NULL."""
    return _present(*(number(metrics.get(part)) for part in _PRESENT))


_PRESENT = ("count", "null_count", "null_percent")


def _present(count: float | None, nulls: float | None, null_percent: float | None) -> float | None:
    nulls = _nulls(count, nulls, null_percent)
    return None if count is None or nulls is None else count - nulls


def _nulls(count: float | None, nulls: float | None, null_percent: float | None) -> float | None:
    if nulls is None and null_percent is not None and count is not None:
        return null_percent * count / 100.0
    return nulls


def _share(part: float | None, whole: float | None) -> float | None:
    """In percent; unknown of nothing."""
    return None if part is None or not whole else 100.0 * part / whole


def _null_share(count: float | None, nulls: float | None, null_percent: float | None) -> float | None:
    return _share(nulls, count) if null_percent is None else null_percent


def _share_of_present(
    part: float | None, count: float | None, nulls: float | None, null_percent: float | None
) -> float | None:
    return None if part is None else _share(part, _present(count, nulls, null_percent))


def _of_rows(name: str, label: str) -> Measure:
    return Measure(f"{name}_percent", label, "shares", (f"{name}_count", "count"), _share, rows)


def _of_present(name: str, label: str, ladder: str) -> Measure:
    return Measure(f"{name}_percent", label, ladder, (f"{name}_count", *_PRESENT), _share_of_present, present)


SHARES = (
    Measure("null_percent", "null share", "shares", _PRESENT, _null_share, rows),
    _of_rows("invalid", "share of invalid values"),
    _of_present("blank", "share of blanks", "shares"),
    _of_present("nan", "share of NaN", "shares"),
    _of_present("infinite", "share of infinite values", "shares"),
    _of_present("zero", "share of zeros", "value_shares"),
    _of_present("negative", "share of negative values", "value_shares"),
    _of_present("true", "share of true", "value_shares"),
)
DISTINCT = Measure("distinct_count", "number of distinct values", "counts", ("distinct_count",))
MEAN = Measure("mean", "mean", "means", ("mean",))
DEVIATION = Measure("stddev", "standard deviation", "deviations", ("stddev",))
LENGTH = Measure("avg_length", "mean length", "lengths", ("avg_length",))
EXTREMES = (
    Measure("min", "minimum", "extremes", ("min",)),
    Measure("max", "maximum", "extremes", ("max",)),
)
ROWS = Measure("row_count", "row count", "rows", ("row_count",))
FRESHNESS = Measure("freshness", "freshness", "freshness", ("freshness",))
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
