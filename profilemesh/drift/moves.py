"""How far each measure moved between two runs that somebody chose, however little.

The sizes are those that drift is judged by, taken without any threshold; how many steps of its own ladder a move is
makes moves of different measures comparable.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from profilemesh.config.model import Ladders, Thresholds
from profilemesh.drift import measures as m
from profilemesh.drift.pairs import Trial
from profilemesh.drift.profiles import Profile
from profilemesh.drift.rules import Rules
from profilemesh.drift.severity import Effect, percent

_MEASURES = (*m.SHARES, m.DISTINCT, m.MEAN, m.DEVIATION, m.LENGTH, *m.EXTREMES, m.ROWS)
_LADDERS: Mapping[str, str] = {each.name: each.ladder for each in _MEASURES}
_ANY = Thresholds(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Move:
    """`column` is empty for the table's rows. `steps` is the size in steps of its ladder: from 1 on it is large enough
    to be drift, whether or not chance explains it. Infinite where something moved that never did."""

    column: str
    metric: str
    effect: Effect
    steps: float


def row_move(before: Profile, current: Profile, rules: Rules) -> Move | None:
    """None where one of the two is unknown, as that of a sample is."""
    effect = percent(before.rows, current.rows)
    return Move("", m.ROWS.name, effect, _steps("", m.ROWS.name, "rows", effect, rules)) if effect else None


def move_of(trial: Trial, rules: Rules) -> Move:
    """Of a trial under `unbounded` rules; `rules` are those whose ladder it is measured by."""
    ladder = str(trial.details["method"]) if trial.metric == m.DISTRIBUTION else _LADDERS[trial.metric]
    steps = _steps(trial.column, trial.metric, ladder, trial.effect, rules)
    return Move(trial.column, trial.metric, trial.effect, steps)


def _steps(column: str, metric: str, ladder: str, effect: Effect, rules: Rules) -> float:
    first = rules.ladder(rules.setting(column, metric), ladder).low
    if effect.size == 0:
        return 0.0
    return abs(effect.size) / first if first > 0 else math.inf


def furthest(moves: list[Move]) -> list[Move]:
    """One per column and metric, where several methods tell of one distribution: the most steps first."""
    found: dict[tuple[str, str], Move] = {}
    for move in moves:
        known = found.get((move.column, move.metric))
        if known is None or move.steps > known.steps:
            found[move.column, move.metric] = move
    return sorted(found.values(), key=lambda move: (-move.steps, move.column, move.metric))


def unbounded(rules: Rules) -> Rules:
    """Rules under which every measure is tried against the one run before, and nothing is too small."""
    default = replace(
        rules.default,
        enabled=True,
        strategy="statistical",
        baseline="last",
        direction="both",
        pinned_run=None,
        thresholds=None,
    )
    ladders = Ladders(**{each.name: _ANY for each in fields(Ladders)})
    return replace(rules, default=default, entries=(), expected=(), ladders=ladders)


def of_two(rules: Rules) -> Rules:
    """The table's rules for a baseline that was chosen by hand: this one run."""
    default = replace(rules.default, baseline="last", pinned_run=None)
    entries = tuple(replace(entry, baseline=None, pinned_run=None) for entry in rules.entries)
    return replace(rules, default=default, entries=entries, expected=())
