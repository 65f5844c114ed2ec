"""The statistical comparison of one column: each measure's effect, and whether chance explains it.

A p-value is computed only where the effect reaches the ladder; the other trials count among the tests of the table all
the same (as if their p-value were 1), so that the false discovery rate holds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from profilemesh.drift import chance
from profilemesh.drift import measures as m
from profilemesh.drift.baselines import Baseline, Past
from profilemesh.drift.distributions import Distance, aligned, aligned_values, distances
from profilemesh.drift.findings import Kind, Severity, Unit
from profilemesh.drift.profiles import Profile, number
from profilemesh.drift.rules import Rules, Setting
from profilemesh.drift.severity import Effect, beyond, deviations, percent, points, severity_of
from profilemesh.profiling.sketches import BUCKET_OFFSET, LOG_RATIO
from profilemesh.profiling.summary import ColumnSummary
from profilemesh.tables import Kind as ColumnKind

ESTIMATE = 1.04 / 64.0
"""One standard error of a distinct count by 4,096 registers."""
LISTED = 1000
UNITS = {"psi": Unit.PSI, "jensen_shannon": Unit.JENSEN_SHANNON, "ks": Unit.KS, "chi_square": Unit.COHEN_W}


@dataclass(frozen=True, slots=True)
class Trial:
    """`severity` is what the effect alone would be, None below the ladder. `p_value` None: no test exists, or none was
    needed (`is_sure`)."""

    column: str
    metric: str
    kind: Kind
    baseline: Baseline | None
    before: float | None
    now: float | None
    effect: Effect
    severity: Severity | None
    p_value: float | None = None
    is_sure: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pair:
    """One column then and now. `was` are its metrics in the reference run; the summaries are None where not at hand."""

    name: str
    kind: ColumnKind
    past: Past
    rules: Rules
    was: m.Metrics
    now: m.Metrics
    reference: Profile
    before: ColumnSummary | None = None
    after: ColumnSummary | None = None
    elapsed_days: float = 0.0

    def baseline(self, setting: Setting, measure: m.Measure) -> Baseline | None:
        values = [measure.read(run.metrics.get(self.name, {})) for run in self.past.runs]
        return self.past.baseline(setting, values)

    def setting(self, metric: str) -> Setting | None:
        """None where the metric is not compared, or by a strategy of Phase 1."""
        setting = self.rules.setting(self.name, metric)
        return setting if setting.enabled and setting.strategy == "statistical" else None

    def severity(self, effect: Effect, setting: Setting, ladder: str) -> Severity | None:
        return severity_of(effect.size, self.rules.ladder(setting, ladder), setting.direction)


def trials(pair: Pair) -> Iterator[Trial]:
    """Every measure that is known then and now."""
    yield from _shares(pair)
    shape = list(_distances(pair))
    yield from shape
    p_shape = min((trial.p_value for trial in shape if trial.p_value is not None), default=None)
    for trial in (_distinct(pair), _mean(pair), _deviation(pair, p_shape), _length(pair)):
        if trial is not None:
            yield trial
    yield from _times(pair) if pair.kind.is_temporal else _extremes(pair)


def _shares(pair: Pair) -> Iterator[Trial]:
    for measure in m.SHARES:
        now, was, setting = measure.read(pair.now), measure.read(pair.was), pair.setting(measure.name)
        # None then and none now is no test: it could not have found anything (Tarone 1990).
        if now is None or was is None or setting is None or now == was == 0:
            continue
        baseline = pair.baseline(setting, measure)
        if baseline is None:
            continue
        before = baseline.centre
        effect = points(before, now)
        assert effect is not None
        severity = pair.severity(effect, setting, measure.ladder)
        p_value = _shares_p(pair, measure, before, now) if severity else 1.0
        yield Trial(pair.name, measure.name, Kind.METRIC, baseline, before, now, effect, severity, p_value)


def _shares_p(pair: Pair, measure: m.Measure, before: float, now: float) -> float | None:
    n, others = measure.whole(pair.now), measure.whole(pair.was)
    if n is None or others is None:
        return None
    hits = (round(now * n / 100.0), round(n), round(before * others / 100.0), round(others))
    return chance.shares_p(*hits)


def _mean(pair: Pair) -> Trial | None:
    now, setting, deviation = m.MEAN.read(pair.now), pair.setting("mean"), m.DEVIATION.read(pair.was)
    if now is None or setting is None or deviation is None or _is_identifier(pair):
        return None
    baseline = pair.baseline(setting, m.MEAN)
    effect = deviations(baseline.centre, now, deviation) if baseline else None
    if baseline is None or effect is None:
        return None
    severity = pair.severity(effect, setting, "means")
    p_value: float | None = 1.0
    if severity:
        spread, n, others = m.DEVIATION.read(pair.now), m.present(pair.now), m.present(pair.was)
        known = spread is not None and n is not None and others is not None
        p_value = chance.means_p(now, spread, round(n), baseline.centre, deviation, round(others)) if known else None  # type: ignore[arg-type]
    return Trial(pair.name, "mean", Kind.METRIC, baseline, baseline.centre, now, effect, severity, p_value)


def _deviation(pair: Pair, p_shape: float | None) -> Trial | None:
    """Its own law hangs on the tails, which no summary knows well: the whole distribution must have changed."""
    now, setting = m.DEVIATION.read(pair.now), pair.setting("stddev")
    if now is None or setting is None or _is_identifier(pair):
        return None
    baseline = pair.baseline(setting, m.DEVIATION)
    effect = percent(baseline.centre, now) if baseline else None
    if baseline is None or effect is None:
        return None
    if effect.unit is Unit.ABSOLUTE and effect.size:
        effect = Effect(math.copysign(math.inf, effect.size), Unit.PERCENT)
    severity = pair.severity(effect, setting, "deviations")
    return Trial(pair.name, "stddev", Kind.METRIC, baseline, baseline.centre, now, effect, severity, p_shape)


def _distinct(pair: Pair) -> Trial | None:
    """Against what the reference's count becomes in as many values as there are now: unchanged, in proportion, or
    anything between."""
    now, setting, before = m.DISTINCT.read(pair.now), pair.setting("distinct_count"), m.DISTINCT.read(pair.was)
    n, others = m.present(pair.now), m.present(pair.was)
    if now is None or setting is None or not before or not n or not others:
        return None
    baseline = pair.baseline(setting, m.DISTINCT)
    ratio = n / others
    low, high = before * min(1.0, ratio), before * max(1.0, ratio)
    nearest = min(max(now, low), high)
    effect = Effect(100.0 * (now - nearest) / nearest, Unit.PERCENT)
    severity = pair.severity(effect, setting, "counts")
    p_value = _distinct_p(nearest, now) if severity else 1.0
    return Trial(pair.name, "distinct_count", Kind.METRIC, baseline, before, now, effect, severity, p_value)


def _distinct_p(before: float, now: float) -> float:
    """The count of different values in a sample varies by at most its root; an estimate by its own error as well."""
    variance = before + now + sum((ESTIMATE * x) ** 2 for x in (before, now) if x > LISTED)
    return chance.normal_p((now - before) / math.sqrt(variance))


def _length(pair: Pair) -> Trial | None:
    now, setting = m.LENGTH.read(pair.now), pair.setting("avg_length")
    if now is None or setting is None:
        return None
    baseline = pair.baseline(setting, m.LENGTH)
    effect = percent(baseline.centre, now) if baseline else None
    if baseline is None or effect is None:
        return None
    severity = pair.severity(effect, setting, "lengths")
    p_value = _lengths_p(pair, baseline.centre, now) if severity else 1.0
    return Trial(pair.name, "avg_length", Kind.METRIC, baseline, baseline.centre, now, effect, severity, p_value)


def _lengths_p(pair: Pair, before: float, now: float) -> float | None:
    """A variance between two bounds is at most (most - mean) * (mean - least) (Bhatia and Davis 2000)."""
    parts = []
    for mean, metrics in ((now, pair.now), (before, pair.was)):
        low, high, n = number(metrics.get("min_length")), number(metrics.get("max_length")), m.present(metrics)
        if low is None or high is None or not n:
            return None
        parts += [mean, math.sqrt(max(0.0, (high - mean) * (mean - low))), round(n)]
    return chance.means_p(*parts)  # type: ignore[arg-type]


def _extremes(pair: Pair) -> Iterator[Trial]:
    if _is_identifier(pair):
        return
    lows, highs = (pair.baseline(pair.rules.default, measure) for measure in m.EXTREMES)
    if lows is None or highs is None:
        return
    low, high = min(lows.values), max(highs.values)
    for measure, baseline, end in ((m.EXTREMES[0], lows, low), (m.EXTREMES[1], highs, high)):
        now, setting = measure.read(pair.now), pair.setting(measure.name)
        if now is None or setting is None:
            continue
        effect = beyond(low, high, now)
        severity = pair.severity(effect, setting, "extremes")
        p_value = _beyond_p(pair, end, up=effect.size > 0) if severity else 1.0
        is_sure = severity is Severity.HIGH
        yield Trial(pair.name, measure.name, Kind.METRIC, baseline, end, now, effect, severity, p_value, is_sure)


def _beyond_p(pair: Pair, end: float, *, up: bool) -> float | None:
    """Whether so many of the values now are beyond all of those before, by the buckets."""
    n, others = m.present(pair.now), m.present(pair.was)
    if pair.after is None or pair.after.buckets is None or n is None or others is None:
        return None
    key = _bucket(end)
    outside = sum(count for each, count in pair.after.buckets.counts if (each > key if up else each < key))
    return chance.beyond_p(max(1, outside), round(n), round(others))


def _bucket(value: float) -> int:
    if value == 0:
        return 0
    key = math.floor(math.log(abs(value)) / LOG_RATIO) + BUCKET_OFFSET
    return key if value > 0 else -key


def _times(pair: Pair) -> Iterator[Trial]:
    """The first and last day or moment. They move on with time; what is told is only what is far outside."""
    old = pair.before.extremes if pair.before else None
    new = pair.after.extremes if pair.after else None
    if old is None or new is None or old.low is None or new.low is None:
        return
    day = 1.0 if pair.kind is ColumnKind.DATE else 86_400e6
    low, high = old.low / day, old.high / day + pair.elapsed_days
    for measure, value in zip(m.EXTREMES, (min(new.low / day, high), max(new.high / day, low)), strict=True):
        setting = pair.setting(measure.name)
        if setting is None:
            continue
        effect = beyond(low, high, value)
        severity = pair.severity(effect, setting, "extremes")
        baseline = Baseline("reference", (pair.reference,), ())
        details = {"shown": [str(metrics.get(measure.name)) for metrics in (pair.was, pair.now)]}
        kind = Kind.METRIC
        step = None if severity is Severity.LOW else severity
        yield Trial(pair.name, measure.name, kind, baseline, None, None, effect, step, None, True, details)


def _distances(pair: Pair) -> Iterator[Trial]:
    setting = pair.setting(m.DISTRIBUTION)
    if setting is None or pair.before is None or pair.after is None or _is_identifier(pair):
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
        return distances(*aligned(before.buckets.counts, after.buckets.counts), setting.methods, ordered=True)
    if before.kind.is_temporal or before.kind is ColumnKind.BOOLEAN or before.top is None or after.top is None:
        return []
    return distances(*aligned_values(before.top.counts, after.top.counts), setting.methods, ordered=False)


def _is_identifier(pair: Pair) -> bool:
    return m.is_identifier(pair.kind is ColumnKind.INTEGER, pair.now)


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
