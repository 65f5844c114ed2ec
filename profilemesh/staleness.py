"""Data that stood still: at the end of a tick, of the tables that it proved unchanged.

One statement finds the few that have been unchanged for longer than between their changes on the whole; only of those
the times of their changes are read. What is found is attached to the table's last run.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from profilemesh.comparing import record
from profilemesh.config.model import Config
from profilemesh.drift import Finding, Rules, freshness, rules_for
from profilemesh.drift.measures import FRESHNESS
from profilemesh.planning import Decision, Plan, Reason
from profilemesh.planning.selection import owner_of
from profilemesh.storage import Storage, states
from profilemesh.storage.findings import Seen
from profilemesh.storage.states import Standstill
from profilemesh.tables import TableRef

MOST_AGE = timedelta(days=90)
LEAST = 0.5
"""The usual gap of a state is a running mean of the last few; one that is twice the longest pause would be odd."""


def look_for_old_data(plan: Plan, config: Config, storage: Storage, now: datetime) -> None:
    """Record the tables whose data has not changed for far longer than it usually does not."""
    unchanged = {decision.table: _verified(decision, now) for decision in plan.decisions if _is_proof(decision)}
    if not unchanged or not config.drift_detection.enabled:
        return
    with storage.read() as session:
        standing = states.standstills(session, {table.warehouse for table in unchanged})
        suspects = {each.table: each for each in standing if _is_suspect(each, unchanged, config)}
        times = states.change_times(session, suspects, now - MOST_AGE)
    found = {
        each: finding
        for each in suspects.values()
        if (finding := freshness(each.table, times[each.table], unchanged[each.table], _rules(config, each.table)))
    }
    if found:
        _record(plan, config, storage, found, unchanged)


def _is_proof(decision: Decision) -> bool:
    return decision.reason is Reason.SNAPSHOT_MATCH


def _verified(decision: Decision, now: datetime) -> datetime:
    """Up to when the data is known not to have changed."""
    known = decision.snapshot.verified_as_of if decision.snapshot else None
    return min(now, known) if known else now


def _rules(config: Config, table: TableRef) -> Rules:
    return rules_for(config.drift_detection, table)


def _is_suspect(standing: Standstill, unchanged: Mapping[TableRef, datetime], config: Config) -> bool:
    until = unchanged.get(standing.table)
    if until is None:
        return False
    pause = (until - standing.last_changed_at).total_seconds() / 60
    if pause <= LEAST * standing.change_gap_minutes:
        return False
    rules = _rules(config, standing.table)
    lowest = rules.ladder(rules.setting("", FRESHNESS.name), FRESHNESS.ladder).low
    return pause >= LEAST * lowest * standing.change_gap_minutes


def _record(
    plan: Plan,
    config: Config,
    storage: Storage,
    found: Mapping[Standstill, Finding],
    unchanged: Mapping[TableRef, datetime],
) -> None:
    with storage.begin() as session:
        for standing, finding in found.items():
            table = standing.table
            seen = Seen(
                table,
                config.environment,
                standing.last_run_id,
                unchanged[table],
                "full",
                is_run=False,
                owner=owner_of(config, table),
            )
            record(session, config, plan.plan_id, seen, (finding,))
