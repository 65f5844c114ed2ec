"""What a plan asks for, from values alone: which tables share a run, what is asked for again, and when."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from profilemesh.integrations.dagster.requests import (
    RUNS_PER_TICK,
    TABLES_PER_RUN,
    AskedBefore,
    Asking,
    Memory,
    Standing,
    asked,
    from_cursor,
    to_cursor,
    unsettled,
)
from profilemesh.planning import Plan
from profilemesh.tables import TableRef
from tests.engine.plans import NOW, ORDERS, TICKETS, catalogue, plan, remembered, snapshot

FIVE_MINUTES = timedelta(minutes=5)


def many(n: int, rows: int = 10) -> Plan:
    return plan(
        None, catalogue(*(snapshot(TableRef("shop", "main", f"t{i:04}"), rows_estimate=rows) for i in range(n)))
    )


def ask(made: Plan, memory: Memory | None = None, **standings: Standing) -> Asking:
    """Every run of the memory stands as `all` says, if it is given."""
    known = memory or {}
    found = {before.run_key: standings["all"] for before in known.values()} if standings else {}
    return asked(made, known, found, FIVE_MINUTES)


def later(made: Plan, minutes: float, token: str = "t1") -> Plan:
    found = catalogue(*(replace(each.snapshot, token=token) for each in made.decisions if each.snapshot))
    return plan(None, found, now=made.made_at + timedelta(minutes=minutes))


def test_small_tables_share_runs_and_warehouses_do_not() -> None:
    made = plan(None, catalogue(snapshot(ORDERS), snapshot(TICKETS)))
    assert [request.tables for request in ask(made).requests] == [(TICKETS,), (ORDERS,)]
    sizes = [len(request.tables) for request in ask(many(TABLES_PER_RUN + 1)).requests]
    assert sizes == [TABLES_PER_RUN, 1]


def test_five_thousand_tables_are_a_hundred_runs_and_a_cursor_of_bearable_size() -> None:
    asking = ask(many(5_000))
    assert len(asking.requests) == RUNS_PER_TICK
    assert len({table for request in asking.requests for table in request.tables}) == 5_000
    assert len(to_cursor(asking.memory)) < 1_250_000


def test_large_tables_have_runs_of_their_own() -> None:
    assert [len(request.tables) for request in ask(many(3, rows=15_000_000)).requests] == [1, 1, 1]
    assert [len(request.tables) for request in ask(many(3, rows=9_000_000)).requests] == [2, 1]


def test_only_what_is_wanted_and_was_asked_for_has_to_be_looked_up() -> None:
    first = ask(plan(None, catalogue(snapshot(ORDERS), snapshot(TICKETS))))
    quiet = plan(None, catalogue(snapshot(ORDERS), snapshot(TICKETS)), remembered())
    assert unsettled(quiet, first.memory) == {first.memory[TICKETS].run_key}


def test_keys_are_of_the_plan_and_the_snapshot_and_not_of_the_time() -> None:
    made = plan()
    [one], [same], [moved] = ask(made).requests, ask(later(made, 5)).requests, ask(later(made, 5, "t2")).requests
    assert one.run_key == same.run_key != moved.run_key


def test_a_run_under_way_is_waited_for_whatever_the_table_does() -> None:
    first = ask(plan())
    again = ask(later(plan(), 5, "t2"), first.memory, all=Standing.UNDER_WAY)
    assert (again.requests, again.under_way) == ((), (ORDERS,))
    assert again.memory == first.memory


def test_a_run_that_never_ends_is_lost_after_a_day() -> None:
    first = ask(plan())
    at = [ask(later(plan(), minutes), first.memory, all=Standing.UNDER_WAY) for minutes in (1439, 1440)]
    assert [len(asking.requests) for asking in at] == [0, 1]
    assert at[1].memory[ORDERS].failures == 1


def test_what_is_read_since_and_has_changed_again_is_asked_for_though_its_run_goes_on() -> None:
    first = ask(plan())
    read_at = NOW + timedelta(minutes=1)
    moved = catalogue(snapshot(token="t2"))
    made = plan(None, moved, remembered(last_profiled_at=read_at), now=NOW + timedelta(minutes=5))
    assert len(ask(made, first.memory, all=Standing.UNDER_WAY).requests) == 1


def test_a_run_that_ended_without_reading_it_is_asked_for_under_another_key_at_once() -> None:
    first = ask(plan())
    again = ask(later(plan(), 5), first.memory, all=Standing.ENDED)
    assert again.requests[0].run_key != first.requests[0].run_key
    assert again.memory[ORDERS].attempt == 1


def test_a_run_that_never_began_is_asked_for_by_the_same_key() -> None:
    first = ask(plan())
    again = asked(later(plan(), 5), first.memory, {}, FIVE_MINUTES)
    assert again.requests[0].run_key == first.requests[0].run_key


def test_what_fails_is_asked_for_at_once_and_then_later_and_later() -> None:
    made, memory, waited = plan(), ask(plan()).memory, []
    for _ in range(7):
        minutes = 0.0
        while True:
            minutes += 5
            at = later(made, minutes)
            asking = ask(at, memory, all=Standing.FAILED)
            if asking.requests:
                break
            assert asking.paused.keys() == {ORDERS}
            assert asking.memory == memory
        waited.append(minutes)
        made, memory = at, asking.memory
    assert waited == [5, 10, 20, 40, 60, 60, 60]
    assert memory[ORDERS].failures == 7


def test_every_try_has_a_key_of_its_own() -> None:
    made, memory, keys = plan(), ask(plan()).memory, set()
    for hours in range(1, 6):
        asking = ask(later(made, 60 * hours), memory, all=Standing.FAILED)
        keys.add(asking.requests[0].run_key)
        memory = asking.memory
    assert len(keys) == 5


def test_one_that_failed_is_tried_apart_from_the_others() -> None:
    made = many(4)
    memory = ask(made).memory
    one = min(memory)
    standings = {"other": Standing.FAILED}
    known = {one: replace(memory[one], run_key="other")}
    requests = asked(later(made, 5), known, standings, FIVE_MINUTES).requests
    assert sorted(len(request.tables) for request in requests) == [1, 3]
    assert (one,) in [request.tables for request in requests]


def test_the_cursor_gives_back_what_it_was_given() -> None:
    odd = TableRef("shop", "main", "we\"ird\ud800 'table")
    memory = {
        ORDERS: AskedBefore("k", NOW, "w", 3, 2),
        odd: AskedBefore("l", NOW + timedelta(microseconds=1), "x"),
    }
    assert from_cursor(to_cursor(memory, "told")) == (memory, "told")
    assert from_cursor(None) == ({}, "")


@pytest.mark.parametrize("cursor", ["", "{}", "[]", "nonsense", '{"version": 2}', '{"version": 1, "asked": [[1]]}'])
def test_a_strange_cursor_is_forgotten(cursor: str) -> None:
    assert from_cursor(cursor) == ({}, "")
