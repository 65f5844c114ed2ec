"""The two strategies of Phase 1: every number against one ladder, in percent or in deviations of its own history."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from profilemesh.config.model import Thresholds
from profilemesh.drift.baselines import Baseline, Past
from profilemesh.drift.findings import Kind
from profilemesh.drift.measures import ROWS
from profilemesh.drift.numbers import number
from profilemesh.drift.pairs import Trial
from profilemesh.drift.profiles import Profile
from profilemesh.drift.rules import Rules, Setting
from profilemesh.drift.severity import Effect, from_history, percent, severity_of


def trials(current: Profile, past: Past, rules: Rules) -> Iterator[Trial]:
    """A trial for every number that one of the two strategies judges; the table's rows are one of them."""
    if current.rows is not None:
        values = [None if run.rows is None else float(run.rows) for run in past.runs]
        yield from _trial("", ROWS.name, current.rows, values, past, rules)
    for column, metrics in current.metrics.items():
        for name, value in metrics.items():
            # A column's count is the table's, whose own metrics have an empty column.
            if column and name != "count" and number(value) is not None:
                values = past.series.of(column, name)
                yield from _trial(column, name, value, values, past, rules)


def is_asked_for(rules: Rules) -> bool:
    return rules.default.strategy != "statistical" or any(
        entry.strategy not in (None, "statistical") for entry in rules.entries
    )


def _trial(
    column: str, metric: str, value: object, values: list[float | None], past: Past, rules: Rules
) -> Iterator[Trial]:
    setting, now = rules.setting(column, metric), number(value)
    if not setting.enabled or setting.strategy == "statistical" or now is None:
        return
    baseline = past.baseline(_plain(setting), values)
    if baseline is None:
        return
    effect, before, ladder = _judged(setting, baseline, now, rules)
    if effect is not None:
        severity = severity_of(effect.size, setting.thresholds or ladder, setting.direction)
        kind = Kind.METRIC if column else Kind.VOLUME
        yield Trial(column, metric, kind, baseline, before, now, effect, severity, is_sure=True)


def _judged(setting: Setting, baseline: Baseline, now: float, rules: Rules) -> tuple[Effect | None, float, Thresholds]:
    if setting.strategy == "standard_deviation":
        mean = sum(baseline.values) / len(baseline.values)
        return from_history(baseline.values, now), mean, rules.standard_deviation
    return percent(baseline.centre, now), baseline.centre, rules.absolute_threshold


def _plain(setting: Setting) -> Setting:
    """Phase 1 compared with the run before; a history's deviation needs more of them."""
    if setting.baseline != "auto":
        return setting
    return replace(setting, baseline="median" if setting.strategy == "standard_deviation" else "last")
