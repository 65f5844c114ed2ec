"""A scope and its columns become a few statements; their rows become summaries.

At most three statements touch the table: scalars (one aggregate row), distributions (registers, and counts by bucket
and by day) and listing (counts by value, only of columns with few distinct values). Tables wider than `COLUMNS` are
taken in slices of it, for the engine's memory. A statement that fails is asked again in halves until the column at
fault stands alone; the others lose nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, TypeVar

import sqlalchemy as sa

from profilemesh.errors import PermissionDenied, StatementFailed
from profilemesh.profiling import sql
from profilemesh.profiling.lens import Expression, Lens
from profilemesh.profiling.metrics import LISTED, MEASURED
from profilemesh.profiling.scope import WITHHELD
from profilemesh.profiling.sketches import HyperLogLog, LogHistogram
from profilemesh.profiling.summary import (
    TEXT_LIMIT,
    TOP_LIMIT,
    ColumnSummary,
    Days,
    Extremes,
    Lengths,
    Moments,
    TopValues,
)
from profilemesh.tables import Kind
from profilemesh.warehouses.base import Form

Statement = sa.Select[Any] | sa.CompoundSelect[Any]
Ask = Callable[[Statement], Sequence[tuple[Any, ...]]]
R = TypeVar("R")

COLUMNS = 64
"""Columns per statement: each takes up to a megabyte of the engine's memory, whatever the rows."""
ALONE = 16
"""Up to so many columns fill their registers each in a GROUP BY of its own, which is faster in the rows; more share
one, which is faster in the planning."""
SHIFT_SAMPLE = 1024
LISTING_MARGIN = 1.1
"""A column is listed while its estimate is below the limit by this much: estimates err, the listing does not."""
DOUBLE_DIGITS = 15
"""Decimal texts of no more characters are told apart as doubles."""
LISTED_LENGTH = 256
"""Longer texts are not listed: a thousand of them would outweigh all else that is kept."""

_COUNTED = frozenset(("present", "odd", "trues", "blanks", "zeros", "negatives", "nans", "infinites", "unread", "n"))
_NAN, _INFINITIES = "NaN", ("Infinity", "-Infinity")


@dataclass(frozen=True)
class Found:
    """What a strategy found: `bytes_read` is measured where rows were streamed, else None."""

    rows: int
    columns: Mapping[str, ColumnSummary]
    errors: Mapping[str, str]
    bytes_read: int | None = None


@dataclass(frozen=True)
class Split:
    """Rows told apart by `part`, an integer from 0 up to below `count`; without it all are part 0."""

    count: int = 1
    part: Expression | None = None

    @property
    def columns(self) -> list[Expression]:
        return [] if self.part is None else [self.part.label("part")]

    def grouped(self, statement: sa.Select[Any]) -> sa.Select[Any]:
        return statement if self.part is None else statement.group_by(sa.literal_column("1"))

    def told(self, row: Sequence[Any]) -> tuple[int, Sequence[Any]]:
        """A row's part, and the rest of it."""
        return (0, row) if self.part is None else (int(row[0]), row[1:])

    def place(self, index: int, columns: int) -> Expression:
        """One number for a column, by its index among so many, and a part."""
        column: Expression = sa.literal_column(str(index))
        return column if self.part is None else column + self.part * columns

    @property
    def range(self) -> range:
        return range(self.count)


TOGETHER = Split()


class Slots:
    """The labelled expressions of one aggregate SELECT, by column and name."""

    def __init__(self) -> None:
        self.expressions: list[Expression] = []
        self.places: dict[tuple[int, str], int] = {}

    def add(self, index: int, name: str, expression: Expression) -> None:
        self.places[index, name] = len(self.expressions)
        self.expressions.append(expression.label(f"{name}_{index}"))

    def read(self, row: Sequence[Any], columns: int) -> list[dict[str, Any]]:
        """The row's values by column and name."""
        found: list[dict[str, Any]] = [{} for _ in range(columns)]
        for (index, name), place in self.places.items():
            found[index][name] = row[place]
        return found

    def nothing(self) -> list[Any]:
        """The row that an aggregate over no rows is."""
        return [0 if name in _COUNTED else None for _, name in self.places]


