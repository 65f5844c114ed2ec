"""What to do with one table in one tick, and why: the rules, first match decides. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from profilemesh.planning.selection import TableSettings
from profilemesh.planning.snapshots import Confidence, Snapshot
from profilemesh.tables import TableRef


class Action(StrEnum):
    FULL = "full"
    SKIP = "skip"
    DEFER = "defer"

    @property
    def reads(self) -> bool:
        return self is Action.FULL


class Reason(StrEnum):
    """Why an action was chosen; `meaning` is what pages, commands and docs say of it."""

    FORCED = "forced"
    PAUSED = "paused"
    OUTSIDE_WINDOW = "outside_window"
    VANISHED = "vanished"
    FIRST_PROFILE = "first_profile"
    SUMMARIES_INCOMPATIBLE = "summaries_incompatible"
    SCHEMA_CHANGED = "schema_changed"
    INCREMENTAL_OFF = "incremental_off"
    UNKNOWN_STATE = "unknown_state"
    SNAPSHOT_MATCH = "snapshot_match"
    SNAPSHOT_CHANGED = "snapshot_changed"
    WAREHOUSE_BUSY = "warehouse_busy"
    WAREHOUSE_UNREACHABLE = "warehouse_unreachable"

    @property
    def meaning(self) -> str:
        return _MEANINGS[self]


_MEANINGS = {
    Reason.FORCED: "asked for by hand",
    Reason.PAUSED: "paused in the configuration",
    Reason.OUTSIDE_WINDOW: "outside its scan window",
    Reason.VANISHED: "gone from the warehouse",
    Reason.FIRST_PROFILE: "never profiled before",
    Reason.SUMMARIES_INCOMPATIBLE: "its settings, strategy or hash function changed since the last profile",
    Reason.SCHEMA_CHANGED: "its columns changed",
    Reason.INCREMENTAL_OFF: "change detection is off (incremental.enabled)",
    Reason.UNKNOWN_STATE: "nothing proves it unchanged",
    Reason.SNAPSHOT_MATCH: "proved unchanged",
    Reason.SNAPSHOT_CHANGED: "its data may have changed",
    Reason.WAREHOUSE_BUSY: "its file is locked by a writer",
    Reason.WAREHOUSE_UNREACHABLE: "the warehouse cannot be reached",
}


@dataclass(frozen=True)
class State:
    """What storage remembers of a table. `columns` are (name, type) pairs of the last profile."""

    table: TableRef
    token: str | None = None
    columns: tuple[tuple[str, str], ...] | None = None
    profile_key: str | None = None
    last_profiled_at: datetime | None = None
    last_verified_at: datetime | None = None
    row_count: int | None = None


@dataclass(frozen=True)
class Decision:
    """One table's line of a plan. `snapshot` is what will be remembered if the run succeeds."""

    table: TableRef
    action: Action
    reason: Reason
    evidence: Mapping[str, Any] = field(default_factory=dict)
    snapshot: Snapshot | None = None


@dataclass(frozen=True)
class Case:
    """All that is known of one table when its decision is made."""

    settings: TableSettings
    snapshot: Snapshot
    state: State | None
    profile_key: str
    now: datetime
    forced: bool
    incremental: bool

    def decision(self, action: Action, reason: Reason, **evidence: Any) -> Decision:
        return Decision(self.snapshot.table, action, reason, evidence, self.snapshot)

    def decision_by_token(self, action: Action, reason: Reason) -> Decision:
        before = self.state.token if self.state else None
        return self.decision(
            action, reason, token_before=before, token_after=self.snapshot.token, confidence=self.snapshot.confidence
        )


def decide(case: Case) -> Decision:
    """The first rule that matches decides; the evidence says what it saw."""
    return _by_hand(case) or _without_equal(case) or _by_change(case)


def _by_hand(case: Case) -> Decision | None:
    if case.forced:
        return case.decision_by_token(Action.FULL, Reason.FORCED)
    if case.settings.paused:
        return case.decision(Action.SKIP, Reason.PAUSED)
    window = case.settings.window
    if window and not window.contains(case.now):
        return case.decision(Action.SKIP, Reason.OUTSIDE_WINDOW, window=str(window))
    return None


def _without_equal(case: Case) -> Decision | None:
    """No profile that a new one could be compared with or stand for."""
    state = case.state
    if state is None or state.last_profiled_at is None:
        return case.decision(Action.FULL, Reason.FIRST_PROFILE)
    if state.profile_key != case.profile_key:
        keys = {"key_before": state.profile_key, "key_after": case.profile_key}
        return case.decision(Action.FULL, Reason.SUMMARIES_INCOMPATIBLE, **keys)
    columns = tuple((column.name, column.type) for column in case.snapshot.columns)
    if state.columns != columns:
        return case.decision(Action.FULL, Reason.SCHEMA_CHANGED, **column_changes(state.columns or (), columns))
    return None


def _by_change(case: Case) -> Decision:
    snapshot = case.snapshot
    if not case.incremental:
        return case.decision(Action.FULL, Reason.INCREMENTAL_OFF)
    if snapshot.token is None or snapshot.confidence is not Confidence.EXACT:
        evidence = {"confidence": snapshot.confidence, "doubt": snapshot.doubt}
        return case.decision(Action.FULL, Reason.UNKNOWN_STATE, **evidence)
    if case.state is not None and snapshot.token == case.state.token:
        return case.decision_by_token(Action.SKIP, Reason.SNAPSHOT_MATCH)
    return case.decision_by_token(Action.FULL, Reason.SNAPSHOT_CHANGED)


def column_changes(
    before: Sequence[tuple[str, str]], after: Sequence[tuple[str, str]]
) -> dict[str, list[str] | dict[str, list[str]]]:
    """Names added and removed, and for each retyped column its type before and after."""
    old, new = dict(before), dict(after)
    return {
        "added": [name for name in new if name not in old],
        "removed": [name for name in old if name not in new],
        "retyped": {name: [old[name], new[name]] for name in new if name in old and old[name] != new[name]},
    }
