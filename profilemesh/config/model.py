"""The configuration as frozen dataclasses, with every default in its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from profilemesh.config.windows import QuietHours
from profilemesh.config.windows import Window as Window

Strategy = Literal["stream", "pushdown"]
_WILDCARDS = frozenset("*?[")


def is_glob(pattern: str) -> bool:
    return not _WILDCARDS.isdisjoint(pattern)


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True)
class WarehouseConfig:
    """One named connection. `password` is never shown: not in repr, not in errors."""

    name: str
    type: str
    host: str | None = None
    port: int | None = None
    database: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    schema: str | None = None
    filepath: Path | None = None
    account: str | None = None
    warehouse: str | None = None
    role: str | None = None
    strategy: Strategy | None = None
    extra_params: Mapping[str, Any] = field(default_factory=_nothing, repr=False)


@dataclass(frozen=True)
class StorageConfig:
    """Where profiles are kept. `url` is a SQLAlchemy URL, resolved and normalised."""

    url: str = field(repr=False)


@dataclass(frozen=True)
class PartitionRule:
    key: tuple[str, ...] = ()
    strategy: Literal["latest", "recent_n", "sample", "all", "specific_values"] = "all"
    recent_n: int | None = None
    values: tuple[str, ...] = ()
    metadata_fallback: bool = True


@dataclass(frozen=True)
class SamplingRule:
    enabled: bool = False
    method: Literal["random", "stratified", "topk"] = "random"
    fraction: float = 0.01
    max_rows: int | None = None


@dataclass(frozen=True)
class ColumnRule:
    """Globs over column names. A column is profiled if an include matches (none given: all) and no exclude does."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableRule:
    """One entry of `profiling.tables`. `warehouse`, `schema` and `table` are globs."""

    table: str = "*"
    schema: str = "*"
    warehouse: str = "*"
    partition: PartitionRule | None = None
    sampling: SamplingRule = field(default_factory=SamplingRule)
    columns: ColumnRule = field(default_factory=ColumnRule)
    owner: str | None = None
    tags: tuple[str, ...] = ()
    paused: bool = False
    window: Window | None = None
    watermark: str | None = None
    checksum: bool = False


@dataclass(frozen=True)
class ProfilingConfig:
    """`tables` empty means every table of every warehouse."""

    tables: tuple[TableRule, ...] = ()
    max_distinct_values: int = 1000
    compute_histograms: bool = True
    histogram_bins: int = 10
    metrics: tuple[str, ...] = ()
    default_sample_ratio: float = 1.0

    @cached_property
    def rules_by_name(self) -> Mapping[str | None, tuple[tuple[int, TableRule], ...]]:
        """The rules, each with its place in the file, by the table that they name; under None those with a glob."""
        found: dict[str | None, list[tuple[int, TableRule]]] = {}
        for place, rule in enumerate(self.tables):
            found.setdefault(None if is_glob(rule.table) else rule.table, []).append((place, rule))
        return {name: tuple(rules) for name, rules in found.items()}


@dataclass(frozen=True)
class Thresholds:
    low: float
    medium: float
    high: float


@dataclass(frozen=True)
class Ladders:
    """From where on a change is low, medium and high, by what is measured; the units are told in docs/drift.md."""

    rows: Thresholds = Thresholds(5.0, 20.0, 50.0)
    arrivals: Thresholds = Thresholds(50.0, 75.0, 100.0)
    counts: Thresholds = Thresholds(20.0, 40.0, 60.0)
    shares: Thresholds = Thresholds(1.0, 5.0, 10.0)
    value_shares: Thresholds = Thresholds(5.0, 10.0, 20.0)
    means: Thresholds = Thresholds(0.1, 0.5, 0.8)
    deviations: Thresholds = Thresholds(15.0, 50.0, 100.0)
    lengths: Thresholds = Thresholds(10.0, 25.0, 50.0)
    extremes: Thresholds = Thresholds(1.0, 10.0, 100.0)
    psi: Thresholds = Thresholds(0.1, 0.25, 0.5)
    jensen_shannon: Thresholds = Thresholds(0.15, 0.25, 0.35)
    ks: Thresholds = Thresholds(0.1, 0.2, 0.3)
    chi_square: Thresholds = Thresholds(0.15, 0.3, 0.5)
    freshness: Thresholds = Thresholds(1.5, 3.0, 6.0)


DriftStrategy = Literal["statistical", "absolute_threshold", "standard_deviation"]
BaselineChoice = Literal["auto", "last", "median", "weekday"]
Method = Literal["psi", "jensen_shannon", "ks", "chi_square"]
Direction = Literal["both", "up", "down"]


@dataclass(frozen=True)
class DriftRule:
    """One entry of `drift_detection.rules`: what it says holds for the metrics that all its globs match."""

    warehouse: str = "*"
    schema: str = "*"
    table: str = "*"
    column: str = "*"
    metric: str = "*"
    enabled: bool | None = None
    strategy: DriftStrategy | None = None
    baseline: BaselineChoice | None = None
    window: int | None = None
    pinned_run: str | None = None
    methods: tuple[Method, ...] | None = None
    direction: Direction | None = None
    thresholds: Thresholds | None = None


@dataclass(frozen=True)
class ExpectedPeriod:
    """A time of which changes are expected, both ends included: its runs are no baseline for others."""

    since: datetime
    until: datetime
    warehouse: str = "*"
    schema: str = "*"
    table: str = "*"
    note: str | None = None