def scalars(
    source: sa.FromClause, lenses: Sequence[Lens], ask: Ask, split: Split = TOGETHER
) -> list[list[ColumnSummary]]:
    """One aggregate row over all columns (per part): counts, extremes, lengths, moments; by column and part."""
    slots = Slots()
    shifts = _shifts(source, lenses)
    for index, lens in enumerate(lenses):
        for name, expression in _measures(lens, _shift(lens, index, shifts)):
            slots.add(index, name, expression)
    froms = source if shifts is None else source.join(shifts, sa.true())
    counted: list[Expression] = [*split.columns, sa.func.count().label("rows"), *slots.expressions]
    rows: list[Sequence[Any]] = [[0, *slots.nothing()] for _ in split.range]
    for row in ask(split.grouped(sa.select(*counted).select_from(froms))):
        part, values = split.told(row)
        rows[part] = values
    found = [slots.read(values, len(lenses)) for _, *values in rows]
    _settle_long_decimals(source, lenses, found, ask, split)
    return [
        [_column_summary(lens, int(rows[part][0]), found[part][index]) for part in split.range]
        for index, lens in enumerate(lenses)
    ]


def _settle_long_decimals(
    source: sa.FromClause, lenses: Sequence[Lens], found: list[list[dict[str, Any]]], ask: Ask, split: Split
) -> None:
    """Where decimals have more digits than a double tells apart, look for the extremes again, digit by digit."""
    digits = [max((values[index].get("digits") or 0) for values in found) for index in range(len(lenses))]
    long = [index for index, most in enumerate(digits) if most > DOUBLE_DIGITS]
    slots = Slots()
    for index in long:
        for name, expression in _decimal_extremes(lenses[index]):
            slots.add(index, name, expression)
    if not long:
        return
    for row in ask(split.grouped(sa.select(*split.columns, *slots.expressions).select_from(source))):
        part, exact = split.told(row)
        for values, more in zip(found[part], slots.read(exact, len(lenses)), strict=True):
            values.update(more)


def row_counts(source: sa.FromClause, ask: Ask, split: Split = TOGETHER) -> list[int]:
    """The number of rows of each part."""
    counts = [0] * split.count
    for row in ask(split.grouped(sa.select(*split.columns, sa.func.count()).select_from(source))):
        part, [count] = split.told(row)
        counts[part] = int(count)
    return counts


def _shifts(source: sa.FromClause, lenses: Sequence[Lens]) -> sa.CTE | None:
    """The median of a few values of each column whose shift is not known yet: evaluated once, in one row."""
    medians = []
    for index, lens in enumerate(lenses):
        if lens.kind.is_number and not lens.sensitive and lens.shift is None:
            few = (
                sa.select(lens.number.label("x"))
                .select_from(source)
                .where(lens.number.is_not(None))
                .limit(SHIFT_SAMPLE)
            )
            few_values = few.subquery()
            median = sa.select(sql.middle_of(few_values.c.x)).scalar_subquery()
            medians.append(sa.func.coalesce(median, 0.0).label(f"shift_{index}"))
    return sa.select(*medians).cte("shifts").prefix_with("MATERIALIZED") if medians else None


def _shift(lens: Lens, index: int, shifts: sa.CTE | None) -> Expression:
    if lens.shift is not None:
        return sa.cast(sa.literal(lens.shift, sa.Double), sa.Double)
    return shifts.c[f"shift_{index}"] if shifts is not None and f"shift_{index}" in shifts.c else sa.null()


def _measures(lens: Lens, shift: Expression) -> Iterable[tuple[str, Expression]]:
    """The aggregates of one column, by name."""
    yield "present", sa.func.count(lens.value)
    if lens.odd is not None:
        yield "odd", _count_if(lens.odd)
    if lens.kind.is_number:
        yield from _number_measures(lens, shift)
    elif lens.kind.is_temporal:
        yield from _time_measures(lens)
    elif lens.kind is Kind.BOOLEAN:
        yield "trues", _count_if(sa.cast(lens.value, sa.Boolean))
    elif lens.kind is Kind.TIME:
        yield from _clock_measures(lens)
    elif lens.kind is Kind.TEXT:
        yield "blanks", _count_if(sql.is_blank(lens.text))
    if lens.sensitive:
        return
    if lens.kind in (Kind.TEXT, Kind.UUID):
        yield "low", sa.func.left(sa.func.min(lens.text), TEXT_LIMIT)
        yield "high", sa.func.left(sa.func.max(lens.text), TEXT_LIMIT)
    if lens.kind in MEASURED:
        yield "shortest", sa.func.min(lens.length)
        yield "longest", sa.func.max(lens.length)
        yield "length", sa.func.sum(lens.length)


