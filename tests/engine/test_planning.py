"""The rules of planning: first match decides, the evidence says why, equal inputs give an equal plan."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from profilemesh.config.model import ColumnRule, Config, TableRule, Window
from profilemesh.planning import Action, Missing, Reason
from profilemesh.planning.snapshots import Confidence, Trouble
from profilemesh.tables import Column, Kind, TableRef
from tests.engine.plans import (
    ID,
    NAME,
    NOW,
    ORDERS,
    TICKETS,
    catalogue,
    configured,
    only_decision,
    plan,
    remembered,
    snapshot,
)

PAUSED, CLOSED = TableRule(paused=True), TableRule(window=Window(0, 60))
CASES = [
    # (rules, state changes or None for a table never seen, snapshot changes, forced) -> action, reason
    ((), {}, {}, False, Action.SKIP, Reason.SNAPSHOT_MATCH),
    ((), {}, {"token": "t2"}, False, Action.FULL, Reason.SNAPSHOT_CHANGED),
    ((), {}, {"token": None, "doubt": "a view"}, False, Action.FULL, Reason.UNKNOWN_STATE),
    ((), {}, {"confidence": Confidence.HEURISTIC}, False, Action.FULL, Reason.UNKNOWN_STATE),
    ((), {}, {"confidence": Confidence.NONE}, False, Action.FULL, Reason.UNKNOWN_STATE),
    ((), {"token": None}, {}, False, Action.FULL, Reason.SNAPSHOT_CHANGED),
    ((), {"token": None}, {"token": None}, False, Action.FULL, Reason.UNKNOWN_STATE),
    ((), {}, {"columns": (ID,)}, False, Action.FULL, Reason.SCHEMA_CHANGED),
    ((), {}, {"columns": (NAME, ID)}, False, Action.FULL, Reason.SCHEMA_CHANGED),
    ((), {"columns": None}, {}, False, Action.FULL, Reason.SCHEMA_CHANGED),
    ((), {"profile_key": None}, {}, False, Action.FULL, Reason.SUMMARIES_INCOMPATIBLE),
    ((), {"last_profiled_at": None}, {}, False, Action.FULL, Reason.FIRST_PROFILE),
    ((), None, {}, False, Action.FULL, Reason.FIRST_PROFILE),
    ((), {}, {}, True, Action.FULL, Reason.FORCED),
    ((PAUSED,), None, {}, False, Action.SKIP, Reason.PAUSED),
    ((PAUSED,), {}, {"token": "t2"}, False, Action.SKIP, Reason.PAUSED),
    ((PAUSED,), None, {}, True, Action.FULL, Reason.FORCED),
    ((CLOSED,), {}, {"token": "t2"}, False, Action.SKIP, Reason.OUTSIDE_WINDOW),
    ((CLOSED,), None, {}, True, Action.FULL, Reason.FORCED),
    ((replace(CLOSED, paused=True),), None, {}, False, Action.SKIP, Reason.PAUSED),
]


@pytest.mark.parametrize(("rules", "state", "seen", "force", "action", "reason"), CASES)
def test_the_first_rule_that_matches_decides(
    rules: tuple[TableRule, ...],
    state: dict[str, Any] | None,
    seen: dict[str, Any],
    force: bool,
    action: Action,
    reason: Reason,
) -> None:
    config = configured(*rules)
    states = [] if state is None else [remembered(config, **state)]
    decision = only_decision(plan(config, catalogue(replace(snapshot(), **seen)), *states, force=force))
    assert (decision.action, decision.reason) == (action, reason)
    assert decision.snapshot is not None


def test_with_change_detection_off_everything_is_read_every_time() -> None:
    config = configured(incremental=False)
    assert only_decision(plan(config, None, remembered(config))).reason is Reason.INCREMENTAL_OFF


def test_a_skip_as_unchanged_shows_both_tokens() -> None:
    evidence = only_decision(plan(None, None, remembered())).evidence
    assert evidence == {"token_before": "t1", "token_after": "t1", "confidence": Confidence.EXACT}


def test_a_doubt_and_a_changed_column_are_evidence() -> None:
    doubted = plan(None, catalogue(snapshot(token=None, doubt="a view")), remembered())
    assert only_decision(doubted).evidence["doubt"] == "a view"
    columns = (Column("id", "BIGINT", Kind.INTEGER), Column("email", "VARCHAR", Kind.TEXT))
    changed = plan(None, catalogue(snapshot(columns=columns)), remembered())
    assert only_decision(changed).evidence == {
        "added": ["email"],
        "removed": ["name"],
        "retyped": {"id": ["INTEGER", "BIGINT"]},
    }


@pytest.mark.parametrize(
    "other",
    [
        configured(TableRule(columns=ColumnRule(exclude=("name",)))),
        configured(TableRule(columns=ColumnRule(sensitive=("name",)))),
        configured(histogram_bins=20),
        configured(compute_histograms=False),
        configured(max_distinct_values=5),
        configured(metrics=("count",)),
    ],
)
def test_a_setting_that_shapes_the_profile_makes_it_anew(other: Config) -> None:
    assert only_decision(plan(other, None, remembered())).reason is Reason.SUMMARIES_INCOMPATIBLE


def test_another_hash_family_makes_the_profile_anew() -> None:
    made = plan(None, catalogue(snapshot(), family="duckdb-2.1/duckdb/pushdown"), remembered())
    assert only_decision(made).reason is Reason.SUMMARIES_INCOMPATIBLE


def test_settings_that_shape_nothing_do_not_make_it_anew() -> None:
    config = configured(TableRule(owner="sales", tags=("gold",)))
    assert only_decision(plan(config, None, remembered())).reason is Reason.SNAPSHOT_MATCH


@pytest.mark.parametrize(
    ("window", "moment", "inside"),
    [
        (Window(120, 240), "2026-03-02 02:00", True),
        (Window(120, 240), "2026-03-02 03:59", True),
        (Window(120, 240), "2026-03-02 04:00", False),
        (Window(120, 240), "2026-03-02 01:59", False),
        (Window(1320, 120), "2026-03-02 22:00", True),
        (Window(1320, 120), "2026-03-02 01:59", True),
        (Window(1320, 120), "2026-03-02 02:00", False),
        (Window(1320, 120), "2026-03-02 12:00", False),
        # From Friday 22:00 to Saturday 02:00: the hours after midnight belong to Friday's window.
        (Window(1320, 120, (4,)), "2026-03-06 23:00", True),
        (Window(1320, 120, (4,)), "2026-03-07 01:00", True),
        (Window(1320, 120, (4,)), "2026-03-07 23:00", False),
        (Window(1320, 120, (4,)), "2026-03-06 01:00", False),
        # Sunday's runs into Monday: the week wraps too.
        (Window(1320, 120, (6,)), "2026-03-02 01:00", True),
        (Window(days=(0,)), "2026-03-02 23:59", True),
        (Window(days=(0,)), "2026-03-03 00:00", False),
    ],
)
def test_a_window_is_kept_over_midnight_and_by_days(window: Window, moment: str, inside: bool) -> None:
    now = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    decision = only_decision(plan(configured(TableRule(window=window)), now=now))
    assert (decision.reason is not Reason.OUTSIDE_WINDOW) == inside


def test_a_window_is_told_in_utc_whatever_zone_the_clock_is_in() -> None:
    tokyo = NOW.astimezone(datetime.fromisoformat("2026-03-02T12:00+09:00").tzinfo)
    config = configured(TableRule(window=Window(700, 740)))
    assert only_decision(plan(config, now=tokyo)).reason is Reason.FIRST_PROFILE
    closed = only_decision(plan(config, now=NOW + timedelta(hours=9)))
    assert closed.evidence == {"window": "11:40-12:20 UTC, every day"}


def test_a_table_that_is_gone_is_skipped_and_says_so() -> None:
    gone = only_decision(plan(None, catalogue(), remembered()))
    assert (gone.action, gone.reason, gone.snapshot) == (Action.SKIP, Reason.VANISHED, None)


@pytest.mark.parametrize("reason", ["warehouse_busy", "warehouse_unreachable"])
@pytest.mark.parametrize("force", [False, True])
def test_a_silent_warehouse_defers_its_tables_and_never_calls_them_gone(reason: str, force: bool) -> None:
    found = catalogue(snapshot(TICKETS), shop=Trouble(reason, "no answer"))
    made = plan(None, found, remembered(), remembered(table=TICKETS), force=force)
    by_table = {decision.table: decision for decision in made.decisions}
    assert (by_table[ORDERS].action, by_table[ORDERS].reason) == (Action.DEFER, reason)
    assert by_table[ORDERS].evidence == {"message": "no answer"}
    assert by_table[TICKETS].action is (Action.FULL if force else Action.SKIP)
    assert made.is_trouble == (reason == "warehouse_unreachable")


def test_tables_of_other_configurations_are_left_out() -> None:
    stranger = TableRef("elsewhere", "main", "orders")
    assert plan(None, catalogue(), remembered(table=stranger)).decisions == ()
    deselected = configured(TableRule(table="o*", warehouse="desk"))
    assert plan(deselected, catalogue(), remembered()).decisions == ()


def test_a_missing_table_is_told_with_the_name_that_was_meant() -> None:
    made = plan(configured(TableRule(table="ordres"), TableRule(table="orders")))
    assert made.missing == (Missing("ordres", "shop.main.orders"),)
    assert made.is_trouble


def test_a_narrowed_plan_does_not_complain_of_what_it_was_not_asked_for() -> None:
    made = plan(configured(TableRule(table="ordres"), TableRule(table="orders")), only="orders")
    assert (made.missing, made.is_trouble) == ((), False)


@pytest.mark.parametrize(
    ("only", "tables"),
    [
        ("orders", {ORDERS}),
        ("main.orders", {ORDERS}),
        ("shop.main.orders", {ORDERS}),
        ("desk.*", {TICKETS}),
        ("*", {ORDERS, TICKETS}),
        ("ORDERS", set()),
        ("order", set()),
        ("t[ij]ckets", {TICKETS}),
    ],
)
def test_a_plan_can_be_narrowed_by_a_glob(only: str, tables: set[TableRef]) -> None:
    made = plan(None, catalogue(snapshot(), snapshot(TICKETS)), only=only)
    assert {decision.table for decision in made.decisions} == tables


def test_a_table_named_like_a_glob_can_be_asked_for_by_its_name() -> None:
    odd = TableRef("shop", "main", "sales[2024]")
    assert only_decision(plan(None, catalogue(snapshot(odd), snapshot()), only="sales[2024]")).table == odd


def test_only_what_is_read_is_prepared_and_in_the_order_of_names() -> None:
    made = plan(None, catalogue(snapshot(), snapshot(TICKETS, "t2")), remembered(), remembered(table=TICKETS))
    assert [decision.table for decision in made.decisions] == [TICKETS, ORDERS]
    assert [decision.table for decision in made.to_read] == list(made.reading) == [TICKETS]
    assert made.reading[TICKETS].read_before == (NOW, None)


@pytest.mark.parametrize("only", [{TICKETS}, [TICKETS], "desk.*", "tickets"])
def test_a_plan_is_narrowed_by_a_glob_or_by_the_tables_themselves(only: Any) -> None:
    made = plan(None, catalogue(snapshot(), snapshot(TICKETS)), remembered(), only=only)
    assert [decision.table for decision in made.decisions] == [TICKETS]


def test_a_plan_of_no_table_decides_nothing_and_misses_nothing() -> None:
    made = plan(configured(TableRule(table="absent"), TableRule()), only=frozenset())
    assert (made.decisions, made.missing, made.unmatched) == ((), (), ())


def test_excluded_columns_are_not_read_but_their_change_is_seen() -> None:
    config = configured(TableRule(columns=ColumnRule(exclude=("name",))))
    made = plan(config)
    assert [column.name for column in made.reading[ORDERS].columns] == ["id"]
    wider = catalogue(snapshot(columns=(ID, Column("name", "BLOB", Kind.BYTES))))
    assert only_decision(plan(config, wider, remembered(config))).reason is Reason.SCHEMA_CHANGED


def test_equal_inputs_give_an_equal_plan_whatever_their_order_and_stay_as_they_were() -> None:
    config, states = configured(), [remembered(), remembered(table=TICKETS, token="t0")]
    found, turned = catalogue(snapshot(), snapshot(TICKETS)), catalogue(snapshot(TICKETS), snapshot())
    before = repr((config, found, states))
    first, second = plan(config, found, *states), plan(config, turned, *reversed(states))
    assert first == second
    assert first.plan_id == second.plan_id
    assert repr((config, found, states)) == before


@pytest.mark.parametrize("change", [{"now": NOW + timedelta(seconds=1)}, {"force": True}])
def test_another_plan_has_another_id(change: dict[str, Any]) -> None:
    assert plan(None, None, remembered()).plan_id != plan(None, None, remembered(), **change).plan_id


def test_every_reason_and_action_is_told_in_words() -> None:
    assert all(reason.meaning for reason in Reason)
    assert [action for action in Action if action.reads] == [Action.FULL, Action.PARTIAL, Action.SAMPLE]
