"""Which partitions a change lies in: each one's share of the excess over what the baseline had in as many rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from profilemesh.drift import measures as m
from profilemesh.drift.findings import Culprit
from profilemesh.drift.pairs import Trial
from profilemesh.profiling.results import column_metrics
from profilemesh.profiling.sketches import added
from profilemesh.profiling.summary import ColumnSummary, TableSummary

MOST = 5
LEAST = 0.1
"""A partition with less of the change is not named."""

Parts = Mapping[str, TableSummary]


def culprits(trial: Trial, now: Parts, before: Parts, reference: TableSummary | None) -> tuple[Culprit, ...]:
    """The partitions with the largest shares of the change; nothing where it cannot be told.

    `now` are the current partitions' summaries by name, `before` those of the baseline's run.
    """
    if len(now) < 2 and len(before) < 2:
        return ()
    if trial.metric == m.ROWS.name:
        return _largest(_came(now, before), trial)
    columns = {name: part.columns[trial.column] for name, part in now.items() if trial.column in part.columns}
    if trial.metric == m.DISTRIBUTION:
        old = reference.columns.get(trial.column) if reference else None
        return _largest(_toward(old, columns) if old else {}, trial)
    excess = _excess(trial)
    if excess is None:
        return ()
    return _largest({name: found for name, column in columns.items() if (found := excess(column)) is not None}, trial)


def _came(now: Parts, before: Parts) -> dict[str, float]:
    """Rows more than before, by partition. Of as many partitions under other names, those of a table that keeps its
    last days, each is held against the one in its place."""
    if len(now) == len(before) and now.keys() != before.keys():
        pairs = zip(sorted(now), sorted(before), strict=True)
        return {name: _rows(now, name) - _rows(before, other) for name, other in pairs}
    return {name: _rows(now, name) - _rows(before, name) for name in now.keys() | before.keys()}


def _rows(parts: Parts, name: str) -> float:
    return float(parts[name].rows) if name in parts else 0.0


def _largest(excess: Mapping[str, float], trial: Trial) -> tuple[Culprit, ...]:
    """Shares of what all of them are off together; those in the other direction are left out."""
    total = sum(excess.values())
    if trial.metric != m.DISTRIBUTION and total * trial.effect.size <= 0:
        return ()
    if total == 0:
        return ()
    ranked = sorted(((value / total, name) for name, value in excess.items()), key=lambda pair: (-pair[0], pair[1]))
    return tuple(Culprit(name, share) for share, name in ranked[:MOST] if share >= LEAST)


def _excess(trial: Trial) -> Callable[[ColumnSummary], float | None] | None:
    share = next((each for each in m.SHARES if each.name == trial.metric), None)
    if share is not None:
        return lambda column: _over(_metrics(column), share.read, share.whole, trial.before)
    for measure in (m.MEAN, m.LENGTH):
        if trial.metric == measure.name:
            return lambda column: _over(_metrics(column), measure.read, m.present, trial.before)
    return None


def _metrics(column: ColumnSummary) -> m.Metrics:
    wanted = ("null_percent", "null_count", "mean", "avg_length", *(f"{name}_count" for name in _COUNTED))
    return column_metrics(column, bins=0, listed=0, wanted=wanted)


_COUNTED = ("invalid", "blank", "nan", "infinite", "zero", "negative", "true")


def _over(metrics: m.Metrics, read: m.Read, whole: m.Read, before: float | None) -> float | None:
    value, n = read(metrics), whole(metrics)
    return None if value is None or n is None or before is None else (value - before) * n


def _toward(old: ColumnSummary, columns: Mapping[str, ColumnSummary]) -> dict[str, float]:
    """How many of each partition's values lie where there is now more than before, less what lay there before."""
    before = _cells(old)
    parts = {name: cells for name, column in columns.items() if (cells := _cells(column)) is not None}
    whole = added(*(cells.items() for cells in parts.values()))
    if not before or not whole:
        return {}
    n, total = sum(before.values()), sum(whole.values())
    gained = {key for key, count in whole.items() if count / total > before.get(key, 0) / n}
    usual = sum(before.get(key, 0) for key in gained) / n
    return {
        name: sum(count for key, count in cells.items() if key in gained) - usual * sum(cells.values())
        for name, cells in parts.items()
    }


def _cells(column: ColumnSummary) -> Mapping[Any, int] | None:
    if column.buckets is not None:
        return dict(column.buckets.counts)
    return column.top.counts if column.top is not None else None
