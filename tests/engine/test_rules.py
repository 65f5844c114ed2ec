"""The rules about intervals, probes and partitions: what each decides, and that none of them forgets a change."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profilemesh.config.model import (
    AdaptiveSchedulingConfig,
    ChangeDetectionConfig,
    Config,
    PartialProfilingConfig,
    PartitionRule,
    ProbeOverride,
    TableRule,
)
from profilemesh.planning import Action, Decision, Reason, State, wanted_probes
from profilemesh.planning.division import Division, own_summaries
from profilemesh.planning.intervals import change_gap, interval_minutes, staleness
from profilemesh.planning.snapshots import Confidence, KeptManifest, KeptPart, Manifest, Part, Probe, Probed
from profilemesh.tables import Rows
from tests.engine.plans import ID, NOW, ORDERS, catalogue, configured, only_decision, plan, remembered, snapshot

AN_HOUR_AGO = NOW - timedelta(hours=1)
ADAPTIVE = {"adaptive_scheduling": AdaptiveSchedulingConfig()}
TTL = timedelta(minutes=1440)


def probed(token: str | None = "p1", **more: Any) -> Probed:
    return Probed("count and highest rowid", token, **more)


def coarse(token: str = "f2", **more: Any) -> Any:
    """A table of a file that changed since it was remembered with token f1."""
    return snapshot(token=token, is_coarse=True, **more)


def from_file(config: Config | None = None, **changes: Any) -> State:
    known = {"token": "f1", "probe_token": "p1", "last_profiled_at": AN_HOUR_AGO, "last_full_at": AN_HOUR_AGO}
    return remembered(config, **(known | changes))


def decided(found: Any, *states: State, config: Config | None = None, **asked: Any) -> Decision:
    return only_decision(plan(config, catalogue(found), *states, **asked))


# Intervals


def test_a_changed_table_waits_for_the_end_of_its_interval_and_then_runs() -> None:
    config = configured(settings=ADAPTIVE)
    state = remembered(config, last_profiled_at=AN_HOUR_AGO)
    waiting = decided(snapshot(token="t2"), state, config=config)
    assert (waiting.action, waiting.reason) == (Action.SKIP, Reason.FRESH_WITHIN_INTERVAL)
    assert (
        waiting.evidence["due_at"] == (AN_HOUR_AGO + timedelta(days=1)).isoformat() == str(waiting.due_at.isoformat())
    )  # type: ignore[union-attr]
    due = decided(snapshot(token="t2"), state, config=config, now=AN_HOUR_AGO + timedelta(days=1))
    assert due.reason is Reason.SNAPSHOT_CHANGED


def test_what_is_proved_unchanged_says_so_even_within_its_interval() -> None:
    config = configured(settings=ADAPTIVE)
    assert decided(snapshot(), remembered(config), config=config).reason is Reason.SNAPSHOT_MATCH


def test_a_sample_counts_as_a_reading_for_the_interval() -> None:
    config = configured(settings=ADAPTIVE)
    state = remembered(config, last_profiled_at=NOW - timedelta(days=9), sampled_at=AN_HOUR_AGO, sampled_token="t2")
    assert decided(snapshot(token="t3"), state, config=config).reason is Reason.FRESH_WITHIN_INTERVAL


@pytest.mark.parametrize(
    ("gap", "minutes"), [(None, 1440), (10, 60), (600, 300), (10**6, 10080), (float("inf"), 10080)]
)
def test_an_interval_is_half_the_usual_time_between_changes_within_its_bounds(
    gap: float | None, minutes: float
) -> None:
    assert interval_minutes(ORDERS, gap, AdaptiveSchedulingConfig()) == minutes


@pytest.mark.parametrize("key", ["main.orders", "shop.main.orders", "main.*", "shop.*"])
def test_a_priority_goes_before_what_was_learned(key: str) -> None:
    assert interval_minutes(ORDERS, 10**6, AdaptiveSchedulingConfig(priority_overrides={key: 5})) == 5


def test_a_table_that_always_changes_is_read_ever_sooner_and_a_quiet_one_later() -> None:
    gap = 1440.0
    for _ in range(12):
        gap = change_gap(gap, interval_minutes(ORDERS, gap, AdaptiveSchedulingConfig()), True)
    assert interval_minutes(ORDERS, gap, AdaptiveSchedulingConfig()) == 60
    assert change_gap(gap, 50_000, False) == 50_000
    assert change_gap(50_000, 10, False) == 50_000
    assert change_gap(None, 90, True) == 90


def test_the_staleness_score_is_as_documented() -> None:
    settings = AdaptiveSchedulingConfig()
    assert staleness(timedelta(minutes=1440), 1440, 0.5, True, settings) == round(100 * (0.6 / 2 + 0.3 / 2 + 0.1))
    assert staleness(timedelta(days=99), 60, 1, True, settings) == 100
    assert staleness(timedelta(0), 60, 0, False, settings) == 1


def test_a_proved_table_is_not_stale_and_a_new_one_is_wholly() -> None:
    assert decided(snapshot(), remembered()).staleness == 0
    assert decided(snapshot()).staleness == 100


# Probes


def test_a_file_that_did_not_change_is_proof_and_is_not_probed() -> None:
    found = catalogue(coarse("f1"))
    assert only_decision(plan(None, found, from_file())).reason is Reason.SNAPSHOT_MATCH
    assert wanted_probes(configured(), found, {ORDERS: from_file()}, NOW) == {}


def test_a_table_of_a_changed_file_is_probed_and_so_is_a_new_one() -> None:
    found = catalogue(coarse())
    for states in ({ORDERS: from_file()}, {}):
        assert wanted_probes(configured(), found, states, NOW) == {ORDERS: Probe()}


def test_an_exact_token_of_the_table_itself_needs_no_probe() -> None:
    assert wanted_probes(configured(), catalogue(snapshot(token="t2")), {ORDERS: remembered()}, NOW) == {}


def test_a_table_that_is_not_due_is_not_probed() -> None:
    config = configured(settings=ADAPTIVE)
    assert wanted_probes(config, catalogue(coarse()), {ORDERS: from_file(config)}, NOW) == {}


@pytest.mark.parametrize(
    ("rule", "probe"),
    [
        (TableRule(partition=PartitionRule(key=("day", "region"))), Probe(("day", "region"))),
        (TableRule(watermark="updated_at"), Probe(watermark="updated_at")),
        (TableRule(checksum=True), Probe(checksum=True)),
    ],
)
def test_the_settings_of_a_table_shape_its_probe(rule: TableRule, probe: Probe) -> None:
    assert wanted_probes(configured(rule), catalogue(coarse()), {}, NOW) == {ORDERS: probe}


@pytest.mark.parametrize("key", ["shop", "main.orders", "shop.main.*"])
def test_an_override_replaces_the_probe_of_any_table(key: str) -> None:
    detection = ChangeDetectionConfig(connector_overrides={key: ProbeOverride("SELECT 1", exact=True)})
    config = configured(settings={"change_detection": detection})
    view = snapshot(token=None, doubt="a view")
    assert wanted_probes(config, catalogue(view), {}, NOW) == {ORDERS: Probe(query="SELECT 1", is_exact=True)}


def test_a_view_is_not_probed_unasked() -> None:
    assert wanted_probes(configured(), catalogue(snapshot(token=None)), {}, NOW) == {}


def test_an_equal_probe_is_trusted_within_its_time_and_says_that_it_is_no_proof() -> None:
    found = coarse(probed=probed())
    trusted = decided(found, from_file())
    assert (trusted.action, trusted.reason) == (Action.SKIP, Reason.PROBE_MATCH)
    assert trusted.evidence["confidence"] is Confidence.HEURISTIC
    assert trusted.evidence["trusted_until"] == (AN_HOUR_AGO + TTL).isoformat()
    expired = decided(found, from_file(), now=AN_HOUR_AGO + TTL)
    assert (expired.action, expired.reason) == (Action.FULL, Reason.TTL_EXPIRED)


def test_the_time_to_live_counts_from_the_last_full_reading_not_the_last_partial_one() -> None:
    state = from_file(last_profiled_at=NOW, last_full_at=NOW - TTL)
    assert decided(coarse(probed=probed()), state).reason is Reason.TTL_EXPIRED


def test_with_no_time_to_live_a_probe_never_skips() -> None:
    config = configured(settings={"change_detection": ChangeDetectionConfig(snapshot_ttl_minutes=0)})
    state = from_file(config, last_profiled_at=NOW, last_full_at=NOW)
    assert decided(coarse(probed=probed()), state, config=config).reason is Reason.TTL_EXPIRED


def test_a_probe_that_differs_is_a_change() -> None:
    assert decided(coarse(probed=probed("p2")), from_file()).reason is Reason.SNAPSHOT_CHANGED


def test_an_equal_checksum_is_proof_at_any_age() -> None:
    found = coarse(probed=probed(confidence=Confidence.EXACT))
    old = from_file(last_profiled_at=NOW - timedelta(days=400), last_full_at=NOW - timedelta(days=400))
    assert decided(found, old).reason is Reason.SNAPSHOT_MATCH


def test_a_probe_that_failed_reads_the_table_and_says_why() -> None:
    failed = decided(coarse(probed=probed(None, failure="no such column")), from_file())
    assert (failed.action, failed.reason) == (Action.FULL, Reason.DETECTOR_FAILED)
    assert failed.evidence == {"message": "no such column"}


def test_a_profile_that_hangs_on_a_probe_is_not_proved_by_an_unchanged_file() -> None:
    hanging = from_file(confidence=Confidence.HEURISTIC)
    assert decided(coarse("f1"), hanging).reason is Reason.PROBE_MATCH
    assert decided(coarse("f1"), hanging, now=AN_HOUR_AGO + TTL).reason is Reason.TTL_EXPIRED


def test_change_detection_can_be_turned_off_alone() -> None:
    config = configured(settings={"change_detection": ChangeDetectionConfig(enabled=False)})
    assert decided(snapshot(), remembered(config), config=config).reason is Reason.INCREMENTAL_OFF


# Partitions

DAYS = [f'["2026-03-{day:02}"]' for day in range(1, 11)]


def manifest(tokens: dict[str, str], frame: str = "frame", **more: Any) -> Manifest:
    return Manifest(frame, {key: Part(token, key[2:-2], 100) for key, token in tokens.items()}, **more)


def kept(tokens: dict[str, str], closed: tuple[str, ...] = ()) -> KeptManifest:
    parts = {
        key: KeptPart(token, key[2:-2], AN_HOUR_AGO, 100, None if key in closed else "r1")
        for key, token in tokens.items()
    }
    return KeptManifest("frame", parts, "r1" if closed else None)


ALL = dict.fromkeys(DAYS, "a")


def divided(tokens: dict[str, str], before: KeptManifest | None, config: Config | None = None, **more: Any) -> Decision:
    state = remembered(config, manifest=before, row_count=1000, last_full_at=NOW)
    found = snapshot(token="t2", manifest=manifest(tokens, **more))
    return decided(found, state, config=config)


def test_changed_partitions_alone_are_read_and_named() -> None:
    after = {**ALL, DAYS[3]: "b", '["2026-03-11"]': "a"}
    del after[DAYS[0]]
    decision = divided(after, kept(ALL))
    assert (decision.action, decision.reason) == (Action.PARTIAL, Reason.PARTITIONS_CHANGED)
    told = {name: decision.evidence[name] for name in ("added", "changed", "dropped")}
    assert told == {"added": ["2026-03-11"], "changed": ["2026-03-04"], "dropped": ["2026-03-01"]}
    assert (decision.cost.rows, decision.naive.rows) == (200, 1000)


def test_a_change_in_the_closed_rest_reads_all() -> None:
    for after in ({**ALL, DAYS[0]: "b"}, {key: "a" for key in DAYS[1:]}):
        decision = divided(after, kept(ALL, closed=(DAYS[0],)))
        assert (decision.action, decision.evidence["closed"]) == (Action.FULL, ["2026-03-01"])


def test_more_changed_partitions_than_the_limit_read_all() -> None:
    config = configured(settings={"partial_profiling": PartialProfilingConfig(max_partitions_per_run=2)})
    changed = {**ALL, **dict.fromkeys(DAYS[:3], "b")}
    assert divided(changed, kept(ALL), config).action is Action.FULL
    assert divided({**ALL, **dict.fromkeys(DAYS[:2], "b")}, kept(ALL), config).action is Action.PARTIAL


def test_where_most_of_the_rows_changed_all_are_read() -> None:
    assert divided({**ALL, **dict.fromkeys(DAYS[:5], "b")}, kept(ALL)).action is Action.PARTIAL
    assert divided({**ALL, **dict.fromkeys(DAYS[:6], "b")}, kept(ALL)).action is Action.FULL


@pytest.mark.parametrize(
    "settings",
    [PartialProfilingConfig(enabled=False), PartialProfilingConfig(allow_partition_pruning=False)],
)
def test_partial_runs_can_be_turned_off(settings: PartialProfilingConfig) -> None:
    config = configured(settings={"partial_profiling": settings})
    assert divided({**ALL, DAYS[0]: "b"}, kept(ALL), config).action is Action.FULL


def test_another_frame_or_no_remembered_partitions_read_all() -> None:
    assert divided({**ALL, DAYS[0]: "b"}, kept(ALL), frame="other").action is Action.FULL
    assert divided({**ALL, DAYS[0]: "b"}, None).action is Action.FULL
    assert divided({}, kept(ALL)).action is Action.FULL


def test_partitions_found_by_a_probe_are_merged_only_within_its_time_to_live() -> None:
    after = manifest({**ALL, DAYS[0]: "b"}, confidence=Confidence.HEURISTIC, key=("id",))
    found = coarse(probed=probed("p2", manifest=after))
    state = from_file(manifest=replace(kept(ALL), frame="frame"))
    made = plan(None, catalogue(found), state)
    assert only_decision(made).action is Action.PARTIAL
    assert made.reading[ORDERS].confidence is Confidence.HEURISTIC
    assert decided(found, replace(state, last_full_at=NOW - TTL)).reason is Reason.TTL_EXPIRED


def test_a_merged_profile_is_read_whole_once_its_reconcile_age_is_reached() -> None:
    state = remembered(last_full_at=NOW - timedelta(days=30), last_profiled_at=NOW - timedelta(days=1))
    assert decided(snapshot(), state).reason is Reason.RECONCILE_DUE
    never_merged = remembered(last_full_at=NOW - timedelta(days=90), last_profiled_at=NOW - timedelta(days=90))
    assert decided(snapshot(), never_merged).reason is Reason.SNAPSHOT_MATCH


def division_of(action_tokens: dict[str, str], limit: int, before: KeptManifest | None) -> Division:
    settings = PartialProfilingConfig(max_partitions_per_run=limit, min_rows=1000)
    config = configured(settings={"partial_profiling": settings})
    state = [] if before is None else [remembered(config, manifest=before)]
    found = snapshot(token="t2", manifest=manifest(action_tokens, key=("id",)))
    division = plan(config, catalogue(found), *state).reading[ORDERS].division
    assert division is not None
    return division


def test_a_full_reading_keeps_both_ends_apart_and_the_middle_as_one_rest() -> None:
    division = division_of(ALL, 4, None)
    assert division.apart == (DAYS[0], DAYS[1], DAYS[8], DAYS[9])
    assert division.rest == Rows(but=division.apart, key=(ID,))


def test_a_partial_reading_folds_what_is_no_longer_at_either_end_into_the_rest() -> None:
    before = kept(ALL, closed=tuple(DAYS[2:8]))
    division = division_of({**ALL, '["2026-03-11"]': "a"}, 4, before)
    assert (division.apart, division.folded, division.rest) == (('["2026-03-11"]',), (DAYS[8],), None)


def test_a_small_table_is_not_divided() -> None:
    found = snapshot(token="t2", manifest=manifest(ALL), rows_estimate=99_999)
    assert plan(None, catalogue(found)).reading[ORDERS].division is None
    assert plan(None, catalogue(replace(found, rows_estimate=100_000))).reading[ORDERS].division is not None


@given(st.integers(0, 30), st.integers(1, 12))
def test_summaries_of_their_own_are_never_more_than_the_limit_and_hold_both_ends(count: int, limit: int) -> None:
    keys = tuple(str(number) for number in range(count))
    own = own_summaries(keys, limit)
    assert len(own) == len(set(own)) == min(count, limit)
    assert not count or keys[-1] in own
    assert count < 2 or limit < 2 or keys[0] in own


# By hand


def test_a_table_paused_by_hand_is_skipped_until_it_is_resumed_and_can_be_forced() -> None:
    paused = remembered(paused_at=AN_HOUR_AGO)
    skipped = decided(snapshot(token="t2"), paused)
    assert (skipped.action, skipped.reason, skipped.evidence["by"]) == (Action.SKIP, Reason.PAUSED, "hand")
    assert decided(snapshot(token="t2"), paused, force=True).reason is Reason.FORCED
    assert decided(snapshot(token="t2"), replace(paused, paused_at=None)).reason is Reason.SNAPSHOT_CHANGED


def test_a_table_that_is_back_starts_afresh_whatever_its_token() -> None:
    made = plan(None, None, remembered(vanished_at=AN_HOUR_AGO))
    assert only_decision(made).reason is Reason.REAPPEARED
    assert made.reading[ORDERS].starts_afresh
