"""The summary of a whole is the merge of its parts', whatever the split and the order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields, replace
from decimal import Decimal
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from profilemesh.errors import SummariesIncompatible
from profilemesh.profiling.results import column_metrics
from profilemesh.profiling.sketches import REGISTERS, HyperLogLog, LogHistogram
from profilemesh.profiling.summary import (
    COUNTS,
    ColumnSummary,
    Days,
    Extremes,
    Lengths,
    Moments,
    TableSummary,
    TopValues,
)
from profilemesh.tables import Kind
from tests.engines import Engine
from tests.memory import Memory

# Each example is profiled for real, and shrinking it would take minutes.
REAL = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
QUICK = settings(max_examples=100, deadline=None, derandomize=True)
EPSILON = 2.0**-52
TINY = 1e-300

TEXTS = st.one_of(st.sampled_from(["", " ", "a", "b"]), st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
DOUBLES = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, math.nan, math.inf, -math.inf, 5e-324, -1.02, 1e15, 1e15 + 1, 1e15 + 2]),
    st.floats(width=64),
)
ROW = st.fixed_dictionaries(
    {
        "part": st.integers(0, 3),
        "i": st.none() | st.integers(-(2**63), 2**63 - 1),
        "n": st.none() | st.decimals(-(10**35), 10**35, places=2).map(lambda d: Decimal(f"{d:.2f}")),
        "f": st.none() | DOUBLES,
        "s": st.none() | TEXTS,
        "d": st.none() | st.dates(),
        "t": st.none() | st.datetimes(),
        "c": st.none() | st.times(),
        "b": st.none() | st.booleans(),
        "v": st.none() | st.integers(-(10**9), 10**9),
        "u": st.none() | st.uuids().map(str),
        "x": st.none() | st.binary(max_size=5),
    }
)
ARROW = {
    "part": pa.int8(),
    "i": pa.int64(),
    "n": pa.decimal128(38, 2),
    "f": pa.float64(),
    "s": pa.string(),
    "d": pa.date32(),
    "t": pa.timestamp("us"),
    "c": pa.time64("us"),
    "b": pa.bool_(),
    "v": pa.int64(),
    "u": pa.string(),
    "x": pa.binary(),
}
ROWS = st.lists(ROW, max_size=40)


def load(memory: Memory, rows: list[dict[str, Any]]) -> None:
    """The table `whole`, and a view of each of its parts."""
    columns = {name: pa.array([row[name] for row in rows], type_) for name, type_ in ARROW.items()}
    memory.load("whole", pa.table(columns), {"u": "UUID"})
    memory.execute("ALTER TABLE whole ALTER v TYPE INTERVAL USING to_seconds(v)")
    for part in range(4):
        memory.execute(f"CREATE OR REPLACE VIEW part{part} AS SELECT * FROM whole WHERE part = {part}")


def parts(memory: Memory, shifts: dict[str, float] | None = None) -> list[TableSummary]:
    return [memory.summary(f"part{part}", shifts) for part in range(4)]


def without_moments(summary: TableSummary) -> dict[str, ColumnSummary]:
    return {name: replace(column, moments=None) for name, column in summary.columns.items()}


def exact(values: Sequence[float]) -> tuple[Fraction, Fraction]:
    """The mean, and the sum of squared distances from it, without rounding."""
    fractions = [Fraction(value) for value in values]
    mean = sum(fractions, Fraction()) / len(fractions)
    return mean, sum(((value - mean) ** 2 for value in fractions), Fraction())


def assert_true(moments: Moments | None, values: Sequence[float], merges: int) -> None:
    """The error is scaled by what was added: the values' spread and, where shifts differ, their size."""
    assert moments is not None
    assert moments.n == len(values)
    if not values:
        assert (moments.mean, moments.stddev) == (None, None)
        return
    size = max(abs(value) for value in values)
    if size > 1e150:
        return
    mean, squares = exact(values)
    spread = max(values) - min(values)
    assert moments.mean == pytest.approx(float(mean), rel=0, abs=EPSILON * 8 * (len(values) + merges) * size + TINY)
    allowed = TINY + EPSILON * 64 * len(values) * spread * (spread + (size if merges else 0))
    assert moments.squares == pytest.approx(float(squares), rel=1e-12, abs=allowed)


