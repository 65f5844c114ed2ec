"""The one earlier run whose distributions stand for the baseline's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median

from profilemesh.drift import measures as m
from profilemesh.drift.baselines import FEW, Baseline, Past, spread
from profilemesh.drift.profiles import Profile, number
from profilemesh.drift.rules import Rules

_TELLING = ("null_percent", "mean", "stddev", "distinct_count", "avg_length")
_ODD = 4.0
"""Spreads from the median: further off a run is odd in a metric, whatever the distance."""


def reference(past: Past, rules: Rules) -> Profile | None:
    """The baseline's newest run where there are few; else the one with the fewest odd metrics, of equals one of the
    same weekday, of those the newest.

    The run before may itself have gone wrong: what is normal again must not look like a change.
    """
    rows = [float(run.rows or 0) for run in past.runs]
    baseline: Baseline | None = past.baseline(rules.setting("", m.DISTRIBUTION), rows)
    if baseline is None:
        return None
    if len(baseline.runs) < FEW:
        return baseline.runs[-1]
    odd = _oddities(baseline.runs)
    return min(reversed(baseline.runs), key=lambda run: (odd[run.run_id], run.at.weekday() != past.weekday))


def _oddities(runs: Sequence[Profile]) -> Counter[str]:
    """In how many metrics each run is far from the others."""
    found: Counter[str] = Counter()
    for column, metrics in runs[-1].metrics.items():
        for name in _TELLING:
            if name in metrics:
                values = [number(run.metrics.get(column, {}).get(name)) for run in runs]
                _count(found, runs, values)
    return found


def _count(found: Counter[str], runs: Sequence[Profile], values: Sequence[float | None]) -> None:
    known = [value for value in values if value is not None]
    if not known or known.count(known[0]) == len(known):
        return
    centre, reach = median(known), _ODD * spread(known)
    for run, value in zip(runs, values, strict=True):
        if value is not None and abs(value - centre) > reach:
            found[run.run_id] += 1
