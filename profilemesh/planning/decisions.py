"""What to do with one table in one tick, and why: the rules, first match decides. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from profilemesh.config.model import IncrementalConfig
from profilemesh.planning.costs import NOTHING, UNKNOWN, Cost, cost_of
from profilemesh.planning.intervals import due_at
from profilemesh.planning.selection import TableSettings
from profilemesh.planning.snapshots import CHECKSUM, Confidence, Difference, KeptManifest, Snapshot, difference
from profilemesh.tables import TableRef

MOST = 0.5
"""Above this share of the rows a partial run saves little: reading all of them proves more."""


class Action(StrEnum):
    FULL = "full"
    PARTIAL = "partial"
    SAMPLE = "sample"
    SKIP = "skip"
    DEFER = "defer"

    @property
    def reads(self) -> bool:
        return self in (Action.FULL, Action.PARTIAL, Action.SAMPLE)


class Reason(StrEnum):
    """Why an action was chosen; `meaning` is what pages, commands and docs say of it."""

    FORCED = "forced"
    PAUSED = "paused"
    OUTSIDE_WINDOW = "outside_window"
    VANISHED = "vanished"
    FIRST_PROFILE = "first_profile"
    REAPPEARED = "reappeared"
    SUMMARIES_INCOMPATIBLE = "summaries_incompatible"
    SCHEMA_CHANGED = "schema_changed"
    INCREMENTAL_OFF = "incremental_off"
    SNAPSHOT_MATCH = "snapshot_match"
    FRESH_WITHIN_INTERVAL = "fresh_within_interval"
    DETECTOR_FAILED = "detector_failed"
    UNKNOWN_STATE = "unknown_state"
    RECONCILE_DUE = "reconcile_due"
    PROBE_MATCH = "probe_match"
    TTL_EXPIRED = "ttl_expired"
    PARTITIONS_CHANGED = "partitions_changed"
    SNAPSHOT_CHANGED = "snapshot_changed"
    SAMPLING_CONFIGURED = "sampling_configured"
    SAMPLE_MATCH = "sample_match"
    COST_CAP = "cost_cap"
    BUDGET_SPENT = "budget_spent"
    DEFERRED_TOO_LONG = "deferred_too_long"
    CHANGED_MEANWHILE = "changed_meanwhile"
    WAREHOUSE_BUSY = "warehouse_busy"
    WAREHOUSE_UNREACHABLE = "warehouse_unreachable"

    @property
    def meaning(self) -> str:
        return _MEANINGS[self]


_MEANINGS = {
    Reason.FORCED: "asked for by hand",
    Reason.PAUSED: "paused",
    Reason.OUTSIDE_WINDOW: "outside its scan window",
    Reason.VANISHED: "gone from the warehouse",
    Reason.FIRST_PROFILE: "never profiled before",
    Reason.REAPPEARED: "it was gone and is back, so it starts afresh",
    Reason.SUMMARIES_INCOMPATIBLE: "its settings, strategy or hash function changed since the last profile",
    Reason.SCHEMA_CHANGED: "its columns changed",
    Reason.INCREMENTAL_OFF: "change detection is off (incremental.enabled)",
    Reason.SNAPSHOT_MATCH: "proved unchanged",
    Reason.FRESH_WITHIN_INTERVAL: "not due: read less than its interval ago",
    Reason.DETECTOR_FAILED: "it could not be probed for changes",
    Reason.UNKNOWN_STATE: "nothing proves it unchanged",
    Reason.RECONCILE_DUE: "its merged profile is due to be compared with all of it",
    Reason.PROBE_MATCH: "a probe found no change; likely unchanged, not proved",
    Reason.TTL_EXPIRED: "too long since it was read whole to trust a probe any longer",
    Reason.PARTITIONS_CHANGED: "only some of its partitions changed",
    Reason.SNAPSHOT_CHANGED: "its data may have changed",
    Reason.SAMPLING_CONFIGURED: "sampled, as the configuration asks",
    Reason.SAMPLE_MATCH: "proved unchanged since it was sampled; reading all of it costs too much",
    Reason.COST_CAP: "reading it costs more than the limit",
    Reason.BUDGET_SPENT: "the tick's budget is spent",
    Reason.DEFERRED_TOO_LONG: "put off for too long, so it is sampled",
    Reason.CHANGED_MEANWHILE: "it changed while it was read",
    Reason.WAREHOUSE_BUSY: "its file is locked by a writer",
    Reason.WAREHOUSE_UNREACHABLE: "the warehouse cannot be reached",
}


@dataclass(frozen=True, slots=True)
class State:
    """What storage remembers of a table. `columns` are (name, type) pairs of the last profile.

    `confidence` tells how far an equal token proves the stored profile true: heuristic once a probe vouched for a part
    of it. `manifest` is given where the table's token has moved, `has_manifest` always.
    """

    table: TableRef
    token: str | None = None
    columns: tuple[tuple[str, str], ...] | None = None
    profile_key: str | None = None
    last_profiled_at: datetime | None = None
    last_verified_at: datetime | None = None
    row_count: int | None = None
    bytes_scanned: int | None = None
    confidence: Confidence = Confidence.EXACT
    probe_token: str | None = None
    manifest: KeptManifest | None = None
    last_full_at: datetime | None = None
    last_changed_at: datetime | None = None
    change_gap_minutes: float | None = None
    sampled_token: str | None = None
    sampled_at: datetime | None = None
    deferred_since: datetime | None = None
    vanished_at: datetime | None = None
    paused_at: datetime | None = None

    @property
    def last_read_at(self) -> datetime | None:
        """When its rows were last read, be it all of them, a part or a sample."""
        return max(filter(None, (self.last_profiled_at, self.sampled_at)), default=None)


@dataclass(frozen=True, slots=True)
class Decision:
    """One table's line of a plan. `snapshot` is what will be remembered if the run succeeds.

    `cost` is what the action is expected to read, `naive` what a full scan would. `fraction` belongs to a sample,
    `change` to a partial run. `due_at` is when the table's interval ends.
    """

    table: TableRef
    action: Action
    reason: Reason
    evidence: Mapping[str, Any] = field(default_factory=dict)
    snapshot: Snapshot | None = None
    cost: Cost = NOTHING
    naive: Cost = UNKNOWN
    staleness: int | None = None
    fraction: float | None = None
    change: Difference | None = None
    due_at: datetime | None = None


def was_hashed(evidence: Mapping[str, Any] | None) -> bool:
    """Whether the look itself read every row, so that a decision by it spares nothing."""
    return str((evidence or {}).get("probe", "")).startswith(CHECKSUM)


@dataclass(frozen=True, slots=True)
class Case:
    """All that is known of one table when its decision is made."""

    settings: TableSettings
    snapshot: Snapshot
    state: State | None
    profile_key: str
    now: datetime
    forced: bool
    incremental: IncrementalConfig

    @property
    def naive(self) -> Cost:
        """What reading all of it costs."""
        return cost_of(self.snapshot, self.state)

    @property
    def due_at(self) -> datetime | None:
        """When its interval since it was last read ends; None if it was never read."""
        state = self.state
        if state is None or state.last_read_at is None:
            return None
        return due_at(
            state.last_read_at, self.snapshot.table, state.change_gap_minutes, self.incremental.adaptive_scheduling
        )

    @property
    def is_proved_equal(self) -> bool:
        """The token of the stored profile, exact, or a checksum over all rows."""
        state, snapshot = self.state, self.snapshot
        if state is None or state.last_profiled_at is None:
            return False
        if state.confidence is Confidence.EXACT and _is_exact(snapshot) and snapshot.token == state.token:
            return True
        probed = snapshot.probed
        is_sum = probed is not None and probed.confidence is Confidence.EXACT and probed.token is not None
        return is_sum and probed is not None and probed.token == state.probe_token

    def decision(self, action: Action, reason: Reason, **evidence: Any) -> Decision:
        cost = self.naive if action is Action.FULL else NOTHING
        return Decision(
            self.snapshot.table, action, reason, evidence, self.snapshot, cost, self.naive, due_at=self.due_at
        )

    def decision_by_token(self, action: Action, reason: Reason, **evidence: Any) -> Decision:
        """The tokens compared: the probe's where there was a probe."""
        state, snapshot = self.state, self.snapshot
        if snapshot.probed is not None and snapshot.probed.token is not None:
            tokens = {
                "token_before": state.probe_token if state else None,
                "token_after": snapshot.probed.token,
                "confidence": snapshot.probed.confidence,
                "probe": snapshot.probed.how,
            }
        else:
            tokens = {
                "token_before": state.token if state else None,
                "token_after": snapshot.token,
                "confidence": snapshot.confidence,
            }
        return self.decision(action, reason, **tokens, **evidence)


