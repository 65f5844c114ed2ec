"""One fact, one finding: what follows from another finding is told with it.

What became of a column's values is one fact, whether its mean, its spread or its distribution tells it: the most
telling leads. A column's finding follows from the row count's where rows having come or gone suffices to explain it:
then no value (or NULL) became rarer while rows came, or more frequent while they went.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from profilemesh.drift import measures as m
from profilemesh.drift.distributions import Counts, aligned, aligned_values
from profilemesh.drift.findings import Finding, Kind, Severity
from profilemesh.profiling.summary import ColumnSummary, TableSummary

_SHAPE = (
    m.DISTRIBUTION,
    "mean",
    "stddev",
    "avg_length",
    "distinct_count",
    "zero_percent",
    "negative_percent",
    "min",
    "max",
)
"""What tells of a column's values, the most telling first."""
_SIGMAS = 3.0


def folded(
    findings: Sequence[Finding], before: TableSummary | None = None, now: TableSummary | None = None
) -> list[Finding]:
    """Fewer findings, with the others inside; the most severe first."""
    volume = next((each for each in findings if each.kind is Kind.VOLUME), None)
    columns = _by_column([each for each in findings if each is not volume])
    if volume is not None:
        following = [each for each in columns if _follows(each, volume, before, now)]
        columns = [each for each in columns if each not in following]
        columns.append(_with(volume, following))
    return sorted(columns, key=lambda each: (-each.severity.rank, each.column, each.metric))


def _by_column(findings: Sequence[Finding]) -> list[Finding]:
    shapes: dict[str, list[Finding]] = {}
    others: list[Finding] = []
    for finding in findings:
        is_shape = finding.kind in (Kind.METRIC, Kind.DISTRIBUTION) and finding.metric in _SHAPE
        (shapes.setdefault(finding.column, []) if is_shape else others).append(finding)
    for found in shapes.values():
        lead, *following = sorted(found, key=lambda each: _SHAPE.index(each.metric))
        others.append(_with(lead, following))
    return others


def _with(lead: Finding, following: Sequence[Finding]) -> Finding:
    """The lead with what follows from it, as severe as the worst of them."""
    if not following:
        return lead
    severity: Severity = max((lead, *following), key=lambda each: each.severity.rank).severity
    said = lead.sentence
    if lead.kind is Kind.DISTRIBUTION:
        said = "; ".join([said, *(each.sentence for each in following[:2])])
    return replace(lead, severity=severity, sentence=said, explains=(*lead.explains, *following))


def _follows(finding: Finding, volume: Finding, before: TableSummary | None, now: TableSummary | None) -> bool:
    if finding.kind not in (Kind.METRIC, Kind.DISTRIBUTION):
        return False
    if finding.metric.endswith("_count") and finding.direction == volume.direction:
        return True
    old, new = (each.columns.get(finding.column) if each else None for each in (before, now))
    if old is None or new is None or old.nulls is None or new.nulls is None:
        return False
    cells = _cells(old, new)
    return cells is not None and _is_one_way(*cells, came=volume.direction == "up")


def _cells(old: ColumnSummary, new: ColumnSummary) -> tuple[Counts, Counts] | None:
    """Counts of NULL and of the values, by bucket or by value."""
    if old.buckets is not None and new.buckets is not None:
        before, now = aligned(old.buckets, new.buckets)
        return np.append(before, float(old.nulls or 0)), np.append(now, float(new.nulls or 0))
    if old.top is not None and new.top is not None:
        return aligned_values({"": old.nulls or 0, **_marked(old)}, {"": new.nulls or 0, **_marked(new)})
    return None


def _marked(column: ColumnSummary) -> dict[str, int]:
    return {f"={value}": count for value, count in column.top.counts.items()} if column.top else {}


def _is_one_way(before: Counts, now: Counts, *, came: bool) -> bool:
    """Whether every cell only gained, or only lost, but for what chance may do."""
    gained = now - before if came else before - now
    return bool((gained >= -_SIGMAS * (before + now + 1.0) ** 0.5).all()) and math.isfinite(float(gained.sum()))
