"""The catalogue of metrics: one row each. SQL, docs, thresholds, labels and the API read it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from profilemesh.tables import Kind

NUMBERS = frozenset({Kind.INTEGER, Kind.DECIMAL, Kind.FLOAT, Kind.INTERVAL})
TIMES = frozenset({Kind.DATE, Kind.TIMESTAMP})
ORDERED = NUMBERS | TIMES | {Kind.TIME, Kind.TEXT, Kind.UUID}
MEASURED = frozenset({Kind.TEXT, Kind.BYTES, Kind.JSON, Kind.ARRAY})
LISTED = (NUMBERS | TIMES | {Kind.TIME, Kind.TEXT, Kind.BOOLEAN}) - {Kind.INTERVAL}
EVERY = frozenset(Kind)
DISTINCT_ERROR_PERCENT = 4.9
"""Three standard errors of 4,096 registers, 3 * 1.04 / sqrt(4096), in percent."""


class Unit(StrEnum):
    ROWS = "rows"
    VALUES = "values"
    PERCENT = "%"
    VALUE = "the column's own"
    LENGTH = "characters, bytes or elements"
    COUNTS = "a list with counts"


@dataclass(frozen=True)
class Metric:
    """`kinds` is where it exists; `reveals` says that it shows values, so that a sensitive column goes without it;
    `error` is the bound of an estimate in a few words, None where the number is exact."""

    name: str
    label: str
    kinds: frozenset[Kind]
    unit: Unit
    meaning: str
    reveals: bool = False
    error: str | None = None


CATALOGUE: tuple[Metric, ...] = (
    Metric("count", "Rows", EVERY, Unit.ROWS, "All rows of the scope, nulls included."),
    Metric("null_count", "Nulls", EVERY, Unit.ROWS, "Rows in which the column is NULL."),
    Metric("null_percent", "Null share", EVERY, Unit.PERCENT, "Nulls as a share of the rows, 0 to 100."),
    Metric(
        "distinct_count",
        "Distinct",
        EVERY - {Kind.OTHER},
        Unit.VALUES,
        "Different values, NULL aside: counted up to 1,000, estimated beyond.",
        error=f"exact while all values are listed, else {DISTINCT_ERROR_PERCENT} % (three standard errors)",
    ),
    Metric(
        "distinct_percent",
        "Distinct share",
        EVERY - {Kind.OTHER},
        Unit.PERCENT,
        "Distinct values as a share of the values that are not NULL, 0 to 100.",
        error="as the distinct count",
    ),
    Metric("min", "Min", ORDERED, Unit.VALUE, "Smallest value; text by code point; NaN and infinities aside.", True),
    Metric("max", "Max", ORDERED, Unit.VALUE, "Largest value; text by code point; NaN and infinities aside.", True),
    Metric("mean", "Mean", NUMBERS, Unit.VALUE, "Arithmetic mean of the finite values; intervals in seconds.", True),
    Metric("stddev", "Std dev", NUMBERS, Unit.VALUE, "Sample standard deviation (n - 1) of the finite values.", True),
    *(
        Metric(
            name,
            label,
            NUMBERS,
            Unit.VALUE,
            f"The value of lower rank {share} among the finite values.",
            True,
            "1 % of the value; exact while all values are listed",
        )
        for name, label, share in (
            ("p05", "5th percentile", "0.05"),
            ("p25", "25th percentile", "0.25"),
            ("median", "Median", "0.5"),
            ("p75", "75th percentile", "0.75"),
            ("p95", "95th percentile", "0.95"),
        )
    ),
    Metric(
        "histogram",
        "Histogram",
        NUMBERS,
        Unit.COUNTS,
        "Values per bin of equal width between min and max.",
        True,
        "values within 1 % of a bin's edge may stand in its neighbour; exact while all values are listed",
    ),
    Metric(
        "date_histogram",
        "Days",
        TIMES,
        Unit.COUNTS,
        "Values per bin of equal numbers of days (UTC).",
        True,
        "a bin's edge",
    ),
    Metric("min_length", "Shortest", MEASURED, Unit.LENGTH, "Length of the shortest value.", True),
    Metric("max_length", "Longest", MEASURED, Unit.LENGTH, "Length of the longest value.", True),
    Metric("avg_length", "Mean length", MEASURED, Unit.LENGTH, "Mean length of the values.", True),
    Metric("zero_count", "Zeros", NUMBERS, Unit.ROWS, "Values equal to zero."),
    Metric("negative_count", "Negatives", NUMBERS, Unit.ROWS, "Finite values below zero."),
    Metric("blank_count", "Blanks", frozenset({Kind.TEXT}), Unit.ROWS, "Texts that are empty or only white space."),
    Metric("true_count", "True", frozenset({Kind.BOOLEAN}), Unit.ROWS, "Values that are true."),
    Metric("nan_count", "NaN", frozenset({Kind.FLOAT, Kind.DECIMAL}), Unit.ROWS, "Values that are not a number."),
    Metric(
        "infinite_count",
        "Infinite",
        frozenset({Kind.FLOAT, Kind.DECIMAL, Kind.INTERVAL}) | TIMES,
        Unit.ROWS,
        "Values that are infinite, either way.",
    ),
    Metric("invalid_count", "Invalid", EVERY, Unit.ROWS, "Values that are not of the column's declared type (SQLite)."),
    Metric(
        "top_values",
        "Top values",
        LISTED,
        Unit.COUNTS,
        "Every value and its count, while there are at most 1,000.",
        True,
    ),
)

BY_NAME = {metric.name: metric for metric in CATALOGUE}
QUANTILES = {"p05": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95}


def metrics_for(kind: Kind, *, sensitive: bool = False, wanted: Iterable[str] = ()) -> tuple[Metric, ...]:
    """The metrics of a column of this kind, in the catalogue's order; `wanted` empty means all."""
    names = frozenset(wanted) | ({"count"} if wanted else frozenset())
    return tuple(
        metric
        for metric in CATALOGUE
        if kind in metric.kinds and not (sensitive and metric.reveals) and (not names or metric.name in names)
    )
