"""Believable runs, as the engine would store them, for tests that need history but no warehouse."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from profilemesh.storage.claims import new_holder
from profilemesh.storage.models import (
    Event,
    FindingOccurrence,
    LoggedDecision,
    Result,
    Run,
    Saving,
    StoredFinding,
    TableState,
    Tick,
    TriageEntry,
)

NOW = datetime.now(UTC).replace(microsecond=0)


def bell(n: int = 10, low: float = 0.0, high: float = 100.0, rows: int = 1000) -> list[dict[str, Any]]:
    weights = [math.exp(-(((i - n / 2.4) / (n / 5)) ** 2) / 2) for i in range(n)]
    step = (high - low) / n
    return [
        {"bin_start": low + i * step, "bin_end": low + (i + 1) * step, "count": round(w / sum(weights) * rows)}
        for i, w in enumerate(weights)
    ]


def days(n: int, rows: int) -> list[dict[str, Any]]:
    start = datetime(2026, 10, 1, tzinfo=UTC)
    edges = [f"{start + timedelta(days=3 * i):%Y-%m-%d}" for i in range(n + 1)]
    return [
        {"bin_start": a, "bin_end": b, "count": rows // n + 40 * (i % 4)}
        for i, (a, b) in enumerate(zip(edges, edges[1:], strict=False))
    ]


def number_metrics(rows: int, nulls: int = 0, low: float = 0, high: float = 9812.4, **more: Any) -> dict[str, Any]:
    mean = low + (high - low) * 0.4
    return {
        **shares(rows, nulls, max(rows // 20, 1)),
        "min": low,
        "max": high,
        "mean": mean,
        "stddev": (high - low) / 7,
        "median": mean * 0.95,
        "zero_count": 0,
        "negative_count": 0,
        "histogram": bell(low=low, high=high, rows=rows - nulls),
        **more,
    }


def text_metrics(rows: int, nulls: int = 0, low: str = "a", high: str = "z", **more: Any) -> dict[str, Any]:
    return {**shares(rows, nulls, rows - nulls), "min": low, "max": high, "min_length": 1, "max_length": 32, **more}


def shares(rows: int, nulls: int, distinct: int) -> dict[str, Any]:
    present = rows - nulls
    return {
        "count": rows,
        "null_count": nulls,
        "null_percent": 100 * nulls / rows if rows else None,
        "distinct_count": distinct,
        "distinct_percent": 100 * distinct / present if present else None,
    }


def top(*pairs: tuple[str, int]) -> list[dict[str, Any]]:
    return [{"value": value, "count": count} for value, count in pairs]


Columns = Mapping[tuple[str, str], Mapping[str, Any]]


def shop_columns(rows: int, email_nulls: float = 0.002) -> Columns:
    nulls = int(rows * email_nulls)
    paid, rest = int(rows * 0.62), rows - int(rows * 0.62)
    return {
        ("order_id", "BIGINT"): number_metrics(rows, low=1, high=rows, distinct_count=rows, distinct_percent=99.8),
        ("ordered_at", "TIMESTAMP"): {
            **shares(rows, 0, rows),
            "min": "2026-10-01 00:00:04",
            "max": "2026-11-22 23:59:51.250000",
            "date_histogram": days(12, rows),
        },
        ("total", "DECIMAL(12,2)"): number_metrics(rows, nulls=rows // 1000, high=9812.4),
        ("email", "VARCHAR"): text_metrics(rows, nulls, "aaron@example.com", "zoe@example.com"),
        ("status", "VARCHAR"): {
            **text_metrics(rows, 0, "cancelled", "shipped"),
            "distinct_count": 3,
            "distinct_percent": 300 / rows if rows else None,
            "top_values": top(("shipped", paid), ("paid", rest * 2 // 3), ("cancelled", rest - rest * 2 // 3)),
        },
        ("is_gift", "BOOLEAN"): {
            **shares(rows, 0, 2),
            "true_count": rows // 9,
            "top_values": top(("false", rows - rows // 9), ("true", rows // 9)),
        },
        ("payload", "JSON"): {"count": rows, "null_count": rows, "null_percent": 100.0},
    }


def add_run(
    session: Session,
    table: str = "orders",
    *,
    schema: str = "main",
    warehouse: str = "shop",
    warehouse_type: str = "duckdb",
    at: datetime = NOW,
    status: str = "success",
    rows: int | None = 1000,
    columns: Columns | None = None,
    run_id: str | None = None,
    **more: Any,
) -> Run:
    """A run with its metrics; `columns` maps (name, type) to metrics, None for the shop's."""
    failed = status == "failed"
    shaped = {} if failed else shop_columns(rows or 0) if columns is None else columns
    defaults: dict[str, Any] = {
        "environment": "production",
        "started_at": at - timedelta(seconds=1),
        "as_of": None if failed else at,
        "duration_seconds": 0.21,
        "rows_scanned": None if failed else rows,
        "action": "full",
        "reason": "snapshot_changed",
        "scope": None if failed else "full",
        "strategy": "pushdown",
        "hash_family": "duckdb-2",
        "statements": [{"sql": f'SELECT count(*)\nFROM "{schema}"."{table}"', "seconds": 0.12, "rows": 1}],
        "error": "statement timeout after 60 s" if failed else None,
    }
    run = Run(
        run_id=run_id or str(uuid.uuid4()),
        dataset_name=table,
        schema_name=schema,
        warehouse=warehouse,
        warehouse_type=warehouse_type,
        profiled_at=at,
        status=status,
        row_count=None if failed else rows,
        column_count=None if failed else len(shaped),
        **{**defaults, **more},
    )
    session.add(run)
    session.add_all(results(run, shaped))
    return run


