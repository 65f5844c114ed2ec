"""How often a table is read, and how stale its profile is. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from profilemesh.config.model import AdaptiveSchedulingConfig
from profilemesh.tables import TableRef

AGE, VOLUME, PRIORITY = 0.6, 0.3, 0.1
"""What makes up the staleness score: lateness of the profile, share of the table that changed, priority."""


def interval_minutes(table: TableRef, change_gap_minutes: float | None, settings: AdaptiveSchedulingConfig) -> float:
    """The shortest time between two readings of a table.

    Half of the usual time between its changes, within the minimum and the maximum; the default while that is unknown.
    A priority of its own goes before both.
    """
    own = priority_minutes(table, settings)
    if own is not None:
        return float(own)
    if change_gap_minutes is None:
        return float(settings.default_interval_minutes)
    return min(max(change_gap_minutes / 2, settings.min_interval_minutes), settings.max_interval_minutes)


def priority_minutes(table: TableRef, settings: AdaptiveSchedulingConfig) -> int | None:
    """The table's entry of `priority_overrides`: by `schema.table`, `warehouse.schema.table`, or a glob of either."""
    names = (f"{table.schema}.{table.name}", str(table))
    for pattern, minutes in settings.priority_overrides.items():
        if any(name == pattern or fnmatchcase(name, pattern) for name in names):
            return minutes
    return None


def due_at(read_at: datetime, table: TableRef, gap: float | None, settings: AdaptiveSchedulingConfig) -> datetime:
    """The end of the table's interval."""
    return read_at + timedelta(minutes=interval_minutes(table, gap, settings))


def change_gap(before: float | None, minutes: float, changed: bool) -> float:
    """The usual time between two changes, in minutes, after one more reading `minutes` after the last known change.

    A change counts as much as all before it; a reading that found none can only lengthen the time.
    """
    if before is None:
        return minutes
    return (before + minutes) / 2 if changed else max(before, minutes)


def staleness(
    age: timedelta, interval: float, changed_share: float, has_priority: bool, settings: AdaptiveSchedulingConfig
) -> int:
    """0 to 100: how much a table's profile may be behind its data.

    100 * (0.6 * min(1, age / (interval + staleness_penalty_minutes)) + 0.3 * share of rows changed + 0.1 if it has a
    priority of its own), at least 1. What is proved unchanged has 0, what was never profiled 100; both are not
    computed here.
    """
    lateness = min(1.0, age.total_seconds() / 60 / max(interval + settings.staleness_penalty_minutes, 1))
    return max(1, round(100 * (AGE * lateness + VOLUME * changed_share + PRIORITY * has_priority)))
