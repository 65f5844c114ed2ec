from typing import Any

import pytest

from tests.api.contract.shapes import is_number
from tests.api.contract.world import CLICKS, World
from tests.factories import number_metrics, text_metrics

CHANGE = {"before", "after", "change", "change_percent"}


def compared(world: World, run: str, other: str, **query: Any) -> Any:
    return world.json(f"/api/runs/{run}/compare/{other}", query)


def status(world: World, run: str, other: str, **query: Any) -> int:
    answer = world.get(f"/api/runs/{run}/compare/{other}", query)
    assert answer.content_type == "application/problem+json" and answer.json["detail"]
    return answer.status_code


def test_rows_are_compared(world: World) -> None:
    found = compared(world, "o10", "o00")
    assert (found["table_name"], found["schema_name"], found["warehouse"]) == ("orders", "main", "shop")
    assert (found["run"]["run_id"], found["other"]["run_id"]) == ("o10", "o00")
    assert found["row_count"] == {
        "before": 1340,
        "after": 1440,
        "change": 100,
        "change_percent": pytest.approx(100 / 13.4),
    }


def test_columns_are_compared_metric_by_metric(world: World) -> None:
    columns = {column["column_name"]: column for column in compared(world, "o10", "o00")["columns"]}
    assert list(columns) == ["total", "code"]
    nulls = columns["total"]["metrics"]["null_count"]
    assert nulls == {"before": 134, "after": 144, "change": 10, "change_percent": pytest.approx(1000 / 134)}
    assert all(set(change) == CHANGE for column in columns.values() for change in column["metrics"].values())
    assert {column["status"] for column in columns.values()} == {"same"}


def test_numbers_alone_have_a_change(world: World) -> None:
    for column in compared(world, "texts", "both", table="stock")["columns"]:
        for name, change in column["metrics"].items():
            both = is_number(change["before"]) and is_number(change["after"])
            assert (change["change"] is not None) is both, (column["column_name"], name, change)
    smallest = compared(world, "o10", "o00")["columns"][1]["metrics"]["min"]
    assert smallest == {"before": "00123", "after": "00123", "change": None, "change_percent": None}


def test_from_nothing_there_is_no_percentage(world: World) -> None:
    found = compared(world, "w02", "half")
    assert found["row_count"] == {"before": 0, "after": 55, "change": 55, "change_percent": None}


def test_columns_come_go_and_change_their_type(small: World) -> None:
    old = {("a", "INT"): number_metrics(5), ("b", "INT"): number_metrics(5), ("gone", "TEXT"): text_metrics(5)}
    new = {("a", "INT"): number_metrics(5), ("b", "BIGINT"): number_metrics(5), ("new", "TEXT"): text_metrics(5)}
    small.run("old", back=1, columns=old)
    small.run("new", columns=new)
    small.session.commit()
    found = {column["column_name"]: column for column in compared(small, "old", "new")["columns"]}
    assert {name: column["status"] for name, column in found.items()} == {
        "a": "same",
        "b": "retyped",
        "gone": "removed",
        "new": "added",
    }
    assert {found["b"]["column_type"], found["b"]["other_type"]} == {"INT", "BIGINT"}
    assert None in (found["gone"]["column_type"], found["gone"]["other_type"])


def test_a_run_with_itself_has_not_changed(world: World) -> None:
    found = compared(world, "o00", "o00")
    changes = [change for column in found["columns"] for change in column["metrics"].values()]
    assert {change["change"] for change in [*changes, found["row_count"]]} <= {0, None}


def test_a_table_of_both_is_chosen(world: World) -> None:
    found = compared(world, "both", "texts")
    assert (found["table_name"], found["schema_name"]) == ("stock", None)
    assert compared(world, "both", "both", table="sales")["table_name"] == "sales"


@pytest.mark.parametrize(("run", "other"), [("nope", "o00"), ("o00", "nope"), ("a%00b", "o00")])
def test_a_run_that_does_not_exist_is_not_found(world: World, run: str, other: str) -> None:
    assert status(world, run, other) == 404


@pytest.mark.parametrize(("run", "other"), [("o00", "c00"), ("o00", "archived"), ("o01", "k01"), ("both", "o00")])
def test_runs_of_different_tables_are_refused(world: World, run: str, other: str) -> None:
    assert status(world, run, other) == 422


def test_a_run_that_failed_has_nothing_to_compare_and_is_no_error(world: World) -> None:
    found = compared(world, "o10", "of5")
    assert found["row_count"] == {"before": 1340, "after": None, "change": None, "change_percent": None}


def test_counts_beyond_32_bits_are_exact(world: World) -> None:
    assert CLICKS[0] == compared(world, "k02", "k01")["warehouse"]
    assert compared(world, "k02", "k01")["row_count"]["change"] == -1
