"""Planning: `make_plan(config, catalogue, states, now) -> Plan`. Pure: equal inputs give an equal plan."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase
from functools import lru_cache

from profilemesh.config.model import Config
from profilemesh.planning.budget import priced
from profilemesh.planning.decisions import Action, Case, Decision, Reason, State, decide, may_want_probe, wants_probe
from profilemesh.planning.division import Division, division
from profilemesh.planning.intervals import interval_minutes, priority_minutes, staleness
from profilemesh.planning.selection import TableSettings, Unmatched, missing_tables, settings_for, unmatched_columns
from profilemesh.planning.snapshots import Catalogue, Confidence, KeptManifest, Probe, Snapshot, Trouble
from profilemesh.tables import Column, TableRef

__all__ = [
    "Action",
    "Asked",
    "Decision",
    "Missing",
    "Plan",
    "PlannedTable",
    "Reason",
    "State",
    "is_asked_for",
    "make_plan",
    "wanted_probes",
]

Asked = str | Collection[TableRef] | None
"""Which tables a plan is narrowed to: a glob over their names, the tables themselves, or None for all."""


@dataclass(frozen=True)
class Missing:
    """A table that the configuration names and no warehouse has; `instead` is the nearest name there is."""

    name: str
    instead: str | None


@dataclass(frozen=True)
class PlannedTable:
    """What a decision to read needs beside the decision itself. `read_before` is when it was last profiled, and when
    last sampled; `is_reshaped` says that its settings are others since. `division` tells the partitions apart, if there
    are any, `kept` what is remembered of them, `probe` what to ask again after a reading in parts. `confidence` is how
    far an equal token will prove the new profile true. A table that starts afresh has nothing in common with its
    past."""

    columns: tuple[Column, ...]
    sensitive: frozenset[str]
    profile_key: str
    read_before: tuple[datetime | None, datetime | None] = (None, None)
    is_reshaped: bool = False
    division: Division | None = None
    kept: KeptManifest | None = None
    probe: Probe | None = None
    confidence: Confidence = Confidence.EXACT
    starts_afresh: bool = False


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
        """The stalest first."""
        reading = (decision for decision in self.decisions if decision.action.reads)
        return tuple(sorted(reading, key=lambda decision: (-(decision.staleness or 0), decision.table)))

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
    only: Asked = None,
    force: bool = False,
) -> Plan:
    """Decide for every table what this tick does with it.

    `only` is a glob over `table`, `schema.table` or `warehouse.schema.table` that narrows the plan, or the tables that
    it is narrowed to; `force` reads what it selects whether or not it changed.
    """
    cases = _cases(config, catalogue, states, now, only, force)
    decided = [_scored(case, decide(case)) for case in cases.values()]
    decisions = {decision.table: decision for decision in priced(cases, decided)}
    for table in states.keys() - catalogue.snapshots.keys():
        absent = _absence(config, catalogue, table) if is_asked_for(table, only) else None
        if absent is not None:
            decisions[table] = absent
    ordered = tuple(decisions[table] for table in sorted(decisions))
    reading = {d.table: _planned(config, cases[d.table], d) for d in ordered if d.action.reads}
    answering = config.warehouses.keys() - catalogue.troubles.keys()
    missing = [] if only is not None else missing_tables(config, catalogue.snapshots.keys(), answering)
    return Plan(
        _plan_id(ordered, now),
        now,
        ordered,
        reading,
        catalogue.warehouse_types,
        catalogue.troubles,
        tuple(Missing(*pair) for pair in missing),
        ()
        if only is not None or catalogue.troubles
        else tuple(unmatched_columns(config, catalogue.snapshots.values())),
    )


def wanted_probes(
    config: Config,
    catalogue: Catalogue,
    states: Mapping[TableRef, State],
    now: datetime,
    *,
    only: Asked = None,
    force: bool = False,
) -> dict[TableRef, Probe]:
    """What to ask of those tables whose metadata alone do not decide. Pure, as `make_plan` is."""
    doubtful = {table: snapshot for table, snapshot in catalogue.snapshots.items() if may_want_probe(snapshot)}
    cases = _cases(config, replace(catalogue, snapshots=doubtful), states, now, only, force)
    probes = {table: _probe(config, case) for table, case in cases.items() if wants_probe(case)}
    return {table: probe for table, probe in probes.items() if probe is not None}


def _cases(
    config: Config,
    catalogue: Catalogue,
    states: Mapping[TableRef, State],
    now: datetime,
    only: Asked,
    force: bool,
) -> dict[TableRef, Case]:
    """What is known of every table that is selected and asked for."""
    cases: dict[TableRef, Case] = {}
    for table, snapshot in catalogue.snapshots.items():
        settings = settings_for(config, snapshot) if is_asked_for(table, only) else None
        if settings is not None:
            key = profile_key(config, settings, catalogue.hash_families.get(table.warehouse, ""))
            seen = _as_allowed(snapshot, settings)
            cases[table] = Case(settings, seen, states.get(table), key, now, force, config.incremental)
    return cases


def _as_allowed(snapshot: Snapshot, settings: TableSettings) -> Snapshot:
    """Without the warehouse's own partitions where the table's settings do not want them."""
    partition = settings.rule.partition
    return snapshot if partition is None or partition.metadata_fallback else replace(snapshot, manifest=None)


def _probe(config: Config, case: Case) -> Probe | None:
    """The cheapest question that the settings allow. Metadata that are not a file's are not probed unasked."""
    rule, table = case.settings.rule, case.snapshot.table
    partial = config.incremental.partial_profiling
    key = case.settings.partition_key if partial.enabled and partial.allow_partition_pruning else ()
    for name, override in config.incremental.change_detection.connector_overrides.items():
        names = (table.warehouse, f"{table.schema}.{table.name}", str(table))
        if any(name == each or fnmatchcase(each, name) for each in names):
            return Probe(query=override.query, is_exact=override.exact)
    if not (case.snapshot.is_coarse or rule.watermark or rule.checksum):
        return None
    return Probe(key, rule.watermark, rule.checksum)


