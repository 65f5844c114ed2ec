"""What a trial found, as a person would say it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from profilemesh.drift import measures as m
from profilemesh.drift.findings import Culprit, Kind, Unit
from profilemesh.drift.pairs import Trial
from profilemesh.profiling.metrics import BY_NAME
from profilemesh.tables import TableRef


def sentence(table: TableRef, trial: Trial, culprits: Sequence[Culprit] = ()) -> str:
    """One sentence without its full stop."""
    return _said(table, trial) + _where(culprits)


def _said(table: TableRef, trial: Trial) -> str:
    of = f"{table.name}.{trial.column}" if trial.column else table.name
    if trial.kind is Kind.VOLUME:
        return _volume(of, trial)
    if trial.kind is Kind.DISTRIBUTION:
        return f"the values of {of} are distributed differently ({_effect(trial)}){_moved(trial)}"
    label = m.LABELS.get(trial.metric) or _label(trial.metric)
    unit = " %" if trial.metric.endswith("_percent") else ""
    before, now = trial.details.get("shown") or (told(trial.before) + unit, told(trial.now) + unit)
    effect = "" if trial.effect.unit in (Unit.POINTS, Unit.ABSOLUTE) else f" ({_effect(trial)})"
    return f"{label} of {of} {_verb(trial)} from {before} to {now}{effect}"


def _label(metric: str) -> str:
    return BY_NAME[metric].label.lower() if metric in BY_NAME else metric


def _volume(of: str, trial: Trial) -> str:
    if trial.details.get("of") == "arrivals":
        came, usual = trial.details["rows_came"], trial.details["rows_usual"]
        went = f"{-came:,} rows went from" if came < 0 else f"{came:,} rows came to"
        return f"{went} {of} where about {usual:,} usually come ({_effect(trial)})"
    return f"row count of {of} is {told(trial.now)}, expected were about {told(trial.before)} ({_effect(trial)})"


def _verb(trial: Trial) -> str:
    return "rose" if trial.effect.size > 0 else "fell"


def _effect(trial: Trial) -> str:
    size, unit = trial.effect.size, trial.effect.unit
    if math.isinf(size):
        return "it never moved before"
    if unit is Unit.PERCENT:
        return f"{size:+,.3g} %" if abs(size) < 1000 else f"{size:+,.0f} %"
    if unit is Unit.RANGES:
        return f"{told(abs(size))} times the range before"
    if unit in (Unit.DEVIATIONS, Unit.HISTORY):
        return f"{told(abs(size))} {unit}"
    return f"{unit} {size:.2f}"


def _moved(trial: Trial) -> str:
    moved = trial.details.get("moved")
    if not moved:
        return ""
    verb = "rose" if moved["now"] > moved["before"] else "fell"
    return f": the share of {moved['value']!r} {verb} from {told(moved['before'])} % to {told(moved['now'])} %"


def _where(culprits: Sequence[Culprit]) -> str:
    named = [f"{round(100 * min(culprit.share, 1.0))} % of it in {culprit.partition}" for culprit in culprits[:2]]
    return f", {' and '.join(named)}" if named else ""


def told(value: float | None) -> str:
    """Three digits, or all before the point."""
    if value is None:
        return "unknown"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