def decide(case: Case) -> Decision:
    """The first rule that matches decides; the evidence says what it saw."""
    return _by_hand(case) or _without_equal(case) or _without_look(case) or _by_probe(case) or _by_change(case)


def may_want_probe(snapshot: Snapshot) -> bool:
    """Not where metadata alone prove that nothing changed, or which partitions did."""
    return snapshot.is_coarse or not _is_exact(snapshot)


def wants_probe(case: Case) -> bool:
    """Whether this table's decision, or what is remembered of its profile, needs more than its metadata."""
    if _by_hand(case) is not None and not case.forced:
        return False
    if not case.incremental.enabled or not case.incremental.change_detection.enabled:
        return False
    if not may_want_probe(case.snapshot):
        return False
    return not case.is_proved_equal and not (_without_equal(case) is None and _is_fresh(case))


def _is_exact(snapshot: Snapshot) -> bool:
    return snapshot.token is not None and snapshot.confidence is Confidence.EXACT


def _by_hand(case: Case) -> Decision | None:
    if case.forced:
        return case.decision_by_token(Action.FULL, Reason.FORCED)
    if case.settings.paused:
        return case.decision(Action.SKIP, Reason.PAUSED, by="the configuration")
    if case.state is not None and case.state.paused_at is not None:
        return case.decision(Action.SKIP, Reason.PAUSED, by="hand", since=case.state.paused_at.isoformat())
    window = case.settings.window
    if window and not window.contains(case.now):
        return case.decision(Action.SKIP, Reason.OUTSIDE_WINDOW, window=str(window))
    return None


