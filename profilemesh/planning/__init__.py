"""Planning: `make_plan(config, catalogue, states, now) -> Plan`. Pure: equal inputs give an equal plan."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from profilemesh.config.model import Config
from profilemesh.planning.decisions import Action, Case, Decision, Reason, State, decide
from profilemesh.planning.selection import TableSettings, Unmatched, missing_tables, settings_for, unmatched_columns
from profilemesh.planning.snapshots import Catalogue, Snapshot, Trouble
from profilemesh.tables import Column, TableRef

__all__ = ["Action", "Decision", "Missing", "Plan", "Reason", "State", "make_plan"]


@dataclass(frozen=True)
class Missing:
    """A table that the configuration names and no warehouse has; `instead` is the nearest name there is."""

    name: str
    instead: str | None


@dataclass(frozen=True)
class PlannedTable:
    """What a decision to read needs beside the decision itself. `profiled_before` is when it was last profiled;
    `is_reshaped` says that its settings are others since."""

    columns: tuple[Column, ...]
    sensitive: frozenset[str]
    profile_key: str
    profiled_before: datetime | None = None
    is_reshaped: bool = False


@dataclass(frozen=True)
class Plan:
    """One tick: a decision for every selected table, in the order of their names.

    `reading` has the particulars of the tables that will be read; `troubles` the warehouses that did not answer.
    """

    plan_id: str
    made_at: datetime
    decisions: tuple[Decision, ...]
    reading: Mapping[TableRef, PlannedTable]
    warehouse_types: Mapping[str, str]
    troubles: Mapping[str, Trouble]
    missing: tuple[Missing, ...]
    unmatched: tuple[Unmatched, ...] = ()

    @property
    def to_read(self) -> tuple[Decision, ...]:
        return tuple(decision for decision in self.decisions if decision.action.reads)

    @property
    def is_trouble(self) -> bool:
        """Something needs a person: a configured table is missing, or a warehouse cannot be reached."""
        return bool(self.missing or any(t.reason == Reason.WAREHOUSE_UNREACHABLE for t in self.troubles.values()))


def make_plan(
    config: Config,
    catalogue: Catalogue,
    states: Mapping[TableRef, State],
    now: datetime,
    *,
    only: str | None = None,
    force: bool = False,
) -> Plan:
    """Decide for every table what this tick does with it.

    `only` is a glob over `table`, `schema.table` or `warehouse.schema.table` that narrows the plan; `force` reads
    what it selects whether or not it changed.
    """
    decisions: dict[TableRef, Decision] = {}
    reading: dict[TableRef, PlannedTable] = {}
    for table, snapshot in catalogue.snapshots.items():
        settings = settings_for(config, snapshot) if _is_asked_for(table, only) else None
        if settings is None:
            continue
        key = profile_key(config, settings, catalogue.hash_families.get(table.warehouse, ""))
        state = states.get(table)
        decision = decide(Case(settings, snapshot, state, key, now, force, config.incremental.enabled))
        decisions[table] = decision
        if decision.action.reads:
            before = state.last_profiled_at if state else None
            is_reshaped = state is not None and state.profile_key != key
            reading[table] = PlannedTable(settings.columns, settings.sensitive, key, before, is_reshaped)
    for table in states.keys() - catalogue.snapshots.keys():
        absent = _absence(config, catalogue, table) if _is_asked_for(table, only) else None
        if absent is not None:
            decisions[table] = absent
    ordered = tuple(decisions[table] for table in sorted(decisions))
    answering = config.warehouses.keys() - catalogue.troubles.keys()
    missing = [] if only else missing_tables(config, catalogue.snapshots.keys(), answering)
    return Plan(
        _plan_id(ordered, now),
        now,
        ordered,
        reading,
        catalogue.warehouse_types,
        catalogue.troubles,
        tuple(Missing(*pair) for pair in missing),
        () if only or catalogue.troubles else tuple(unmatched_columns(config, catalogue.snapshots.values())),
    )


def profile_key(config: Config, settings: TableSettings, hash_family: str) -> str:
    """Names what shapes a summary: two profiles with different keys cannot stand for one another."""
    shape = {
        "family": hash_family,
        "columns": [settings.rule.columns.include, settings.rule.columns.exclude, sorted(settings.sensitive)],
        "profiling": [
            config.profiling.histogram_bins,
            config.profiling.compute_histograms,
            config.profiling.max_distinct_values,
            config.profiling.metrics,
        ],
    }
    return f"{hash_family}#{hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()[:16]}"


def _is_asked_for(table: TableRef, only: str | None) -> bool:
    if only is None:
        return True
    names = (table.name, f"{table.schema}.{table.name}", str(table))
    return any(only == name or fnmatchcase(name, only) for name in names)


def _absence(config: Config, catalogue: Catalogue, table: TableRef) -> Decision | None:
    """What to say of a table that was profiled once and is not in the catalogue now."""
    if table.warehouse not in config.warehouses or settings_for(config, Snapshot(table, ())) is None:
        return None
    trouble = catalogue.troubles.get(table.warehouse)
    if trouble is not None:
        return Decision(table, Action.DEFER, Reason(trouble.reason), {"message": trouble.message})
    return Decision(table, Action.SKIP, Reason.VANISHED)


def _plan_id(decisions: Collection[Decision], now: datetime) -> str:
    text = json.dumps(
        [now.isoformat(), [[str(d.table), d.action, d.reason, d.evidence] for d in decisions]],
        sort_keys=True,
        default=str,
    )
    return str(uuid.uuid5(uuid.NAMESPACE_OID, text))
