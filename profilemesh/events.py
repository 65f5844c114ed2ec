"""What can happen, by the names that existing frontends and alerts know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from profilemesh.tables import TableRef


class EventType(StrEnum):
    """The kinds of event; `meaning` says each in a sentence."""

    DATA_DRIFT_DETECTED = "DataDriftDetected"
    SCHEMA_CHANGE_DETECTED = "SchemaChangeDetected"
    PROFILING_STARTED = "ProfilingStarted"
    PROFILING_COMPLETED = "ProfilingCompleted"
    PROFILING_FAILED = "ProfilingFailed"
    RETRY_ATTEMPT = "RetryAttempt"
    RETRY_EXHAUSTED = "RetryExhausted"
    PROFILE_SKIPPED_NO_CHANGE = "profile_skipped_no_change"
    PROFILE_PARTIAL = "profile_partial"
    PROFILE_SAMPLED_COST_CAP = "profile_sampled_cost_cap"
    PROFILE_DEFERRED_COST_CAP = "profile_deferred_cost_cap"

    @property
    def meaning(self) -> str:
        return _MEANINGS[self]


_MEANINGS = {
    EventType.DATA_DRIFT_DETECTED: "A metric moved away from its baseline by more than its threshold.",
    EventType.SCHEMA_CHANGE_DETECTED: "Columns were added, removed or retyped since the last profile.",
    EventType.PROFILING_STARTED: "A run began to read a table.",
    EventType.PROFILING_COMPLETED: "A run read its table and its profile was stored.",
    EventType.PROFILING_FAILED: "A run ended without a profile; the last good one still stands.",
    EventType.RETRY_ATTEMPT: "A connection failed and is tried again.",
    EventType.RETRY_EXHAUSTED: "A connection failed as often as the configuration allows.",
    EventType.PROFILE_SKIPPED_NO_CHANGE: "A table was not read because it is proved to be unchanged.",
    EventType.PROFILE_PARTIAL: "Only the changed partitions of a table were read.",
    EventType.PROFILE_SAMPLED_COST_CAP: "A table was sampled because reading all of it exceeds its cost limit.",
    EventType.PROFILE_DEFERRED_COST_CAP: "A table was left for later because reading it exceeds its cost limit.",
}


@dataclass(frozen=True)
class Occurrence:
    """Something that happened to a table at a time; with a run, at most once per run and type."""

    type: EventType
    table: TableRef
    at: datetime
    run_id: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