def _number_measures(lens: Lens, shift: Expression) -> Iterable[tuple[str, Expression]]:
    number = lens.number
    yield "zeros", _count_if(number == 0)
    yield "negatives", _count_if(number < 0)
    if lens.form in (Form.NUMBER_TEXT, Form.DECIMAL_TEXT):
        yield "nans", _count_if(lens.value == _NAN)
        yield "infinites", _count_if(lens.value.in_(_INFINITIES))
    elif lens.kind is Kind.FLOAT:
        yield "nans", _count_if(sql.not_a_number(lens.double))
        yield "infinites", _count_if(~sql.finite(lens.double) & ~sql.not_a_number(lens.double))
    if lens.sensitive:
        return
    yield "n", sa.func.count(number)
    yield "shift", sa.func.any_value(shift)
    yield "sum", sa.func.sum(number - shift)
    yield "squares", sa.func.sum((number - shift) * (number - shift))
    if lens.form is Form.NUMBER_TEXT:
        yield "low_text", sa.func.arg_min(lens.value, number)
        yield "high_text", sa.func.arg_max(lens.value, number)
        yield "digits", sa.func.max(sql.characters(lens.value))
    else:
        exact = number if lens.kind in (Kind.FLOAT, Kind.INTERVAL) else lens.read
        yield "low", sa.func.min(exact)
        yield "high", sa.func.max(exact)


def _decimal_extremes(lens: Lens) -> Iterable[tuple[str, Expression]]:
    """Decimals of any length, exactly: their digits are ordered as text, either side of zero."""
    above = sa.case((lens.value.between("0", ":"), sql.digits_key(lens.value)))
    digits = sa.func.substr(lens.value, 2)
    below = sa.case((digits.between("0", ":") & lens.value.startswith("-"), sql.digits_key(digits)))
    yield "above_low", sql.digits_of(sa.func.min(above))
    yield "above_high", sql.digits_of(sa.func.max(above))
    yield "below_low", sql.digits_of(sa.func.min(below))
    yield "below_high", sql.digits_of(sa.func.max(below))


def _time_measures(lens: Lens) -> Iterable[tuple[str, Expression]]:
    moment = lens.moment
    if lens.form is Form.TIME_TEXT:
        yield "unread", _count_if(lens.value.is_not(None) & lens.read.is_(None))
    else:
        yield "infinites", _count_if(~sql.finite(lens.value))
    if not lens.sensitive:
        place = sql.day_number if lens.kind is Kind.DATE else sql.microseconds
        yield "low", place(sa.func.min(moment))
        yield "high", place(sa.func.max(moment))


def _clock_measures(lens: Lens) -> Iterable[tuple[str, Expression]]:
    if lens.form is Form.TIME_TEXT:
        yield "unread", _count_if(lens.value.is_not(None) & lens.read.is_(None))
    if not lens.sensitive:
        has_zone = lens.column.type.upper() in ("TIME WITH TIME ZONE", "TIMETZ", "TIMETZ_NS")
        clock = sql.utc_time(lens.read) if has_zone else lens.read
        yield "low", sql.microseconds(sa.func.min(clock))
        yield "high", sql.microseconds(sa.func.max(clock))


def _count_if(condition: Expression) -> Expression:
    return sa.func.count(sa.case((condition, 1)))