def _without_equal(case: Case) -> Decision | None:
    """No profile that a new one could be compared with or stand for."""
    state = case.state
    if state is not None and state.vanished_at is not None:
        return case.decision(Action.FULL, Reason.REAPPEARED, vanished_at=state.vanished_at.isoformat())
    if state is None or state.last_profiled_at is None:
        if state is not None and state.sampled_token != case.snapshot.token and _is_fresh(case):
            return _fresh(case)
        return case.decision(Action.FULL, Reason.FIRST_PROFILE)
    if state.profile_key != case.profile_key:
        keys = {"key_before": state.profile_key, "key_after": case.profile_key}
        return case.decision(Action.FULL, Reason.SUMMARIES_INCOMPATIBLE, **keys)
    columns = tuple((column.name, column.type) for column in case.snapshot.columns)
    if state.columns != columns:
        return case.decision(Action.FULL, Reason.SCHEMA_CHANGED, **column_changes(state.columns or (), columns))
    return None


def _without_look(case: Case) -> Decision | None:
    """What can be said without comparing partitions: off, proved equal, not due, unknown, due to be read whole."""
    if not case.incremental.enabled:
        return case.decision(Action.FULL, Reason.INCREMENTAL_OFF)
    if not case.incremental.change_detection.enabled:
        return case.decision(Action.FULL, Reason.INCREMENTAL_OFF, key="incremental.change_detection.enabled")
    is_due_whole = _is_reconcile_due(case)
    if case.is_proved_equal and not is_due_whole:
        return case.decision_by_token(Action.SKIP, Reason.SNAPSHOT_MATCH)
    if _is_same_file(case) and not is_due_whole and _is_trusted(case):
        return _trusted(case)
    if _is_fresh(case):
        return _fresh(case)
    probed = case.snapshot.probed
    if probed is not None and probed.failure is not None:
        return case.decision(Action.FULL, Reason.DETECTOR_FAILED, message=probed.failure)
    if not _is_exact(case.snapshot) and (probed is None or probed.token is None):
        evidence = {"confidence": Confidence.NONE, "doubt": case.snapshot.doubt}
        return case.decision(Action.FULL, Reason.UNKNOWN_STATE, **evidence)
    if is_due_whole:
        assert case.state is not None and case.state.last_full_at is not None
        return case.decision_by_token(
            Action.FULL, Reason.RECONCILE_DUE, last_full_at=case.state.last_full_at.isoformat()
        )
    return None


def _is_fresh(case: Case) -> bool:
    """Within its interval, before or after: a clock that was set back must not make a table wait for years."""
    state, due = case.state, case.due_at
    if not case.incremental.adaptive_scheduling.enabled or state is None or state.last_read_at is None or due is None:
        return False
    return abs(case.now - state.last_read_at) < due - state.last_read_at


def _fresh(case: Case) -> Decision:
    assert case.due_at is not None and case.state is not None
    token, before = case.snapshot.token, case.state.token
    has_changed = _is_exact(case.snapshot) and not case.snapshot.is_coarse and before is not None and token != before
    data = "changed" if has_changed else "left open"
    return case.decision(Action.SKIP, Reason.FRESH_WITHIN_INTERVAL, due_at=case.due_at.isoformat(), data=data)


def _is_reconcile_due(case: Case) -> bool:
    state = case.state
    if state is None or state.last_full_at is None or state.last_full_at == state.last_profiled_at:
        return False
    return abs(case.now - state.last_full_at) >= timedelta(days=case.incremental.partial_profiling.reconcile_after_days)


