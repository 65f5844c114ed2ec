from typing import Any

import pytest

from tests.api.contract.world import NAMES, World

GROUPS = ["tables", "columns", "runs"]


def found(world: World, q: str, **query: Any) -> Any:
    return world.json("/api/search", {"q": q, **query})


def test_there_are_three_groups_found_or_not(world: World) -> None:
    for q in ("orders", "nothing of that name"):
        assert list(found(world, q)) == GROUPS
        assert all(isinstance(group, list) for group in found(world, q).values())
    assert found(world, "nothing of that name") == {"tables": [], "columns": [], "runs": []}


def test_tables_are_found_in_every_place(world: World) -> None:
    places = {(t["warehouse"], t["schema_name"], t["table_name"]) for t in found(world, "orders", limit=50)["tables"]}
    assert {("shop", "main", "orders"), ("shop", "archive", "orders"), ("clicks", "public", "orders")} <= places


def test_columns_are_found_with_their_table(world: World) -> None:
    columns = found(world, "amount")["columns"]
    assert [(column["table_name"], column["column_name"]) for column in columns] == [("stock", "amount")]


def test_runs_are_found_by_their_id(world: World) -> None:
    assert "archived" in [run["run_id"] for run in found(world, "archived")["runs"]]


@pytest.mark.parametrize("q", ["%", "_", "\\", "'", '"', "/", "ünï", "<b>", "ORDER"])
def test_a_search_is_for_a_part_as_it_stands(world: World, q: str) -> None:
    answer = found(world, q, limit=50)
    for found_ in answer["tables"] + answer["columns"]:
        assert q.lower() in " ".join(text for text in found_.values() if isinstance(text, str)).lower()
    assert any(q.lower() in name.lower() for name in NAMES) <= bool(answer["tables"])


@pytest.mark.parametrize("limit", [1, 2, 50])
def test_the_limit_is_per_group(world: World, limit: int) -> None:
    assert max(len(group) for group in found(world, "o", limit=limit).values()) <= limit


def test_ten_per_group_unless_asked_otherwise(world: World) -> None:
    assert len(found(world, "t")["columns"]) == 10


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "q"),
        ("q=", "q"),
        ("q=a%00b", "q"),
        ("q=a&limit=0", "limit"),
        ("q=a&limit=51", "limit"),
        ("q=a&limit=", "limit"),
        ("q=a&limit=x", "limit"),
    ],
)
def test_a_search_for_nothing_is_refused(world: World, query: str, field: str) -> None:
    answer = world.get("/api/search", query)
    assert (answer.status_code, list(answer.json["errors"])) == (422, [field])
