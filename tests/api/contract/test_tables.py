from typing import Any
from urllib.parse import quote

import pytest

from tests.api.contract.shapes import COLUMN, METRICS, POINT, TABLE, all_misfits, misfits, moment
from tests.api.contract.world import GOOD, NAMES, Ran, World, points

AT_MOST = {"limit": 1000}


def path(table: str) -> str:
    return f"/api/tables/{quote(table, safe='')}/metrics"


def place(found: dict[str, Any]) -> tuple[str, str, str]:
    return found["warehouse"], found["schema_name"] or "", found["table_name"]


def places(found: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [place(table) for table in found]


def known(world: World) -> set[tuple[str, str, str]]:
    return {run.place for run in world.runs} | {("crm", "main", "accounts")}


def good(runs: list[Ran]) -> list[Ran]:
    return [run for run in runs if run.status in GOOD]


def test_every_table_is_listed_with_every_field(world: World) -> None:
    answer = world.get("/api/tables", AT_MOST)
    assert all_misfits(answer.json, TABLE) == []
    assert set(places(answer.json)) == known(world) and len(answer.json) == len(known(world))
    assert answer.headers["X-Total-Count"] == str(len(known(world)))
    assert all("total_runs" not in table for table in answer.json)


def test_a_table_tells_its_last_good_profile_and_how_its_last_run_ended(world: World) -> None:
    for table in world.json("/api/tables", AT_MOST):
        runs = [run for run in world.of(*place(table)) if run.status != "running"]
        last = good(runs)[:1]
        assert table["last_status"] == (runs[0].status if runs else None), table
        assert table["is_failing"] is bool(runs and runs[0].status == "failed"), table
        assert (table["last_profiled"] is not None) is bool(last), table
        if last:
            assert moment(table["last_profiled"]) == last[0].at, table
            assert table["warehouse_type"] == last[0].type
            assert (table["row_count"], table["column_count"]) == (last[0].rows, last[0].columns), table


def test_drift_is_counted_of_that_table_alone(world: World) -> None:
    for table in world.json("/api/tables", AT_MOST):
        events = [event for event in world.events if event.is_drift and event.place == place(table)]
        assert table["drift_count"] <= len(events), table
        if not events:
            assert table["drift_count"] == 0


@pytest.mark.parametrize("flag", ["stale", "failing", "drifting"])
def test_a_flag_divides_the_list(world: World, flag: str) -> None:
    whole = world.json("/api/tables", AT_MOST)
    claims = {
        "stale": lambda table: table["is_stale"],
        "failing": lambda table: table["is_failing"],
        "drifting": lambda table: table["drift_count"] > 0,
    }
    for value in (True, False):
        answer = world.get("/api/tables", {**AT_MOST, flag: str(value).lower()})
        assert answer.json == [table for table in whole if claims[flag](table) is value]
        assert answer.headers["X-Total-Count"] == str(len(answer.json))


def test_some_table_is_failing_drifting_or_stale(world: World) -> None:
    for flag in ("stale", "failing", "drifting"):
        assert world.json("/api/tables", {flag: "true"}), flag


@pytest.mark.parametrize(
    ("sort", "field"),
    [
        ("name", "table_name"),
        ("rows", "row_count"),
        ("last_profiled", "last_profiled"),
        ("staleness", "staleness_score"),
        ("drift", "drift_count"),
    ],
)
def test_a_sort_has_two_ways_and_loses_nothing(world: World, sort: str, field: str) -> None:
    for way in (sort, f"-{sort}"):
        found = world.json("/api/tables", {**AT_MOST, "sort": way})
        assert set(places(found)) == known(world) and len(found) == len(known(world))
        values = [table[field] for table in found if table[field] is not None]
        if sort != "name":
            assert values == sorted(values, reverse=way.startswith("-"))
        unknown = [table[field] is None for table in found]
        assert unknown in (sorted(unknown), sorted(unknown, reverse=True)), "what is unknown stands together"


def test_names_have_the_same_order_on_both_storages(world: World) -> None:
    found = [table["table_name"] for table in world.json("/api/tables", AT_MOST)]
    assert found == [table["table_name"] for table in world.json("/api/tables", {**AT_MOST, "sort": "name"})]
    assert found == sorted(found) or [name.lower() for name in found] == sorted(name.lower() for name in found)


@pytest.mark.parametrize("warehouse", ["shop", "duckdb", "postgres", "odd", "crm", "nowhere"])
def test_a_warehouse_is_a_name_or_a_type(world: World, warehouse: str) -> None:
    found = places(world.json("/api/tables", {**AT_MOST, "warehouse": warehouse}))
    types = {run.warehouse: run.type for run in world.runs}
    assert set(found) == {each for each in known(world) if warehouse in (each[0], types.get(each[0]))}


@pytest.mark.parametrize("q", ["order", "ORDER", "%", "_", "\\", "/", "ünï", "'", "nope"])
def test_a_search_is_for_a_part_of_the_name_as_it_stands(world: World, q: str) -> None:
    found = places(world.json("/api/tables", {**AT_MOST, "q": q}))
    assert set(found) == {each for each in known(world) if q.lower() in each[2].lower()}


def test_a_schema_narrows(world: World) -> None:
    found = places(world.json("/api/tables", {**AT_MOST, "schema": "archive"}))
    assert found == [("shop", "archive", "orders")]
    assert world.json("/api/tables", "schema=&q=&warehouse=&stale=&colour=blue")


def test_every_table_with_a_good_run_has_metrics(world: World) -> None:
    for warehouse, schema, table in sorted(known(world)):
        answer = world.get(path(table), {"warehouse": warehouse, "schema": schema})
        if not good(world.of(warehouse, schema, table)):
            assert answer.status_code == 404 and answer.json["detail"].startswith(f"Table {table} ")
            continue
        assert answer.status_code == 200, (table, answer.text)
        assert misfits(answer.json, METRICS) == [], table
        assert all_misfits(answer.json["columns"], COLUMN) == []
        for trend in ("row_count_trend", "null_percent_trend"):
            assert all_misfits(answer.json[trend], POINT) == []
        assert (answer.json["table_name"], answer.json["schema_name"] or "") == (table, schema)


def test_metrics_are_those_of_the_last_good_run_and_counts_of_the_table_alone(world: World) -> None:
    for warehouse, schema, table in sorted(known(world)):
        runs = world.of(warehouse, schema, table)
        last = next(iter(good(runs)), None)
        if last is None or last.rows is None:
            continue
        found = world.json(path(table), {"warehouse": warehouse, "schema": schema})
        assert (found["row_count"], found["column_count"], moment(found["last_profiled"])) == (
            last.rows,
            last.columns,
            last.at,
        )
        assert found["total_runs"] == len(runs), table
        events = [event for event in world.events if event.is_drift and event.place == last.place]
        assert found["drift_count"] == len(events), table
        shown = world.json(f"/api/runs/{last.run_id}", {"table": table})
        assert found["columns"] == shown["columns"]


def test_trends_are_of_the_last_thirty_runs_oldest_first(world: World) -> None:
    found = world.json(path("orders"), {"schema": "main"})
    wanted = [run for run in world.of("shop", "main", "orders") if run.status == "success"][:30][::-1]
    trend = points(found["row_count_trend"])
    # The failed run of the fifth day has no rows; whether it takes a place of the thirty is not agreed.
    assert trend[-29:] == [(run.at, run.rows) for run in wanted][-29:] and len(trend) in (29, 30)
    nulls = points(found["null_percent_trend"])
    assert [at for at, _ in nulls] == [at for at, _ in trend]
    for (_, value), (_, rows) in zip(nulls, trend, strict=True):
        assert value == pytest.approx((100 * (rows // 10) / rows + 100 * (rows // 4) / rows) / 2)


def test_an_old_run_without_a_count_takes_it_from_its_columns(world: World) -> None:
    found = world.json(path("stock"))
    assert (found["row_count"], found["warehouse_type"], found["schema_name"]) == (41, "unknown", None)
    assert [column["column_name"] for column in found["columns"]] == ["amount", "code"]


def test_a_name_in_several_places_is_the_most_recently_profiled(world: World) -> None:
    found = world.json(path("orders"))
    assert (found["schema_name"], found["warehouse_type"]) == ("main", "duckdb")
    others = {(other["warehouse"], other["schema_name"]) for other in found["also_in"]}
    assert others == {("shop", "archive"), ("clicks", "public")}
    chosen = world.json(path("orders"), {"warehouse": "postgres"})
    assert (chosen["schema_name"], chosen["row_count"]) == ("public", 9_000_000_001)
    assert world.json(path("orders"), {"schema": "archive"})["row_count"] == 77


@pytest.mark.parametrize("name", NAMES)
def test_a_name_may_hold_any_character(world: World, name: str) -> None:
    found = world.json(path(name))
    assert (found["table_name"], found["row_count"]) == (name, 10 + NAMES.index(name))
    assert [column["column_name"] for column in found["columns"]] == list(NAMES)


@pytest.mark.parametrize("name", ["a//b", "/a", "a/", "..", ".", "a/../b", "a\tb", " ", "a\nb", "%", "é"])
def test_names_that_servers_like_to_tidy_up_are_left_alone(small: World, name: str) -> None:
    small.run("wanted", name, rows=12)
    for i, other in enumerate(("a/b", "a", "b", "e\u0301")):
        small.run(f"other{i}", other, rows=99)
    small.session.commit()
    assert small.json(path(name))["row_count"] == 12


@pytest.mark.parametrize("name", ["nope", "ORDERS", "orders ", "postings", "accounts"])
def test_a_table_without_a_good_run_is_not_found(world: World, name: str) -> None:
    answer = world.get(path(name))
    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")
    assert answer.json["detail"].startswith(f"Table {name} ")


def test_a_table_that_was_never_heard_of_is_not_found(world: World) -> None:
    assert world.get(path("nope")).json["detail"] == "Table nope not found"
    assert world.get(path("orders"), {"schema": "nope"}).json["detail"] == "Table orders not found"


def test_a_nul_in_a_name_is_not_found(world: World) -> None:
    assert world.get("/api/tables/a%00b/metrics").status_code in (404, 422)