def finite(rows: list[dict[str, Any]], name: str) -> list[float]:
    return [float(row[name]) for row in rows if row[name] is not None and math.isfinite(row[name])]


@given(rows=ROWS, order=st.permutations(range(4)))
@REAL
def test_merged_parts_equal_the_whole(memory: Memory, rows: list[dict[str, Any]], order: list[int]) -> None:
    load(memory, rows)
    whole, pieces = memory.summary("whole"), parts(memory)
    joined = reduce(TableSummary.merge, (pieces[place] for place in order))
    assert without_moments(joined) == without_moments(whole)
    assert (joined.rows, joined.family) == (len(rows), whole.family)
    for name in "infv":
        values = finite(rows, name)
        assert_true(whole.columns[name].moments, values, 0)
        assert_true(joined.columns[name].moments, values, 4)


@given(rows=ROWS)
@REAL
def test_real_summaries_survive_their_bytes(memory: Memory, rows: list[dict[str, Any]]) -> None:
    load(memory, rows)
    summary = memory.summary("whole")
    again = TableSummary.from_bytes(summary.to_bytes())
    assert without_moments(again) == without_moments(summary)
    # By their text, as sums beyond doubles end in NaN, which equals nothing.
    assert [str(c.moments) for c in again.columns.values()] == [str(c.moments) for c in summary.columns.values()]
    assert [type(c.extremes.low) for c in again.columns.values() if c.extremes] == [
        type(c.extremes.low) for c in summary.columns.values() if c.extremes
    ]


@pytest.mark.parametrize("offset", [0.0, 1.0, -1e9, 1e12, 1e15])
def test_one_shift_keeps_the_digits_of_far_values(memory: Memory, offset: float) -> None:
    values = offset + np.random.default_rng(5).integers(0, 1000, 5000).astype(float)
    rows = pa.table({"part": pa.array(np.arange(5000) % 4), "f": values})
    memory.load("whole", rows)
    for part in range(4):
        memory.execute(f"CREATE OR REPLACE VIEW part{part} AS SELECT * FROM whole WHERE part = {part}")
    mean, squares = exact(values.tolist())
    joined = reduce(TableSummary.merge, parts(memory, {"f": float(values[0])})).columns["f"].moments
    assert joined is not None
    assert joined.mean == pytest.approx(float(mean), rel=1e-15)
    assert joined.stddev == pytest.approx(math.sqrt(squares / 4999), rel=1e-12)


def test_constant_columns_have_no_deviation(memory: Memory) -> None:
    for value in (0.1, 1e15 + 0.3, -1e-300, 1e300):
        half = memory.column([value] * 7)
        joined = half.merge(memory.column([value] * 5))
        assert (joined.moments.mean, joined.moments.stddev) == (value, 0.0)


def test_moments_beyond_doubles_are_unknown_not_wrong(memory: Memory) -> None:
    half = memory.column([1.7e308, -1.7e308, 1.7e308])
    told = column_metrics(half.merge(memory.column([1.7e308] * 4)))
    assert "stddev" not in told
    assert "mean" not in told or told["mean"] == pytest.approx(1.7e308 / 7 * 5)


KEYS = st.integers(-85_000, 85_000).filter(lambda key: key == 0 or abs(key) > 12_000)
COUNT = st.integers(0, 2**61)
NUMBERS = st.integers(-(2**200), 2**200)
LONG_DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, places=60)
EXTREME_VALUES = {
    Kind.INTEGER: NUMBERS,
    Kind.DECIMAL: LONG_DECIMALS,
    Kind.FLOAT: st.floats(allow_nan=False, allow_infinity=False),
    Kind.TEXT: TEXTS,
    Kind.DATE: st.integers(-(10**7), 10**7),
    Kind.TIMESTAMP: st.integers(-(2**62), 2**62),
}
REGISTER_ARRAYS = st.lists(st.integers(0, 53), min_size=8, max_size=8).map(
    lambda ranks: HyperLogLog(np.resize(np.array(ranks, np.uint8), REGISTERS))
)


