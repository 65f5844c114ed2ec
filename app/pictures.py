"""From rows to pictures: which numbers go into which chart, and what its text alternative says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from app.charts import Stack, histogram, spark, stacked
from app.numerals import compact, exact, number, percent
from app.queries.decisions import Day
from app.queries.profiles import ColumnProfile


@dataclass(frozen=True)
class Trend:
    """The most telling series of a column, and what it is."""

    name: str
    spark: Markup


def column_trend(column: ColumnProfile, series: Mapping[str, Sequence[float | None]] | None) -> Trend | None:
    """The null share where there ever were nulls, else the mean of a number, else the distinct values."""
    if series is None:
        return None
    if any(series["null_percent"]):
        name, values, write = "null share", series["null_percent"], percent
    elif column.is_numeric and any(value is not None for value in series["mean"]):
        name, values, write = "mean", series["mean"], number
    else:
        name, values, write = "distinct", series["distinct_count"], compact
    picture = spark(values, from_to(name.capitalize(), values, write))
    return Trend(name, picture) if picture else None


def from_to(name: str, values: Sequence[float | None], write: Any) -> str:
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return ""
    return f"{name} in {len(known)} runs: from {write(known[0])} to {write(known[-1])}"


def distribution(column: ColumnProfile) -> Markup:
    """How the values are spread: bins of numbers or days, else the most frequent values."""
    if bins := column.histogram:
        ends = number(bins[0]["bin_start"]), number(bins[-1]["bin_end"])
        return histogram([b["count"] for b in bins], f"Values from {ends[0]} to {ends[1]} in {len(bins)} bins")
    if days := column.date_histogram:
        ends = str(days[0].get("bin_start")), str(days[-1].get("bin_end"))
        return histogram([d["count"] for d in days], f"Values from {ends[0]} to {ends[1]} in {len(days)} bins")
    top = column.top_values[:12]
    if len(top) > 1:
        return histogram([count for _, count in top], f"The {len(top)} most frequent values")
    return Markup("")


def top_shares(column: ColumnProfile, most: int = 3) -> list[tuple[str, float | None, int]]:
    """The most frequent values: value, share of all rows in percent, count."""
    rows = column.number("count")
    return [(value, 100 * count / rows if rows else None, count) for value, count in column.top_values[:most]]


def spared_chart(days: Sequence[Day]) -> Markup:
    """Rows read and rows spared by day, what was measured and what is an estimate told apart."""
    stacks = [
        Stack(
            f"{each.day:%-d %b}",
            f"{each.day:%-d %b}: {exact(each.read)} rows read, {exact(each.measured)} spared (measured), "
            f"{exact(each.estimated)} spared (estimated)",
            (("read", each.read), ("measured", each.measured), ("estimated", each.estimated)),
        )
        for each in days
    ]
    read, spared = (sum(getattr(each, name) for each in days) for name in ("read", "spared"))
    told = f"Rows read and spared per day in {len(days)} days: {compact(read)} read, {compact(spared)} spared"
    return stacked(stacks, told, left=46)


def day(run: Any) -> str:
    return f"{run.profiled_at:%Y-%m-%d}"
