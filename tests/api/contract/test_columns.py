from typing import Any
from urllib.parse import quote

import pytest

from tests.api.contract.shapes import COLUMN_METRICS, is_number, is_time, misfits, moment
from tests.api.contract.world import GOOD, NAMES, World

FAR = {"days": 3650, "limit": 1000}


def path(table: str, column: str) -> str:
    return f"/api/tables/{quote(table, safe='')}/columns/{quote(column, safe='')}/metrics"


def problem(world: World, table: str, column: str, **query: Any) -> tuple[int, bool]:
    answer = world.get(path(table, column), query)
    assert answer.content_type == "application/problem+json"
    return answer.status_code, bool(answer.json["detail"])


def test_every_field_is_there(world: World) -> None:
    for table, column in (("orders", "total"), ("orders", "code"), ("stock", "amount"), ("sales", "id")):
        found = world.json(path(table, column), FAR)
        assert misfits(found, COLUMN_METRICS) == []
        assert (found["table_name"], found["column_name"]) == (table, column)
        for metric in found["metrics"].values():
            for point in metric:
                assert set(point) == {"timestamp", "value", "run_id"}
                assert is_time(point["timestamp"]) and isinstance(point["run_id"], str)
                assert point["value"] is None or isinstance(point["value"], str) or is_number(point["value"])


def test_the_history_of_a_metric_is_what_was_stored_oldest_first(world: World) -> None:
    found = world.json(path("orders", "total"), {"schema": "main", "metric": "null_count", "days": 30})
    assert list(found["metrics"]) == ["null_count"]
    runs = [run for run in world.recent(30) if run.place == ("shop", "main", "orders") and run.status in GOOD][::-1]
    told = [(moment(p["timestamp"]), p["value"], p["run_id"]) for p in found["metrics"]["null_count"]]
    assert told == [(run.at, (run.rows or 0) // 10, run.run_id) for run in runs]


def test_all_metrics_unless_one_is_named(world: World) -> None:
    found = world.json(path("orders", "total"), {"schema": "main"})["metrics"]
    assert {"null_count", "null_percent", "distinct_count", "min", "max", "mean", "stddev", "median"} <= set(found)


def test_the_limit_is_of_runs_and_keeps_the_newest(world: World) -> None:
    found = world.json(path("orders", "total"), {"schema": "main", "limit": 3})["metrics"]
    assert {tuple(p["run_id"] for p in found[name]) for name in ("null_count", "mean", "max")} == {
        ("o02", "o01", "o00")
    }


def test_texts_stay_texts_and_numbers_numbers(world: World) -> None:
    code = world.json(path("orders", "code"), {"schema": "main", "limit": 1})["metrics"]
    assert [code[name][0]["value"] for name in ("min", "max", "null_count")] == ["00123", "9", 360]
    amount = world.json(path("stock", "amount"), {"days": 90, "limit": 1})["metrics"]
    assert [amount[name][0]["value"] for name in ("count", "distinct_count", "max")] == [41, 7, 1e16]
    for name in ("null_percent", "mean", "stddev"):
        assert name not in amount or all(p["value"] is None for p in amount[name])


@pytest.mark.parametrize("name", NAMES)
def test_names_may_hold_any_character(world: World, name: str) -> None:
    for table, column in ((NAMES[0], name), (name, NAMES[0]), (name, name)):
        found = world.json(path(table, column), {"metric": "max"})
        assert (found["table_name"], found["column_name"]) == (table, column)
        assert [p["value"] for p in found["metrics"]["max"]] == [NAMES.index(table) + 5]


def test_a_name_in_several_places_is_chosen_among(world: World) -> None:
    found = world.json(path("orders", "total"))
    assert (found["warehouse"], found["schema_name"]) == ("shop", "main")
    assert {(each["warehouse"], each["schema_name"]) for each in found["also_in"]} == {
        ("shop", "archive"),
        ("clicks", "public"),
    }
    chosen = world.json(path("orders", "total"), {"warehouse": "postgres", "metric": "count"})
    assert [p["run_id"] for p in chosen["metrics"]["count"]] == ["k08", "k03", "k02", "k01"]


@pytest.mark.parametrize(("table", "column"), [("nope", "total"), ("orders", "nope"), ("orders", "TOTAL")])
def test_what_is_not_there_is_not_found(world: World, table: str, column: str) -> None:
    assert problem(world, table, column) == (404, True)


def test_a_schema_without_the_table_is_not_found(world: World) -> None:
    assert problem(world, "orders", "total", schema="nope") == (404, True)
