"""What drift finds: one value per fact."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from profilemesh.tables import TableRef


class Kind(StrEnum):
    METRIC = "metric"
    DISTRIBUTION = "distribution"
    VOLUME = "volume"
    FRESHNESS = "freshness"
    SCHEMA = "schema"


class Severity(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"

    @property
    def rank(self) -> int:
        return _RANKS[self]


_RANKS = {severity: rank for rank, severity in enumerate(Severity)}


class Unit(StrEnum):
    """What an effect is measured in."""

    PERCENT = "%"
    POINTS = "points"
    DEVIATIONS = "standard deviations"
    RANGES = "ranges"
    HISTORY = "standard deviations of its history"
    ABSOLUTE = "the metric's own"
    PSI = "PSI"
    JENSEN_SHANNON = "Jensen-Shannon distance"
    KS = "KS distance"
    COHEN_W = "Cohen's w"
    PAUSES = "times the longest usual pause"


@dataclass(frozen=True, slots=True)
class Culprit:
    """A partition and its share of the change, 1.0 being all of it; more where others made up for it."""

    partition: str
    share: float


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact. `column` is empty where it is the table's. What is unknown, or has no finite number, is None.

    `effect` is signed; `p_adjusted` is the p-value among all tests of the table and run. `baseline` names how the
    earlier runs were chosen, `baseline_runs` which they are, oldest first. `explains` are the findings that follow from
    this one and are told with it. `details` depend on the kind: a schema finding's types, the distances by method.
    """

    table: TableRef
    kind: Kind
    column: str
    metric: str
    severity: Severity
    sentence: str
    baseline_value: float | None = None
    current_value: float | None = None
    change_percent: float | None = None
    effect: float | None = None
    unit: Unit | None = None
    direction: str | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    baseline: str | None = None
    baseline_runs: tuple[str, ...] = ()
    culprits: tuple[Culprit, ...] = ()
    explains: tuple[Finding, ...] = ()
    is_expected: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """The same in every run that finds this fact."""
        names = [self.table.warehouse, self.table.schema, self.table.name, self.column, self.metric, self.kind]
        return hashlib.sha256(json.dumps(names).encode()).hexdigest()[:32]
