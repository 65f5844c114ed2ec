"""A small part of `bench/drift.py`, with fixed seeds: unchanged tables raise no alarm, shifted ones do."""

from collections.abc import Callable

import numpy as np
import pytest

from bench._arrays import Population
from profilemesh.drift import compare
from profilemesh.profiling.summary import TableSummary
from tests.engine.drift.made import ORDERS, Values, profile, rules, summary_of

PAIRS = 60


def compared(before: TableSummary, now: TableSummary) -> set[str]:
    return {each.column for each in compare(ORDERS, profile(now, 1), [profile(before)], rules()).findings}


@pytest.mark.parametrize("rows", [100, 1000, 8000])
@pytest.mark.parametrize("growth", [0.0, 0.01, 0.1])
def test_unchanged_tables_raise_no_alarm(rows: int, growth: float) -> None:
    random = np.random.default_rng(rows + int(1000 * growth))
    false = 0
    for _ in range(PAIRS // 3):
        population = Population.drawn(random)
        before = summary_of(population.rows(random, rows))
        now = summary_of(population.rows(random, int(rows * growth) or rows, first=rows + 1))
        false += bool(compared(before, before.merge(now) if growth else now))
    assert false == 0


def mean(some: dict[str, Values]) -> str:
    some["measure"] = Values(some["measure"].kind, some["measure"].values + 2.0, some["measure"].nulls, 0.0)
    return "measure"


def variance(some: dict[str, Values]) -> str:
    x = some["amount"].values
    values = np.asarray(x.mean() + (x - x.mean()) * np.sqrt(1.5))
    some["amount"] = Values(some["amount"].kind, values, some["amount"].nulls, 0.0)
    return "amount"


def nulls(some: dict[str, Values]) -> str:
    email = some["email"]
    some["email"] = Values(email.kind, email.values, email.nulls | (np.arange(email.nulls.size) % 48 == 0))
    return "email"


def half(some: dict[str, Values]) -> str:
    for name, each in some.items():
        some[name] = Values(each.kind, each.values[::2], each.nulls[::2], each.shift)
    return ""


@pytest.mark.parametrize("shift", [mean, variance, nulls, half])
def test_shifts_are_found(shift: Callable[[dict[str, Values]], str]) -> None:
    random = np.random.default_rng(7)
    hits = 0
    for _ in range(12):
        population = Population.drawn(random)
        now = population.rows(random, 10_000)
        column = shift(now)
        hits += column in compared(summary_of(population.rows(random, 10_000)), summary_of(now))
    assert hits == 12
