"""A run against its history: what is found, how it is told, what is folded, and what is never compared."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import profilemesh.drift
from profilemesh.config.model import DriftRule, ExpectedPeriod, Thresholds
from profilemesh.drift import Finding, Kind, Profile, compare, reference_run
from profilemesh.profiling.summary import TableSummary
from profilemesh.tables import TableRef
from tests.engine.drift.made import COLUMNS, DAY, MONDAY, ORDERS, Values, facts, found, numbers, profile, rows, rules
from tests.engine.drift.made import summary_of as whole

Change = Callable[[Values], Values]


def changed(name: str, change: Change, seed: int = 1, n: int = 2000) -> TableSummary:
    some = rows(seed, n)
    return whole(some | {name: change(some[name])})


def times(factor: float) -> Change:
    return lambda column: replace(column, values=column.values * factor)


def without(share: float) -> Change:
    """So many more values are NULL."""
    return lambda column: replace(
        column, nulls=column.nulls | (np.arange(column.nulls.size) < share * column.nulls.size)
    )


BEFORE = whole(rows())


def one(findings: list[Finding]) -> Finding:
    assert len(findings) == 1, [finding.sentence for finding in findings]
    return findings[0]


def test_the_first_run_finds_nothing() -> None:
    found_ = compare(ORDERS, profile(BEFORE), [], rules())
    assert (found_.findings, found_.reference, found_.runs) == ((), None, 0)


def test_an_equal_run_finds_nothing() -> None:
    assert found(profile(BEFORE, 1), profile(BEFORE)) == []
    assert found(profile(whole(rows(1)), 1), profile(BEFORE)) == []


def test_nulls() -> None:
    finding = one(found(profile(changed("email", without(0.13)), 1), profile(BEFORE)))
    assert (finding.kind, finding.column, finding.metric) == ("metric", "email", "null_percent")
    assert (finding.severity, finding.direction, finding.unit) == ("high", "up", "points")
    assert finding.sentence == "null share of orders.email rose from 0.9 % to 13.8 %"
    assert finding.effect == pytest.approx(12.85)
    assert finding.baseline_value == pytest.approx(0.9)
    assert finding.current_value == pytest.approx(13.75)
    assert finding.p_adjusted is not None and finding.p_adjusted < 1e-9
    assert (finding.baseline, finding.baseline_runs) == ("last", ("run-0",))


def test_nulls_from_zero_are_drift_by_their_share() -> None:
    finding = one(found(profile(changed("amount", without(0.02)), 1), profile(BEFORE)))
    assert (finding.column, finding.metric, finding.severity) == ("amount", "null_percent", "low")
    assert finding.baseline_value == 0
    assert finding.change_percent is None


def test_a_mean_and_all_that_moves_with_it_is_one_finding() -> None:
    finding = one(found(profile(changed("amount", times(1.5)), 1), profile(BEFORE)))
    assert (finding.kind, finding.column, finding.metric) == ("distribution", "amount", "distribution")
    assert "mean" in {each.metric for each in finding.explains}
    assert "the values of orders.amount are distributed differently (" in finding.sentence
    assert "mean of orders.amount rose from" in finding.sentence
    assert set(finding.details["distances"]) <= {"psi", "ks"}


def test_a_small_shift_of_the_mean_is_told_as_such() -> None:
    finding = one(
        found(
            profile(changed("measure", lambda c: replace(c, values=c.values + 2.2), n=9000), 1),
            profile(whole(rows(0, 9000))),
        )
    )
    assert (finding.kind, finding.metric, finding.severity) == ("metric", "mean", "low")
    assert "(0.2" in finding.sentence and "standard deviations)" in finding.sentence


def test_a_category_that_was_not_there() -> None:
    def other(column: Values) -> Values:
        return replace(column, values=np.where(np.arange(column.values.size) % 5 == 0, 99, column.values))

    finding = one(found(profile(changed("category", other), 1), profile(BEFORE)))
    assert (finding.kind, finding.column, finding.unit) == ("distribution", "category", "Cohen's w")
    assert "the share of 'v99' rose from 0 % to 20 %" in finding.sentence


def test_a_value_far_outside_is_found_without_a_test() -> None:
    def absurd(column: Values) -> Values:
        return replace(column, values=np.concatenate((column.values[:-1], [1e9])))

    findings = found(profile(changed("amount", absurd), 1), profile(BEFORE))
    assert {finding.column for finding in findings} == {"amount"}
    assert "max" in {each.metric for finding in findings for each in (finding, *finding.explains)}


def test_a_date_far_in_the_future() -> None:
    def far(column: Values) -> Values:
        return replace(column, values=np.concatenate((column.values[:-1], [2_932_896])))

    finding = one(found(profile(changed("day", far), 1), profile(BEFORE)))
    assert (finding.column, finding.metric, finding.severity) == ("day", "max", "high")
    assert "to 9999-12-31" in finding.sentence


def test_days_that_move_on_are_no_drift() -> None:
    later = changed("day", lambda column: replace(column, values=column.values + 30))
    assert found(profile(later, 30), profile(BEFORE)) == []


def test_identifiers_have_no_distribution() -> None:
    assert found(profile(whole(rows(1, first=50_000)), 1), profile(BEFORE)) == []


# One fact, one finding


def test_half_of_the_rows_missing_explains_the_values_that_went_with_them() -> None:
    some = rows(1)
    kept = np.nonzero(some["category"].values != 0)[0][:1000]
    half = {name: replace(each, values=each.values[kept], nulls=each.nulls[kept]) for name, each in some.items()}
    finding = one(found(profile(whole(half), 1), profile(BEFORE)))
    assert (finding.kind, finding.metric, finding.column) == ("volume", "row_count", "")
    assert facts(list(finding.explains)) == [("category", "distribution")]
    assert finding.severity == "high"


def test_what_missing_rows_do_not_explain_stands_by_itself() -> None:
    some = {name: replace(each, values=each.values[:1000], nulls=each.nulls[:1000]) for name, each in rows(1).items()}
    some["email"] = without(0.5)(some["email"])
    assert facts(found(profile(whole(some), 1), profile(BEFORE))) == [("", "row_count"), ("email", "null_percent")]


def test_a_fingerprint_is_the_same_in_every_run_and_differs_by_fact() -> None:
    bad = changed("email", without(0.13))
    first = one(found(profile(bad, 1), profile(BEFORE)))
    worse = one(found(profile(changed("email", without(0.5)), 2), profile(BEFORE), profile(BEFORE, 1)))
    other = one(found(profile(changed("amount", without(0.13)), 1), profile(BEFORE)))
    assert first.fingerprint == worse.fingerprint != other.fingerprint
    elsewhere = replace(first, table=TableRef("shop", "main", "orders2"))
    assert elsewhere.fingerprint != first.fingerprint


# Partitions at fault


def test_the_partitions_at_fault_are_named() -> None:
    days = {f"2026-11-{day}": whole(rows(day)) for day in range(10, 20)}
    bad = days | {"2026-11-21": changed("email", without(0.9), seed=21)}
    before, now = merged(days.values()), merged(bad.values())
    finding = one(
        [each for each in found(profile(now, 1), profile(before), parts=bad, parts_before=days) if each.column]
    )
    assert [culprit.partition for culprit in finding.culprits] == ["2026-11-21"]
    assert 0.9 < finding.culprits[0].share <= 1.1
    assert finding.sentence.endswith(" % of it in 2026-11-21")


def test_the_partition_that_lost_its_rows_is_named() -> None:
    days = {f"2026-11-{day}": whole(rows(day)) for day in range(10, 14)}
    now = days | {"2026-11-12": whole(rows(12, 100))}
    history = [profile(merged(days.values()), 0)]
    finding = one(
        found(profile(merged(now.values()), 1), *history, by=rules(baseline="last"), parts=now, parts_before=days)
    )
    assert [(each.partition, each.share) for each in finding.culprits] == [("2026-11-12", 1.0)]


def test_the_partition_with_other_values_is_named() -> None:
    days = {f"d{day}": whole(rows(day)) for day in range(7)}
    now = days | {"d6": changed("amount", times(0.001), seed=6)}
    before = merged(days.values())
    finding = one(found(profile(merged(now.values()), 1), profile(before), parts=now, parts_before=days))
    assert finding.culprits[0].partition == "d6"
    assert finding.culprits[0].share > 0.9


def merged(summaries: Any) -> TableSummary:
    first, *others = summaries
    for other in others:
        first = first.merge(other)
    return first


# What is never compared

WORSE = changed("email", without(0.5))


@pytest.mark.parametrize(
    ("scope", "other"),
    [("full", "sample"), ("sample", "full"), ("merged", "sample"), ("partial", "full"), ("full", "partial")],
)
def test_unlike_scopes_are_never_compared(scope: str, other: str) -> None:
    found_ = compare(ORDERS, profile(WORSE, 1, scope=scope), [profile(BEFORE, 0, scope=other)], rules())
    assert (found_.findings, found_.trials, found_.runs) == ((), 0, 0)


@pytest.mark.parametrize(("scope", "other"), [("full", "merged"), ("merged", "full"), ("sample", "sample")])
def test_like_scopes_are(scope: str, other: str) -> None:
    assert facts(found(profile(WORSE, 1, scope=scope), profile(BEFORE, 0, scope=other))) == [("email", "null_percent")]


def test_failed_runs_are_never_compared() -> None:
    failed = replace(profile(BEFORE), status="failed")
    assert found(profile(WORSE, 1), failed) == []
    assert found(replace(profile(WORSE, 1), status="failed"), profile(BEFORE)) == []


def test_a_sample_between_full_runs_changes_nothing() -> None:
    sample = profile(WORSE, 1, scope="sample")
    with_it = compare(ORDERS, profile(BEFORE, 2), [profile(BEFORE), sample], rules())
    assert with_it == compare(ORDERS, profile(BEFORE, 2), [profile(BEFORE)], rules())


def test_later_runs_and_the_run_itself_are_no_baseline() -> None:
    current = profile(WORSE, 1)
    history = [profile(BEFORE), profile(WORSE, 2), current]
    assert one(found(current, *history)).baseline_runs == ("run-0",)


def test_tables_never_influence_each_other() -> None:
    """Whatever is compared before, after or between, one table's findings are the same."""
    mine = (profile(WORSE, 1), [profile(BEFORE)])
    alone = compare(ORDERS, *mine, rules())
    other = TableRef("shop", "main", "customers")
    for _ in range(3):
        loud = compare(other, profile(changed("amount", times(9)), 1), [profile(BEFORE)], rules())
        assert loud.findings
        assert compare(ORDERS, *mine, rules()) == alone


