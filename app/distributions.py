"""A column's values in two runs, put over each other: what the run found over what its reference had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from markupsafe import Markup

from app.charts import Bin, overlaid, pair
from app.numerals import number, percent
from app.queries.profiles import ColumnProfile

FEWEST, MOST, SMALL = 8, 48, 24
LISTED = 10


@dataclass(frozen=True)
class Value:
    """A value, or NULL, and its shares of all rows in percent; None where that is unknown."""

    name: str | None
    before: float | None
    now: float | None


@dataclass(frozen=True)
class Overlay:
    """Bins of numbers or days as one picture, or values with their shares; `unit` is what the shares are of."""

    picture: Markup = Markup("")
    values: tuple[Value, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.picture or self.values)


@dataclass(frozen=True)
class Size:
    width: int = 640
    height: int = 190


WIDE, CARD = Size(), Size(440, 170)


def overlay(before: ColumnProfile | None, now: ColumnProfile | None, size: Size = WIDE) -> Overlay:
    """Empty where one of the two is not on record, or nothing of its values is."""
    if before is None or now is None:
        return Overlay()
    for bins in (_numbers, _days):
        old, new = bins(before), bins(now)
        if old and new:
            return Overlay(picture=_picture(old, new, _write_day if bins is _days else number, size))
    values = values_of(before, now)
    return Overlay(values=values) if values else Overlay(values=_nulls(before, now))


def thumbnail(before: ColumnProfile | None, now: ColumnProfile | None) -> Markup:
    """The same as a small picture; empty where there is nothing to lay over each other."""
    if before is None or now is None:
        return Markup("")
    for bins in (_numbers, _days):
        old, new = bins(before), bins(now)
        if old and new:
            write = _write_day if bins is _days else number
            pairs = _pairs(old, new, write, SMALL)
            return pair(pairs, _told(old, new, write)) if pairs else Markup("")
    values = [each for each in values_of(before, now) if each.name is not None]
    bars = [Bin((each.before or 0) / 100, (each.now or 0) / 100, "") for each in values]
    told = f"Shares of the {len(bars)} most frequent values, before and now"
    return pair(bars, told) if len(bars) > 1 else Markup("")


@dataclass(frozen=True)
class _Bins:
    """Edges that rise, one more than counts."""

    edges: tuple[float, ...]
    counts: tuple[float, ...]


def _numbers(column: ColumnProfile) -> _Bins | None:
    return _bins([(b["bin_start"], b["bin_end"], b["count"]) for b in column.histogram or []])


def _days(column: ColumnProfile) -> _Bins | None:
    bins = column.date_histogram
    try:
        return _bins([(_day(b.get("bin_start")), _day(b.get("bin_end")), b["count"]) for b in bins])
    except ValueError:
        return None


def _day(text: Any) -> float:
    time = datetime.fromisoformat(str(text))
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _write_day(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"


def _bins(found: Sequence[tuple[float, float, float]]) -> _Bins | None:
    if not found or sum(count for _, _, count in found) <= 0 or any(a > b for a, b, _ in found):
        return None
    return _Bins((found[0][0], *(end for _, end, _ in found)), tuple(count for _, _, count in found))


def _picture(before: _Bins, now: _Bins, write: Any, size: Size) -> Markup:
    pairs = _pairs(before, now, write)
    if not pairs:
        return Markup("")
    low, high = _ends(before, now)
    ticks = [write(low), write((low + high) / 2), write(high)]
    return overlaid(pairs, _told(before, now, write), ticks, size.width, size.height)


def _told(before: _Bins, now: _Bins, write: Any) -> str:
    ends = [f"{write(bins.edges[0])} to {write(bins.edges[-1])}" for bins in (before, now)]
    return f"Shares of the values by size: from {ends[0]} before, from {ends[1]} now"


def _ends(before: _Bins, now: _Bins) -> tuple[float, float]:
    return min(before.edges[0], now.edges[0]), max(before.edges[-1], now.edges[-1])


def _pairs(before: _Bins, now: _Bins, write: Any, most: int = MOST) -> list[Bin]:
    low, high = _ends(before, now)
    if not high - low > 0 or high - low == float("inf"):
        return []
    # As narrow as those that are stored: equal ranges keep their bins as they are.
    narrowest = min((b - a for bins in (before, now) for a, b in pairwise(bins.edges) if b > a), default=high - low)
    count = min(max(round((high - low) / narrowest), FEWEST), most)
    edges = [low + (high - low) * i / count for i in range(count + 1)]
    shares = [_rebinned(bins, edges) for bins in (before, now)]
    return [
        Bin(
            old,
            new,
            f"{write(edges[i])} to {write(edges[i + 1])}: {percent(100 * old)} before, {percent(100 * new)} now",
        )
        for i, (old, new) in enumerate(zip(*shares, strict=True))
    ]


def _rebinned(bins: _Bins, edges: Sequence[float]) -> list[float]:
    """Shares of all in other bins: within a bin values are taken to be spread evenly."""
    total, found = sum(bins.counts), [0.0] * (len(edges) - 1)
    width = edges[1] - edges[0]
    for (start, end), count in zip(pairwise(bins.edges), bins.counts, strict=True):
        first = min(max(int((start - edges[0]) / width), 0), len(found) - 1)
        if end <= start:
            found[first] += count / total
            continue
        last = min(max(int((end - edges[0]) / width), 0), len(found) - 1)
        for i in range(first, last + 1):
            within = min(end, edges[i + 1]) - max(start, edges[i])
            found[i] += count / total * max(within, 0.0) / (end - start)
    return found


def values_alone(now: ColumnProfile, most: int = LISTED) -> tuple[Value, ...]:
    """The most frequent of one run, where there is none to lay it over."""
    rows = now.number("count")
    return tuple(Value(name, None, 100 * count / rows if rows else None) for name, count in now.top_values[:most])


def values_of(before: ColumnProfile, now: ColumnProfile) -> tuple[Value, ...]:
    """Those that are most frequent in either run, and NULL where there is any."""
    old, new = dict(before.top_values), dict(now.top_values)
    if not old or not new:
        return ()
    shares = [_shares(counts, column) for counts, column in ((old, before), (new, now))]
    if None in shares:
        return ()
    was, are = (share or {} for share in shares)
    names = sorted(was.keys() | are.keys(), key=lambda name: (-max(was.get(name, 0), are.get(name, 0)), name))[:LISTED]
    found = tuple(Value(name, was.get(name, 0.0), are.get(name, 0.0)) for name in names)
    return (*found, *_nulls(before, now))


def _shares(counts: Mapping[str, int], column: ColumnProfile) -> dict[str, float] | None:
    rows = column.number("count")
    return {name: 100 * count / rows for name, count in counts.items()} if rows else None


def _nulls(before: ColumnProfile, now: ColumnProfile) -> tuple[Value, ...]:
    shares = before.number("null_percent"), now.number("null_percent")
    return (Value(None, *shares),) if any(shares) and None not in shares else ()
