"""One column then and now, and one measure tried on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from profilemesh.drift import measures as m
from profilemesh.drift.baselines import Baseline, Past
from profilemesh.drift.findings import Kind, Severity, Unit
from profilemesh.drift.profiles import Profile
from profilemesh.drift.rules import Rules, Setting
from profilemesh.drift.severity import Effect, severity_of
from profilemesh.profiling.summary import ColumnSummary
from profilemesh.tables import Kind as ColumnKind

RUNNING_RUNS = 14


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
    """One column then and now. `was` are its metrics in the reference run; the summaries are None where not at hand.
    The numbers of an identifier name things."""

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
    is_identifier: bool = False

    def series(self, measure: m.Measure) -> list[float | None]:
        """The measure in each of the past runs."""
        return measure.series(self.past.series, self.name)

    def baseline(self, setting: Setting, measure: m.Measure) -> Baseline | None:
        return self.past.baseline(setting, self.series(measure))

    def setting(self, metric: str) -> Setting | None:
        """None where the metric is not compared, or by a strategy of Phase 1."""
        setting = self.rules.setting(self.name, metric)
        return setting if setting.enabled and setting.strategy == "statistical" else None

    def severity(self, effect: Effect, setting: Setting, ladder: str) -> Severity | None:
        return severity_of(effect.size, self.rules.ladder(setting, ladder), setting.direction)


def still(
    pair: Pair, measure: m.Measure, values: list[float | None], now: float, reach: float, unit: Unit
) -> Trial | None:
    """The trial of a measure that was never further from what it is now than `reach`: no effect, whatever the baseline.

    None where that cannot be said."""
    known = [value for value in values if value is not None]
    if not known or max(max(known), now) - min(min(known), now) >= reach:
        return None
    return Trial(pair.name, measure.name, Kind.METRIC, None, None, now, Effect(0.0, unit), None, 1.0)


def names_things(name: str, kind: ColumnKind, now: m.Metrics, past: Past) -> bool:
    """Whether a column is an identifier: dense and nearly all different, or running on from run to run. Its numbers
    have no distribution that could drift."""
    if kind is not ColumnKind.INTEGER:
        return False
    highest = m.EXTREMES[1].series(past.series, name)[-RUNNING_RUNS:]
    return m.is_identifier(now) or m.is_running([*highest, m.EXTREMES[1].read(now)])
