"""Limits and budgets: what is too dear is sampled, put off or told, and nothing waits for ever."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from profilemesh.config.model import CostControlsConfig, SamplingRule, TableRule
from profilemesh.planning import Action, Decision, Plan, Reason
from profilemesh.planning.snapshots import Snapshot
from tests.engine.plans import NOW, ORDERS, TICKETS, catalogue, configured, only_decision, plan, remembered, snapshot


def limited(**limits: Any) -> Any:
    return configured(settings={"cost_controls": CostControlsConfig(**limits)})


def big(rows: int = 1000, token: str = "t2", **more: Any) -> Snapshot:
    return snapshot(
        **({"token": token, "rows_estimate": rows, "bytes_estimate": rows * 10, "is_sampleable": True} | more)
    )


def decided(config: Any, found: Snapshot | None = None, **changes: Any) -> Decision:
    return only_decision(plan(config, catalogue(found or big()), remembered(config, **changes)))


@pytest.mark.parametrize("limits", [{"max_rows_scanned": 1000}, {"max_bytes_scanned": 10_000}, {"enabled": False}])
def test_what_is_within_its_limits_is_read(limits: dict[str, Any]) -> None:
    assert decided(limited(**limits)).reason is Reason.SNAPSHOT_CHANGED


@pytest.mark.parametrize("limits", [{"max_rows_scanned": 999}, {"max_bytes_scanned": 9_999}])
def test_what_is_over_a_limit_is_sampled_and_tells_both_reasons(limits: dict[str, Any]) -> None:
    decision = decided(limited(**limits, sample_fraction=0.05))
    assert (decision.action, decision.reason, decision.fraction) == (Action.SAMPLE, Reason.COST_CAP, 0.05)
    assert decision.evidence["because"] is Reason.SNAPSHOT_CHANGED
    assert (decision.cost.rows, decision.naive.rows) == (50, 1000)


def test_a_sample_is_never_larger_than_the_limit_itself() -> None:
    decision = decided(limited(max_rows_scanned=20, sample_fraction=0.5))
    assert (decision.fraction, decision.cost.rows) == (0.02, 20)


def test_over_the_limit_the_fallback_may_defer_or_read_all_and_says_so() -> None:
    deferred = decided(limited(max_rows_scanned=10, fallback_strategy="defer"))
    assert (deferred.action, deferred.reason, deferred.cost.rows) == (Action.DEFER, Reason.COST_CAP, 0)
    full = decided(limited(max_rows_scanned=10, fallback_strategy="full"))
    assert (full.action, full.reason) == (Action.FULL, Reason.SNAPSHOT_CHANGED)
    assert (full.evidence["rows_estimated"], full.evidence["max_rows"]) == (1000, 10)
    assert "over" in full.evidence


def test_what_is_asked_for_by_hand_is_read_whatever_it_costs_and_the_overage_is_on_record() -> None:
    config = limited(max_rows_scanned=10)
    forced = only_decision(plan(config, catalogue(big()), remembered(config), force=True))
    assert (forced.action, forced.reason) == (Action.FULL, Reason.FORCED)
    assert forced.evidence["max_rows"] == 10


def test_a_table_that_cannot_be_sampled_is_put_off_instead() -> None:
    decision = decided(limited(max_rows_scanned=10), big(is_sampleable=False))
    assert (decision.action, decision.reason) == (Action.DEFER, Reason.COST_CAP)
    assert decision.evidence["sample"] == "this table cannot be sampled"


def test_the_chosen_scope_is_priced_and_not_the_table() -> None:
    from tests.engine.test_rules import ALL, DAYS, kept, manifest

    config = limited(max_rows_scanned=500)
    state = {"manifest": kept(ALL), "row_count": 1000, "last_full_at": NOW}
    decision = decided(config, big(manifest=manifest({**ALL, DAYS[0]: "b"})), **state)
    assert decision.action is Action.PARTIAL


def test_a_first_profile_of_unknown_cost_is_read() -> None:
    config = limited(max_rows_scanned=10)
    found = snapshot(is_sampleable=True)
    assert only_decision(plan(config, catalogue(found))).action is Action.FULL


def test_an_unchanged_table_that_was_sampled_is_not_sampled_again_but_read_when_it_fits() -> None:
    sampled = {"sampled_token": "t2", "sampled_at": NOW - timedelta(hours=1)}
    decision = decided(limited(max_rows_scanned=10), **sampled)
    assert (decision.action, decision.reason) == (Action.SKIP, Reason.SAMPLE_MATCH)
    assert decided(limited(max_rows_scanned=10), big(token="t3"), **sampled).action is Action.SAMPLE
    assert decided(limited(max_rows_scanned=1000), **sampled).action is Action.FULL


def test_a_sample_does_not_make_the_change_forgotten() -> None:
    """The token of the stored profile stays, so the truth replaces the sample as soon as the limit allows."""
    config = limited(max_rows_scanned=1000)
    state = remembered(config, sampled_token="t2", sampled_at=NOW)
    decision = only_decision(plan(config, catalogue(big()), state))
    assert decision.evidence["token_before"] == "t1"


def test_what_was_put_off_for_too_long_is_sampled_whatever_the_fallback() -> None:
    config = limited(max_rows_scanned=10, fallback_strategy="defer", max_deferral_minutes=60)
    young = decided(config, deferred_since=NOW - timedelta(minutes=59))
    old = decided(config, deferred_since=NOW - timedelta(minutes=60))
    assert (young.action, old.action, old.reason) == (Action.DEFER, Action.SAMPLE, Reason.DEFERRED_TOO_LONG)
    assert old.fraction == 0.01


def both(config: Any, *found: Snapshot, **ages: timedelta) -> Plan:
    states = [
        remembered(config, table=each.table, last_profiled_at=NOW - ages.get(each.table.name, timedelta(hours=1)))
        for each in found
    ]
    return plan(config, catalogue(*found), *states)


def test_the_stalest_table_gets_the_budget_first() -> None:
    config = limited(max_rows_per_tick=1500, fallback_strategy="defer")
    made = both(config, big(), replace(big(), table=TICKETS), tickets=timedelta(days=3))
    by_table = {decision.table: decision for decision in made.decisions}
    assert by_table[TICKETS].action is Action.FULL
    assert (by_table[ORDERS].action, by_table[ORDERS].reason) == (Action.DEFER, Reason.BUDGET_SPENT)
    assert by_table[TICKETS].evidence["budget_rows_left"] == 1500
    assert by_table[ORDERS].evidence["budget_rows_left"] == 500


def test_a_small_table_still_gets_what_a_large_one_left() -> None:
    config = limited(max_bytes_per_tick=10_500, fallback_strategy="defer")
    made = both(config, big(40), replace(big(), table=TICKETS), tickets=timedelta(days=3))
    assert [decision.action for decision in made.decisions] == [Action.FULL, Action.FULL]


@pytest.mark.parametrize("budget", [0, 1, 999, 1000, 1999, 2000, 10**9])
def test_the_expected_cost_of_a_tick_is_never_above_its_budget(budget: int) -> None:
    config = limited(max_rows_per_tick=budget or None, max_rows_scanned=10**6, sample_fraction=0.3)
    made = both(config, big(), replace(big(), table=TICKETS))
    assert not budget or sum(decision.cost.rows or 0 for decision in made.decisions) <= budget


def test_plans_begin_with_the_stalest() -> None:
    config = configured()
    made = both(config, big(), replace(big(), table=TICKETS), orders=timedelta(days=5))
    assert [decision.table for decision in made.to_read] == [ORDERS, TICKETS]


def test_a_table_can_be_sampled_by_configuration() -> None:
    rule = TableRule(sampling=SamplingRule(enabled=True, fraction=0.2, max_rows=100))
    decision = decided(configured(rule))
    assert (decision.action, decision.reason, decision.fraction) == (Action.SAMPLE, Reason.SAMPLING_CONFIGURED, 0.1)
    everywhere = decided(configured(default_sample_ratio=0.5))
    assert (everywhere.reason, everywhere.fraction) == (Reason.SAMPLING_CONFIGURED, 0.5)
    again = decided(configured(rule), sampled_token="t2", sampled_at=NOW)
    assert again.reason is Reason.SAMPLE_MATCH


def test_without_incremental_planning_there_are_no_limits() -> None:
    config = configured(incremental=False, settings={"cost_controls": CostControlsConfig(max_rows_scanned=1)})
    assert decided(config).action is Action.FULL