@st.composite
def moments(draw: st.DrawFn) -> Moments:
    n = draw(st.integers(0, 10**12))
    number = st.floats(-1e12, 1e12)
    return Moments(n, draw(number), draw(number), draw(st.floats(0, 1e30))) if n else Moments()


@st.composite
def lengths(draw: st.DrawFn) -> Lengths:
    low, high = sorted(draw(st.tuples(st.integers(0, 2**40), st.integers(0, 2**40))))
    n = draw(st.integers(1, 2**40))
    return Lengths(n, low, high, draw(st.integers(n * low, n * high)))


@st.composite
def columns(draw: st.DrawFn, kind: Kind) -> ColumnSummary:
    low, high = sorted(draw(st.tuples(EXTREME_VALUES[kind], EXTREME_VALUES[kind])))
    counted = st.dictionaries(KEYS, st.integers(1, 2**60), max_size=5)
    summary = ColumnSummary(
        kind,
        "a type",
        draw(COUNT),
        **{name: draw(st.none() | COUNT) for name in COUNTS},
        extremes=draw(st.none() | st.just(Extremes()) | st.just(Extremes(low, high))),
        lengths=draw(st.none() | st.just(Lengths()) | lengths()),
        moments=draw(st.none() | moments()),
        registers=draw(st.none() | REGISTER_ARRAYS),
        buckets=draw(st.none() | counted.map(lambda pairs: LogHistogram.of(pairs.items()))),
        days=draw(st.none() | counted.map(lambda pairs: Days.of(pairs.items(), monthly=kind is Kind.DATE))),
        top=draw(st.none() | st.dictionaries(TEXTS, st.integers(1, 2**60), max_size=5).map(TopValues)),
    )
    return summary


KINDS = st.sampled_from(list(EXTREME_VALUES))
THREE = KINDS.flatmap(lambda kind: st.tuples(*[columns(kind)] * 3))


def close(a: ColumnSummary, b: ColumnSummary) -> bool:
    if replace(a, moments=None) != replace(b, moments=None):
        return False
    if a.moments is None or b.moments is None:
        return a.moments is b.moments
    if a.moments.n != b.moments.n:
        return False
    # Shifts and offsets of 1e12 at most, so squares are known to 1e24 times the number of values.
    return not a.moments.n or (
        math.isclose(a.moments.mean or 0, b.moments.mean or 0, rel_tol=0, abs_tol=1e-2)
        and math.isclose(a.moments.squares, b.moments.squares, rel_tol=1e-9, abs_tol=a.moments.n * 1e11)
    )


@given(THREE)
@QUICK
def test_merging_is_associative_and_commutative(three: tuple[ColumnSummary, ColumnSummary, ColumnSummary]) -> None:
    a, b, c = three
    assert close(a.merge(b).merge(c), a.merge(b.merge(c)))
    assert close(a.merge(b), b.merge(a))


@given(KINDS.flatmap(columns))
@QUICK
def test_any_summary_survives_its_bytes(column: ColumnSummary) -> None:
    table = TableSummary(column.rows, {"ключ \U0001f986": column, "": column}, "some family")
    assert TableSummary.from_bytes(table.to_bytes()) == table


def test_summaries_with_infinite_sums_survive_their_bytes() -> None:
    column = ColumnSummary(Kind.FLOAT, "DOUBLE", 2, moments=Moments(2, 1e308, -math.inf, math.inf))
    table = TableSummary(2, {"c": column}, "family")
    assert TableSummary.from_bytes(table.to_bytes()) == table


def test_the_summary_of_no_rows_changes_nothing(memory: Memory) -> None:
    row = {name: None for name in ARROW} | {"part": 0}
    some = {"i": 3, "n": Decimal("1.50"), "f": 0.5, "s": "a", "b": True, "v": 60, "x": b"1"}
    load(memory, [{**row, **some}, row])
    whole, empty = memory.summary("whole"), memory.summary("part3")
    assert empty.rows == 0
    assert empty.merge(whole) == whole
    assert whole.merge(empty) == whole


