"""The metrics read off a summary, under the names of the catalogue."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from profilemesh.profiling.metrics import QUANTILES, metrics_for
from profilemesh.profiling.sketches import edges
from profilemesh.profiling.summary import TOP_LIMIT, ColumnSummary, Days, Extremes, Lengths, Moments
from profilemesh.tables import Kind

Value = int | float | Decimal | str | list[dict[str, Any]]

Doubles = npt.NDArray[np.float64]
END_OF_DAY = 86_400_000_000
"""Microseconds: the time 24:00:00, which is not that of the next midnight."""
EXACT_INTEGERS = 50
"""Below it a bucket of the log histogram holds no more than one integer."""


def column_metrics(
    summary: ColumnSummary,
    *,
    bins: int = 10,
    listed: int = TOP_LIMIT,
    sensitive: bool = False,
    wanted: Iterable[str] = (),
) -> dict[str, Value]:
    """Each known metric of a column by name, in the catalogue's order; unknown ones are left out. No bins, no
    histograms; no top values of columns with more than `listed`.

    Counts are integers, shares are 0 to 100, min and max are typed (dates and times as ISO text), lists are
    `{"bin_start", "bin_end", "count"}` or `{"value", "count"}`.
    """
    lengths, moments, extremes = (
        summary.lengths or Lengths(),
        summary.moments or Moments(),
        summary.extremes or Extremes(),
    )
    read: dict[str, Callable[[], Value | None]] = {
        "count": lambda: summary.rows,
        "null_count": lambda: summary.nulls,
        "null_percent": lambda: _percent(summary.nulls, summary.rows),
        "distinct_count": lambda: distinct(summary),
        "distinct_percent": lambda: _percent(distinct(summary), summary.present),
        "min": lambda: _shown(summary, extremes.low),
        "max": lambda: _shown(summary, extremes.high),
        "mean": lambda: moments.mean,
        "stddev": lambda: moments.stddev,
        **{name: lambda q=q: quantile(summary, q) for name, q in QUANTILES.items()},  # type: ignore[misc]
        "histogram": lambda: histogram(summary, bins),
        "date_histogram": lambda: date_histogram(summary, bins),
        "min_length": lambda: lengths.shortest,
        "max_length": lambda: lengths.longest,
        "avg_length": lambda: lengths.mean,
        "zero_count": lambda: summary.zeros,
        "negative_count": lambda: summary.negatives,
        "blank_count": lambda: summary.blanks,
        "true_count": lambda: summary.trues,
        "nan_count": lambda: summary.nans,
        "infinite_count": lambda: summary.infinites,
        "invalid_count": lambda: summary.invalids,
        "top_values": lambda: top_values(summary, listed),
    }
    metrics = metrics_for(summary.kind, sensitive=sensitive, wanted=wanted)
    values = ((metric.name, read[metric.name]()) for metric in metrics)
    return {name: value for name, value in values if value is not None}


def encoded(value: Value) -> tuple[str, float | None]:
    """A value as it is stored: its text, and its number where it is a finite one."""
    if isinstance(value, list):
        return orjson.dumps(value).decode(), None
    if isinstance(value, str):
        return value, None
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    return str(value), number if math.isfinite(number) else None


def distinct(summary: ColumnSummary) -> int | None:
    """Exact while all values are listed, else the estimate, never above the number of values."""
    if summary.top is not None:
        return len(summary.top.counts)
    if summary.registers is None or summary.present is None:
        return None
    return min(round(summary.registers.estimate()), summary.present)


def _percent(part: int | None, whole: int | None) -> float | None:
    return None if part is None or not whole else 100.0 * part / whole


def quantile(summary: ColumnSummary, q: float) -> int | float | Decimal | None:
    """The value of lower rank floor(q * (n - 1)) of the finite numbers: exact while all values are listed, else
    within 1 %."""
    values = _listed_numbers(summary)
    if values:
        ranks = np.cumsum([count for _, count in values])
        rank = math.floor(q * (int(ranks[-1]) - 1))
        return values[int(np.searchsorted(ranks, rank, side="right"))][0]
    value = summary.buckets.quantile(q) if summary.buckets else None
    if value is None or summary.extremes is None or summary.extremes.low is None:
        return None
    if summary.kind is Kind.INTEGER and abs(value) < EXACT_INTEGERS:
        return round(value)
    return min(max(value, float(summary.extremes.low)), float(summary.extremes.high))


def _listed_numbers(summary: ColumnSummary) -> list[tuple[int | float | Decimal, int]]:
    """The finite numbers and their counts in order, where every value is listed; else nothing."""
    if summary.top is None or not summary.kind.is_number:
        return []
    parse: Callable[[str], Any] = {Kind.INTEGER: int, Kind.DECIMAL: Decimal}.get(summary.kind, float)
    numbers = ((parse(text), count) for text, count in summary.top.counts.items())
    return sorted((number, count) for number, count in numbers if math.isfinite(number))


def histogram(summary: ColumnSummary, bins: int) -> list[dict[str, Any]] | None:
    """Counts in `bins` bins of equal width between min and max; their sum is the number of finite values.

    None where an end is a decimal beyond all doubles."""
    if not bins or summary.buckets is None or summary.extremes is None or summary.extremes.low is None:
        return None
    low, high = float(summary.extremes.low), float(summary.extremes.high)
    if math.isinf(low) or math.isinf(high):
        return None
    if low == high or not math.isfinite(high - low):
        return [{"bin_start": low, "bin_end": high, "count": summary.buckets.total}]
    borders = np.linspace(low, high, bins + 1)
    listed = _listed_numbers(summary)
    if listed:
        counts, _ = np.histogram([float(x) for x, _ in listed], borders, weights=[n for _, n in listed])
    else:
        counts = _spread(summary, borders)
    return _bins(borders.tolist(), counts)


def _spread(summary: ColumnSummary, borders: Doubles) -> Doubles:
    """The log buckets' counts over bins of equal width, each bucket's values taken as evenly spread."""
    assert summary.buckets is not None
    low, high = borders[0], borders[-1]
    places, sums, total = [low], [0.0], 0
    for key, count in summary.buckets.counts:
        start, end = (min(max(edge, low), high) for edge in edges(key))
        places += [start, end]
        sums += [total, total + count]
        total += count
    cumulative = np.rint(np.interp(borders, places, sums))
    cumulative[0], cumulative[-1] = 0, total
    return np.diff(cumulative)


def date_histogram(summary: ColumnSummary, bins: int) -> list[dict[str, Any]] | None:
    """Counts in at most `bins` bins of whole days (or months) between the first and the last."""
    days = summary.days
    if not bins or days is None or not days.counts:
        return None
    first, last = days.counts[0][0], days.counts[-1][0]
    width = max(1, math.ceil((last - first + 1) / bins))
    borders = np.arange(first, last + width + 1, width)
    counts, _ = np.histogram([key for key, _ in days.counts], borders, weights=[n for _, n in days.counts])
    return _bins([_day(days, int(border)) for border in borders], counts)


def _bins(borders: list[Any], counts: npt.NDArray[Any]) -> list[dict[str, Any]]:
    return [
        {"bin_start": start, "bin_end": end, "count": int(count)}
        for start, end, count in zip(borders, borders[1:], counts, strict=False)
    ]


def _day(days: Days, key: int) -> str:
    return _iso(
        np.datetime64(key - 1970 * 12, "M").astype("datetime64[D]") if days.monthly else np.datetime64(key, "D")
    )


def _iso(moment: np.datetime64) -> str:
    """ISO 8601, whose years before 0 have four digits behind the sign as well."""
    text = str(moment)
    if not text.startswith("-"):
        return text
    year, rest = text[1:].split("-", 1)
    return f"-{year:0>4}-{rest}"


def top_values(summary: ColumnSummary, limit: int = TOP_LIMIT) -> list[dict[str, Any]] | None:
    """Every value and its count, most frequent first; None where there are more than the limit."""
    if summary.top is None or len(summary.top.counts) > limit:
        return None
    ranked = sorted(summary.top.counts.items(), key=lambda item: (-item[1], item[0]))
    return [{"value": value, "count": count} for value, count in ranked]


def _shown(summary: ColumnSummary, value: Any) -> Value | None:
    """A smallest or largest value as people read it; times as ISO text, in UTC where the type has a zone."""
    if value is None:
        return None
    if summary.kind is Kind.DATE:
        return _iso(np.datetime64(value, "D"))
    if summary.kind is Kind.TIMESTAMP:
        text = _iso(np.datetime64(value, "us")).replace("T", " ").removesuffix(".000000")
        return f"{text}+00:00" if _has_zone(summary.type) else text
    if summary.kind is Kind.TIME:
        if value == END_OF_DAY:
            return "24:00:00"
        return str(np.datetime64(value, "us")).split("T")[1].removesuffix(".000000")
    return value  # type: ignore[no-any-return]


def _has_zone(type_name: str) -> bool:
    return "with time zone" in type_name.lower() or "timestamptz" in type_name.lower()
