"""Numbers in rows of doubles say what the mappings they stand for say."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from profilemesh.drift.numbers import Numbers, Series, number
from profilemesh.drift.profiles import Profile
from profilemesh.storage.profiles import packed, unpacked

values = st.none() | st.integers(-(2**70), 2**70) | st.floats() | st.decimals(allow_nan=True) | st.just("text")
runs = st.dictionaries(st.sampled_from("abc"), st.dictionaries(st.sampled_from("xyz"), values))


@given(st.lists(runs, min_size=1, max_size=5))
def test_a_series_is_what_each_run_says_whatever_columns_it_had(history: list[dict[str, dict[str, Any]]]) -> None:
    series = Series(history)
    for column in "abc":
        for metric in "xyz":
            expected = [number(run.get(column, {}).get(metric)) for run in history]
            assert series.of(column, metric) == expected
            if series.knows(column, metric):
                [row] = series.table([(column, metric)]).tolist()
                assert [None if np.isnan(value) else value for value in row] == expected


@given(runs)
def test_stored_numbers_come_back(metrics: dict[str, dict[str, Any]]) -> None:
    _, found = unpacked(packed(Profile("r", datetime(2026, 1, 5, tzinfo=UTC), "full", 1, metrics)))
    assert isinstance(found, Numbers)
    assert found.keys() == metrics.keys()
    for column, some in metrics.items():
        assert dict(found[column]) == {name: x for name, value in some.items() if (x := number(value)) is not None}


def test_days_come_back_as_texts_and_names_do_not() -> None:
    metrics = {"d": {"min": "2026-01-05", "count": 3}, "t": {"min": "anna", "max": "zoe"}}
    _, found = unpacked(packed(Profile("r", datetime(2026, 1, 5, tzinfo=UTC), "full", 1, metrics)))
    assert found == {"d": {"min": "2026-01-05", "count": 3.0}, "t": {}}
