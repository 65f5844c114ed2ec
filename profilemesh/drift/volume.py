"""Row counts against what the table usually brings: a level that it keeps, or rows that come at a usual pace.

A growing table is one of which rows hardly ever went away. It is expected to have what it had and what usually comes in
the time since, on this weekday where a week's pattern shows; a table that keeps its level is expected to have the
baseline's median.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from profilemesh.drift import measures as m
from profilemesh.drift.baselines import FEW, SIGMAS, Baseline, Past
from profilemesh.drift.findings import Kind, Severity
from profilemesh.drift.pairs import Trial
from profilemesh.drift.profiles import Profile
from profilemesh.drift.rules import Rules, Setting
from profilemesh.drift.severity import Effect, percent, severity_of

GROWING = 0.8
"""So many of a growing table's steps are upward."""
MANY = 8
"""So many steps make a pace: from then on a load that fails to come is told."""

FIRST_RUNS, FIRST_WEEK = 33.0, 75.0
"""Percent that a new table must be off: how much it grows is not known yet, and then its first weekend is to come."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Rows per day of each step from run to run, those of this weekday's where they show a pattern. Where rows `went`
    away in any step, what came is not known, only what came more than went."""

    baseline: Baseline
    days: float
    last: int
    went: bool = False

    @property
    def usual(self) -> float:
        """Rows that usually come in the time since the last run."""
        return self.baseline.centre * self.days


def volume(current: Profile, past: Past, rules: Rules) -> Trial | None:
    """Whether the row count is far from what was to be expected; None where it is not, or where nobody can know."""
    setting = rules.setting("", m.ROWS.name)
    if current.rows is None or not setting.enabled or setting.strategy != "statistical":
        return None
    pace = _pace(current, past, setting)
    if pace is not None:
        return _by_pace(current, pace, rules, setting)
    baseline = past.baseline(setting, [run.rows for run in past.runs])
    if baseline is None or baseline.allows(current.rows):
        return None
    return _by_level(current, baseline, rules, setting, past.days)


def _by_level(current: Profile, baseline: Baseline, rules: Rules, setting: Setting, days: float) -> Trial | None:
    effect = percent(baseline.centre, current.rows)
    if effect is None:
        return None
    severity = severity_of(effect.size, rules.ladder(setting, "rows"), setting.direction)
    is_new = setting.pinned_run is None and setting.baseline == "auto" and days < 7
    least = FIRST_RUNS if len(baseline.values) < FEW else FIRST_WEEK
    if is_new and abs(effect.size) < least:
        return None
    return _trial(current, baseline, baseline.centre, effect, severity)


def _by_pace(current: Profile, pace: Pace, rules: Rules, setting: Setting) -> Trial | None:
    assert current.rows is not None
    came, expected = current.rows - pace.last, pace.last + pace.usual
    if pace.baseline.allows(came / pace.days) or _is_chance(came, pace.usual):
        return None
    of_all, of_load = percent(expected, current.rows), percent(pace.usual, came)
    is_load_known = not pace.went and len(pace.baseline.values) >= 3 and pace.usual > 0
    steps: list[tuple[Severity, Effect]] = []
    for effect, ladder in ((of_all, rules.ladder(setting, "rows")), (of_load, rules.ladders.arrivals)):
        if effect is None or (effect is of_load and not is_load_known):
            continue
        severity = severity_of(effect.size, ladder, setting.direction)
        if severity is not None:
            steps.append((severity, effect))
    if not steps:
        return None
    severity, effect = max(steps, key=lambda step: step[0].rank)
    details = {"rows_came": came, "rows_usual": round(pace.usual), "of": "arrivals" if effect is of_load else "rows"}
    return _trial(current, pace.baseline, expected, effect, severity, details)


def _is_chance(came: float, usual: float) -> bool:
    """Whether rows that come one by one may be so many or so few: within three roots, and one row more."""
    return abs(came - usual) <= SIGMAS * (math.sqrt(max(usual, 0.0)) + 1.0)


def _trial(
    current: Profile,
    baseline: Baseline,
    expected: float,
    effect: Effect,
    severity: Severity | None,
    details: Mapping[str, object] | None = None,
) -> Trial | None:
    if severity is None:
        return None
    rows = float(current.rows or 0)
    name = m.ROWS.name
    return Trial("", name, Kind.VOLUME, baseline, expected, rows, effect, severity, None, True, details or {})


def _pace(current: Profile, past: Past, setting: Setting) -> Pace | None:
    """None where the table does not grow, or too few steps are known."""
    runs = [run for run in past.runs if run.rows is not None]
    if setting.pinned_run is not None or len(runs) <= MANY or not _is_growing([run.rows or 0 for run in runs]):
        return None
    steps = [None, *(_rate(before, after) for before, after in zip(runs, runs[1:], strict=False))]
    last = runs[-1]
    days = (current.at - last.at).total_seconds() / 86400
    by_run = dict(zip((run.run_id for run in runs), steps, strict=True))
    baseline = past.baseline(setting, [by_run.get(run.run_id) for run in past.runs])
    went = any(step is not None and step < 0 for step in steps)
    return Pace(baseline, days, last.rows or 0, went) if baseline and days > 0 else None


def _rate(before: Profile, after: Profile) -> float | None:
    days = (after.at - before.at).total_seconds() / 86400
    return ((after.rows or 0) - (before.rows or 0)) / days if days > 0 else None


def _is_growing(rows: Sequence[int]) -> bool:
    steps = [after - before for before, after in zip(rows, rows[1:], strict=False)]
    upward = sum(step >= 0 for step in steps)
    return upward >= GROWING * len(steps) and median(steps) > 0