def test_the_unknown_stays_unknown() -> None:
    known = ColumnSummary(Kind.INTEGER, "INT", 3, 1, 0, extremes=Extremes(1, 2), top=TopValues({"1": 1, "2": 1}))
    joined = known.merge(ColumnSummary(Kind.INTEGER, "INT", 4, None))
    assert (joined.rows, joined.nulls, joined.zeros) == (7, None, None)
    assert (joined.extremes, joined.top, joined.present) == (None, None, None)


def test_top_values_end_at_a_thousand() -> None:
    first, second = (TopValues({str(n): 1 for n in range(start, start + 600)}) for start in (0, 400))
    joined = first.merge(second)
    assert joined is not None
    assert (len(joined.counts), joined.counts["500"]) == (1000, 2)
    assert joined.merge(TopValues({"one more": 1})) is None


@given(st.lists(st.integers(-3000, 3000), max_size=60), st.booleans())
@example(list(range(2500)), True)
@QUICK
def test_days_become_months_alike_whatever_the_split(days: list[int], dense: bool) -> None:
    numbers = days + list(range(1990)) if dense else days
    pairs = [(day, 1) for day in dict.fromkeys(numbers)]
    whole = Days.of(pairs)
    assert Days.of(pairs[::2]).merge(Days.of(pairs[1::2])) == whole
    assert whole.monthly == (len(pairs) > 2000)
    assert sum(count for _, count in whole.counts) == len(pairs)


def test_months_begin_on_their_first_day() -> None:
    days = [(int(np.datetime64(text, "D").astype(int)), 1) for text in ("1969-12-31", "1970-01-01", "1970-02-01")]
    others = [(day, 1) for day in range(50_000, 52_500)]
    assert Days.of(days + others).counts[:3] == ((1970 * 12 - 1, 1), (1970 * 12, 1), (1970 * 12 + 1, 1))


def test_incompatible_summaries_do_not_merge() -> None:
    column = ColumnSummary(Kind.INTEGER, "INTEGER", 1)
    table = TableSummary(1, {"a": column}, "family")
    for other in (
        replace(table, family="another"),
        replace(table, columns={"b": column}),
        replace(table, columns={"a": replace(column, type="BIGINT")}),
        replace(table, columns={"a": replace(column, kind=Kind.DECIMAL)}),
    ):
        with pytest.raises(SummariesIncompatible):
            table.merge(other)


def test_every_part_of_a_summary_is_merged() -> None:
    """A field added to the summary and forgotten in the merge would silently vanish."""
    one = ColumnSummary(
        Kind.INTEGER,
        "INTEGER",
        1,
        **{name: 1 for name in COUNTS},
        extremes=Extremes(1, 1),
        lengths=Lengths(1, 1, 1, 1),
        moments=Moments(1, 1.0),
        registers=HyperLogLog(),
        buckets=LogHistogram.of([(50_000, 1)]),
        days=Days.of([(1, 1)]),
        top=TopValues({"1": 1}),
    )
    joined = one.merge(one)
    assert all(getattr(joined, field.name) is not None for field in fields(ColumnSummary))
    assert [getattr(joined, name) for name in ("rows", *COUNTS)] == [2] * (1 + len(COUNTS))


@pytest.mark.parametrize("engine", ["lite", "postgres"], indirect=True)
def test_batches_add_up_to_the_table(engine: Engine) -> None:
    numbers = "generate_series(1, 250000) AS g(i)"
    if engine.type == "sqlite":
        numbers = "(WITH RECURSIVE g(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM g WHERE i < 250000) SELECT i FROM g)"
    engine.write(
        "CREATE TABLE t (i INTEGER, f REAL, s TEXT)",
        f"INSERT INTO t SELECT i, CASE WHEN i % 2 = 0 THEN 1000000 + i END, 'v' || (i % 1000) FROM {numbers}",
    )
    found = engine.profiled()
    told = found.metrics("i")
    assert (told["count"], told["min"], told["max"], told["mean"]) == (250_000, 1, 250_000, 125_000.5)
    assert told["stddev"] == pytest.approx(math.sqrt((250_000 * 250_001) / 12), rel=1e-11)
    assert told["distinct_count"] == pytest.approx(250_000, rel=0.049)
    assert found.metrics("f")["null_count"] == 125_000
    assert {each["count"] for each in found.metrics("s")["top_values"]} == {250}
    assert len(found.statements) == 1