def results(run: Run, columns: Columns) -> list[Result]:
    return [
        Result(
            run_id=run.run_id,
            dataset_name=run.dataset_name,
            schema_name=run.schema_name,
            column_name=name,
            column_type=type_,
            metric_name=metric,
            metric_value=stored(value),
            metric_number=float(value) if isinstance(value, int | float) and math.isfinite(value) else None,
            profiled_at=run.profiled_at,
        )
        for (name, type_), metrics in columns.items()
        for metric, value in metrics.items()
    ]


def stored(value: Any) -> str | None:
    if value is None:
        return None
    return json.dumps(value) if isinstance(value, list) else str(value)


def add_state(session: Session, table: str = "orders", *, run: Run | None = None, **more: Any) -> TableState:
    defaults: dict[str, Any] = {
        "schema_name": "main",
        "warehouse": "shop",
        "decision": "skip",
        "decision_reason": "snapshot_match",
        "decided_at": NOW - timedelta(minutes=2),
        "last_verified_at": NOW - timedelta(minutes=2),
    }
    if run is not None:
        defaults |= {
            "schema_name": run.schema_name,
            "warehouse": run.warehouse,
            "last_profiled_at": run.profiled_at,
            "last_changed_at": run.profiled_at,
            "last_run_id": run.run_id,
            "row_count": run.row_count,
        }
    # A run has made an empty one.
    session.flush()
    state = session.merge(TableState(table_name=table, **{**defaults, **more}))
    session.flush()
    return state


def add_drift(session: Session, run: Run, column: str | None = "email", at: datetime | None = None) -> Event:
    event = Event(
        event_id=str(uuid.uuid4()),
        event_type="DataDriftDetected",
        run_id=run.run_id,
        warehouse=run.warehouse,
        schema_name=run.schema_name,
        table_name=run.dataset_name,
        column_name=column,
        metric_name="null_percent",
        baseline_value=0.2,
        current_value=14.1,
        change_percent=6950.0,
        drift_severity="high",
        timestamp=at or run.profiled_at,
    )
    run.has_drift = True
    session.add(event)
    return event


