"""Pages neither repeat nor skip, by offset and by cursor, also while rows come and go in between."""

import base64
import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from tests.api.contract.world import World
from tests.factories import NOW

LISTS = ("/api/runs", "/api/drift", "/api/tables")
SORTS = ["name", "rows", "last_profiled", "staleness", "drift"]
ODD_VALUES = (2**63, 2**64, -(2**63) - 1, 1e300, True, None, "", "x" * 5000, "0001-01-01T00:00:00+00:00", [], {})
Rows = list[Any]


def same(row: dict[str, Any]) -> tuple[Any, ...]:
    """What tells a row apart."""
    if "event_id" in row:
        return (row["event_id"],)
    if "run_id" in row:
        return row["run_id"], row["dataset_name"]
    return row["warehouse"], row["schema_name"], row["table_name"]


def pages(world: World, path: str, between: Callable[[int], None] | None = None, **query: Any) -> Iterator[Rows]:
    """By the cursor, to its end."""
    cursor: dict[str, str] = {}
    for number in range(200):
        answer = world.get(path, {**query, **cursor})
        assert answer.status_code == 200, answer.text
        yield answer.json
        if "X-Next-Cursor" not in answer.headers:
            return
        cursor = {"cursor": answer.headers["X-Next-Cursor"]}
        if between:
            between(number)
    raise AssertionError("the cursor has no end")


def joined(world: World, path: str, between: Callable[[int], None] | None = None, **query: Any) -> Rows:
    return [row for page in pages(world, path, between, **query) for row in page]


def next_link(answer: Any) -> str | None:
    found = re.search(r'<([^>]*)>; rel="next"', answer.headers.get("Link", ""))
    return found[1] if found else None


@pytest.mark.parametrize("limit", [1, 7, 50, 1000])
@pytest.mark.parametrize("path", LISTS)
def test_pages_by_offset_are_the_list(world: World, path: str, limit: int) -> None:
    whole = world.get(path, {"limit": 1000})
    total = int(whole.headers["X-Total-Count"])
    found = [row for o in range(0, total + 1, limit) for row in world.json(path, {"limit": limit, "offset": o})]
    assert found == whole.json and len(found) == total


@pytest.mark.parametrize("limit", [1, 7, 50, 1000])
@pytest.mark.parametrize("path", LISTS)
def test_pages_by_cursor_are_the_list(world: World, path: str, limit: int) -> None:
    whole = world.json(path, {"limit": 1000})
    found = list(pages(world, path, limit=limit))
    assert sum(found, []) == whole
    assert {len(page) for page in found[:-1]} <= {limit} and len(found[-1]) in range(1, limit + 1)


@pytest.mark.parametrize("way", ["", "-"])
@pytest.mark.parametrize("sort", SORTS)
def test_tables_of_any_order_are_paged_by_cursor(world: World, sort: str, way: str) -> None:
    whole = world.json("/api/tables", {"limit": 1000, "sort": way + sort})
    for limit in (1, 3):
        assert joined(world, "/api/tables", limit=limit, sort=way + sort) == whole


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/api/runs", {"warehouse": "postgres", "days": 90}),
        ("/api/runs", {"table": "orders", "status": "success"}),
        ("/api/runs", {"warehouse": "unknown"}),
        ("/api/drift", {"severity": "high", "days": 90}),
        ("/api/drift", {"table": "orders"}),
        ("/api/tables", {"q": "o", "drifting": "false"}),
        ("/api/tables", {"warehouse": "odd", "sort": "-rows"}),
    ],
)
def test_the_filters_hold_on_every_page(world: World, path: str, query: dict[str, Any]) -> None:
    whole = world.json(path, {"limit": 1000, **query})
    assert joined(world, path, limit=2, **query) == whole and len(whole) >= 2


@pytest.mark.parametrize("path", LISTS)
def test_the_total_is_true_on_every_page(world: World, path: str) -> None:
    first = world.get(path, {"limit": 3})
    cursor = first.headers["X-Next-Cursor"]
    for query in ({"limit": 3, "offset": 6}, {"limit": 3, "cursor": cursor}, {"limit": 1, "offset": 10_000_000}):
        assert world.get(path, query).headers["X-Total-Count"] == first.headers["X-Total-Count"]


@pytest.mark.parametrize("path", LISTS)
def test_links_lead_from_page_to_page(world: World, path: str) -> None:
    whole, found = world.json(path, {"limit": 1000}), []
    answer = world.get(path, {"limit": 9})
    for _ in range(200):
        found += answer.json
        link = next_link(answer)
        if link is None:
            break
        assert "limit=9" in link
        answer = world.client.get(link)
    assert found == whole


@pytest.mark.parametrize("path", LISTS)
def test_past_the_end_is_an_empty_page(world: World, path: str) -> None:
    answer = world.get(path, {"offset": 10_000_000})
    assert (answer.status_code, answer.json) == (200, [])
    assert "X-Next-Cursor" not in answer.headers and next_link(answer) is None


@pytest.mark.parametrize("path", LISTS)
def test_the_cursor_may_be_read_by_a_page(world: World, path: str) -> None:
    answer = world.get(path, {"limit": 2})
    assert "X-Next-Cursor" in answer.headers["Access-Control-Expose-Headers"]


def test_a_cursor_of_another_list_is_refused(world: World) -> None:
    cursors = {path: world.get(path, {"limit": 2}).headers["X-Next-Cursor"] for path in LISTS}
    for path in LISTS:
        for other, cursor in cursors.items():
            answer = world.get(path, {"cursor": cursor})
            assert answer.status_code == (200 if path == other else 422), (path, other)


