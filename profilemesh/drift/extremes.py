"""Minimum and maximum against the range that the baseline's runs had, and first and last days against time itself."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from profilemesh.drift import chance
from profilemesh.drift import measures as m
from profilemesh.drift.baselines import Baseline
from profilemesh.drift.findings import Kind, Severity, Unit
from profilemesh.drift.pairs import Pair, Trial
from profilemesh.drift.severity import Effect, beyond
from profilemesh.profiling.sketches import BUCKET_OFFSET, LOG_RATIO
from profilemesh.tables import Kind as ColumnKind


def extremes(pair: Pair) -> Iterator[Trial]:
    if pair.is_identifier:
        return
    ends = [pair.series(measure) for measure in m.EXTREMES]
    if _is_near(pair, *ends):
        for measure in m.EXTREMES:
            value = measure.read(pair.now)
            yield Trial(pair.name, measure.name, Kind.METRIC, None, None, value, Effect(0.0, Unit.RANGES), None, 1.0)
        return
    settings = [pair.rules.setting(pair.name, measure.name) for measure in m.EXTREMES]
    lows, highs = (pair.past.baseline(*each) for each in zip(settings, ends, strict=True))
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


def _is_near(pair: Pair, lows: Sequence[float | None], highs: Sequence[float | None]) -> bool:
    """Whether the values now reach too little beyond what all runs had for any baseline to tell, whichever is chosen:
    each has at least this range, and this width."""
    floor = max((value for value in lows if value is not None), default=math.inf)
    ceiling = min((value for value in highs if value is not None), default=-math.inf)
    for measure in m.EXTREMES:
        now, setting = measure.read(pair.now), pair.setting(measure.name)
        if now is None:
            return False
        if floor <= now <= ceiling:
            continue
        if setting is None or floor >= ceiling:
            return False
        if abs(beyond(floor, ceiling, now).size) >= pair.rules.ladder(setting, "extremes").low:
            return False
    return True


def _beyond_p(pair: Pair, end: float, *, up: bool) -> float | None:
    """Whether so many of the values now are beyond all of those before, by the buckets."""
    n, others = m.present(pair.now), m.present(pair.was)
    if pair.after is None or pair.after.buckets is None or n is None or others is None:
        return None
    key = _bucket(end)
    buckets = pair.after.buckets
    outside = int(buckets.sizes[buckets.keys > key if up else buckets.keys < key].sum())
    return chance.beyond_p(max(1, outside), round(n), round(others))


def _bucket(value: float) -> int:
    if value == 0:
        return 0
    key = math.floor(math.log(abs(value)) / LOG_RATIO) + BUCKET_OFFSET
    return key if value > 0 else -key


def times(pair: Pair) -> Iterator[Trial]:
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
