"""The distribution of a column's values, then and now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from profilemesh.drift import measures as m
from profilemesh.drift.baselines import Baseline
from profilemesh.drift.distributions import Distance, aligned, aligned_values, distances
from profilemesh.drift.findings import Kind, Unit
from profilemesh.drift.pairs import Pair, Trial
from profilemesh.drift.rules import Setting
from profilemesh.drift.severity import Effect, severity_of
from profilemesh.profiling.summary import ColumnSummary
from profilemesh.tables import Kind as ColumnKind

UNITS = {"psi": Unit.PSI, "jensen_shannon": Unit.JENSEN_SHANNON, "ks": Unit.KS, "chi_square": Unit.COHEN_W}


def shapes(pair: Pair) -> Iterator[Trial]:
    setting = pair.setting(m.DISTRIBUTION)
    if setting is None or pair.before is None or pair.after is None or pair.is_identifier:
        return
    for distance in _of_summaries(pair.before, pair.after, setting):
        unit = UNITS[distance.method]
        effect = Effect(distance.effect, unit)
        severity = severity_of(distance.effect, pair.rules.ladder(setting, distance.method))
        baseline = Baseline("reference", (pair.reference,), ())
        details = {"method": distance.method, "statistic": distance.statistic, **(_moved(pair) if severity else {})}
        yield Trial(
            pair.name,
            m.DISTRIBUTION,
            Kind.DISTRIBUTION,
            baseline,
            None,
            None,
            effect,
            severity,
            distance.p_value,
            details=details,
        )


def _of_summaries(before: ColumnSummary, after: ColumnSummary, setting: Setting) -> list[Distance]:
    """Numbers by their buckets; other columns by their values, as long as all of them are listed. Days move on by
    themselves, and true and false are a share."""
    if before.buckets is not None and after.buckets is not None:
        return distances(*aligned(before.buckets, after.buckets), setting.methods, ordered=True)
    if before.kind.is_temporal or before.kind is ColumnKind.BOOLEAN or before.top is None or after.top is None:
        return []
    return distances(*aligned_values(before.top.counts, after.top.counts), setting.methods, ordered=False)


def _moved(pair: Pair) -> dict[str, Any]:
    """The value whose share changed most, where the values are listed and no numbers."""
    before = pair.before.top if pair.before else None
    after = pair.after.top if pair.after else None
    if before is None or after is None or pair.kind.is_number or not before.counts or not after.counts:
        return {}
    n, others = sum(after.counts.values()), sum(before.counts.values())
    shares = {
        value: (100.0 * before.counts.get(value, 0) / others, 100.0 * after.counts.get(value, 0) / n)
        for value in before.counts.keys() | after.counts.keys()
    }
    value, (was, now) = max(shares.items(), key=lambda item: (abs(item[1][1] - item[1][0]), item[0]))
    return {"moved": {"value": value, "before": was, "now": now}}