def test_a_cursor_that_was_tampered_with_is_no_fault_of_ours(world: World) -> None:
    for path in LISTS:
        cursor = world.get(path, {"limit": 2}).headers["X-Next-Cursor"]
        for at in range(0, len(cursor), 3):
            changed = cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :]
            assert world.get(path, {"cursor": changed}).status_code in (200, 422), changed


@pytest.mark.parametrize("path", [*LISTS, "/api/tables?sort=rows", "/api/tables?sort=-last_profiled"])
def test_a_cursor_that_was_made_up_is_no_fault_of_ours(world: World, path: str) -> None:
    """Whoever knows that it is JSON in base64 may put anything there."""
    address, _, asked = path.partition("?")
    cursor = world.get(address, f"{asked}&limit=2").headers["X-Next-Cursor"]
    told = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    for i in range(len(told)):
        for value in ODD_VALUES:
            changed = json.dumps([*told[:i], value, *told[i + 1 :]]).encode()
            made_up = base64.urlsafe_b64encode(changed).decode().rstrip("=")
            assert world.get(address, f"{asked}&cursor={made_up}").status_code in (200, 422), (i, value)


def filled(world: World, count: int = 25) -> World:
    """Runs with drift, three at a time in one moment."""
    for i in range(count):
        run = world.run(f"r{i:02}", f"t{i:02}", back=i // 3, has_drift=True, columns={})
        world.drift(run, event_id=f"e{i:02}")
    world.session.commit()
    return world


@pytest.mark.parametrize("path", LISTS)
def test_what_is_added_between_pages_moves_nothing(small: World, path: str) -> None:
    filled(small)
    before = [same(row) for row in small.json(path, {"limit": 1000})]

    def add(number: int) -> None:
        for name, back in (("a", -0.004), ("zz", 2), ("m", 20)):
            run = small.run(f"{name}{number}", f"{name}{number}", back=back, has_drift=True, columns={})
            small.drift(run)
        small.session.commit()

    found = [same(row) for row in joined(small, path, add, limit=4)]
    assert len(found) == len(set(found))
    assert [row for row in found if row in before] == before


@pytest.mark.parametrize("path", ["/api/runs", "/api/drift"])
def test_what_is_pruned_between_pages_skips_nothing_else(small: World, path: str) -> None:
    filled(small)
    before = [same(row) for row in small.json(path, {"limit": 1000})]
    gone: list[tuple[Any, ...]] = []

    def prune(number: int) -> None:
        """The very row the cursor stands on, and the next."""
        doomed = before[4 * (number + 1) - 1 + len(gone) // 2 :][:2]
        for row in doomed:
            i = row[0][1:]
            small.session.execute(sa.text(f"DELETE FROM profilemesh_runs WHERE run_id = 'r{i}'"))
            small.session.execute(sa.text(f"DELETE FROM profilemesh_events WHERE event_id = 'e{i}'"))
        small.session.commit()
        gone.extend(doomed)

    found = [same(row) for row in joined(small, path, prune, limit=4)]
    assert len(found) == len(set(found))
    assert [row for row in before if row not in found and row not in gone] == []


def test_a_cursor_keeps_the_window_it_began_with(small: World) -> None:
    """Days that pass between two pages would skip what stood at the edge."""
    for i, back in enumerate((0.1, 0.2, 0.9, 5)):
        small.run(f"r{i}", back=back)
    small.session.commit()
    for first, then, wanted in ((1, 3650, ["r2"]), (30, 1, ["r2", "r3"])):
        cursor = small.get("/api/runs", {"days": first, "limit": 2}).headers["X-Next-Cursor"]
        second = small.get("/api/runs", {"days": then, "limit": 9, "cursor": cursor})
        assert [run["run_id"] for run in second.json] == wanted
        assert second.headers["X-Total-Count"] == str(2 + len(wanted))


def test_totals_stay_true_while_rows_come_change_and_go(small: World) -> None:
    """Whatever counts for the lists must see what any hand did to the rows."""
    filled(small, 12)

    def totals() -> list[int]:
        asked = ("/api/runs", "/api/drift", "/api/tables", "/api/runs?status=failed", "/api/runs?warehouse=postgres")
        found = [int(small.get(path).headers["X-Total-Count"]) for path in asked]
        assert found == [len(small.json(path)) for path in asked]
        dashboard = small.json("/api/dashboard/metrics")
        assert (dashboard["total_runs"], dashboard["total_drift_events"]) == (found[0], found[1])
        assert sum(dashboard["warehouse_breakdown"].values()) == found[0]
        return found

    def told(*statements: str) -> list[int]:
        for statement in statements:
            small.session.execute(sa.text(statement))
        small.session.commit()
        return totals()

    assert totals() == [12, 12, 12, 0, 0]
    assert told("UPDATE profilemesh_runs SET status = 'failed' WHERE run_id < 'r03'") == [12, 12, 12, 3, 0]
    moved = "UPDATE profilemesh_runs SET warehouse = 'pg', warehouse_type = 'postgres' WHERE run_id = 'r05'"
    assert told(moved)[4] == 1
    assert told("UPDATE profilemesh_events SET event_type = 'RetryAttempt' WHERE event_id = 'e04'")[1] == 11
    assert told("DELETE FROM profilemesh_events WHERE event_id < 'e04'")[1] == 7
    assert told("DELETE FROM profilemesh_runs WHERE run_id >= 'r10'")[0] == 10
    long_ago = small.naive(NOW - timedelta(days=300))
    small.session.execute(
        sa.text("UPDATE profilemesh_runs SET profiled_at = :at WHERE run_id = 'r00'"), {"at": long_ago}
    )
    assert told()[0] == 9
    assert told("DELETE FROM profilemesh_runs", "DELETE FROM profilemesh_events") == [0, 0, 0, 0, 0]
