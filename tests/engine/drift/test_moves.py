"""Sizes of moves between two runs, by hand."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from profilemesh.config.model import DriftConfig, DriftRule, Thresholds
from profilemesh.drift import Profile, Severity, moves, rules_for, told_of_two
from profilemesh.tables import TableRef

TABLE = TableRef("shop", "main", "orders")
THEN = datetime(2026, 11, 20, 6, tzinfo=UTC)
RULES = rules_for(DriftConfig(), TABLE)


def run(
    run_id: str, days: int, rows: int = 1000, scope: str = "full", status: str = "success", **total: Any
) -> Profile:
    metrics = {"count": rows, "null_count": 0, "null_percent": 0.0, "mean": 40.0, "stddev": 10.0, **total}
    return Profile(run_id, THEN + timedelta(days=days), scope, rows, {"total": metrics}, status=status)


def sizes(before: Profile, after: Profile) -> dict[str, float]:
    return {move.metric: move.effect.size for move in moves(before, after, RULES)}


def test_the_smallest_move_has_its_size() -> None:
    assert sizes(run("a", 0), run("b", 1, mean=40.01))["mean"] == pytest.approx(0.01 / 10)


def test_shares_move_by_points_and_rows_by_percent() -> None:
    found = sizes(run("a", 0), run("b", 1, rows=1100, null_count=33, null_percent=3.0))
    assert found["null_percent"] == pytest.approx(3.0)
    assert found["row_count"] == pytest.approx(10.0)


def test_steps_are_of_the_ladder_that_the_rules_set() -> None:
    own = rules_for(
        DriftConfig(rules=(DriftRule(column="total", metric="mean", thresholds=Thresholds(2, 3, 4)),)), TABLE
    )
    before, after = run("a", 0), run("b", 1, mean=41.0)
    steps = [next(m.steps for m in moves(before, after, rules) if m.metric == "mean") for rules in (RULES, own)]
    assert steps == [pytest.approx(1.0), pytest.approx(0.05)]


def test_what_moved_most_steps_comes_first() -> None:
    found = moves(run("a", 0), run("b", 1, mean=60.0, null_count=5, null_percent=0.5), RULES)
    assert [move.metric for move in found][:2] == ["mean", "null_percent"]


def test_a_constant_that_moved_is_infinitely_far() -> None:
    found = moves(run("a", 0, stddev=0.0), run("b", 1, mean=41.0, stddev=0.0), RULES)
    assert math.isinf(next(move.steps for move in found if move.metric == "mean"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (run("a", 0, scope="sample"), run("b", 1)),
        (run("a", 1), run("b", 0)),
        (run("a", 0, status="failed"), run("b", 1)),
    ],
)
def test_nothing_is_measured_between_runs_that_are_not_alike(before: Profile, after: Profile) -> None:
    assert moves(before, after, RULES) == ()


def test_a_run_that_was_expected_to_be_odd_can_be_chosen_all_the_same() -> None:
    odd = Profile("a", THEN, "full", 1000, run("a", 0).metrics, is_expected=True)
    assert sizes(odd, run("b", 1, mean=45.0))["mean"] == pytest.approx(0.5)
    assert told_of_two(TABLE, odd, run("b", 1, mean=48.5), RULES)[0].severity is Severity.HIGH


def test_what_chance_explains_is_moved_and_not_told() -> None:
    before, after = run("a", 0, rows=10), run("b", 1, rows=10, mean=43.0)
    assert sizes(before, after)["mean"] == pytest.approx(0.3)
    assert told_of_two(TABLE, before, after, RULES) == ()