def _column_summary(lens: Lens, rows: int, found: dict[str, Any]) -> ColumnSummary:
    odd = found.get("odd", 0)
    counts: dict[str, int | None] = {"infinites": found.get("infinites"), "invalids": found.get("unread")}
    if lens.odd is not None:
        counts[f"{lens.odd_means}s"] = (counts[f"{lens.odd_means}s"] or 0) + odd
    summary = ColumnSummary(
        lens.kind,
        lens.column.type,
        rows,
        rows - found["present"] - odd,
        found.get("zeros"),
        found.get("negatives"),
        found.get("blanks"),
        found.get("trues"),
        found.get("nans"),
        counts["infinites"],
        counts["invalids"],
    )
    if lens.sensitive:
        return summary
    return replace(
        summary,
        extremes=_extremes(lens, found),
        lengths=_lengths(found),
        moments=_moments(found),
    )


def _extremes(lens: Lens, found: dict[str, Any]) -> Extremes | None:
    if "above_low" in found:
        above = [_decimal(found[name]) for name in ("above_low", "above_high")]
        below = [_decimal(found[name], -1) for name in ("below_high", "below_low")]
        values = [value for value in below + above if value is not None]
        return Extremes(min(values), max(values)) if values else Extremes()
    if "low_text" in found:
        return Extremes(_decimal(found["low_text"]), _decimal(found["high_text"]))
    if "low" not in found:
        return None
    if lens.kind is Kind.DECIMAL:
        return Extremes(_decimal(found["low"]), _decimal(found["high"]))
    if lens.kind is Kind.INTEGER and isinstance(found["low"], str):
        # As integers beyond 128 bits arrive.
        return Extremes(int(found["low"]), int(found["high"]))
    return Extremes(found["low"], found["high"])


def _decimal(digits: Any, sign: int = 1) -> Decimal | None:
    # Arithmetic would round to the context's 28 digits; copying the sign does not.
    return None if digits is None else Decimal(digits).copy_sign(Decimal(sign)) if sign < 0 else Decimal(digits)


def _lengths(found: dict[str, Any]) -> Lengths | None:
    if "shortest" not in found:
        return None
    return Lengths(found["present"], found["shortest"], found["longest"], int(found["length"] or 0))


def _moments(found: dict[str, Any]) -> Moments | None:
    if "n" not in found:
        return None
    return Moments.of_sums(found["n"], found["shift"] or 0.0, found["sum"] or 0.0, found["squares"] or 0.0)


