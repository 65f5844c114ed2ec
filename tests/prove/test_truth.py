"""Every metric of every column against what numpy and Python compute from the rows themselves."""

from __future__ import annotations

import math
import sys
from collections import Counter, defaultdict
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from profilemesh.profiling.metrics import QUANTILES, metrics_for
from profilemesh.tables import Kind
from tests.engines import Engine, duckdb_engine, postgres_engine, sqlite_engine
from tests.prove import rows as truth

ALLOWED = {
    "mean": 1e-9,
    "stddev": 1e-9,
    "distinct_count": 0.05,
    "distinct_percent": 0.05,
    **dict.fromkeys(QUANTILES, 0.01),
    "histogram": 0.01,
}
"""The relative error that a metric may have; none where it is not named."""

Worst = dict[str, tuple[float, str]]


@lru_cache(maxsize=1)
def made(rows: int) -> pa.Table:
    return truth.made(rows)


@pytest.fixture(params=["duckdb", "sqlite", "postgres"])
def engine(request: pytest.FixtureRequest, tmp_path: Path, rows: int) -> Engine:
    if request.param == "duckdb":
        truth.in_duckdb(tmp_path / "shop.duckdb", made(rows))
        return duckdb_engine(tmp_path / "shop.duckdb")
    if request.param == "sqlite":
        truth.in_sqlite(tmp_path / "team.db", made(rows))
        return sqlite_engine(tmp_path / "team.db")
    truth.in_postgres(request.getfixturevalue("postgres_url"), made(rows))
    return postgres_engine(request.getfixturevalue("postgres_server"), request.getfixturevalue("postgres_database"))


@pytest.mark.parametrize("rows", [20_000, pytest.param(1_000_000, marks=pytest.mark.prove)])
def test_every_metric_is_true(engine: Engine, rows: int) -> None:
    found = engine.profiled(truth.TABLE)
    worst: Worst = defaultdict(lambda: (0.0, "-"))
    wrong = []
    for name, summary in found.profile.summary.columns.items():
        metrics = found.metrics(name)
        # SQLite has no NaN: it stores NULL.
        expected = _expected(name, summary.kind, rows, engine.type != "sqlite")
        known = {metric.name for metric in metrics_for(summary.kind)}
        wrong += [f"{name} lacks {metric}" for metric in known - metrics.keys() - _unmeasured(expected)]
        for metric, value in metrics.items():
            error = _error(metric, value, expected)
            worst[metric] = max(worst[metric], (error, name))
            if not error <= ALLOWED.get(metric, 0.0):
                wrong.append(f"{name}.{metric}: {_short(value)}, in truth {_short(expected.get(metric))} ({error:.2g})")
    sys.stdout.write(f"{engine.type}, {rows:,} rows: {_told(worst)}\n")
    assert wrong == []
    assert found.errors == {}


def _told(worst: Worst) -> str:
    estimated = (f"{metric} {worst[metric][0]:.2g} ({worst[metric][1]})" for metric in ALLOWED)
    exact = sum(metric not in ALLOWED for metric in worst)
    return "worst relative errors: " + ", ".join(estimated) + f"; the other {exact} metrics are equal"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 80 else f"{text[:80]}..."


def _unmeasured(expected: dict[str, Any]) -> set[str]:
    """What need not be told: values that an engine's type cannot have, long lists, and anything of no value at all."""
    empty = {"distinct_percent", "min", "max", "mean", "stddev", *QUANTILES, "histogram", "date_histogram"}
    can_be_absent = {"nan_count", "infinite_count", "invalid_count", "top_values"}
    return can_be_absent if expected["null_count"] < expected["count"] else can_be_absent | empty


