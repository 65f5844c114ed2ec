"""A storage with a history worth asking for, and the rows that went into it, from which every answer is computed anew.

Times stand a few minutes before the full day back from now, so that a window of whole days cuts between two of them.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from tests.api.contract.shapes import moment, strict
from tests.factories import NOW, Columns, add_run, add_state, number_metrics, results, shares, text_metrics
from tests.web import ORIGIN

GOOD = ("success", "completed", "drift_detected", "partial")
SEVERITIES = ("low", "medium", "high")
DRIFT_EVENTS = ("DataDriftDetected", "SchemaChangeDetected")
NAMES = (
    "a/b",
    'say "hi"',
    "it's",
    "ünï שלום 表",
    "with space",
    "per%41cent",
    "q?x=1&y#z",
    "semi;colon,comma",
    "plus+plus",
    "<b>bold</b>",
    "back\\slash",
    "metrics",
    "orders/metrics",
    "x/columns/y/metrics",
    "state",
    "dot.ted",
)
"""Of tables and of columns."""


@dataclass(frozen=True)
class Ran:
    run_id: str
    table: str
    schema: str
    warehouse: str
    type: str
    at: datetime
    status: str
    rows: int | None
    columns: int | None = None
    has_drift: bool = False

    @property
    def place(self) -> tuple[str, str, str]:
        return self.warehouse, self.schema, self.table

    @property
    def key(self) -> tuple[datetime, str, str]:
        return self.at, self.run_id, self.table


@dataclass(frozen=True)
class Drifted:
    event_id: str
    event_type: str
    run_id: str | None
    warehouse: str
    type: str
    schema: str
    table: str
    column: str | None
    metric: str | None
    baseline: float | None
    current: float | None
    change: float | None
    severity: str | None
    at: datetime

    @property
    def place(self) -> tuple[str, str, str]:
        return self.warehouse, self.schema, self.table

    @property
    def key(self) -> tuple[datetime, str]:
        return self.at, self.event_id

    @property
    def is_drift(self) -> bool:
        return self.event_type in DRIFT_EVENTS


@dataclass
class World:
    """What was stored, and the app that tells it."""

    app: Flask
    client: FlaskClient
    session: Session
    runs: list[Ran] = field(default_factory=list)
    events: list[Drifted] = field(default_factory=list)

    def get(self, path: str, query: Mapping[str, Any] | str | None = None, **headers: str) -> TestResponse:
        return self.client.get(path, query_string=query, headers={"Origin": ORIGIN, **headers})

    def json(self, path: str, query: Mapping[str, Any] | str | None = None) -> Any:
        answer = self.get(path, query)
        assert answer.status_code == 200, answer.text
        assert answer.content_type == "application/json"
        return strict(answer.text)

    def recent(self, days: float, warehouse: str | None = None, back: float = 0) -> list[Ran]:
        """The runs of a window, newest first; `back` days earlier than now."""
        found = [run for run in self.runs if is_within(run.at, days, back)]
        chosen = [run for run in found if warehouse in (None, run.warehouse, run.type)]
        return sorted(chosen, key=lambda run: run.key, reverse=True)

    def drifts(self, days: float, warehouse: str | None = None, back: float = 0) -> list[Drifted]:
        found = [event for event in self.events if event.is_drift and is_within(event.at, days, back)]
        chosen = [event for event in found if warehouse in (None, event.warehouse, event.type)]
        return sorted(chosen, key=lambda event: event.key, reverse=True)

    def of(self, warehouse: str, schema: str, table: str) -> list[Ran]:
        """All runs of one table, newest first."""
        found = [run for run in self.runs if run.place == (warehouse, schema, table)]
        return sorted(found, key=lambda run: run.key, reverse=True)

    def run(
        self,
        run_id: str,
        table: str = "orders",
        place: tuple[str, str, str] = ("shop", "main", "duckdb"),
        *,
        back: float = 0,
        status: str = "success",
        rows: int | None = 1000,
        columns: Columns | None = None,
        **more: Any,
    ) -> Ran:
        """As the engine stores it, so many days and seven minutes ago."""
        at = (NOW - timedelta(days=back, minutes=7)).replace(microsecond=0)
        shaped = two_columns(rows or 0) if columns is None else columns
        where = {"warehouse": place[0], "schema": place[1], "warehouse_type": place[2]}
        add_run(self.session, table, run_id=run_id, at=at, status=status, rows=rows, columns=shaped, **where, **more)
        failed = status == "failed"
        ran = Ran(
            run_id,
            table,
            place[1],
            place[0],
            place[2],
            at,
            status,
            None if failed else rows,
            None if failed else len(shaped),
            bool(more.get("has_drift")),
        )
        self.runs.append(ran)
        return ran

    def old_run(self, run_id: str, table: str, status: str, rows: int | None, back: float, columns: Columns) -> None:
        """As Phase 1 stored it: no warehouse, no schema, and on SQLite a time without a fraction."""
        at = NOW - timedelta(days=back, minutes=9)
        row = {
            "run_id": run_id,
            "dataset_name": table,
            "schema_name": "",
            "profiled_at": self.naive(at),
            "environment": "prod",
            "status": status,
            "row_count": rows,
            "column_count": len(columns),
            "warehouse": "unknown",
            "warehouse_type": "unknown",
            "has_drift": False,
        }
        self.insert("profilemesh_runs", row)
        ran = Ran(run_id, table, "", "unknown", "unknown", at, status, rows, len(columns))
        self.runs.append(ran)
        for result in results(_stored(ran), columns):
            result.metric_number = None
            self.session.add(result)

    def drift(self, ran: Ran | None, *, back: float | None = None, **more: Any) -> Drifted:
        """As Phase 1 and the engine store it: by SQL, so that any value can be there."""
        at = NOW - timedelta(days=back, minutes=5) if back is not None else (ran.at if ran else NOW)
        given: dict[str, Any] = {
            "event_id": str(uuid.uuid4()),
            "event_type": "DataDriftDetected",
            "run_id": ran.run_id if ran else None,
            "warehouse": ran.warehouse if ran else "unknown",
            "type": ran.type if ran else "unknown",
            "schema": ran.schema if ran else "",
            "table": ran.table if ran else "sales",
            "column": "total",
            "metric": "null_percent",
            "baseline": 0.5,
            "current": 12.5,
            "change": 2400.0,
            "severity": "high",
            "at": at,
            **more,
        }
        event = Drifted(**given)
        row = {
            "event_id": event.event_id,
            "event_type": event.event_type,
            "run_id": event.run_id,
            "warehouse": event.warehouse,
            "schema_name": event.schema,
            "table_name": event.table,
            "column_name": event.column,
            "metric_name": event.metric,
            "baseline_value": event.baseline,
            "current_value": event.current,
            "change_percent": event.change,
            "drift_severity": event.severity,
            "timestamp": self.naive(at),
        }
        self.insert("profilemesh_events", row)
        self.events.append(event)
        return event

    def naive(self, at: datetime) -> datetime | str:
        return at if self.session.get_bind().dialect.name == "postgresql" else f"{at:%Y-%m-%d %H:%M:%S}"

    def insert(self, table: str, row: Mapping[str, Any]) -> None:
        self.session.flush()
        names, values = ", ".join(f'"{name}"' for name in row), ", ".join(f":{name}" for name in row)
        self.session.execute(sa.text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)


def _stored(ran: Ran) -> Any:
    """What `results` wants of a run."""
    from profilemesh.storage.models import Run

    return Run(run_id=ran.run_id, dataset_name=ran.table, schema_name=ran.schema, profiled_at=ran.at)


def is_within(at: datetime, days: float, back: float = 0) -> bool:
    now = datetime.now(UTC)
    return now - timedelta(days=days + back) <= at < now - timedelta(days=back)


def two_columns(rows: int) -> Columns:
    return {
        ("total", "DECIMAL(12,2)"): number_metrics(rows, nulls=rows // 10, low=1.5, high=900.0),
        ("code", "VARCHAR"): text_metrics(rows, rows // 4, "00123", "9"),
    }


def daily(times: Iterable[datetime], days: int) -> list[tuple[datetime, int]]:
    """How many fell on each of the last so many days of UTC, today the last."""
    today = datetime.now(UTC).date()
    counts: dict[date, int] = {today - timedelta(days=back): 0 for back in range(days - 1, -1, -1)}
    for at in times:
        if at.date() in counts:
            counts[at.date()] += 1
    return [(datetime.combine(day, datetime.min.time(), UTC), count) for day, count in counts.items()]


def points(found: Sequence[Mapping[str, Any]]) -> list[tuple[datetime, float]]:
    return [(moment(point["timestamp"]), point["value"]) for point in found]


SHOP, ARCHIVE, CLICKS = ("shop", "main", "duckdb"), ("shop", "archive", "duckdb"), ("clicks", "public", "postgres")
LEDGER, ODD = ("ledger", "finance", "postgres"), ("odd", "ünï cödé", "sqlite")
TEXTS_OF_PHASE_1: Columns = {
    ("amount", "numeric(10,2)"): {
        "count": "41.0",
        "null_count": "None",
        "null_percent": "nan",
        "distinct_count": "7",
        "min": "12.0",
        "max": "1e+16",
        "mean": "inf",
        "stddev": "nan",
        "histogram": '[{"bin_start": 0.0, "bin_end": NaN, "count": 1}]',
    },
    ("code", "varchar"): {"count": "41", "null_count": "0", "null_percent": "0.0", "min": "00123", "max": "9"},
}


def build(world: World, steps: Sequence[Callable[[World], None]] | None = None) -> World:
    for step in steps or (shop, clicks, failures, phase_1, odd_names, drifts, states):
        step(world)
    world.session.commit()
    return world


def shop(world: World) -> None:
    """Two tables of 45 days, one name in two schemas."""
    for back in range(44, -1, -1):
        rows = 1000 + (44 - back) * 10
        world.run(f"o{back:02}", back=back, rows=rows, has_drift=back in (2, 3, 9, 35))
        if back % 3 == 0:
            world.run(f"c{back:02}", "customers", back=back, rows=5000)
    world.run("archived", place=ARCHIVE, back=10, rows=77, has_drift=True)
    world.run("ancient", "customers", back=400, rows=4)


def clicks(world: World) -> None:
    for back in (1, 2, 3, 8, 33):
        world.run(f"k{back:02}", place=CLICKS, back=back, rows=9_000_000_000 + back)
        world.run(f"w{back:02}", "web_events", CLICKS, back=back, rows=0, columns=two_columns(0))
    world.run("going", "web_events", CLICKS, status="running", rows=None, columns={}, duration_seconds=None)
    world.run("half", "web_events", CLICKS, back=4, status="partial", rows=55)
    world.run("bang", "web_events", CLICKS, back=5, status="exploded", rows=None, columns={})


def failures(world: World) -> None:
    world.run("of5", back=5.001, status="failed")
    for back in (1, 4, 11):
        world.run(f"p{back:02}", "postings", LEDGER, back=back, status="failed")
    world.run("g1", "gifts", LEDGER, back=2, rows=10)
    world.run("g2", "gifts", LEDGER, back=1, status="failed")


def phase_1(world: World) -> None:
    """One run of two tables, counts that are missing, numbers as Python's texts."""
    plain: Columns = {("id", "int4"): {**shares(40, 0, 40), "min": "1", "max": "40", "mean": "20.5", "stddev": "nan"}}
    world.old_run("both", "sales", "completed", 40, 20, plain)
    world.old_run("both", "stock", "completed", 50, 20, TEXTS_OF_PHASE_1)
    world.old_run("texts", "stock", "drift_detected", None, 19, TEXTS_OF_PHASE_1)
    world.old_run("blank", "ghosts", "completed", None, 18, {})
    for run_id in ("t1", "t3", "t2"):
        world.old_run(run_id, "ties", "completed", 5, 17, {})


