"""The statistical comparison of one column: each measure's effect, and whether chance explains it.

A p-value is computed only where the effect reaches the ladder; the other trials count among the tests of the table all
the same (as if their p-value were 1), so that the false discovery rate holds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from profilemesh.drift import chance
from profilemesh.drift import measures as m
from profilemesh.drift.extremes import extremes, times
from profilemesh.drift.findings import Kind, Unit
from profilemesh.drift.numbers import number
from profilemesh.drift.pairs import Pair, Trial, still
from profilemesh.drift.severity import Effect, deviations, percent, points
from profilemesh.drift.shapes import shapes

ESTIMATE = 1.04 / 64.0
"""One standard error of a distinct count by 4,096 registers."""
LISTED = 1000


def trials(pair: Pair) -> Iterator[Trial]:
    """Every measure that is known then and now."""
    yield from _shares(pair)
    shape = list(shapes(pair))
    yield from shape
    p_values = [trial.p_value for trial in shape if trial.p_value is not None]
    p_shape = min(1.0, len(p_values) * min(p_values)) if p_values else None
    for trial in (_distinct(pair), _mean(pair), _deviation(pair, p_shape), _length(pair)):
        if trial is not None:
            yield trial
    yield from times(pair) if pair.kind.is_temporal else extremes(pair)


def _shares(pair: Pair) -> Iterator[Trial]:
    for measure in m.SHARES:
        if pair.now.get(measure.parts[0]) is None:
            continue
        now, was, setting = measure.read(pair.now), measure.read(pair.was), pair.setting(measure.name)
        # None then and none now is no test: it could not have found anything (Tarone 1990).
        if now is None or was is None or setting is None or now == was == 0:
            continue
        values = pair.series(measure)
        quiet = still(pair, measure, values, now, pair.rules.ladder(setting, measure.ladder).low, Unit.POINTS)
        baseline = None if quiet else pair.past.baseline(setting, values)
        effect = points(baseline.centre, now) if baseline else None
        if baseline is None or effect is None:
            if quiet:
                yield quiet
            continue
        before = baseline.centre
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
    if now is None or setting is None or deviation is None or pair.is_identifier:
        return None
    values = pair.series(m.MEAN)
    reach = pair.rules.ladder(setting, "means").low * deviation
    quiet = still(pair, m.MEAN, values, now, reach, Unit.DEVIATIONS)
    baseline = None if quiet else pair.past.baseline(setting, values)
    effect = deviations(baseline.centre, now, deviation) if baseline else None
    if baseline is None or effect is None:
        return quiet
    severity = pair.severity(effect, setting, "means")
    p_value = _means_p(pair, baseline.centre, now) if severity else 1.0
    return Trial(pair.name, "mean", Kind.METRIC, baseline, baseline.centre, now, effect, severity, p_value)


def _means_p(pair: Pair, before: float, now: float) -> float | None:
    deviation, spread = m.DEVIATION.read(pair.was), m.DEVIATION.read(pair.now)
    n, others = m.present(pair.now), m.present(pair.was)
    if deviation is None or spread is None or n is None or others is None:
        return None
    return chance.means_p(now, spread, round(n), before, deviation, round(others))


def _deviation(pair: Pair, p_shape: float | None) -> Trial | None:
    """Its own law hangs on the tails, which no summary knows well: the whole distribution must have changed."""
    now, setting = m.DEVIATION.read(pair.now), pair.setting("stddev")
    if now is None or setting is None or pair.is_identifier:
        return None
    values = pair.series(m.DEVIATION)
    quiet = still(
        pair, m.DEVIATION, values, now, _reach(values, pair.rules.ladder(setting, "deviations").low), Unit.PERCENT
    )
    baseline = None if quiet else pair.past.baseline(setting, values)
    effect = percent(baseline.centre, now) if baseline else None
    if baseline is None or effect is None:
        return quiet
    if effect.unit is Unit.ABSOLUTE and effect.size:
        effect = Effect(math.copysign(math.inf, effect.size), Unit.PERCENT)
    severity = pair.severity(effect, setting, "deviations")
    return Trial(pair.name, "stddev", Kind.METRIC, baseline, baseline.centre, now, effect, severity, p_shape)


def _reach(values: list[float | None], low: float) -> float:
    """So many percent of the smallest of them, none of which is below 0."""
    return low / 100.0 * min((value for value in values if value is not None), default=0.0)


def _distinct(pair: Pair) -> Trial | None:
    """Against what the reference's count becomes in as many values as there are now: unchanged, in proportion, or
    anything between."""
    now, setting, before = m.DISTINCT.read(pair.now), pair.setting("distinct_count"), m.DISTINCT.read(pair.was)
    n, others = m.present(pair.now), m.present(pair.was)
    if now is None or setting is None or not before or not n or not others:
        return None
    ratio = n / others
    low, high = before * min(1.0, ratio), before * max(1.0, ratio)
    nearest = min(max(now, low), high)
    effect = Effect(100.0 * (now - nearest) / nearest, Unit.PERCENT)
    severity = pair.severity(effect, setting, "counts")
    p_value = _distinct_p(nearest, now) if severity else 1.0
    baseline = pair.baseline(setting, m.DISTINCT) if severity else None
    return Trial(pair.name, "distinct_count", Kind.METRIC, baseline, before, now, effect, severity, p_value)


def _distinct_p(before: float, now: float) -> float:
    """The count of different values in a sample varies by at most its root; an estimate by its own error as well."""
    variance = before + now + sum((ESTIMATE * x) ** 2 for x in (before, now) if x > LISTED)
    return chance.normal_p((now - before) / math.sqrt(variance))


def _length(pair: Pair) -> Trial | None:
    now, setting = m.LENGTH.read(pair.now), pair.setting("avg_length")
    if now is None or setting is None:
        return None
    values = pair.series(m.LENGTH)
    quiet = still(pair, m.LENGTH, values, now, _reach(values, pair.rules.ladder(setting, "lengths").low), Unit.PERCENT)
    baseline = None if quiet else pair.past.baseline(setting, values)
    effect = percent(baseline.centre, now) if baseline else None
    if baseline is None or effect is None:
        return quiet
    severity = pair.severity(effect, setting, "lengths")
    p_value = _lengths_p(pair, baseline.centre, now) if severity else 1.0
    return Trial(pair.name, "avg_length", Kind.METRIC, baseline, baseline.centre, now, effect, severity, p_value)


def _lengths_p(pair: Pair, before: float, now: float) -> float | None:
    """A variance between two bounds is at most (most - mean) * (mean - least) (Bhatia and Davis 2000)."""
    spread, deviation = _most_spread(now, pair.now), _most_spread(before, pair.was)
    n, others = m.present(pair.now), m.present(pair.was)
    if spread is None or deviation is None or n is None or others is None:
        return None
    return chance.means_p(now, spread, round(n), before, deviation, round(others))


def _most_spread(mean: float, metrics: m.Metrics) -> float | None:
    low, high = number(metrics.get("min_length")), number(metrics.get("max_length"))
    return None if low is None or high is None else math.sqrt(max(0.0, (high - mean) * (mean - low)))
