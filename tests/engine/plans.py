"""Plans made of values alone: one or two tables, what is remembered of them, what the catalogue says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from profilemesh.config.model import (
    AdaptiveSchedulingConfig,
    Config,
    IncrementalConfig,
    ProfilingConfig,
    StorageConfig,
    TableRule,
    WarehouseConfig,
)
from profilemesh.planning import Decision, Plan, State, make_plan
from profilemesh.planning.snapshots import Catalogue, Confidence, Snapshot, Trouble
from profilemesh.tables import Column, Kind, TableRef

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday
ORDERS = TableRef("shop", "main", "orders")
TICKETS = TableRef("desk", "main", "tickets")
ID = Column("id", "INTEGER", Kind.INTEGER)
NAME = Column("name", "VARCHAR", Kind.TEXT)
FAMILY = "duckdb-2.0/duckdb/pushdown"


def configured(
    *rules: TableRule, incremental: bool = True, settings: dict[str, Any] | None = None, **profiling: Any
) -> Config:
    """Without intervals, unless `settings` of `incremental` say otherwise."""
    sections = {"adaptive_scheduling": AdaptiveSchedulingConfig(enabled=False)} | (settings or {})
    return Config(
        None,
        {name: WarehouseConfig(name, "duckdb") for name in ("shop", "desk")},
        StorageConfig("sqlite://"),
        profiling=ProfilingConfig(tables=rules, **profiling),
        incremental=IncrementalConfig(enabled=incremental, **sections),
    )


def snapshot(table: TableRef = ORDERS, token: str | None = "t1", **more: Any) -> Snapshot:
    confidence = Confidence.EXACT if token else Confidence.NONE
    return Snapshot(table, **({"columns": (ID, NAME), "token": token, "confidence": confidence} | more))


def catalogue(*snapshots: Snapshot, family: str = FAMILY, **troubles: Trouble) -> Catalogue:
    types = {"shop": "duckdb", "desk": "duckdb"}
    return Catalogue({s.table: s for s in snapshots}, types, troubles, dict.fromkeys(types, family))


def plan(
    config: Config | None = None, found: Catalogue | None = None, *states: State, now: datetime = NOW, **asked: Any
) -> Plan:
    known = {state.table: state for state in states}
    return make_plan(config or configured(), found or catalogue(snapshot()), known, now, **asked)


def remembered(config: Config | None = None, table: TableRef = ORDERS, **changes: Any) -> State:
    """What storage would know after a profile of `snapshot(table)` under this configuration."""
    first = plan(config, catalogue(snapshot(table)), force=True)
    state = State(table, "t1", (("id", "INTEGER"), ("name", "VARCHAR")), first.reading[table].profile_key, NOW)
    return replace(state, **changes)


def only_decision(made: Plan) -> Decision:
    [decision] = made.decisions
    return decision
