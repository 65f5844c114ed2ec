"""Summaries straight from numpy arrays, and made-up tables of rows to make them of: for simulations of drift."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from profilemesh.profiling.sketches import (
    BUCKET_OFFSET,
    LOG_RATIO,
    RANK_BITS,
    REGISTERS,
    HyperLogLog,
    LogHistogram,
)
from profilemesh.profiling.summary import (
    TOP_LIMIT,
    ColumnSummary,
    Days,
    Extremes,
    Lengths,
    Moments,
    TableSummary,
    TopValues,
)
from profilemesh.tables import Column, Kind

FAMILY = "splitmix64"
NUMBERS = (Kind.INTEGER, Kind.FLOAT)
Array = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Values:
    """A column: its values where `nulls` is False. Texts are numbers that stand for them, with their `lengths`."""

    kind: Kind
    values: Array
    nulls: npt.NDArray[np.bool_]
    shift: float = 0.0

    @property
    def present(self) -> Array:
        return self.values[~self.nulls] if self.nulls.any() else self.values


def summary_of(columns: Mapping[str, Values]) -> TableSummary:
    rows = next(iter(columns.values())).values.size
    return TableSummary(rows, {name: column_summary(column) for name, column in columns.items()}, FAMILY)


def column_summary(column: Values) -> ColumnSummary:
    x = column.present
    summary = ColumnSummary(
        column.kind,
        column.kind,
        column.values.size,
        int(column.nulls.sum()),
        registers=_registers(x),
        top=_top(x, "" if column.kind in NUMBERS else "v"),
    )
    if column.kind in NUMBERS:
        return _with_numbers(summary, x, column.shift)
    if column.kind is Kind.DATE:
        return replace(summary, days=Days.of(_counts(x.astype(np.int64))), extremes=_extremes(x))
    if column.kind is Kind.BOOLEAN:
        return replace(summary, trues=int(x.sum()))
    lengths = 8 + (x.astype(np.int64) % 13)
    low, high = (int(lengths.min()), int(lengths.max())) if x.size else (None, None)
    return replace(summary, blanks=0, lengths=Lengths(int(x.size), low, high, int(lengths.sum())))


def _with_numbers(summary: ColumnSummary, x: Array, shift: float) -> ColumnSummary:
    offset = x.astype(np.float64) - shift
    return replace(
        summary,
        zeros=int((x == 0).sum()),
        negatives=int((x < 0).sum()),
        nans=0 if summary.kind is Kind.FLOAT else None,
        infinites=0 if summary.kind is Kind.FLOAT else None,
        extremes=_extremes(x),
        moments=Moments.of_sums(int(x.size), shift, float(offset.sum()), float((offset * offset).sum())),
        buckets=LogHistogram.of(_buckets(x)),
    )


def _extremes(x: Array) -> Extremes:
    return Extremes(x.min().item(), x.max().item()) if x.size else Extremes()


def _buckets(x: Array) -> tuple[tuple[int, int], ...]:
    size = np.abs(x.astype(np.float64))
    with np.errstate(divide="ignore"):
        keys = np.floor(np.log(size) / LOG_RATIO)
    keys = np.where(size > 0, keys + BUCKET_OFFSET, 0.0)
    keys = np.where(x < 0, -keys, keys).astype(np.int64)
    return _counts(keys)


def _counts(keys: npt.NDArray[np.int64]) -> tuple[tuple[int, int], ...]:
    if not keys.size:
        return ()
    least = keys.min()
    counts = np.bincount(keys - least)
    found = np.nonzero(counts)[0]
    return tuple(zip((found + least).tolist(), counts[found].tolist(), strict=True))


def _top(x: Array, mark: str) -> TopValues | None:
    if np.unique(x[: 5 * TOP_LIMIT]).size > TOP_LIMIT:
        return None
    if x.dtype.kind == "f":
        pairs = zip(*(each.tolist() for each in np.unique(x, return_counts=True)), strict=True)
    else:
        pairs = iter(_counts(x.astype(np.int64)))
    counts = {f"{mark}{key}": count for key, count in pairs}
    return TopValues(counts) if len(counts) <= TOP_LIMIT else None


def _registers(x: Array) -> HyperLogLog:
    hashes = _hash(x)
    register = (hashes >> np.uint64(RANK_BITS)).astype(np.int64)
    rest = hashes & np.uint64((1 << RANK_BITS) - 1)
    _, exponent = np.frexp(rest.astype(np.float64))
    seen = np.bincount(register * 64 + (RANK_BITS + 1 - exponent), minlength=REGISTERS * 64).reshape(REGISTERS, 64) > 0
    highest = np.where(seen.any(axis=1), 63 - np.argmax(seen[:, ::-1], axis=1), 0)
    return HyperLogLog(highest.astype(np.uint8))


def _hash(x: Array) -> npt.NDArray[np.uint64]:
    bits = x.astype(np.float64).view(np.uint64)
    with np.errstate(over="ignore"):
        h = bits * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x632BE59BD9B4E019)
        h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return h ^ (h >> np.uint64(31))


@dataclass(frozen=True)
class Population:
    """What the rows of one made-up table are drawn from."""

    sigma: float
    centre: float
    shares: tuple[float, ...]
    null_share: float
    true_share: float
    rate: float

    @classmethod
    def drawn(cls, random: np.random.Generator) -> Population:
        weights = random.dirichlet(np.full(int(random.integers(3, 12)), 3.0))
        return cls(
            sigma=float(random.uniform(0.3, 1.5)),
            centre=float(random.uniform(-50, 500)),
            shares=tuple(np.sort(weights)[::-1].tolist()),
            null_share=float(random.choice([0, 0.002, 0.01, 0.03, 0.05])),
            true_share=float(random.uniform(0.05, 0.95)),
            rate=float(random.uniform(0.5, 8)),
        )

    def rows(self, random: np.random.Generator, n: int, first: int = 1, day: int = 20_000) -> dict[str, Values]:
        """n rows; ids from `first`, dates in the ninety days up to `day`."""
        none = np.zeros(n, np.bool_)
        return {
            "id": Values(Kind.INTEGER, np.arange(first, first + n), none, float(first)),
            "amount": Values(Kind.FLOAT, np.round(random.lognormal(3, self.sigma, n), 2), none, 20.0),
            "measure": Values(Kind.FLOAT, random.normal(self.centre, 10, n), none, self.centre),
            "quantity": Values(Kind.INTEGER, random.poisson(self.rate, n), none, 2.0),
            "category": Values(Kind.TEXT, random.choice(len(self.shares), n, p=self.shares), none),
            "email": Values(Kind.TEXT, random.integers(0, 10 * n + 1, n), random.random(n) < self.null_share),
            "day": Values(Kind.DATE, day - random.integers(0, 90, n), none),
            "flag": Values(Kind.BOOLEAN, random.random(n) < self.true_share, none),
        }


COLUMNS = tuple(
    Column(name, column.kind, column.kind, True)
    for name, column in Population.drawn(np.random.default_rng(0)).rows(np.random.default_rng(0), 1).items()
)
