"""The sections of profilemesh.yml as marshmallow schemas that make the dataclasses of `model`.

No default stands here: a key that is absent or null is left to the dataclass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from marshmallow import ValidationError, post_load, validates_schema

from profilemesh.config import model
from profilemesh.config.alerting import AlertsSection, OwnerSection
from profilemesh.config.fields import (
    Anything,
    Day,
    Either,
    Flag,
    Free,
    Hours,
    HoursAlone,
    Ladder,
    ListOf,
    MapOf,
    Moment,
    OneOf,
    Part,
    Real,
    Secret,
    Whole,
    Word,
)
from profilemesh.config.problems import ALLOWED
from profilemesh.config.section import Section as Section

EMBEDDED = ("duckdb", "sqlite")
TYPES = ("postgres", "postgresql", "duckdb", "sqlite", "mysql", "snowflake", "bigquery", "redshift", "trino")


def _fraction(**options: Any) -> Real:
    return Real(least=0, open_below=True, most=1, **options)


def _globs(**options: Any) -> ListOf:
    return ListOf(Word(), lone=True, **options)


class ConnectionSection(Section):
    """A warehouse, or the storage in the way of Phase 1. Stays a dict: its name and its paths come from around it."""

    name = Word()
    type = OneOf(*TYPES, required=True)
    host = Word()
    port = Whole(most=65535)
    database = Word()
    username = Word()
    password = Secret()
    schema = Word()
    filepath = Word()
    account = Word()
    warehouse = Word()
    role = Word()
    strategy = OneOf("stream", "pushdown")
    extra_params = Free()

    @validates_schema
    def names_its_file(self, data: dict[str, Any], **options: Any) -> None:
        if data["type"] in EMBEDDED and not (data.get("filepath") or data.get("database")):
            raise ValidationError(f"{ALLOWED}the path of the {data['type']} file", "filepath")


class StorageSection(Section):
    connection = Either(Secret(), Part(ConnectionSection), allowed="a database URL, or a mapping as under `source`")
    results_table = Word()
    runs_table = Word()
    create_tables = Flag()


class PartitionSection(Section):
    makes = model.PartitionRule
    key = _globs()
    strategy = OneOf("latest", "recent_n", "sample", "all", "specific_values")
    recent_n = Whole()
    values = _globs()
    metadata_fallback = Flag()

    @validates_schema
    def has_what_its_strategy_needs(self, data: dict[str, Any], **options: Any) -> None:
        if data.get("strategy") == "recent_n" and "recent_n" not in data:
            raise ValidationError(f"{ALLOWED}the number of partitions, for `strategy: recent_n`", "recent_n")
        if data.get("strategy") == "specific_values" and not data.get("values"):
            raise ValidationError(f"{ALLOWED}the partitions' values, for `strategy: specific_values`", "values")


class SamplingSection(Section):
    makes = model.SamplingRule
    enabled = Flag()
    method = OneOf("random", "stratified", "topk")
    fraction = _fraction()
    max_rows = Whole()


class ColumnsSection(Section):
    makes = model.ColumnRule
    include = _globs()
    # `exclude` alone is a word of marshmallow's own.
    excluded = _globs(data_key="exclude", attribute="exclude")
    sensitive = _globs()


class WindowSection(Section):
    hours = Hours()
    days = ListOf(Day(), lone=True)

    @post_load
    def made(self, data: dict[str, Any], **options: Any) -> model.Window:
        every = model.Window()
        start, end = data.get("hours", (every.start_minute, every.end_minute))
        return model.Window(start, end, tuple(sorted(set(data.get("days") or every.days))))


class TableSection(Section):
    makes = model.TableRule
    table = Word()
    schema = Word()
    warehouse = Word()
    partition = Part(PartitionSection)
    sampling = Part(SamplingSection)
    columns = Part(ColumnsSection)
    owner = Word()
    tags = ListOf(Word(), lone=True)
    paused = Flag()
    watermark = Word()
    checksum = Flag()
    window = Either(HoursAlone(), Part(WindowSection), allowed="a mapping with `hours` and `days`, or the hours alone")


class ProfilingSection(Section):
    makes = model.ProfilingConfig
    tables = ListOf(Part(TableSection))
    max_distinct_values = Whole()
    compute_histograms = Flag()
    histogram_bins = Whole()
    metrics = ListOf(Word(), lone=True)
    default_sample_ratio = _fraction()


class ThresholdsSection(Section):
    low = Real(least=0, data_key="low_threshold")
    medium = Real(least=0, data_key="medium_threshold")
    high = Real(least=0, data_key="high_threshold")

    def __init__(self, defaults: model.Thresholds) -> None:
        self.defaults = defaults
        super().__init__()

    @validates_schema
    def rises(self, data: dict[str, Any], **options: Any) -> None:
        merged = replace(self.defaults, **data)
        for lower, upper in (("low", "medium"), ("medium", "high")):
            least = getattr(merged, lower)
            if getattr(merged, upper) < least:
                at = f"{upper}_threshold" if upper in data else f"{lower}_threshold"
                words = f"low <= medium <= high, here {merged.low:g}, {merged.medium:g}, {merged.high:g}"
                raise ValidationError(f"{ALLOWED}{words}", at)

    @post_load
    def made(self, data: dict[str, Any], **options: Any) -> model.Thresholds:
        return replace(self.defaults, **data)


class LaddersSection(Section):
    makes = model.Ladders
    rows = Ladder()
    arrivals = Ladder()
    counts = Ladder()
    shares = Ladder()
    value_shares = Ladder()
    means = Ladder()
    deviations = Ladder()
    lengths = Ladder()
    extremes = Ladder()
    psi = Ladder()
    jensen_shannon = Ladder()
    ks = Ladder()
    chi_square = Ladder()
    freshness = Ladder()


STRATEGIES = ("statistical", "absolute_threshold", "standard_deviation")
BASELINES = ("auto", "last", "median", "weekday")
METHODS = ("psi", "jensen_shannon", "ks", "chi_square")
DIRECTIONS = ("both", "up", "down")


class DriftRuleSection(Section):
    makes = model.DriftRule
    warehouse = Word()
    schema = Word()
    table = Word()
    column = Word()
    metric = Word()
    enabled = Flag()
    strategy = OneOf(*STRATEGIES)
    baseline = OneOf(*BASELINES)
    window = Whole()
    pinned_run = Word()
    methods = ListOf(OneOf(*METHODS), lone=True)
    direction = OneOf(*DIRECTIONS)
    thresholds = Ladder()


class ExpectedSection(Section):
    makes = model.ExpectedPeriod
    since = Moment(required=True)
    until = Moment(is_end=True, required=True)
    warehouse = Word()
    schema = Word()
    table = Word()
    note = Word()

    @validates_schema
    def ends_after_it_began(self, data: dict[str, Any], **options: Any) -> None:
        if data["until"] < data["since"]:
            raise ValidationError(f"{ALLOWED}an end that is not before `since`", "until")


class DriftSection(Section):
    makes = model.DriftConfig
    enabled = Flag()
    strategy = OneOf(*STRATEGIES, "ml_based")
    baseline = OneOf(*BASELINES)
    window = Whole()
    methods = ListOf(OneOf(*METHODS), lone=True)
    false_discovery_rate = _fraction()
    direction = OneOf(*DIRECTIONS)
    thresholds = Part(LaddersSection)
    rules = ListOf(Part(DriftRuleSection))
    expected = ListOf(Part(ExpectedSection))
    absolute_threshold = Part(lambda: ThresholdsSection(model.DriftConfig.absolute_threshold))
    standard_deviation = Part(lambda: ThresholdsSection(model.DriftConfig.standard_deviation))
    statistical = Free()
    ml_based = Free()

    @post_load
    def made(self, data: dict[str, Any], **options: Any) -> Any:
        # Phase 1 named a strategy that was never built, and took its own default where thresholds stood alone.
        if data.get("strategy") == "ml_based":
            data["strategy"] = "statistical"
        elif "absolute_threshold" in data or "standard_deviation" in data:
            data.setdefault("strategy", "absolute_threshold")
        return super().made(data, **options)


class RulesSection(Section):
    """A file with rules alone, to try them."""

    drift_detection = Part(DriftSection, required=True)


class HookSection(Section):
    type = OneOf("logging", "sql", "snowflake", "custom", required=True)
    enabled = Flag()
    log_level = Word()
    connection = Anything()
    table_name = Word()
    module = Word()
    class_name = Word()
    params = Free()


class HooksSection(Section):
    enabled = Flag()
    hooks = ListOf(Part(HookSection))


class MonitoringSection(Section):
    makes = model.MonitoringConfig
    enable_metrics = Flag()
    port = Whole(most=65535)
    keep_alive = Flag()


class RetrySection(Section):
    makes = model.RetryConfig
    enabled = Flag()
    retries = Whole(least=0)
    backoff_strategy = OneOf("exponential", "fixed")
    min_backoff = Real(least=0)
    max_backoff = Real(least=0)

    @validates_schema
    def rises(self, data: dict[str, Any], **options: Any) -> None:
        merged = replace(model.RetryConfig(), **data)
        if merged.min_backoff > merged.max_backoff:
            at = "max_backoff" if "max_backoff" in data else "min_backoff"
            words = f"min_backoff <= max_backoff, here {merged.min_backoff:g} and {merged.max_backoff:g}"
            raise ValidationError(f"{ALLOWED}{words}", at)


class ExecutionSection(Section):
    makes = model.ExecutionConfig
    max_workers = Whole()
    batch_size = Whole()
    queue_size = Whole()
    warehouse_limits = MapOf(Whole())
    statement_timeout_seconds = Real(least=0, open_below=True)
    memory_limit_mb = Whole()


class ChangeDetectionSection(Section):
    makes = model.ChangeDetectionConfig
    enabled = Flag()
    metadata_table = Word()
    connector_overrides = MapOf(Free())
    snapshot_ttl_minutes = Whole(least=0)

    @validates_schema
    def asks_by_text(self, data: dict[str, Any], **options: Any) -> None:
        for name, found in data.get("connector_overrides", {}).items():
            query = found.get("query", "-")
            if not isinstance(query, str) or not query.strip():
                raise ValidationError({"connector_overrides": {name: {"query": [f"{ALLOWED}a SELECT"]}}})

    @post_load
    def made(self, data: dict[str, Any], **options: Any) -> Any:
        """Phase 1 kept other settings there, which are read without effect."""
        overrides = data.get("connector_overrides", {})
        queries = {
            name: model.ProbeOverride(found["query"], str(found.get("exact", "")).casefold() in ("true", "yes", "1"))
            for name, found in overrides.items()
            if "query" in found
        }
        return super().made(data | {"connector_overrides": queries}, **options)


class PartialProfilingSection(Section):
    makes = model.PartialProfilingConfig
    enabled = Flag()
    allow_partition_pruning = Flag()
    max_partitions_per_run = Whole()
    mergeable_metrics = ListOf(Word(), lone=True)
    min_rows = Whole(least=0)
    reconcile_after_days = Whole()


class AdaptiveSchedulingSection(Section):
    makes = model.AdaptiveSchedulingConfig
    enabled = Flag()
    default_interval_minutes = Whole()
    min_interval_minutes = Whole()
    max_interval_minutes = Whole()
    priority_overrides = MapOf(Whole())
    staleness_penalty_minutes = Whole(least=0)

    @validates_schema
    def rises(self, data: dict[str, Any], **options: Any) -> None:
        merged = replace(model.AdaptiveSchedulingConfig(), **data)
        low, high = merged.min_interval_minutes, merged.max_interval_minutes
        if low > high:
            at = "max_interval_minutes" if "max_interval_minutes" in data else "min_interval_minutes"
            raise ValidationError(f"{ALLOWED}the minimum at most the maximum, here {low} and {high}", at)


class CostControlsSection(Section):
    makes = model.CostControlsConfig
    enabled = Flag()
    max_bytes_scanned = Whole()
    max_rows_scanned = Whole()
    max_bytes_per_tick = Whole()
    max_rows_per_tick = Whole()
    fallback_strategy = OneOf("sample", "defer", "full")
    sample_fraction = _fraction()
    max_deferral_minutes = Whole()


class IncrementalSection(Section):
    makes = model.IncrementalConfig
    enabled = Flag()
    change_detection = Part(ChangeDetectionSection)
    partial_profiling = Part(PartialProfilingSection)
    adaptive_scheduling = Part(AdaptiveSchedulingSection)
    cost_controls = Part(CostControlsSection)


class ConfigSection(Section):
    """The whole file. Stays a dict: warehouses and storage are put together with the file's place and environment."""

    environment = Word()
    source = Part(ConnectionSection)
    warehouses = MapOf(Part(ConnectionSection))
    storage = Part(StorageSection)
    profiling = Part(ProfilingSection)
    drift_detection = Part(DriftSection)
    hooks = Either(ListOf(Part(HookSection)), Part(HooksSection))
    monitoring = Part(MonitoringSection)
    retry = Part(RetrySection)
    execution = Part(ExecutionSection)
    incremental = Part(IncrementalSection)
    owners = ListOf(Part(OwnerSection))
    alerts = Part(AlertsSection)

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def names_its_warehouses_once(self, data: Any, original: Mapping[str, Any], **options: Any) -> None:
        given = [key for key in ("source", "warehouses") if original.get(key) is not None]
        if len(given) == 2:
            raise ValidationError(f"found beside `source`; {ALLOWED}either `source` or `warehouses`", "warehouses")
        if not given or original.get("warehouses") == {}:
            raise ValidationError(f"no warehouse; {ALLOWED}either `source` or `warehouses`, with at least a `type`")

    @validates_schema
    def calls_each_warehouse_by_one_name(self, data: Any, **options: Any) -> None:
        for name, connection in data.get("warehouses", {}).items():
            if connection.get("name", name) != name:
                words = f"{ALLOWED}no `name` here, the warehouse's name is its key '{name}'"
                raise ValidationError({"warehouses": {name: {"name": [words]}}})