@dataclass(frozen=True)
class DriftConfig:
    enabled: bool = True
    strategy: DriftStrategy = "statistical"
    baseline: BaselineChoice = "auto"
    window: int = 14
    methods: tuple[Method, ...] = ("psi", "ks", "chi_square")
    false_discovery_rate: float = 0.01
    direction: Direction = "both"
    thresholds: Ladders = field(default_factory=Ladders)
    rules: tuple[DriftRule, ...] = ()
    expected: tuple[ExpectedPeriod, ...] = ()
    absolute_threshold: Thresholds = Thresholds(5.0, 15.0, 30.0)
    standard_deviation: Thresholds = Thresholds(1.0, 2.0, 3.0)


@dataclass(frozen=True)
class RetryConfig:
    """Only a failed connection is retried, never a failed statement. Seconds."""

    enabled: bool = True
    retries: int = 3
    backoff_strategy: Literal["exponential", "fixed"] = "exponential"
    min_backoff: float = 0.5
    max_backoff: float = 8.0


@dataclass(frozen=True)
class ExecutionConfig:
    """`warehouse_limits` caps concurrent tables per warehouse name or type; `memory_limit_mb` the embedded engine.

    `batch_size` and `queue_size` are read from older files and have no effect.
    """

    max_workers: int = 1
    batch_size: int = 10
    queue_size: int = 100
    warehouse_limits: Mapping[str, int] = field(default_factory=_nothing)
    statement_timeout_seconds: float = 600.0
    memory_limit_mb: int = 100


@dataclass(frozen=True)
class MonitoringConfig:
    enable_metrics: bool = False
    port: int = 9753
    keep_alive: bool = True


@dataclass(frozen=True)
class ProbeOverride:
    """A statement of the user's whose answer tells whether a table changed; `exact` if it always does."""

    query: str
    exact: bool = False


@dataclass(frozen=True)
class ChangeDetectionConfig:
    enabled: bool = True
    metadata_table: str = "profilemesh_table_state"
    connector_overrides: Mapping[str, ProbeOverride] = field(default_factory=_nothing)
    snapshot_ttl_minutes: int = 1440


@dataclass(frozen=True)
class PartialProfilingConfig:
    enabled: bool = True
    allow_partition_pruning: bool = True
    max_partitions_per_run: int = 64
    mergeable_metrics: tuple[str, ...] = ("count", "null_count", "null_percent", "min", "max", "mean", "stddev")
    min_rows: int = 100_000
    reconcile_after_days: int = 30


@dataclass(frozen=True)
class AdaptiveSchedulingConfig:
    enabled: bool = True
    default_interval_minutes: int = 1440
    min_interval_minutes: int = 60
    max_interval_minutes: int = 10080
    priority_overrides: Mapping[str, int] = field(default_factory=_nothing)
    staleness_penalty_minutes: int = 1440


@dataclass(frozen=True)
class CostControlsConfig:
    enabled: bool = True
    max_bytes_scanned: int | None = None
    max_rows_scanned: int | None = None
    max_bytes_per_tick: int | None = None
    max_rows_per_tick: int | None = None
    fallback_strategy: Literal["sample", "defer", "full"] = "sample"
    sample_fraction: float = 0.1
    max_deferral_minutes: int = 10080


@dataclass(frozen=True)
class IncrementalConfig:
    """With `enabled: false` every tick profiles every selected table, changed or not, as Phase 1 did."""

    enabled: bool = False
    change_detection: ChangeDetectionConfig = field(default_factory=ChangeDetectionConfig)
    partial_profiling: PartialProfilingConfig = field(default_factory=PartialProfilingConfig)
    adaptive_scheduling: AdaptiveSchedulingConfig = field(default_factory=AdaptiveSchedulingConfig)
    cost_controls: CostControlsConfig = field(default_factory=CostControlsConfig)


@dataclass(frozen=True)
class OwnerRule:
    """Who owns the tables that all its globs match, and of which `tag`, where it is given, matches one of the tags."""

    owner: str
    warehouse: str = "*"
    schema: str = "*"
    table: str = "*"
    tag: str | None = None


SeverityName = Literal["low", "medium", "high"]


@dataclass(frozen=True)
class Route:
    """Which findings are told where. Of the globs in each filter one must match; `owner` empty means any or none.

    `to` are addresses in the way of apprise, with their secrets; they are never shown.
    """

    name: str
    to: tuple[str, ...] = field(repr=False)
    enabled: bool = True
    min_severity: SeverityName = "low"
    kinds: tuple[str, ...] = ()
    warehouse: tuple[str, ...] = ("*",)
    schema: tuple[str, ...] = ("*",)
    table: tuple[str, ...] = ("*",)
    owner: tuple[str, ...] = ()
    resolved: bool = True
    quiet_hours: tuple[QuietHours, ...] = ()


@dataclass(frozen=True)
class AlertsConfig:
    routes: tuple[Route, ...] = ()
    dashboard_url: str | None = None
    give_up_after_hours: int = 72


@dataclass(frozen=True)
class Config:
    """Everything the engine needs to know. `source` is the name of the one warehouse that the key of that name gave;
    `warnings` are sentences about keys that were accepted without effect."""

    path: Path | None
    warehouses: Mapping[str, WarehouseConfig]
    storage: StorageConfig
    environment: str = "development"
    profiling: ProfilingConfig = field(default_factory=ProfilingConfig)
    drift_detection: DriftConfig = field(default_factory=DriftConfig)
    retry: RetryConfig = field(default_factory=RetryConfig)
    execution: ExecutionConfig = field(default_factory=ExecutionConfig)
    monitoring: MonitoringConfig = field(default_factory=MonitoringConfig)
    incremental: IncrementalConfig = field(default_factory=IncrementalConfig)
    owners: tuple[OwnerRule, ...] = ()
    alerts: AlertsConfig = field(default_factory=AlertsConfig)
    source: str | None = None
    warnings: tuple[str, ...] = ()