def _by_probe(case: Case) -> Decision | None:
    """A probe says that nothing changed, or the profile itself hangs on one: trusted within the time to live."""
    state, probed = case.state, case.snapshot.probed
    assert state is not None
    is_same_probe = probed is not None and probed.token is not None and probed.token == state.probe_token
    if not (_is_same_file(case) or is_same_probe):
        return None
    if _is_trusted(case):
        return _trusted(case)
    return case.decision_by_token(Action.FULL, Reason.TTL_EXPIRED, trusted_until=_trusted_until(case).isoformat())


def _is_same_file(case: Case) -> bool:
    return case.state is not None and _is_exact(case.snapshot) and case.snapshot.token == case.state.token


def _trusted(case: Case) -> Decision:
    return case.decision_by_token(Action.SKIP, Reason.PROBE_MATCH, trusted_until=_trusted_until(case).isoformat())


def _trusted_until(case: Case) -> datetime:
    state = case.state
    assert state is not None and state.last_profiled_at is not None
    return (state.last_full_at or state.last_profiled_at) + _ttl(case)


def _ttl(case: Case) -> timedelta:
    return timedelta(minutes=case.incremental.change_detection.snapshot_ttl_minutes)


def _is_trusted(case: Case) -> bool:
    until, ttl = _trusted_until(case), _ttl(case)
    return abs(case.now - (until - ttl)) < ttl


def _by_change(case: Case) -> Decision:
    """Something changed: the partitions at fault, if they are known and few, else all of it."""
    after, before = case.snapshot.partitions, case.state.manifest if case.state else None
    settings = case.incremental.partial_profiling
    if after is None or before is None or not (settings.enabled and settings.allow_partition_pruning):
        return case.decision_by_token(Action.FULL, Reason.SNAPSHOT_CHANGED)
    if before.frame != after.frame:
        return case.decision_by_token(Action.FULL, Reason.SNAPSHOT_CHANGED, partitions="divided in another way")
    if not after.parts:
        return case.decision_by_token(Action.FULL, Reason.SNAPSHOT_CHANGED, partitions="none are left")
    change = difference(before, after)
    told: dict[str, Any] = {
        "added": [after.parts[key].name for key in change.added],
        "changed": [after.parts[key].name for key in change.changed],
        "dropped": [before.parts[key].name for key in change.dropped],
    }
    told = {name: names for name, names in told.items() if names}
    if change.closed:
        told["closed"] = [before.parts[key].name for key in change.closed]
        return case.decision_by_token(Action.FULL, Reason.SNAPSHOT_CHANGED, **_short(told))
    if len(change.to_read) > settings.max_partitions_per_run:
        told["limit"] = settings.max_partitions_per_run
        return case.decision_by_token(Action.FULL, Reason.SNAPSHOT_CHANGED, **_short(told))
    if after.confidence is not Confidence.EXACT and not _is_trusted(case):
        until = _trusted_until(case).isoformat()
        return case.decision_by_token(Action.FULL, Reason.TTL_EXPIRED, trusted_until=until, **_short(told))
    cost = cost_of(case.snapshot, case.state, change.to_read)
    if cost.rows is not None and case.naive.rows is not None and cost.rows > case.naive.rows * MOST:
        return case.decision_by_token(Action.FULL, Reason.SNAPSHOT_CHANGED, **_short(told))
    decision = case.decision_by_token(Action.PARTIAL, Reason.PARTITIONS_CHANGED, **_short(told))
    return _partial(decision, change, cost)


def _partial(decision: Decision, change: Difference, cost: Cost) -> Decision:
    return Decision(
        decision.table,
        decision.action,
        decision.reason,
        decision.evidence,
        decision.snapshot,
        cost,
        decision.naive,
        change=change,
        due_at=decision.due_at,
    )


_NAMES_TOLD = 20


def _short(told: Mapping[str, Any]) -> dict[str, Any]:
    """Long lists cut, with the number of what is left out."""
    short: dict[str, Any] = {}
    for name, value in told.items():
        is_long = isinstance(value, list) and len(value) > _NAMES_TOLD
        short[name] = [*value[:_NAMES_TOLD], f"and {len(value) - _NAMES_TOLD} more"] if is_long else value
    return short


def column_changes(
    before: Sequence[tuple[str, str]], after: Sequence[tuple[str, str]]
) -> dict[str, list[str] | dict[str, list[str]]]:
    """Names added and removed, for each retyped column its type before and after, and where the others stand in
    another order, the first that is not in its place."""
    old, new = dict(before), dict(after)
    found: dict[str, list[str] | dict[str, list[str]]] = {
        "added": [name for name in new if name not in old],
        "removed": [name for name in old if name not in new],
        "retyped": {name: [old[name], new[name]] for name in new if name in old and old[name] != new[name]},
    }
    stayed = zip((name for name in old if name in new), (name for name in new if name in old), strict=True)
    moved = next((name for was, name in stayed if was != name), None)
    return found if moved is None else {**found, "reordered": [moved]}