def _scored(case: Case, decision: Decision) -> Decision:
    """The decision with its table's staleness."""
    return replace(decision, staleness=_staleness(case, decision))


def _staleness(case: Case, decision: Decision) -> int:
    state, settings = case.state, case.incremental.adaptive_scheduling
    if state is None or state.last_profiled_at is None:
        return 100
    if decision.reason is Reason.SNAPSHOT_MATCH:
        return 0
    table = decision.table
    minutes = interval_minutes(table, state.change_gap_minutes, settings)
    has_priority = priority_minutes(table, settings) is not None
    return staleness(case.now - state.last_profiled_at, minutes, _changed_share(decision), has_priority, settings)


def _changed_share(decision: Decision) -> float:
    """Of the table's rows, as far as partitions tell; what is not known counts as all, what a probe denies as none."""
    if decision.reason is Reason.PROBE_MATCH:
        return 0.0
    if decision.action is not Action.PARTIAL or not decision.naive.rows or decision.cost.rows is None:
        return 1.0
    return min(1.0, decision.cost.rows / decision.naive.rows)


def _planned(config: Config, case: Case, decision: Decision) -> PlannedTable:
    state, settings = case.state, case.settings
    before = (state.last_profiled_at, state.sampled_at) if state else (None, None)
    is_reshaped = state is not None and state.profile_key != case.profile_key
    kept = state.manifest if state else None
    divided = division(decision, kept, config.incremental) if config.incremental.enabled else None
    return PlannedTable(
        settings.columns,
        settings.sensitive,
        case.profile_key,
        before,
        is_reshaped,
        divided,
        kept,
        # Metadata that tell the partitions tell them again: a probe then would read all of the table.
        _probe(config, case) if case.snapshot.probed is not None else None,
        _confidence(case, decision),
        starts_afresh=state is not None and state.vanished_at is not None,
    )


def _confidence(case: Case, decision: Decision) -> Confidence:
    """A profile of all rows is the truth of its snapshot; a merged one as far as all that vouched for its parts."""
    manifest = case.snapshot.partitions
    if decision.action is not Action.PARTIAL or case.state is None or manifest is None:
        return Confidence.EXACT
    vouched = {case.state.confidence, manifest.confidence}
    return Confidence.EXACT if vouched == {Confidence.EXACT} else Confidence.HEURISTIC


def profile_key(config: Config, settings: TableSettings, hash_family: str) -> str:
    """Names what shapes a summary: two profiles with different keys cannot stand for one another."""
    rule, profiling = settings.rule.columns, config.profiling
    return _profile_key(
        hash_family,
        (rule.include, rule.exclude, tuple(sorted(settings.sensitive))),
        (
            profiling.histogram_bins,
            profiling.compute_histograms,
            profiling.max_distinct_values,
            profiling.metrics,
        ),
    )


@lru_cache(maxsize=1000)
def _profile_key(hash_family: str, columns: tuple[object, ...], profiling: tuple[object, ...]) -> str:
    # Thousands of tables have one and the same.
    shape = {"family": hash_family, "columns": columns, "profiling": profiling}
    return f"{hash_family}#{hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()[:16]}"


def is_asked_for(table: TableRef, only: Asked) -> bool:
    """Whether `only` names the table, is a glob of one of its names, or has it; None asks for all."""
    if only is None:
        return True
    if not isinstance(only, str):
        return table in only
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
