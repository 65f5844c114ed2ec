"""The one earlier run whose distributions stand for the baseline's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from profilemesh.drift import measures as m
from profilemesh.drift.baselines import FEW, SCALE, Baseline, Past
from profilemesh.drift.numbers import Doubles
from profilemesh.drift.profiles import Profile
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
    odd = _oddities(past, baseline.runs)
    return min(reversed(baseline.runs), key=lambda run: (odd[run.run_id], run.at.weekday() != past.weekday))


def _oddities(past: Past, runs: Sequence[Profile]) -> dict[str, int]:
    """In how many metrics each run is far from the others."""
    newest = runs[-1].metrics.items()
    keys = [(c, name) for c, some in newest for name in _TELLING if name in some and past.series.knows(c, name)]
    ids = {run.run_id for run in runs}
    values = past.series.table(keys)[:, [run.run_id in ids for run in past.runs]]
    off = np.abs(values - _medians(values))
    # Where all are equal nothing is further off than nothing.
    odd = off > _ODD * SCALE * _medians(off)
    return dict(zip((run.run_id for run in runs), odd.sum(axis=0).tolist(), strict=True))


def _medians(values: Doubles) -> Doubles:
    """Of what is known in each row, as a column."""
    ranked, known = np.sort(values, axis=1), np.count_nonzero(~np.isnan(values), axis=1)
    rows = np.arange(len(values))
    middles = ranked[rows, np.maximum(known - 1, 0) // 2], ranked[rows, np.minimum(known // 2, values.shape[1] - 1)]
    found: Doubles = (0.5 * (middles[0] + middles[1]))[:, None]
    return found
