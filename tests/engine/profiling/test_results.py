"""Metrics as they are read off a summary, and as they are stored."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest

from profilemesh.profiling.metrics import BY_NAME, CATALOGUE, metrics_for
from profilemesh.profiling.results import column_metrics, encoded
from profilemesh.profiling.summary import ColumnSummary, Extremes
from profilemesh.tables import Kind
from tests.memory import Memory

RANDOM = np.random.default_rng(7)


@pytest.fixture
def told(memory: Memory) -> Callable[..., dict[str, Any]]:
    def tell(values: Any, type_: str | None = None, **options: Any) -> dict[str, Any]:
        return column_metrics(memory.column(values, type_), **options)

    return tell


def test_metrics_stand_in_the_catalogue_s_order(told) -> None:
    for values in ([1, 2], ["a"], [True], [date(2026, 1, 1)], [1.5]):
        names = list(told(values))
        assert names == [metric.name for metric in CATALOGUE if metric.name in names]


def test_shares_are_percents(told) -> None:
    found = told([1, 1, 2, None])
    assert (found["null_percent"], found["distinct_percent"]) == (25.0, pytest.approx(200 / 3))


def test_quantiles_are_of_lower_rank_and_exact_while_listed(told) -> None:
    values = RANDOM.integers(-10_000, 10_000, 900)
    found = told(values)
    for name, q in (("p05", 0.05), ("p25", 0.25), ("median", 0.5), ("p75", 0.75), ("p95", 0.95)):
        assert found[name] == sorted(values.tolist())[math.floor(q * 899)]


def test_quantiles_keep_their_type(told) -> None:
    assert told([1, 2, 3])["median"] == 2
    assert isinstance(told([1, 2, 3])["median"], int)
    assert told(["1.10", "2.20"], "DECIMAL(5,2)")["median"] == Decimal("1.10")


def test_quantiles_stay_between_min_and_max(told) -> None:
    values = RANDOM.random(5000) * 1e-4 + 5.0
    found = told(values)
    assert "top_values" not in found
    quantiles = [found[name] for name in ("min", "p05", "p25", "median", "p75", "p95", "max")]
    assert quantiles == sorted(quantiles)


def test_a_listed_histogram_equals_numpy_s(told) -> None:
    values = RANDOM.integers(0, 500, 3000)
    bins = told(values)["histogram"]
    counts, borders = np.histogram(values, 10)
    assert [each["count"] for each in bins] == counts.tolist()
    assert [each["bin_start"] for each in bins] == borders[:-1].tolist()


@pytest.mark.parametrize("bins", [1, 7, 10, 100])
def test_an_estimated_histogram_loses_no_value(told, bins: int) -> None:
    for values in (RANDOM.standard_normal(20_000), RANDOM.lognormal(0, 3, 20_000), -RANDOM.random(20_000) - 1e6):
        found = told(values, bins=bins)["histogram"]
        assert len(found) == bins
        assert sum(each["count"] for each in found) == 20_000
        assert all(each["count"] >= 0 for each in found)
        assert (found[0]["bin_start"], found[-1]["bin_end"]) == (values.min(), values.max())


def test_an_estimated_histogram_is_near_the_truth(told) -> None:
    values = RANDOM.standard_normal(100_000) * 10 + 50
    counts, _ = np.histogram(values, 10)
    found = [each["count"] for each in told(values)["histogram"]]
    assert np.abs(np.array(found) - counts).max() < 1500


def test_a_constant_has_one_bin(told) -> None:
    assert told([2.5, 2.5])["histogram"] == [{"bin_start": 2.5, "bin_end": 2.5, "count": 2}]


def test_the_widest_range_has_one_bin(told) -> None:
    found = told([-1.7e308, 1.7e308])["histogram"]
    assert sum(each["count"] for each in found) == 2


def test_no_histogram_ends_beyond_doubles(told, memory: Memory) -> None:
    summary = memory.column(["1.5", "2.5"], "DECIMAL(5,2)")
    far = replace(summary, extremes=Extremes(Decimal("1.5"), Decimal("1e400")))
    assert "histogram" not in column_metrics(far)
    assert column_metrics(far)["max"] == Decimal("1e400")


def test_days_are_binned_whole(told) -> None:
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(25)]
    bins = told(days)["date_histogram"]
    assert [each["count"] for each in bins] == [3] * 8 + [1]
    assert (bins[0]["bin_start"], bins[0]["bin_end"], bins[1]["bin_start"]) == (
        "2026-01-01",
        "2026-01-04",
        "2026-01-04",
    )


def test_many_days_are_binned_by_month(told) -> None:
    days = [date(2000, 1, 1) + timedelta(days=n) for n in range(3000)]
    bins = told(days)["date_histogram"]
    assert sum(each["count"] for each in bins) == 3000
    assert all(each["bin_start"].endswith("-01") for each in bins)


def test_times_are_iso_texts(told) -> None:
    at = datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001 - as a type without zone holds it
    assert told([at])["min"] == "2026-01-02 03:04:05"
    assert told([at.replace(microsecond=60)])["min"] == "2026-01-02 03:04:05.000060"
    assert told([at], "TIMESTAMPTZ")["max"] == "2026-01-02 03:04:05+00:00"
    assert told([time(3, 4, 5)])["max"] == "03:04:05"
    assert told([date(2026, 1, 2)])["max"] == "2026-01-02"
    assert told(["0044-03-15 (BC)"], "DATE")["min"] == "-0043-03-15"


def test_booleans_are_counted_and_listed(told) -> None:
    found = told([True, False, True, None])
    assert found["true_count"] == 2
    assert found["top_values"] == [{"value": "true", "count": 2}, {"value": "false", "count": 1}]


def test_top_values_are_ranked_by_count_then_by_text(told) -> None:
    found = told(["b", "a", "c", "c"])["top_values"]
    assert [each["value"] for each in found] == ["c", "a", "b"]


@pytest.mark.parametrize(("distinct", "listed"), [(1000, True), (1001, False)])
def test_a_thousand_values_are_listed_and_no_more(told, distinct: int, listed: bool) -> None:
    found = told(np.arange(distinct))
    assert ("top_values" in found) == listed
    assert (found["distinct_count"] == distinct) or not listed


def test_a_lower_limit_hides_long_lists_only(told) -> None:
    found = told([1, 2, 3], listed=2)
    assert "top_values" not in found
    assert found["distinct_count"] == 3


def test_no_bins_no_histograms(told) -> None:
    assert "histogram" not in told([1, 2], bins=0)
    assert "date_histogram" not in told([date(2026, 1, 1)], bins=0)


def test_only_wanted_metrics_are_told(told) -> None:
    assert list(told([1, 2], wanted=["min", "mean", "no_such"])) == ["count", "min", "mean"]


def test_sensitive_columns_go_without_what_reveals(told) -> None:
    found = told(["a"], sensitive=True)
    assert not any(BY_NAME[name].reveals for name in found)
    assert {"count", "null_count", "distinct_count"} <= found.keys()


def test_distinct_values_never_outnumber_the_rows(told) -> None:
    for size in range(1010, 1400, 30):
        assert told(np.arange(size))["distinct_count"] <= size


def test_intervals_are_told_in_seconds(told) -> None:
    found = told(pa.array(["1 day", "-1 second"]), "INTERVAL")
    assert (found["min"], found["max"], found["negative_count"]) == (-1.0, 86_400.0, 1)


def test_what_is_unknown_is_left_out() -> None:
    assert column_metrics(ColumnSummary(Kind.INTEGER, "INT", 9, None)) == {"count": 9}


def test_one_value_has_no_deviation(told) -> None:
    found = told([5])
    assert found["mean"] == 5.0
    assert "stddev" not in found


def test_every_kind_has_its_metrics(told, memory: Memory) -> None:
    summary = memory.column([1, 2])
    for kind in Kind:
        names = set(column_metrics(replace(summary, kind=kind, extremes=None, top=None, buckets=None)))
        assert names <= {metric.name for metric in metrics_for(kind)}


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (3, ("3", 3.0)),
        (0.1, ("0.1", 0.1)),
        (Decimal("1.50"), ("1.50", 1.5)),
        ("2026-01-01", ("2026-01-01", None)),
        (10**400, (str(10**400), None)),
        (Decimal("1e400"), ("1E+400", None)),
        ([{"value": "ü", "count": 1}], ('[{"value":"ü","count":1}]', None)),
    ],
)
def test_values_are_stored_as_text_and_as_number(value: Any, stored: tuple[str, float | None]) -> None:
    assert encoded(value) == stored


def test_lists_survive_their_encoding(told) -> None:
    for values in ([1, 2], ["a\0b", '"', "🦆"], [date(2026, 1, 1)]):
        for value in told(values).values():
            if isinstance(value, list):
                assert orjson.loads(encoded(value)[0]) == value
