"""What to do with one table in one tick, and why: the rules, first match decides. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from profilemesh.planning.snapshots import Snapshot
from profilemesh.tables import TableRef


class Action(StrEnum):
    FULL = "full"
    SKIP = "skip"
    DEFER = "defer"

    @property
    def reads(self) -> bool:
        return self is Action.FULL


class Reason(StrEnum):
    """Why an action was chosen. The words after each stand on pages and in the docs."""

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