def test_the_same_comparison_finds_the_same() -> None:
    current, history = profile(changed("amount", times(2)), 1), [profile(BEFORE)]
    assert compare(ORDERS, current, history, rules()) == compare(ORDERS, current, history[::-1], rules())


# Unknown is not drift


def test_what_is_unknown_then_or_now_is_no_drift() -> None:
    for before, now in (({}, {"mean": 5.0}), ({"mean": 5.0}, {}), ({"mean": None}, {"mean": 5.0})):
        assert found(numbers(1, {"a": now}), numbers(0, {"a": before})) == []


def test_a_column_of_another_kind_is_retyped_and_not_compared() -> None:
    after = tuple(replace(each, kind="text", type="VARCHAR") if each.name == "amount" else each for each in COLUMNS)
    some = rows(1)
    some["amount"] = replace(some["email"])
    assert facts(found(profile(whole(some), 1, columns=after), profile(BEFORE))) == [("amount", "retyped")]


def test_numbers_alone_are_compared_where_summaries_are_gone() -> None:
    metrics = {"count": 10_000, "null_count": 20, "null_percent": 0.2, "mean": 50.0, "stddev": 10.0}
    worse = metrics | {"null_count": 1400, "null_percent": 14.0, "mean": Decimal("53.5"), "stddev": Decimal("10.2")}
    findings = found(numbers(1, {"email": worse}), numbers(0, {"email": metrics}))
    assert {finding.metric for finding in findings} == {"null_percent", "mean"}
    assert findings[0].sentence == "null share of orders.email rose from 0.2 % to 14 %"