def add_finding(
    session: Session,
    run: Run,
    column: str = "email",
    metric: str = "null_percent",
    *,
    baseline: Sequence[Run] = (),
    earlier: Sequence[Run] = (),
    before: float | None = 0.2,
    now: float | None = 14.1,
    details: Mapping[str, Any] | None = None,
    **more: Any,
) -> StoredFinding:
    """A fact that `run` found last, and the `earlier` runs before it; `details` as the engine's finding has them."""
    of = f"{run.dataset_name}.{column}" if column else run.dataset_name
    first = (*earlier, run)[0]
    stored = StoredFinding(
        **{
            "finding_id": str(uuid.uuid4()),
            "fingerprint": uuid.uuid4().hex,
            "warehouse": run.warehouse,
            "schema_name": run.schema_name,
            "environment": run.environment,
            "table_name": run.dataset_name,
            "column_name": column,
            "metric_name": metric,
            "kind": "metric" if column else "volume",
            "state": "open",
            "severity": "high",
            "sentence": f"null share of {of} rose from 0.2 % to 14.1 %, 96 % of it in 2026-11-21",
            "opened_at": first.profiled_at,
            "last_seen_at": run.profiled_at,
            "first_run_id": first.run_id,
            "last_run_id": run.run_id,
            "occurrences": len(earlier) + 1,
            "quiet_runs": 0,
            **more,
        }
    )
    told = {
        "effect": 13.9,
        "unit": "points",
        "direction": "up",
        "p_value": 3.1e-7,
        "p_adjusted": 2.4e-5,
        "baseline": "median",
        "baseline_runs": [each.run_id for each in baseline],
        "culprits": [{"partition": "2026-11-21", "share": 0.96}],
        "explains": [],
        "details": {},
    }
    session.add(stored)
    session.add(TriageEntry(finding_id=stored.finding_id, at=first.profiled_at, who="profilemesh", action="opened"))
    for each in (*earlier, run):
        session.add(
            FindingOccurrence(
                finding_id=stored.finding_id,
                run_id=each.run_id,
                at=each.profiled_at,
                severity=stored.severity,
                sentence=stored.sentence,
                baseline_value=before,
                current_value=now,
                change_percent=None if not before or now is None else 100 * (now - before) / before,
                details={**told, **(details or {})},
            )
        )
    run.has_drift = True
    return stored


def add_decision(session: Session, table: str = "orders", *, at: datetime = NOW, **more: Any) -> LoggedDecision:
    """A table proved unchanged, unless it is said otherwise."""
    defaults: dict[str, Any] = {
        "warehouse": "shop",
        "schema_name": "main",
        "plan_id": str(uuid.uuid4()),
        "decided_at": at,
        "last_at": at,
        "ticks": 1,
        "action": "skip",
        "reason": "snapshot_match",
        "evidence": {"token_before": "t" * 64, "token_after": "t" * 64, "confidence": "exact"},
        "rows_naive": 1000,
        "is_naive_measured": True,
    }
    decision = LoggedDecision(table_name=table, **{**defaults, **more})
    session.add(decision)
    return decision


def add_tick(session: Session, *, at: datetime = NOW, status: str = "done", **more: Any) -> Tick:
    defaults: dict[str, Any] = {
        "tick_id": str(uuid.uuid4()),
        "plan_id": str(uuid.uuid4()),
        "asked_by": "schedule",
        "holder": new_holder(),
        "started_at": at,
        "seen_at": datetime.now(UTC),
        "ended_at": None if status == "running" else at + timedelta(seconds=1.2),
        "tables_known": 141,
        "tables_to_read": 2,
        "tables_done": 2,
        "rows_read": 302_000,
    }
    tick = Tick(status=status, **{**defaults, **more})
    session.add(tick)
    return tick


def add_saving(session: Session, day: date, action: str = "skip", **counts: int) -> Saving:
    saving = Saving(day=day, warehouse="shop", action=action, **{"decisions": 1, **counts})
    session.add(saving)
    return saving


HOSTILE = '"><script>alert(1)</script>'


