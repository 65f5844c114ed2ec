"""Summaries of columns and tables: monoids, so that the summary of a whole is the merge of its parts'.

A part of a summary that is None is unknown, and stays unknown in every merge. What does not exist for a kind of
column (a mean of texts) is None as well: both are shown as a dash.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from functools import cached_property, partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import orjson

from profilemesh.errors import SummariesIncompatible
from profilemesh.profiling.sketches import REGISTERS, HyperLogLog, LogHistogram, Registers, added
from profilemesh.tables import Kind

TOP_LIMIT = 1000
DAY_LIMIT = 2000
TEXT_LIMIT = 512
"""Characters of a smallest or largest text that are kept."""

T = TypeVar("T")


def _both(combine: Callable[[T, T], T], a: T | None, b: T | None) -> T | None:
    return None if a is None or b is None else combine(a, b)


@dataclass(frozen=True)
class Moments:
    """Mean and variance of `n` finite values, told about `shift`, a value near them, so that no digits cancel.

    `offset` is the mean minus the shift; `squares` the sum of squared distances from the mean. Merged by the formula
    of Chan, Golub, LeVeque (1979): some 1e-12 relative while |mean| / sd stays below 1e9, if the shifts are near the
    values.
    """

    n: int = 0
    shift: float = 0.0
    offset: float = 0.0
    squares: float = 0.0

    @classmethod
    def of_sums(cls, n: int, shift: float, total: float, squares: float) -> Moments:
        """From n, the shift, and the sums of (x - shift) and of (x - shift) squared."""
        return cls(n, shift, total / n, max(squares - total * total / n, 0.0)) if n else cls()

    def merge(self, other: Moments) -> Moments:
        if not self.n or not other.n:
            return self if self.n else other
        n = self.n + other.n
        distance = (other.shift - self.shift) + (other.offset - self.offset)
        return Moments(
            n,
            self.shift,
            self.offset + distance * other.n / n,
            self.squares + other.squares + distance * distance * self.n * other.n / n,
        )

    @property
    def mean(self) -> float | None:
        return _known(self.shift + self.offset) if self.n else None

    @property
    def stddev(self) -> float | None:
        """Of the sample, n - 1; None below two values."""
        return _known(math.sqrt(self.squares / (self.n - 1))) if self.n > 1 and self.squares >= 0 else None


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


@dataclass(frozen=True)
class Extremes:
    """Smallest and largest value; both None when there were no values. Dates are days and times microseconds
    since 1970-01-01 or midnight."""

    low: Any = None
    high: Any = None

    def merge(self, other: Extremes) -> Extremes:
        if self.low is None or other.low is None:
            return other if self.low is None else self
        return Extremes(min(self.low, other.low), max(self.high, other.high))


@dataclass(frozen=True)
class Lengths:
    """Of the values that are not NULL."""

    n: int = 0
    shortest: int | None = None
    longest: int | None = None
    total: int = 0

    def merge(self, other: Lengths) -> Lengths:
        if self.shortest is None or other.shortest is None or self.longest is None or other.longest is None:
            return other if self.shortest is None else self
        return Lengths(
            self.n + other.n,
            min(self.shortest, other.shortest),
            max(self.longest, other.longest),
            self.total + other.total,
        )

    @property
    def mean(self) -> float | None:
        return self.total / self.n if self.n else None


@dataclass(frozen=True)
class Days:
    """Values per UTC day (days since 1970-01-01), or per month (year * 12 + month - 1) past 2,000 different days."""

    counts: tuple[tuple[int, int], ...] = ()
    monthly: bool = False

    @classmethod
    def of(cls, pairs: Iterable[tuple[int, int]], monthly: bool = False) -> Days:
        days = cls(tuple(sorted(pairs)), monthly)
        return days._by_month() if not monthly and len(days.counts) > DAY_LIMIT else days

    def merge(self, other: Days) -> Days:
        if self.monthly != other.monthly:
            return self._by_month().merge(other._by_month())
        return Days.of(added(self.counts, other.counts).items(), self.monthly)

    def _by_month(self) -> Days:
        if self.monthly:
            return self
        days = np.array([day for day, _ in self.counts], dtype="datetime64[D]")
        months = (days.astype("datetime64[M]").astype(np.int64) + 1970 * 12).tolist()
        return Days(tuple(sorted(added(zip(months, (n for _, n in self.counts), strict=True)).items())), True)


@dataclass(frozen=True)
class TopValues:
    """Every value, as text, with its count. Complete up to 1,000 values; beyond that there is none (absent absorbs)."""

    counts: Mapping[str, int] = field(default_factory=dict)

    def merge(self, other: TopValues) -> TopValues | None:
        sums = added(self.counts.items(), other.counts.items())
        return TopValues(sums) if len(sums) <= TOP_LIMIT else None


COUNTS = ("nulls", "zeros", "negatives", "blanks", "trues", "nans", "infinites", "invalids")


@dataclass(frozen=True)
class ColumnSummary:
    """All that is kept of one column of one set of rows. `nulls` excludes values that could not be sent."""

    kind: Kind
    type: str
    rows: int = 0
    nulls: int | None = 0
    zeros: int | None = None
    negatives: int | None = None
    blanks: int | None = None
    trues: int | None = None
    nans: int | None = None
    infinites: int | None = None
    invalids: int | None = None
    extremes: Extremes | None = None
    lengths: Lengths | None = None
    moments: Moments | None = None
    registers: HyperLogLog | None = None
    buckets: LogHistogram | None = None
    days: Days | None = None
    top: TopValues | None = None

    def merge(self, other: ColumnSummary) -> ColumnSummary:
        """The summary of both sets of rows together. Raises SummariesIncompatible on another kind or type."""
        if (self.kind, self.type) != (other.kind, other.type):
            raise SummariesIncompatible(f"a column of type {self.type} cannot merge with one of type {other.type}")
        parts: dict[str, Any] = {
            **{name: _both(int.__add__, getattr(self, name), getattr(other, name)) for name in COUNTS},
            **{name: _both(lambda a, b: a.merge(b), getattr(self, name), getattr(other, name)) for name in MERGED},
        }
        return ColumnSummary(self.kind, self.type, self.rows + other.rows, **parts)

    @property
    def present(self) -> int | None:
        """How many values are not NULL."""
        return None if self.nulls is None else self.rows - self.nulls


MERGED = tuple(f.name for f in fields(ColumnSummary) if f.name not in ("kind", "type", "rows", *COUNTS))


@dataclass(frozen=True)
class TableSummary:
    """The columns' summaries over the same rows. `family` names the hash function: only equal families merge."""

    rows: int
    columns: Mapping[str, ColumnSummary]
    family: str

    def __repr__(self) -> str:
        # It reads the metrics off summaries, of which this is one.
        from profilemesh.profiling.shown import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        from profilemesh.profiling.shown import as_html

        return as_html(self)

    def merge(self, other: TableSummary) -> TableSummary:
        """Raises SummariesIncompatible on another hash family or other columns."""
        if self.family != other.family:
            raise SummariesIncompatible(f"hash family {self.family} cannot merge with {other.family}")
        if self.columns.keys() != other.columns.keys():
            raise SummariesIncompatible("the two summaries have different columns")
        return TableSummary(
            self.rows + other.rows,
            {name: column.merge(other.columns[name]) for name, column in self.columns.items()},
            self.family,
        )

    def to_bytes(self) -> bytes:
        """A compressed form, self-contained and versioned; `from_bytes` reads it."""
        columns = self.columns.values()
        head = orjson.dumps(
            {
                "rows": self.rows,
                "family": self.family,
                "columns": {name: _column_to_json(column) for name, column in self.columns.items()},
            }
        )
        # Keys rise: their steps are small numbers, which pack well.
        histograms = [c.buckets for c in columns if c.buckets is not None]
        buckets = [part.tobytes() for each in histograms for part in (np.diff(each.keys, prepend=0), each.sizes)]
        front = zlib.compress(b"".join((len(head).to_bytes(8, "big"), head, *buckets)))
        registers = zlib.compress(b"".join(c.registers.registers.tobytes() for c in columns if c.registers is not None))
        return b"".join((LAYOUT, len(front).to_bytes(8, "big"), front, registers))

    @classmethod
    def from_bytes(cls, payload: bytes) -> TableSummary:
        """Raises SummariesIncompatible when the layout is of another version."""
        head, numbers = _opened(payload)
        registers = _Registers(payload)
        columns = {name: _column_from_json(data, numbers, registers) for name, data in head["columns"].items()}
        return cls(head["rows"], columns, head["family"])