@lru_cache(maxsize=100)
def _expected(name: str, kind: Kind, rows: int, with_nan: bool) -> dict[str, Any]:
    """The metrics by name, and under `values` all that a histogram is judged by."""
    found = (value for value in made(rows).column(name).to_pylist() if value is not None)
    # In SQLite an amount is a double, whose shortest digits are the same number.
    values = [Decimal(value) for value in found] if kind is Kind.DECIMAL else list(found)
    if not with_nan:
        values = [value for value in values if not _is_nan(value)]
    present, distinct = len(values), len(set(values)) - sum(_is_nan(v) for v in set(values))
    distinct += any(_is_nan(v) for v in values)
    counts = Counter(_text(value, kind) for value in values)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shared = {
        "count": rows,
        "null_count": rows - present,
        "null_percent": 100 * (rows - present) / rows,
        "distinct_count": distinct,
        "distinct_percent": 100 * distinct / present if present else None,
        "invalid_count": 0,
        "top_values": [{"value": value, "count": count} for value, count in ranked],
    }
    if kind.is_number:
        return {**shared, **_of_numbers(values)}
    if kind in (Kind.TEXT, Kind.BYTES):
        shared |= _of_lengths([len(value) for value in values])
    if kind is Kind.BOOLEAN:
        return {**shared, "true_count": sum(values)}
    return {
        **shared,
        "min": _text(min(values), kind),
        "max": _text(max(values), kind),
        "blank_count": sum(not value.strip(" ") for value in values) if kind is Kind.TEXT else None,
        "infinite_count": 0,
        "values": np.sort(np.array(values, dtype="datetime64[D]")) if kind.is_temporal else None,
    }


def _is_nan(value: Any) -> bool:
    return value != value


def _of_lengths(lengths: list[int]) -> dict[str, Any]:
    return {"min_length": min(lengths), "max_length": max(lengths), "avg_length": sum(lengths) / len(lengths)}


def _of_numbers(values: list[Any]) -> dict[str, Any]:
    finite = [value for value in values if math.isfinite(value)]
    counts = {
        "zero_count": sum(value == 0 for value in values),
        "negative_count": sum(value < 0 for value in finite),
        "nan_count": sum(math.isnan(value) for value in values),
        "infinite_count": sum(math.isinf(value) for value in values),
    }
    if not finite:
        return counts
    ordered = sorted(finite)
    mean = math.fsum(finite) / len(finite)
    squares = math.fsum((float(value) - mean) ** 2 for value in finite)
    return {
        **counts,
        "values": np.array(ordered, dtype=float),
        "min": ordered[0],
        "max": ordered[-1],
        "mean": mean,
        "stddev": math.sqrt(squares / (len(finite) - 1)),
        **{name: ordered[math.floor(q * (len(ordered) - 1))] for name, q in QUANTILES.items()},
    }


def _text(value: Any, kind: Kind) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if kind is Kind.FLOAT:
        return str(value + 0.0)
    if isinstance(value, datetime):
        return value.isoformat(" ")
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _error(metric: str, value: Any, expected: dict[str, Any]) -> float:
    """The relative error; infinite where two values that must be equal are not."""
    if metric == "histogram":
        return _histogram_error(value, expected["values"])
    if metric == "date_histogram":
        return 0.0 if _days_agree(value, expected["values"]) else math.inf
    true = expected[metric]
    if value == true:
        return 0.0
    if metric not in ALLOWED:
        return math.inf
    # The shares' own error; a mean near zero is judged by the size of what was added up.
    scale = expected["stddev"] if metric == "mean" else 0.0
    return abs(float(value) - float(true)) / max(abs(float(true)), scale)


def _histogram_error(bins: list[dict[str, Any]], ordered: Any) -> float:
    """By how much of its own size each border must be moved so that the counts below it are true."""
    if sum(each["count"] for each in bins) != len(ordered) or bins[0]["bin_start"] != ordered[0]:
        return math.inf
    below = np.cumsum([each["count"] for each in bins])[:-1]
    return max((_moved(each["bin_end"], ordered, int(n)) for each, n in zip(bins, below, strict=False)), default=0.0)


def _moved(border: float, ordered: Any, below: int) -> float:
    if np.searchsorted(ordered, border, "left") <= below <= np.searchsorted(ordered, border, "right"):
        return 0.0
    around = ordered[max(below - 1, 0) : below + 1]
    return float(min(abs(around - border))) / abs(border) if border else math.inf


def _days_agree(bins: list[dict[str, Any]], days: Any) -> bool:
    borders = np.array([bins[0]["bin_start"], *(each["bin_end"] for each in bins)], dtype="datetime64[D]")
    counts = np.diff(np.searchsorted(days, borders))
    return [each["count"] for each in bins] == counts.tolist() and int(counts.sum()) == len(days)
