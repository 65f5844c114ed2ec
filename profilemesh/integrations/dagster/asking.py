"""What the sensor's plan asked of a table, as a run's configuration carries it, and how far a later look may go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dagster import Config as DagsterConfig
from pydantic import Field

from profilemesh.config import Config
from profilemesh.planning import Action, Decision, Plan, PlannedTable, Reason
from profilemesh.tables import TableRef


class Asked(DagsterConfig):
    """One decision of the sensor's plan: what to read, and no more than that."""

    plan_id: str
    action: str = Field(description="full, partial or sample")
    reason: str = ""
    fraction: float | None = Field(None, description="of a sample")
    partitions: list[str] = Field([], description="of a partial run: the keys of those to read")


class ProfilingRun(DagsterConfig):
    """What a run does with a table: as planned when it starts, unless `asked` bounds it. `force` reads it anyway."""

    force: bool = Field(False, description="Read all of the table whether or not it changed.")
    asked: Asked | None = Field(None, description="What the sensor's plan decided; set by the sensor.")


def asked_of(plan_id: str, decision: Decision) -> Mapping[str, Any]:
    """A decision as the `asked` of a run's configuration."""
    told: dict[str, Any] = {
        "plan_id": plan_id,
        "action": decision.action.value,
        "reason": decision.reason.value,
        "fraction": decision.fraction,
        "partitions": list(decision.change.to_read) if decision.action is Action.PARTIAL and decision.change else None,
    }
    return {name: value for name, value in told.items() if value is not None}


def unlimited(config: Config) -> Config:
    """Without the tick's budget, which the sensor's plan has given out. What one table may cost stays."""
    limits = replace(config.incremental.cost_controls, max_rows_per_tick=None, max_bytes_per_tick=None)
    return replace(config, incremental=replace(config.incremental, cost_controls=limits))


def only_of(plan: Plan, table: TableRef, asked: Asked | None) -> Plan | None:
    """The plan of this table alone, within what was asked for; None if the plan does not know the table."""
    decision = next((each for each in plan.decisions if each.table == table), None)
    if decision is None:
        return None
    planned = plan.reading.get(table)
    if asked is not None and planned is not None:
        decision, planned = _within(asked, decision, planned)
    reading = {table: planned} if planned is not None else {}
    alone = replace(plan, decisions=(decision,), reading=reading, missing=(), unmatched=())
    return alone if asked is None else replace(alone, plan_id=asked.plan_id)


def _within(asked: Asked, decision: Decision, planned: PlannedTable) -> tuple[Decision, PlannedTable | None]:
    """What a later look decided, cut to what was asked for. What has become dearer than that waits for the next plan,
    which knows what it takes."""
    if asked.action == Action.SAMPLE and asked.fraction is not None:
        return _sampled(asked, asked.fraction, decision), replace(planned, division=None)
    if asked.action == Action.PARTIAL and decision.action is Action.FULL:
        return _put_off(decision, "it now has to be read whole"), None
    if asked.action == Action.PARTIAL and decision.change is not None:
        more = len(set(decision.change.to_read) - set(asked.partitions))
        if more:
            return _put_off(decision, f"{more} more of its partitions changed since the plan was made"), None
    return decision, planned


def _sampled(asked: Asked, fraction: float, decision: Decision) -> Decision:
    fraction = min(fraction, decision.fraction or fraction)
    return replace(
        decision,
        action=Action.SAMPLE,
        reason=Reason(asked.reason) if asked.reason else decision.reason,
        evidence={"because": decision.reason, **decision.evidence, "fraction": fraction},
        fraction=fraction,
        change=None,
        cost=decision.naive.sampled(fraction),
    )


def _put_off(decision: Decision, message: str) -> Decision:
    evidence = {"because": decision.reason, "message": message}
    return Decision(
        decision.table, Action.DEFER, Reason.CHANGED_MEANWHILE, evidence, decision.snapshot, naive=decision.naive
    )
