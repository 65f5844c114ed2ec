"""What the configuration says of one table's drift, metric by metric."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from profilemesh.config.model import (
    BaselineChoice,
    Direction,
    DriftConfig,
    DriftRule,
    DriftStrategy,
    ExpectedPeriod,
    Ladders,
    Method,
    Thresholds,
)
from profilemesh.tables import TableRef


@dataclass(frozen=True, slots=True)
class Setting:
    """What holds for one metric of one column. `thresholds` is None where its kind of measure decides."""

    enabled: bool
    strategy: DriftStrategy
    baseline: BaselineChoice
    window: int
    methods: tuple[Method, ...]
    direction: Direction
    pinned_run: str | None = None
    thresholds: Thresholds | None = None


_SAID = ("enabled", "strategy", "baseline", "window", "methods", "direction", "pinned_run", "thresholds")


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one table: a default, and the entries that match it, in the order of the file."""

    default: Setting
    entries: tuple[DriftRule, ...]
    expected: tuple[ExpectedPeriod, ...]
    ladders: Ladders
    false_discovery_rate: float
    absolute_threshold: Thresholds
    standard_deviation: Thresholds

    def setting(self, column: str, metric: str) -> Setting:
        found = self.default
        for entry in self.entries:
            if _matches(column, entry.column) and _matches(metric, entry.metric):
                found = replace(found, **_said(entry))
        return found

    def ladder(self, setting: Setting, measure: str) -> Thresholds:
        """The thresholds of a metric under the statistical strategy, in the unit of its kind of measure."""
        found: Thresholds = setting.thresholds or getattr(self.ladders, measure)
        return found

    def expects(self, moment: datetime) -> ExpectedPeriod | None:
        """The period of which changes are expected that this moment lies in."""
        return next((each for each in self.expected if each.since <= moment <= each.until), None)


def rules_for(config: DriftConfig, table: TableRef) -> Rules:
    """The table's rules; equal for equal configurations."""
    default = Setting(config.enabled, config.strategy, config.baseline, config.window, config.methods, config.direction)
    return Rules(
        default,
        tuple(entry for entry in config.rules if _covers(entry, table)),
        tuple(period for period in config.expected if _covers(period, table)),
        config.thresholds,
        config.false_discovery_rate,
        config.absolute_threshold,
        config.standard_deviation,
    )


def _said(entry: DriftRule) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in _SAID if getattr(entry, name) is not None}


def _covers(entry: DriftRule | ExpectedPeriod, table: TableRef) -> bool:
    pairs = ((table.warehouse, entry.warehouse), (table.schema, entry.schema), (table.name, entry.table))
    return all(_matches(name, pattern) for name, pattern in pairs)


def _matches(name: str, pattern: str) -> bool:
    return pattern == "*" or name == pattern or fnmatchcase(name, pattern)