LAYOUT = b"\x02"
"""The first byte; behind it the length of the front, the front, and the registers, which most readers never unpack."""


def shifts_of(payload: bytes) -> dict[str, float]:
    """The shift of each column that has one, without building the summary."""
    head, _ = _opened(payload)
    moments = {name: column["moments"] for name, column in head["columns"].items()}
    return {name: float.fromhex(found[1]) for name, found in moments.items() if found and found[0]}


def _opened(payload: bytes) -> tuple[dict[str, Any], Iterator[npt.NDArray[np.int64]]]:
    """The head, and the keys and sizes of the histograms in turn."""
    if payload[:1] != LAYOUT:
        raise SummariesIncompatible("the stored summary is of another version's layout")
    try:
        raw = zlib.decompress(payload[9 : 9 + int.from_bytes(payload[1:9], "big")])
        start = 8 + int.from_bytes(raw[:8], "big")
        head = orjson.loads(raw[8:start])
    except (zlib.error, orjson.JSONDecodeError) as error:
        raise SummariesIncompatible(f"the stored summary is damaged: {error}") from error
    return head, _numbers(head, np.frombuffer(raw[start:], np.int64))


def _numbers(head: dict[str, Any], whole: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    start = 0
    for size in (column["buckets"] for column in head["columns"].values() if column["buckets"] is not None):
        yield np.cumsum(whole[start : start + size])
        yield whole[start + size : start + 2 * size]
        start += 2 * size


class _Registers:
    """All registers of a stored summary, unpacked when the first of them is looked at."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._given = 0

    def next(self) -> HyperLogLog:
        self._given += 1
        return HyperLogLog(partial(self._row, self._given - 1))

    def _row(self, place: int) -> Registers:
        row: Registers = self._rows[place]
        return row

    @cached_property
    def _rows(self) -> Registers:
        try:
            raw = zlib.decompress(self._payload[9 + int.from_bytes(self._payload[1:9], "big") :])
        except zlib.error as error:
            raise SummariesIncompatible(f"the stored summary is damaged: {error}") from error
        return np.frombuffer(raw, np.uint8).reshape(self._given, REGISTERS)


def _column_to_json(column: ColumnSummary) -> dict[str, Any]:
    return {
        "kind": column.kind,
        "type": column.type,
        "rows": column.rows,
        **{name: getattr(column, name) for name in COUNTS},
        "extremes": column.extremes and [_encoded(column.extremes.low), _encoded(column.extremes.high)],
        "lengths": column.lengths
        and [column.lengths.n, column.lengths.shortest, column.lengths.longest, str(column.lengths.total)],
        # JSON has no infinity, and a sum of squares may reach it.
        "moments": column.moments
        and [
            column.moments.n,
            *(x.hex() for x in (column.moments.shift, column.moments.offset, column.moments.squares)),
        ],
        "registers": column.registers is not None,
        "buckets": None if column.buckets is None else column.buckets.keys.size,
        "days": column.days and [column.days.counts, column.days.monthly],
        "top": column.top and column.top.counts,
    }


def _column_from_json(
    data: dict[str, Any], numbers: Iterator[npt.NDArray[np.int64]], registers: _Registers
) -> ColumnSummary:
    kind = Kind(data["kind"])
    extremes, lengths, moments, days = data["extremes"], data["lengths"], data["moments"], data["days"]
    return ColumnSummary(
        kind,
        data["type"],
        data["rows"],
        **{name: data[name] for name in COUNTS},
        extremes=extremes and Extremes(_decoded(extremes[0], kind), _decoded(extremes[1], kind)),
        lengths=lengths and Lengths(lengths[0], lengths[1], lengths[2], int(lengths[3])),
        moments=moments and Moments(moments[0], *map(float.fromhex, moments[1:])),
        registers=registers.next() if data["registers"] else None,
        buckets=None if data["buckets"] is None else LogHistogram(next(numbers), next(numbers)),
        days=days and Days(_pairs(days[0]), days[1]),
        top=None if data["top"] is None else TopValues(data["top"]),
    )


def _pairs(lists: list[list[int]]) -> tuple[tuple[int, int], ...]:
    return tuple((key, count) for key, count in lists)


def _encoded(value: Any) -> Any:
    return str(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else value


def _decoded(value: Any, kind: Kind) -> Any:
    if value is None or kind in (Kind.FLOAT, Kind.INTERVAL, Kind.TEXT, Kind.UUID):
        return value
    return Decimal(value) if kind is Kind.DECIMAL else int(value)