def distributions(
    source: sa.FromClause, lenses: Sequence[Lens], ask: Ask, split: Split = TOGETHER
) -> list[list[dict[str, Any]]]:
    """Registers, buckets and days of all columns, as the parts of their summaries, by name; by column and part."""
    hashed = [index for index, lens in enumerate(lenses) if lens.kind is not Kind.OTHER]
    keys = {index: key for index, lens in enumerate(lenses) if (key := _key(lens)) is not None}
    width = len(lenses)
    places = {index: split.place(index, width) for index in range(width)}
    branches = _registers(source, {index: lenses[index] for index in hashed}, places)
    if keys:
        branches.append(_counts(source, {index: expression for index, (_, expression) in keys.items()}, places))
    # A column without values, and a part without rows, may have no row.
    found: list[list[dict[str, Any]]] = [
        [{"registers": HyperLogLog()} if index in hashed else {} for _ in split.range] for index in range(width)
    ]
    pairs: dict[int, list[tuple[int, int]]] = {place: [] for place in range(width * split.count)}
    for place, bits, key, count in ask(sa.union_all(*branches)) if branches else []:
        if key is None:
            found[place % width][place // width]["registers"] = HyperLogLog.from_bits(bits)
        else:
            pairs[place].append((key, count))
    for index, (name, _) in keys.items():
        for part in split.range:
            counts = pairs[index + part * width]
            found[index][part][name] = LogHistogram.of(counts) if name == "buckets" else Days.of(counts)
    return found


Places = Mapping[int, Expression]
"""The number by which a column's rows are known in an answer, by the column's index."""


def _registers(source: sa.FromClause, lenses: Mapping[int, Lens], places: Places) -> list[sa.Select[Any]]:
    """Branches that give a row for each column: its registers."""
    if len(lenses) <= ALONE:
        return [_registers_of_one(source, places[index], lens) for index, lens in lenses.items()]
    hashes = {index: sa.case((lens.value.is_not(None), lens.hashed)) for index, lens in lenses.items()}
    cells = _each(source, hashes, places)
    register = sql.register(cells.c.x).label("r")
    lowest = (
        sa.select(cells.c.i, register, sa.func.min(sql.remainder(cells.c.x)).label("low"))
        .where(cells.c.x.is_not(None))
        .group_by(cells.c.i, register)
        .subquery()
    )
    bits = sql.register_bits(lowest.c.r, lowest.c.low)
    return [_branch(lowest.c.i, bits, sa.null(), sa.null()).group_by(lowest.c.i)]


def _registers_of_one(source: sa.FromClause, place: Expression, lens: Lens) -> sa.Select[Any]:
    """The smallest remainder of a register has the highest rank."""
    is_split = not isinstance(place, sa.ColumnClause)
    selected = [place.label("i"), lens.hashed.label("x")] if is_split else [lens.hashed.label("x")]
    hashes = sa.select(*selected).select_from(source).where(lens.value.is_not(None)).subquery()
    register = sql.register(hashes.c.x).label("r")
    low = sa.func.min(sql.remainder(hashes.c.x)).label("low")
    if not is_split:
        lowest = sa.select(register, low).group_by(register).subquery()
        return _branch(place, sql.register_bits(lowest.c.r, lowest.c.low), sa.null(), sa.null())
    lowest = sa.select(hashes.c.i, register, low).group_by(hashes.c.i, register).subquery()
    bits = sql.register_bits(lowest.c.r, lowest.c.low)
    return _branch(lowest.c.i, bits, sa.null(), sa.null()).group_by(lowest.c.i)


def _counts(source: sa.FromClause, keys: Mapping[int, Expression], places: Places) -> sa.Select[Any]:
    """A row for each column and key: how many values have it."""
    cells = _each(source, keys, places)
    counted = _branch(cells.c.i, sa.null(), cells.c.x, sa.func.count())
    return counted.where(cells.c.x.is_not(None)).group_by(cells.c.i, cells.c.x)


def _each(source: sa.FromClause, expressions: Mapping[int, Expression], places: Places) -> sa.Subquery:
    """The expressions as rows of (i, x)."""
    own: list[Expression] = [places[index] for index in expressions]
    i, x = (sa.func.unnest(sa.func.list_value(*some)) for some in (own, expressions.values()))
    return sa.select(i.label("i"), x.label("x")).select_from(source).subquery()


def _branch(index: Expression, bits: Expression, key: Expression, count: Expression) -> sa.Select[Any]:
    selected: list[Expression] = [
        index.label("i"),
        sa.cast(bits, sa.LargeBinary).label("bits"),
        sa.cast(key, sa.BigInteger).label("k"),
        sa.cast(count, sa.BigInteger).label("n"),
    ]
    return sa.select(*selected)


def _key(lens: Lens) -> tuple[str, Expression] | None:
    """The part of a summary that counts by key, and the key."""
    if lens.sensitive:
        return None
    if lens.kind.is_number:
        return "buckets", sql.log_bucket(lens.number)
    return ("days", sql.day_number(lens.moment)) if lens.kind.is_temporal else None


def listable(lens: Lens, summary: ColumnSummary) -> bool:
    """Whether the column's values are few and short enough to be listed."""
    if lens.sensitive or lens.kind not in LISTED or summary.registers is None:
        return False
    longest = summary.lengths.longest if summary.lengths else None
    return (longest or 0) <= LISTED_LENGTH and summary.registers.estimate() <= TOP_LIMIT * LISTING_MARGIN


def listing(
    source: sa.FromClause, lenses: Sequence[Lens], ask: Ask, split: Split = TOGETHER
) -> list[list[TopValues | None]]:
    """Every value of each column with its count, by column and part; None where there are more than the limit."""
    if not lenses:
        return []
    width = len(lenses)
    found: list[list[dict[str, int]]] = [[{} for _ in split.range] for _ in lenses]
    branches = [_counted(source, split.place(index, width), lens) for index, lens in enumerate(lenses)]
    for place, value, count in ask(sa.union_all(*branches)):
        counts = found[place % width][place // width]
        counts[value] = counts.get(value, 0) + count
    return [[TopValues(counts) if len(counts) <= TOP_LIMIT else None for counts in parts] for parts in found]


def _counted(source: sa.FromClause, place: Expression, lens: Lens) -> sa.Select[Any]:
    # Grouped by the value itself, which is cheaper than by its text.
    if isinstance(place, sa.ColumnClause):
        inner = (
            sa.select(lens.listed.label("v"), sa.func.count().label("n"))
            .select_from(source)
            .where(lens.value.is_not(None))
            .group_by(sa.literal_column("1"))
            .limit(TOP_LIMIT + 1)
            .subquery()
        )
        selected: list[Expression] = [place.label("i"), sa.cast(inner.c.v, sa.Text), inner.c.n]
        return sa.select(*selected)
    by_part = (
        sa.select(place.label("i"), lens.listed.label("v"), sa.func.count().label("n"))
        .select_from(source)
        .where(lens.value.is_not(None))
        .group_by(sa.literal_column("1"), sa.literal_column("2"))
        .subquery()
    )
    return sa.select(by_part.c.i, sa.cast(by_part.c.v, sa.Text), by_part.c.n)


def narrowed(
    lenses: Sequence[Lens], ask: Callable[[Sequence[Lens]], list[R]], errors: dict[str, str]
) -> list[R | None]:
    """`ask` of all columns at once; where the statement fails, of halves, until the columns at fault stand alone.

    Their result is None and their error is noted.
    """
    try:
        return list(ask(lenses)) if lenses else []
    except (StatementFailed, PermissionDenied) as error:
        if len(lenses) == 1:
            errors[lenses[0].column.name] = WITHHELD if lenses[0].sensitive else str(error)
            return [None]
    half = len(lenses) // 2
    return narrowed(lenses[:half], ask, errors) + narrowed(lenses[half:], ask, errors)


def summarise(
    source: sa.FromClause,
    lenses: Sequence[Lens],
    ask: Ask,
    errors: dict[str, str],
    is_listed: Callable[[Lens, int], bool] = lambda lens, part: True,
    split: Split = TOGETHER,
) -> list[tuple[int, list[ColumnSummary]]]:
    """For each part of the source's rows their number, and the summaries of all columns over them.

    Raises WarehouseError when not even the rows can be counted.
    """
    slices = [lenses[start : start + COLUMNS] for start in range(0, len(lenses), COLUMNS)]
    found = [parts for some in slices for parts in _summaries(source, some, ask, errors, is_listed, split)]
    counted = next(([summary.rows for summary in parts] for parts in found if parts is not None), None)
    if counted is None:
        counted = row_counts(source, ask, split)
    return [
        (rows, [_known(lens, parts, part, rows) for lens, parts in zip(lenses, found, strict=True)])
        for part, rows in enumerate(counted)
    ]


def _known(lens: Lens, parts: Sequence[ColumnSummary] | None, part: int, rows: int) -> ColumnSummary:
    return ColumnSummary(lens.kind, lens.column.type, rows, None) if parts is None else parts[part]


def _summaries(
    source: sa.FromClause,
    lenses: Sequence[Lens],
    ask: Ask,
    errors: dict[str, str],
    is_listed: Callable[[Lens, int], bool],
    split: Split,
) -> list[list[ColumnSummary] | None]:
    """The summaries of each column, by part; None where nothing is known of it."""
    summaries = narrowed(lenses, lambda some: scalars(source, some, ask, split), errors)
    known = {index: parts for index, parts in enumerate(summaries) if parts is not None}
    spread = narrowed([lenses[i] for i in known], lambda some: distributions(source, some, ask, split), errors)
    for parts, more in zip(known.values(), spread, strict=True):
        parts[:] = [replace(summary, **found) for summary, found in zip(parts, more or [{}] * len(parts), strict=True)]
    listed = {
        index: [is_listed(lenses[index], part) and listable(lenses[index], parts[part]) for part in split.range]
        for index, parts in known.items()
    }
    few = [index for index in known if any(listed[index])]
    lists = narrowed([lenses[i] for i in few], lambda some: listing(source, some, ask, split), errors)
    for index, tops in zip(few, lists, strict=True):
        parts = known[index]
        parts[:] = [
            replace(summary, top=top if wanted else None)
            for summary, top, wanted in zip(parts, tops or [None] * len(parts), listed[index], strict=True)
        ]
    return summaries
