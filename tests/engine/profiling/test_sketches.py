"""The sketches: what merges exactly, and how near the estimates are."""

import math

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profilemesh.profiling.metrics import DISTINCT_ERROR_PERCENT
from profilemesh.profiling.sketches import (
    BUCKET_OFFSET,
    REGISTERS,
    HyperLogLog,
    LogHistogram,
    edges,
    middle,
)

ranks = st.lists(st.integers(0, 53), min_size=20, max_size=20)
keys = st.dictionaries(st.integers(-80_000, 80_000), st.integers(1, 10**12), max_size=30)


def sketch(cells: list[int]) -> HyperLogLog:
    registers = np.zeros(REGISTERS, np.uint8)
    registers[: len(cells)] = cells
    return HyperLogLog(registers)


@given(ranks, ranks, ranks)
def test_registers_merge_in_any_order_and_grouping(a, b, c):
    a, b, c = sketch(a), sketch(b), sketch(c)
    assert a.merge(b) == b.merge(a)
    assert a.merge(b).merge(c) == a.merge(b.merge(c))
    assert a.merge(a) == a == a.merge(HyperLogLog())


@given(keys, keys, keys)
def test_buckets_merge_in_any_order_and_grouping(a, b, c):
    a, b, c = (LogHistogram.of(part.items()) for part in (a, b, c))
    assert a.merge(b) == b.merge(a)
    assert a.merge(b).merge(c) == a.merge(b.merge(c))
    assert a.merge(LogHistogram()) == a
    assert a.merge(b).total == a.total + b.total


def test_bits_tell_the_highest_rank_of_each_register():
    bits = bytearray(REGISTERS * 8)
    for register, rank in ((0, 1), (0, 7), (5, 53), (4095, 2)):
        position = register * 64 + rank
        bits[position // 8] |= 0x80 >> position % 8
    cells = HyperLogLog.from_bits(bytes(bits)).registers
    assert {int(place): int(cells[place]) for place in np.nonzero(cells)[0]} == {0: 7, 5: 53, 4095: 2}
    assert HyperLogLog.from_bits(None) == HyperLogLog()


@pytest.mark.parametrize("n", [0, 1, 10, 100, 1000, 5000, 10_000, 20_000, 100_000, 1_000_000])
def test_the_distinct_estimate_is_within_three_standard_errors(n):
    registers = np.zeros(REGISTERS, np.uint8)
    hashes = duckdb.sql(f"SELECT hash(i * 31) FROM range({n}) AS t(i)").fetchnumpy()["hash((i * 31))"] if n else []
    hashes = np.asarray(hashes, np.uint64)
    low = (hashes & np.uint64((1 << 52) - 1)).astype(np.float64)
    np.maximum.at(registers, (hashes >> np.uint64(52)).astype(int), (53 - np.frexp(low)[1]).astype(np.uint8))
    assert HyperLogLog(registers).estimate() == pytest.approx(n, rel=DISTINCT_ERROR_PERCENT / 100, abs=0.5)


@given(st.integers(-35_000, 35_000))
@settings(max_examples=300)
def test_no_value_of_a_bucket_is_further_than_one_percent_from_its_middle(exponent):
    for key in (exponent + BUCKET_OFFSET, -(exponent + BUCKET_OFFSET)):
        low, high = edges(key)
        assert low < high
        assert all(abs(middle(key) - edge) <= 0.0100 * abs(edge) for edge in (low, high))


def test_buckets_cover_every_double_in_order():
    smallest, largest = 5e-324, 1.7976931348623157e308
    for value in (smallest, 1e-300, 0.5, 1.0, 7.0, 1e300, largest):
        key = math.floor(math.log(value) / math.log(1.02)) + BUCKET_OFFSET
        assert 0 < key
        low, high = edges(key)
        assert low <= value * (1 + 1e-9) and value <= high * (1 + 1e-9)
    assert edges(0) == (0.0, 0.0)
    assert middle(0) == 0.0


def spread(name: str) -> np.ndarray:
    random = np.random.default_rng(7)
    normal = random.standard_normal(20_000)
    return {
        "log-normal": np.exp(2 * normal),
        "negative": -np.exp(normal),
        "mixed": normal * 1000,
        "tiny": np.exp(normal) * 1e-300,
        "huge": np.exp(normal) * 1e300,
    }[name]


@pytest.mark.parametrize("name", ["log-normal", "negative", "mixed", "tiny", "huge"])
def test_quantiles_are_within_one_percent_of_the_lower_rank(name):
    values = spread(name)
    places = np.floor(np.log(np.abs(values)) / math.log(1.02)).astype(int) + BUCKET_OFFSET
    found, counts = np.unique(np.sign(values).astype(int) * places, return_counts=True)
    histogram = LogHistogram.of(zip(found.tolist(), counts.tolist(), strict=True))
    for q in (0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1):
        truth = float(np.quantile(values, q, method="lower"))
        assert histogram.quantile(q) == pytest.approx(truth, rel=0.0101)


def test_a_quantile_of_nothing_is_unknown():
    assert LogHistogram().quantile(0.5) is None