def test_the_reference_brings_its_summary() -> None:
    history = [replace(profile(BEFORE, day), summary=None) for day in range(3)]
    swapped = np.array([0, 3, 2, 1, 4])
    current = profile(changed("category", lambda c: replace(c, values=swapped[c.values])), 3)
    assert reference_run(current, history, rules()) == "run-2"
    assert found(current, *history) == []
    assert facts(found(current, *history, summary=BEFORE)) == [("category", "distribution")]


def test_an_odd_run_does_not_become_the_reference() -> None:
    history = [profile(whole(rows(day)), day) for day in range(8)]
    history[-1] = profile(changed("amount", times(3)), 7)
    current = profile(whole(rows(9)), 8)
    assert reference_run(current, history, rules()) != "run-7"
    assert found(current, *history) == []


def test_a_metric_that_always_jumps_is_no_drift() -> None:
    metrics = {"count": 100_000, "null_count": 0, "null_percent": 0.0}
    shares = [1.0, 9.0, 4.0, 12.0, 2.0, 8.0, 5.0, 11.0]
    history = [
        numbers(day, {"a": metrics | {"null_count": 1000 * x, "null_percent": x}}, rows=100_000)
        for day, x in enumerate(shares)
    ]
    now = {"a": metrics | {"null_count": 13_000, "null_percent": 13.0}}
    assert found(numbers(8, now, rows=100_000), *history) == []
    assert found(numbers(8, now, rows=100_000), history[0])