def add_shop(session: Session, now: datetime = NOW, history: int = 45) -> None:
    """A month and a half of a shop, a stream of clicks and a ledger, with what goes wrong in real life."""
    sold, clicked = [], []
    for day in range(history, -1, -1):
        at = now - timedelta(days=day, minutes=7)
        rows = 1_800_000 + (history - day) * 900
        orders = add_run(session, at=at, rows=rows, columns=shop_columns(rows, 0.141 if day < 3 else 0.002))
        sold.append(orders)
        if day in (2, 3):
            add_drift(session, orders)
        if day % 3 == 0:
            customers = add_run(session, "customers", at=at + timedelta(minutes=1), rows=212_000, duration_seconds=0.08)
        if day % 2:
            clicks = add_run(
                session,
                "web_events",
                warehouse="clicks",
                warehouse_type="postgres",
                schema="public",
                at=at + timedelta(minutes=2),
                rows=96_100_000 - day * 40_000,
                rows_scanned=240_000,
                scope="merged",
                action="partial",
                reason="partitions_changed",
                scope_detail={"partitions": 1, "partitions_total": 412},
                strategy="stream",
                duration_seconds=0.9,
            )
            clicked.append(clicks)
        if day in (1, 4, 11):
            add_run(
                session,
                "postings",
                warehouse="ledger",
                warehouse_type="postgres",
                schema="finance",
                at=at + timedelta(minutes=3),
                status="failed",
                duration_seconds=60.0,
            )
    add_state(session, "orders", run=orders)
    add_state(session, "customers", run=customers)
    unreachable = {"decision": "defer", "decision_reason": "warehouse_unreachable", "last_verified_at": None}
    add_state(session, "accounts", warehouse="crm", **unreachable)
    add_plans(session, now, history)
    if len(clicked) > 4:
        add_findings(session, sold, clicked)
    add_oddities(session, now)


def add_findings(session: Session, sold: Sequence[Run], clicked: Sequence[Run]) -> None:
    """What drifted in the shop and its clicks, in every state."""
    email = add_finding(session, sold[-1], earlier=sold[-3:-1], baseline=sold[:-3][-14:], owner="sales", assignee="ann")
    said = "Started with the new sign-up form, which leaves the field out.\nIt is being mended."
    session.add(TriageEntry(finding_id=email.finding_id, at=NOW, who="ann", action="commented", text=said))
    paid = {"moved": {"value": "paid", "before": 20.1, "now": 25.3}, "distances": {"psi": 0.12, "chi_square": 0.21}}
    values: dict[str, Any] = {"severity": "medium", "state": "acknowledged", "owner": "sales"}
    values["sentence"] = (
        "the values of orders.status are distributed differently (Cohen's w 0.21): the share of 'paid' rose from "
        "20.1 % to 25.3 %"
    )
    told = {"effect": 0.21, "unit": "Cohen's w", "direction": None, "baseline": "reference", "details": paid}
    distribution: dict[str, Any] = {"before": None, "now": None, "kind": "distribution"}
    add_finding(
        session, sold[-1], "status", "distribution", baseline=sold[-2:-1], details=told, **distribution, **values
    )
    moved = {"effect": 0.31, "unit": "standard deviations", "culprits": [], "p_value": 0.0021, "p_adjusted": 0.034}
    mean = "mean of orders.total rose from 3,925 to 4,360 (0.31 standard deviations)"
    number: dict[str, Any] = {"before": 3925.0, "now": 4360.0, "severity": "low", "sentence": mean}
    add_finding(session, sold[-1], "total", "mean", baseline=sold[-9:-1], details=moved, **number)
    schema = {"effect": None, "unit": None, "p_value": None, "baseline": "last", "culprits": []}
    schema["details"] = {"was": "VARCHAR", "now": "JSON", "renamed": None}
    said = "column payload of orders turned from VARCHAR to JSON"
    changed: dict[str, Any] = {"kind": "schema", "before": None, "now": None, "sentence": said, "state": "expected"}
    add_finding(session, sold[-8], "payload", "retyped", baseline=sold[-9:-8], details=schema, **changed)
    follows = [
        {
            "column": name,
            "metric": "distinct_count",
            "severity": "low",
            "sentence": f"{name} of web_events fell by 58 %",
        }
        for name in ("visitor_id", "session_id", "path")
    ]
    rows = {"effect": -59.0, "unit": "%", "p_value": None, "baseline": "weekday", "explains": follows, "culprits": []}
    few = "98,214 rows came to web_events where about 240,000 usually come (-59 %)"
    volume: dict[str, Any] = {"before": 96_360_000.0, "now": 96_100_000.0, "sentence": few, "owner": "clicks"}
    add_finding(session, clicked[-1], "", "row_count", baseline=clicked[:-1][-6:], details=rows, **volume)
    snoozed = {"state": "snoozed", "snoozed_until": NOW + timedelta(days=5), "severity": "medium"}
    add_finding(session, clicked[-2], "referrer", baseline=clicked[:-2], **snoozed)
    add_finding(session, clicked[-4], "path", state="resolved", resolved_at=NOW - timedelta(days=2))


