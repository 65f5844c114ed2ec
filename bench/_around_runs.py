"""What stands around made-up runs: columns remembered of each table, findings, decisions, a tick."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session
from synthetic import ENVIRONMENT, _share

from profilemesh.storage import Storage
from profilemesh.storage.models import (
    FindingOccurrence,
    LoggedDecision,
    Run,
    Saving,
    StoredFinding,
    TableState,
    Tick,
    TriageEntry,
)

FINDINGS, UNRESOLVED, DECISIONS, COLUMNS = 110_000, 10_000, 100_000, 20
AT_ONCE = 5000
_METRICS = (("amount", "mean", "metric"), ("status", "null_percent", "metric"), ("", "row_count", "volume"))
_REASONS = (
    ("skip", "snapshot_match"),
    ("skip", "fresh_within_interval"),
    ("full", "snapshot_changed"),
    ("partial", "partitions_changed"),
    ("sample", "cost_cap"),
    ("defer", "budget_spent"),
)
Made = Iterator[dict[str, Any]]


ELSEWHERE = "staging"


def run_elsewhere(storage: Storage, now: datetime) -> None:
    """Once: one run of another environment, so that a page narrowed to one leaves something out."""
    with storage.begin() as session:
        if session.scalar(sa.select(Run.run_id).where(Run.environment == ELSEWHERE).limit(1)):
            return
        known = session.scalars(sa.select(Run).order_by(Run.profiled_at.desc()).limit(1)).one()
        same = {name: getattr(known, name) for name in ("dataset_name", "schema_name", "warehouse", "warehouse_type")}
        session.add(Run(run_id=str(uuid.uuid4()), environment=ELSEWHERE, status="success", profiled_at=now, **same))


def surround(storage: Storage, now: datetime) -> None:
    """Once: a storage that has findings already is left as it is."""
    with storage.read() as session:
        if session.scalar(sa.select(StoredFinding.finding_id).limit(1)):
            return
        key = TableState.warehouse, TableState.schema_name, TableState.table_name
        tables = [tuple(row) for row in session.execute(sa.select(*key).order_by(*key))]
        newest = sa.select(Run.run_id, Run.warehouse, Run.schema_name, Run.dataset_name, Run.profiled_at)
        runs = session.execute(
            newest.where(Run.status == "success").order_by(Run.profiled_at.desc()).limit(20_000)
        ).all()
    with storage.begin() as session:
        _remember_columns(session, tables, now)
        _insert(session, StoredFinding, _findings(runs, now))
        _insert(session, FindingOccurrence, _occurrences(runs, now))
        _insert(session, TriageEntry, _triage(runs, now))
        _insert(session, LoggedDecision, _decisions(tables, now))
        _insert(session, Saving, _savings(tables, now))
        _insert(session, Tick, iter([_tick(now, len(tables))]))


def _insert(session: Session, model: Any, rows: Made) -> None:
    chunk: list[dict[str, Any]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == AT_ONCE:
            session.execute(sa.insert(model), chunk)
            chunk = []
    if chunk:
        session.execute(sa.insert(model), chunk)


def _remember_columns(session: Session, tables: Sequence[Any], now: datetime) -> None:
    """Twenty a table, most of them called alike in many; and since when each waits for its next look."""
    changed = [
        {
            "w": warehouse,
            "s": schema,
            "t": table,
            "columns": _columns(number),
            "staleness": int(100 * _share(number, 60) ** 2),
            "decision": _REASONS[number % 6][0],
            "reason": _REASONS[number % 6][1],
            "due": now + timedelta(minutes=int(600 * _share(number, 61)) - 60),
        }
        for number, (warehouse, schema, table) in enumerate(tables)
    ]
    state = TableState
    keys = (
        state.warehouse == sa.bindparam("w"),
        state.schema_name == sa.bindparam("s"),
        state.table_name == sa.bindparam("t"),
    )
    told = {
        "columns": sa.bindparam("columns"),
        "staleness_score": sa.bindparam("staleness"),
        "decision": sa.bindparam("decision"),
        "decision_reason": sa.bindparam("reason"),
        "due_at": sa.bindparam("due"),
    }
    statement = sa.update(TableState.__table__).where(*keys).values(**told)  # type: ignore[arg-type]
    session.connection().execute(statement, changed)


def _columns(number: int) -> list[dict[str, Any]]:
    own = [{"name": f"attribute_{(number * 7 + n) % 900:03}", "type": "VARCHAR"} for n in range(COLUMNS - 4)]
    known = [("id", "BIGINT"), ("amount", "DECIMAL(12,2)"), ("status", "VARCHAR"), ("created_at", "TIMESTAMP")]
    return [{"name": name, "type": kind} for name, kind in known] + own


def _found(runs: Sequence[Any]) -> Iterator[tuple[int, Any, str]]:
    for number in range(FINDINGS):
        yield number, runs[number % len(runs)], str(uuid.UUID(int=0xF1D0 << 64 | number))


def _findings(runs: Sequence[Any], now: datetime) -> Made:
    for number, run, finding_id in _found(runs):
        column, metric, kind = _METRICS[number % 3]
        is_open = number % (FINDINGS // UNRESOLVED) == 0
        share = _share(number, 62)
        state = "resolved" if not is_open else "open" if share < 0.8 else "acknowledged" if share < 0.9 else "snoozed"
        seen = run.profiled_at if is_open else now - timedelta(days=90 * _share(number, 63))
        of = f"{run.dataset_name}.{column}" if column else run.dataset_name
        yield {
            "finding_id": finding_id,
            "fingerprint": finding_id,
            "warehouse": run.warehouse,
            "schema_name": run.schema_name,
            "environment": ENVIRONMENT,
            "table_name": run.dataset_name,
            "column_name": column,
            "metric_name": metric,
            "kind": kind,
            "state": state,
            "severity": ("low", "low", "medium", "high")[number % 4],
            "sentence": f"{metric} of {of} moved from 10 to {10 + number % 90}",
            "owner": f"team-{number % 12}" if number % 3 else None,
            "assignee": None,
            "snoozed_until": now + timedelta(days=3) if state == "snoozed" else None,
            "opened_at": seen - timedelta(days=4 * share),
            "last_seen_at": seen,
            "resolved_at": seen + timedelta(hours=6) if not is_open else None,
            "first_run_id": run.run_id,
            "last_run_id": run.run_id,
            "occurrences": 1,
            "quiet_runs": 0,
        }


def _occurrences(runs: Sequence[Any], now: datetime) -> Made:
    for number, run, finding_id in _found(runs):
        told = {
            "effect": 3.2,
            "unit": "deviations",
            "p_value": 1e-6,
            "baseline": "median",
            "baseline_runs": [run.run_id],
            "culprits": [],
            "explains": [],
            "details": {},
        }
        yield {
            "finding_id": finding_id,
            "run_id": run.run_id,
            "at": run.profiled_at,
            "severity": ("low", "low", "medium", "high")[number % 4],
            "sentence": "moved",
            "baseline_value": 10.0,
            "current_value": 10.0 + number % 90,
            "change_percent": 10.0 * (number % 90),
            "details": told,
        }


def _triage(runs: Sequence[Any], now: datetime) -> Made:
    for _, run, finding_id in _found(runs):
        yield {"finding_id": finding_id, "at": run.profiled_at, "who": "profilemesh", "action": "opened"}


def _decisions(tables: Sequence[Any], now: datetime) -> Made:
    plans = [str(uuid.UUID(int=0xDEC1 << 64 | n)) for n in range(2000)]
    for number in range(DECISIONS):
        warehouse, schema, table = tables[number % len(tables)]
        action, reason = _REASONS[number % 6]
        at = now - timedelta(days=30 * _share(number, 64))
        yield {
            "warehouse": warehouse,
            "schema_name": schema,
            "table_name": table,
            "plan_id": plans[number % len(plans)],
            "decided_at": at,
            "last_at": at,
            "ticks": 1,
            "action": action,
            "reason": reason,
            "evidence": {"confidence": "exact"},
            "rows_naive": 100_000,
            "is_naive_measured": True,
        }


def _savings(tables: Sequence[Any], now: datetime) -> Made:
    for day in range(90):
        for warehouse in sorted({table[0] for table in tables}):
            for action in ("skip", "full", "partial"):
                spared = 0 if action == "full" else 10_000_000
                yield {
                    "day": (now - timedelta(days=day)).date(),
                    "warehouse": warehouse,
                    "action": action,
                    "decisions": 500,
                    "rows_measured": spared,
                    "rows_read": 0 if action == "skip" else 1_000_000,
                }


def _tick(now: datetime, tables: int) -> dict[str, Any]:
    return {
        "tick_id": str(uuid.uuid4()),
        "plan_id": str(uuid.uuid4()),
        "asked_by": "schedule",
        "holder": "bench",
        "status": "done",
        "started_at": now - timedelta(minutes=5),
        "seen_at": now,
        "ended_at": now - timedelta(minutes=3),
        "tables_known": tables,
        "tables_to_read": 300,
        "tables_done": 300,
        "tables_failed": 2,
        "rows_read": 10**8,
    }
