from typing import Any

import pytest

from tests.api.contract.shapes import BIN, COLUMN, DETAIL, RUN, all_misfits, misfits, moment
from tests.api.contract.world import NAMES, World


def ids(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(run["run_id"], run["dataset_name"]) for run in found]


def test_every_run_has_every_field(world: World) -> None:
    assert all_misfits(world.json("/api/runs", {"limit": 1000, "days": 3650}), RUN) == []


@pytest.mark.parametrize("days", [1, 7, 30, 90, 3650])
def test_the_list_is_what_was_stored(world: World, days: int) -> None:
    answer = world.get("/api/runs", {"days": days, "limit": 1000})
    wanted = world.recent(days)
    assert ids(answer.json) == [(run.run_id, run.table) for run in wanted]
    assert answer.headers["X-Total-Count"] == str(len(wanted))
    for found, run in zip(answer.json, wanted, strict=True):
        assert (found["schema_name"] or "", found["warehouse_type"], found["status"]) == (
            run.schema,
            run.type,
            run.status,
        )
        assert moment(found["profiled_at"]).replace(microsecond=0) == run.at
        assert (found["row_count"], found["has_drift"]) == (run.rows, run.has_drift)


def test_thirty_days_and_a_hundred_runs_unless_asked_otherwise(world: World) -> None:
    answer = world.get("/api/runs")
    assert len(answer.json) == min(100, len(world.recent(30)))
    assert answer.headers["X-Total-Count"] == str(len(world.recent(30)))


@pytest.mark.parametrize("warehouse", ["shop", "duckdb", "clicks", "postgres", "odd", "unknown", "nowhere", "SHOP"])
def test_a_warehouse_is_a_name_or_a_type(world: World, warehouse: str) -> None:
    answer = world.get("/api/runs", {"warehouse": warehouse, "limit": 1000, "days": 90})
    wanted = world.recent(90, warehouse)
    assert ids(answer.json) == [(run.run_id, run.table) for run in wanted]
    assert answer.headers["X-Total-Count"] == str(len(wanted))


@pytest.mark.parametrize(
    "status", ["success", "completed", "failed", "drift_detected", "running", "partial", "exploded"]
)
def test_a_status_that_is_known_or_stored_may_be_asked_for(world: World, status: str) -> None:
    found = world.json("/api/runs", {"status": status, "limit": 1000, "days": 3650})
    assert ids(found) == [(run.run_id, run.table) for run in world.recent(3650) if run.status == status]


@pytest.mark.parametrize("name", NAMES)
def test_a_table_of_any_name_is_found(world: World, name: str) -> None:
    found = world.json("/api/runs", {"table": name, "schema": "ünï cödé"})
    assert ids(found) == [(f"n{NAMES.index(name):02}", name)]


def test_schema_and_table_narrow_together(world: World) -> None:
    found = world.json("/api/runs", {"table": "orders", "schema": "archive", "days": 90})
    assert ids(found) == [("archived", "orders")]


@pytest.mark.parametrize("query", ["warehouse=", "schema=", "table=", "status=", "colour=blue&page=2&format=xml"])
def test_an_empty_filter_is_none_and_a_strange_one_is_ignored(world: World, query: str) -> None:
    assert world.get("/api/runs", query).headers["X-Total-Count"] == str(len(world.recent(30)))


def test_every_run_that_is_listed_can_be_shown(world: World) -> None:
    for run in world.json("/api/runs", {"limit": 1000, "days": 3650}):
        found = world.json(f"/api/runs/{run['run_id']}", {"table": run["dataset_name"]})
        assert misfits(found, DETAIL) == [] and all_misfits(found["columns"], COLUMN) == []
        for column in found["columns"]:
            assert column["histogram"] is None or all_misfits(column["histogram"], BIN) == []
        assert found["dataset_name"] == run["dataset_name"]
        assert all(
            found[name] == run[name] for name in ("schema_name", "warehouse_type", "profiled_at", "column_count")
        )


def test_a_run_shows_its_own_columns_as_they_were_stored(world: World) -> None:
    found = world.json("/api/runs/o00")
    total, code = found["columns"]
    assert (found["row_count"], found["column_count"], found["environment"]) == (1440, 2, "production")
    assert (total["null_count"], total["null_percent"], total["min_value"], total["max_value"]) == (144, 10, 1.5, 900)
    assert (code["min_value"], code["max_value"], code["mean"], code["histogram"]) == ("00123", "9", None, None)
    assert sum(each["count"] for each in total["histogram"]) == pytest.approx(1296, abs=5)


def test_columns_of_any_name_are_shown(world: World) -> None:
    assert [column["column_name"] for column in world.json("/api/runs/n00")["columns"]] == list(NAMES)


def test_two_tables_of_one_run_keep_their_columns_apart(world: World) -> None:
    sales, stock = (world.json("/api/runs/both", {"table": table}) for table in ("sales", "stock"))
    assert [column["column_name"] for column in sales["columns"]] == ["id"]
    assert [column["column_name"] for column in stock["columns"]] == ["amount", "code"]
    assert (sales["row_count"], stock["row_count"]) == (40, 50)


def test_texts_of_phase_1_are_numbers_nulls_and_texts(world: World) -> None:
    found = world.json("/api/runs/texts")
    amount, code = found["columns"]
    assert found["row_count"] == 41
    assert (amount["min_value"], amount["max_value"], amount["distinct_count"]) == (12, 1e16, 7)
    for name in ("null_count", "null_percent", "mean", "stddev", "histogram", "distinct_percent"):
        assert amount[name] is None
    assert (code["min_value"], code["max_value"], code["null_percent"]) == ("00123", "9", 0)


@pytest.mark.parametrize("query", [{"table": "nope"}, {"schema": "nope"}, {"table": "stock", "schema": "main"}])
def test_a_table_that_the_run_does_not_cover_is_not_found(world: World, query: dict[str, str]) -> None:
    answer = world.get("/api/runs/both", query)
    assert (answer.status_code, answer.json["detail"]) == (404, "Run both not found")
