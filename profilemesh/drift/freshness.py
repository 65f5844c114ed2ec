"""Whether data stood still for longer than it usually does: the data, not the profile of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

from profilemesh.drift.findings import Finding, Kind, Severity, Unit
from profilemesh.drift.measures import FRESHNESS
from profilemesh.drift.rules import Rules
from profilemesh.drift.severity import severity_of
from profilemesh.tables import TableRef

PAUSES = 10
"""So many pauses between changes make a habit."""
ODD = 0.05
"""The longest pauses, this share of all, are set aside: they were outages themselves."""


def freshness(table: TableRef, changes: Sequence[datetime], now: datetime, rules: Rules) -> Finding | None:
    """A finding if nothing changed since the last of `changes` for far longer than between them; else None.

    `changes` are times at which the data was seen changed. Pauses that touch an expected period do not count. `now` is
    the time up to which the data is verified unchanged.
    """
    setting = rules.setting("", FRESHNESS.name)
    times = sorted(set(changes))
    pauses = [
        after - before
        for before, after in zip(times, times[1:], strict=False)
        if rules.expects(before) is None and rules.expects(after) is None
    ]
    if not setting.enabled or len(pauses) < PAUSES or setting.direction == "down":
        return None
    usual = sorted(pauses)[: len(pauses) - math.floor(ODD * len(pauses))][-1]
    pause = now - times[-1]
    if usual <= timedelta(0):
        return None
    severity = severity_of(pause / usual, rules.ladder(setting, FRESHNESS.ladder))
    return None if severity is None else _finding(table, times[-1], pause, usual, severity, rules, now)


def _finding(
    table: TableRef,
    last: datetime,
    pause: timedelta,
    usual: timedelta,
    severity: Severity,
    rules: Rules,
    now: datetime,
) -> Finding:
    said = f"{table.name} has not changed for {_told(pause)}, since {last:%Y-%m-%d %H:%M} UTC; usually it does within"
    return Finding(
        table,
        Kind.FRESHNESS,
        "",
        FRESHNESS.name,
        severity,
        f"{said} {_told(usual)}",
        baseline_value=usual.total_seconds(),
        current_value=pause.total_seconds(),
        change_percent=100.0 * (pause / usual - 1.0),
        effect=pause / usual,
        unit=Unit.PAUSES,
        direction="up",
        baseline="pauses between changes",
        is_expected=rules.expects(now) is not None,
        details={"last_changed_at": last.isoformat()},
    )


def _told(pause: timedelta) -> str:
    hours = pause.total_seconds() / 3600
    if hours < 2:
        return f"{hours * 60:.0f} minutes"
    return f"{hours:.0f} hours" if hours < 48 else f"{hours / 24:.1f} days".replace(".0 days", " days")