def odd_names(world: World) -> None:
    for i, name in enumerate(NAMES):
        columns: Columns = {(each, "INTEGER"): number_metrics(10 + i, low=i, high=i + 5) for each in NAMES}
        world.run(f"n{i:02}", name, ODD, back=1, rows=10 + i, columns=columns)


def drifts(world: World) -> None:
    runs = {run.run_id: run for run in world.runs if run.has_drift}
    world.drift(runs["o02"])
    world.drift(runs["o02"], column="code", severity="HIGH", metric="distinct_count")
    world.drift(runs["o03"], severity="low", change=5.5)
    world.drift(runs["o09"], severity="medium")
    world.drift(runs["o35"], severity="medium")
    world.drift(runs["archived"], severity="low")
    gone: dict[str, Any] = {"metric": None, "baseline": None, "current": None, "change": None}
    world.drift(runs["o03"], event_type="SchemaChangeDetected", severity="medium", column="gone", **gone)
    world.drift(None, back=21, event_type="SchemaChangeDetected", severity=None, column=None, **gone)
    world.drift(None, back=20, change=None, baseline=0.0, severity="Medium")
    world.drift(None, back=20, severity=None)
    world.drift(None, back=12, baseline=float("inf"), current=float("-inf"), change=float("inf"), severity="low")
    world.drift(None, back=13, warehouse="shop", schema="main", type="duckdb", table="customers", severity="low")
    for event_type in ("ProfilingStarted", "ProfilingCompleted", "RetryAttempt"):
        world.drift(runs["o02"], event_type=event_type, severity=None, column=None, **gone)


def states(world: World) -> None:
    """Some tables are remembered, one of them was never run."""
    add_state(world.session, "orders", last_profiled_at=NOW - timedelta(minutes=7), row_count=1440, staleness_score=0)
    stale = {"staleness_score": 90, "last_profiled_at": NOW - timedelta(minutes=7), "last_verified_at": None}
    add_state(world.session, "customers", decision="full", decision_reason="unknown_state", **stale)
    unreachable = {"decision": "defer", "decision_reason": "warehouse_unreachable", "last_verified_at": None}
    add_state(world.session, "accounts", warehouse="crm", **unreachable)
