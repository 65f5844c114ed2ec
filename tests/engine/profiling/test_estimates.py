"""The sketches as DuckDB fills them: distinct counts and quantiles within their errors."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest

from profilemesh.profiling.metrics import DISTINCT_ERROR_PERCENT
from profilemesh.profiling.results import quantile
from profilemesh.profiling.sketches import RATIO, edges
from tests.memory import Memory

RANDOM = np.random.default_rng(20261123)
SHAPES = {
    "log-normal": RANDOM.lognormal(0, 4, 50_000),
    "negative": -RANDOM.lognormal(3, 1, 50_000),
    "mixed": RANDOM.standard_normal(50_000) * 1000,
    "tiny": RANDOM.standard_normal(50_000) * 1e-305,
    "huge": RANDOM.standard_normal(50_000) * 1e305,
    "uniform": RANDOM.random(50_000),
    "mostly zero": np.where(RANDOM.random(50_000) < 0.7, 0.0, RANDOM.standard_normal(50_000)),
    "powers of the ratio": RATIO ** RANDOM.integers(-3000, 3000, 50_000),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_quantiles_are_within_one_percent(memory: Memory, shape: str) -> None:
    values = SHAPES[shape]
    summary = memory.column(values)
    assert summary.top is None
    for q in (0, 0.001, 0.05, 0.25, 0.5, 0.75, 0.95, 0.999, 1):
        true = np.quantile(values, q, method="lower")
        assert quantile(summary, q) == pytest.approx(true, rel=0.01), q


def test_integer_quantiles_are_exact_while_small(memory: Memory) -> None:
    values = np.concatenate([RANDOM.integers(-45, 45, 50_000), RANDOM.integers(10_000, 90_000, 5000)])
    summary = memory.column(values)
    assert summary.top is None
    for q in (0.01, 0.3, 0.5, 0.9):
        assert quantile(summary, q) == np.quantile(values, q, method="lower")


@pytest.mark.parametrize(("size", "columns"), [(10, 20), (100, 20), (1000, 20), (10_000, 20), (100_000, 6)])
def test_distinct_estimates_are_within_their_error(memory: Memory, size: int, columns: int) -> None:
    """Twenty columns of other values each: their error's root mean square is about the 1.6 % that theory has."""
    memory.load(
        "many", pa.table({f"c{n}": np.arange(size) * 7 + n * 10**9 for n in range(columns)} | {"part": np.zeros(size)})
    )
    found = [column.registers for column in memory.summary("many").columns.values()]
    errors = [registers.estimate() / size - 1 for registers in found if registers is not None]
    assert len(errors) == columns
    assert max(map(abs, errors)) < DISTINCT_ERROR_PERCENT / 100
    assert math.sqrt(sum(error**2 for error in errors) / columns) < 0.025


def test_a_million_values_are_told_within_the_error(memory: Memory) -> None:
    memory.execute("CREATE OR REPLACE TABLE million AS SELECT 'user' || range AS c FROM range(1000000)")
    registers = memory.summary("million").columns["c"].registers
    assert registers is not None
    assert registers.estimate() == pytest.approx(1_000_000, rel=DISTINCT_ERROR_PERCENT / 100)


def test_repeated_values_change_no_register(memory: Memory) -> None:
    once = memory.column([str(n) for n in range(3000)])
    often = memory.column([str(n) for n in range(3000)] * 5)
    assert once.registers == often.registers


def test_registers_are_filled_as_the_hashes_say(memory: Memory) -> None:
    """Against the same hashes in plain Python: the leading zeros of the lower 52 bits, by the upper 12."""
    hashes = memory.scan.connection.execute("SELECT hash(range::BIGINT) FROM range(20000)").fetchall()
    expected = np.zeros(4096, np.uint8)
    for (value,) in hashes:
        low = value & ((1 << 52) - 1)
        expected[value >> 52] = max(expected[value >> 52], 53 - low.bit_length())
    registers = memory.column(np.arange(20_000)).registers
    assert registers is not None
    assert registers.registers.tolist() == expected.tolist()


def test_buckets_hold_the_values_between_their_edges(memory: Memory) -> None:
    values = [5e-324, 1e-300, 0.02, 1.0, 1.02, 3.0, 1e15, 1.7e308]
    for value in [*values, *(-value for value in values), 0.0, -0.0]:
        buckets = memory.column([value]).buckets
        assert buckets is not None
        [(key, count)] = buckets.counts
        low, high = edges(key)
        # The edges themselves are computed, so they are known but for the last digits.
        assert low - abs(low) * 1e-9 <= value <= high + abs(high) * 1e-9
        assert count == 1


def test_only_finite_values_have_buckets(memory: Memory) -> None:
    summary = memory.column([math.nan, math.inf, -math.inf, 1.0, None])
    assert summary.buckets is not None
    assert summary.buckets.total == 1
    assert (summary.nans, summary.infinites, summary.nulls) == (1, 2, 1)