def add_plans(session: Session, now: datetime, history: int) -> None:
    """What was decided, what came of it, and what it spared."""
    for day in range(history, -1, -1):
        at = now - timedelta(days=day, minutes=8)
        add_decision(session, "customers", at=at, ticks=day + 1, last_at=at + timedelta(hours=3), rows_naive=212_000)
        partial: dict[str, Any] = {"action": "partial", "reason": "partitions_changed", "outcome": "success"}
        changed = {"token_before": "a" * 40, "token_after": "b" * 40, "confidence": "exact", "changed": ["2026-11-20"]}
        read = {"rows_estimated": 241_000, "rows_naive": 96_100_000, "rows_actual": 240_000, "seconds_actual": 0.9}
        place: dict[str, Any] = {"is_naive_measured": False, "warehouse": "clicks", "schema_name": "public"}
        add_decision(session, "web_events", at=at, evidence=changed, **partial, **read, **place)
        add_decision(session, at=at, action="sample", reason="cost_cap", outcome="failed", rows_estimated=90_000)
        add_saving(session, at.date(), decisions=40, rows_measured=9_000_000 + day * 50_000, rows_read=240_000)
        add_saving(session, at.date(), "partial", rows_estimated=2_500_000, rows_read=90_000)
    add_tick(session, at=now - timedelta(minutes=8))
    reading = [{"table": "shop.main.orders", "rows": 120_000}]
    add_tick(session, at=now - timedelta(hours=1), status="failed", tables_failed=1, error="statement timeout")
    add_tick(session, at=now - timedelta(days=1), status="interrupted", current=reading)


def add_oddities(session: Session, now: datetime) -> None:
    """Names and values from people who do not wish us well."""
    odd = add_run(
        session,
        HOSTILE,
        schema="ünï cödé",
        at=now - timedelta(hours=5),
        rows=3,
        environment="staging",
        columns={
            (HOSTILE, "TEXT"): text_metrics(3, 0, "<b>bold</b>", "‮evil‬" * 20, top_values=top((HOSTILE, 2), ("", 1))),
            ("x" * 200, "A" * 90): number_metrics(3, 1, low=-1.5e300, high=1.5e300),
            ("naïve שלום", "VARCHAR"): text_metrics(3, 0, "שלום עולם", "  "),
        },
        column_errors={HOSTILE: "invalid input syntax: <i>nope</i>"},
    )
    add_state(session, HOSTILE, run=odd, decision="full", decision_reason="unknown_state")
    long = f"null share of {HOSTILE}.{HOSTILE} rose \u202e from {HOSTILE}" + "x" * 2000
    people = {"owner": HOSTILE, "assignee": HOSTILE, "sentence": long, "severity": "medium"}
    moved = {"value": HOSTILE, "before": 1.0, "now": 2.0}
    parts = {
        "culprits": [{"partition": HOSTILE, "share": 2.5}],
        "explains": [{"sentence": HOSTILE, "severity": HOSTILE}],
    }
    told = {**parts, "baseline": HOSTILE, "baseline_runs": [HOSTILE], "details": {"moved": moved}}
    found = add_finding(session, odd, HOSTILE, details=told, **people)
    entry = {"at": now, "who": HOSTILE, "action": "commented", "text": HOSTILE + "y" * 2000}
    session.add(TriageEntry(finding_id=found.finding_id, **entry))
    hostile = {"message": HOSTILE, HOSTILE: [HOSTILE] * 9, "token_before": None, "token_after": HOSTILE}
    add_decision(session, HOSTILE, schema_name="ünï cödé", action="full", reason="unknown_state", evidence=hostile)


def add_many(session: Session, tables: Sequence[str]) -> None:
    for minutes, table in enumerate(tables):
        add_run(session, table, at=NOW - timedelta(minutes=minutes), columns={})