def test_sensitive_columns_are_compared_by_counts_only() -> None:
    secret = {"sensitive": frozenset({"amount"})}
    current = profile(changed("amount", times(50)), 1, **secret)
    bare = {name: {m: v for m, v in some.items() if m not in ("min", "max")} for name, some in current.metrics.items()}
    assert current.metrics == bare | {n: current.metrics[n] for n in bare if n != "amount"}
    assert "mean" not in current.metrics["amount"]


# Rules


def test_direction_threshold_and_silence_by_column_and_metric() -> None:
    current, before = profile(changed("email", without(0.13)), 1), profile(BEFORE)

    def by(**said: Any) -> list[Finding]:
        return found(current, before, by=rules(DriftRule(table="ord*", column="email", metric="null_percent", **said)))

    assert one(by()).severity == "high"
    assert by(direction="down") == []
    assert by(enabled=False) == []
    assert by(thresholds=Thresholds(20, 30, 40)) == []
    assert one(by(thresholds=Thresholds(1, 2, 30))).severity == "medium"


def test_a_later_rule_wins() -> None:
    off, on = DriftRule(metric="null_percent", enabled=False), DriftRule(column="email", enabled=True)
    current = profile(changed("email", without(0.13)), 1)
    assert found(current, profile(BEFORE), by=rules(off)) == []
    assert len(found(current, profile(BEFORE), by=rules(off, on))) == 1
    assert found(current, profile(BEFORE), by=rules(on, off)) == []


@pytest.mark.parametrize("method", ["psi", "ks", "jensen_shannon"])
def test_each_method_finds_another_distribution_of_numbers(method: Any) -> None:
    finding = one(found(profile(changed("amount", times(2)), 1), profile(BEFORE), by=rules(methods=(method,))))
    assert finding.details["method"] == method
    assert finding.effect is not None and finding.effect > 0


def test_what_is_found_in_an_expected_time_says_so() -> None:
    period = ExpectedPeriod(MONDAY + DAY, MONDAY + 2 * DAY, note="Black Friday")
    current = profile(changed("amount", times(2)), 1)
    finding = one(found(current, profile(BEFORE), by=rules(expected=(period,))))
    assert finding.is_expected
    assert all(each.is_expected for each in finding.explains)
    elsewhere = replace(period, table="customers")
    assert not one(found(current, profile(BEFORE), by=rules(expected=(elsewhere,)))).is_expected


# The strategies of Phase 1


@pytest.mark.parametrize(
    ("before", "now", "severity"),
    [
        (100, 104.9, None),
        (100, 105, "low"),
        (100, 85, "medium"),
        (-100, -130, "high"),
        (Decimal("100"), Decimal("116"), "medium"),
        (0, 0, None),
        (0, 4, None),
        (0, 6, "low"),
        (0, 40, "high"),
        (None, 100, None),
        (100, None, None),
        ("2024-01-01", "2025-01-01", None),
        ("nan", 3, None),
    ],
)
def test_absolute_threshold(before: Any, now: Any, severity: str | None) -> None:
    by = rules(strategy="absolute_threshold")
    findings = found(numbers(1, {"a": {"mean": now}}), numbers(0, {"a": {"mean": before}}), by=by)
    assert [finding.severity for finding in findings] == ([severity] if severity else [])


@pytest.mark.parametrize(
    ("history", "now", "severity"),
    [
        ([9, 10, 11], 10.9, None),
        ([9, 10, 11], 11, "low"),
        ([9, 10, 11], 8, "medium"),
        ([9, 10, 11], 14, "high"),
        ([5, 5, 5], 5, None),
        ([5, 5, 5], 5.1, "high"),
        ([9, 10], 50, None),
        ([9, None, 10, 11], 14, "high"),
    ],
)
def test_standard_deviation(history: list[Any], now: Any, severity: str | None) -> None:
    past = [numbers(day, {"a": {"mean": value}}) for day, value in enumerate(history)]
    findings = found(numbers(9, {"a": {"mean": now}}), *past, by=rules(strategy="standard_deviation"))
    assert [finding.severity for finding in findings] == ([severity] if severity else [])


def test_under_phase_1_the_row_count_is_one_finding_that_explains_the_counts() -> None:
    def run(day: int, rows: int) -> Profile:
        return numbers(day, {"a": {"count": rows, "distinct_count": rows, "mean": 5.0}}, rows=rows)

    finding = one(found(run(1, 500), run(0, 1000), by=rules(strategy="absolute_threshold")))
    assert (finding.kind, finding.metric) == (Kind.VOLUME, "row_count")
    assert facts(list(finding.explains)) == [("a", "distinct_count")]


def test_a_strategy_for_one_metric_alone() -> None:
    by = rules(DriftRule(metric="mean", strategy="absolute_threshold"))
    before, now = ({"a": {"count": 30, "mean": x, "stddev": 9.0, "null_count": 0}} for x in (100, 106))
    assert found(numbers(1, now, rows=30), numbers(0, before, rows=30)) == []
    assert facts(found(numbers(1, now, rows=30), numbers(0, before, rows=30), by=by)) == [("a", "mean")]


# Pure

BANNED = ("sqlalchemy", "logging", "time", "scipy", "random", "os", "profilemesh.storage", "profilemesh.warehouses")


@pytest.mark.parametrize("path", sorted(Path(profilemesh.drift.__file__).parent.glob("*.py")), ids=lambda p: p.stem)
def test_the_package_knows_no_session_no_clock_and_no_log(path: Path) -> None:
    tree = ast.parse(path.read_text())
    named = [each.module or "" for each in ast.walk(tree) if isinstance(each, ast.ImportFrom)]
    named += [alias.name for each in ast.walk(tree) if isinstance(each, ast.Import) for alias in each.names]
    assert [name for name in named if name.startswith(BANNED) and name not in ("operator",)] == []
    assert "now()" not in path.read_text()
