"""Databases as the first ProfileMesh left them, by layout, with rows as odd as they come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from profilemesh.storage.engine import make_engine

Rows = list[dict[str, Any]]

RUNS = """CREATE TABLE profilemesh_runs (run_id VARCHAR(36){first}, dataset_name VARCHAR(255), schema_name VARCHAR(255),
 profiled_at TIMESTAMP, environment VARCHAR(50), status VARCHAR(20), row_count INTEGER, column_count INTEGER{last})"""
RESULTS = """CREATE TABLE profilemesh_results (id {serial}, run_id VARCHAR(36){key}, dataset_name VARCHAR(255),
 schema_name VARCHAR(255), column_name VARCHAR(255), column_type VARCHAR(100), metric_name VARCHAR(100),
 metric_value TEXT, profiled_at TIMESTAMP)"""
EVENTS = """CREATE TABLE profilemesh_events (event_id VARCHAR(36) PRIMARY KEY, event_type VARCHAR(100),{run}
 table_name VARCHAR(255), column_name VARCHAR(255), metric_name VARCHAR(100), baseline_value FLOAT, current_value FLOAT,
 change_percent FLOAT, drift_severity VARCHAR(20), timestamp TIMESTAMP, metadata TEXT, created_at TIMESTAMP)"""
STATES = """CREATE TABLE profilemesh_table_state (schema_name VARCHAR(255), table_name VARCHAR(255),
 last_run_id VARCHAR(36), snapshot_id VARCHAR(255), change_token VARCHAR(255), decision VARCHAR(20),
 decision_reason VARCHAR(50), last_profiled_at TIMESTAMP, staleness_score INTEGER, row_count BIGINT,
 bytes_scanned BIGINT, metadata TEXT, PRIMARY KEY (schema_name, table_name))"""


@dataclass(frozen=True)
class Layout:
    """Which tables there are, and how the runs are told apart."""

    by_run_alone: bool = False
    results: bool = True
    results_name_runs: bool = False
    events: bool = True
    events_name_runs: bool = True
    states: bool = True

    def statements(self, dialect: str) -> list[str]:
        serial = "SERIAL PRIMARY KEY" if dialect == "postgresql" else "INTEGER PRIMARY KEY AUTOINCREMENT"
        first, last = (" PRIMARY KEY", "") if self.by_run_alone else ("", ", PRIMARY KEY (run_id, dataset_name)")
        key = " REFERENCES profilemesh_runs(run_id)" if self.results_name_runs else ""
        found = [RUNS.format(first=first, last=last)]
        found += [RESULTS.format(serial=serial, key=key)] * self.results
        found += [EVENTS.format(run=" run_id VARCHAR(36)," if self.events_name_runs else "")] * self.events
        return found + [STATES] * self.states


LAYOUTS = {
    "oldest": Layout(by_run_alone=True, results_name_runs=True, events_name_runs=False, states=False),
    "oldest without a key to runs": Layout(by_run_alone=True, events_name_runs=False, states=False),
    "later": Layout(),
    "later without states": Layout(states=False),
    "without results": Layout(results=False, states=False),
    "without events": Layout(events=False),
    "runs alone": Layout(results=False, events=False, states=False),
}

AT = "2026-03-01 12:00:00.250000"
COVER = "0f3b8a52-61de-4b8f-9f0e-9a1d5f1c2b3a"


def run(run_id: str, table: str | None = "orders", schema: str | None = "public", **more: Any) -> dict[str, Any]:
    usual = {"profiled_at": AT, "environment": "production", "status": "completed", "row_count": 12, "column_count": 2}
    return {"run_id": run_id, "dataset_name": table, "schema_name": schema, **usual, **more}


def result(run_id: str, metric: str, value: str | None, column: str = "id", **more: Any) -> dict[str, Any]:
    where = {"run_id": run_id, "dataset_name": "orders", "schema_name": "public", "column_name": column}
    return {**where, "column_type": "INTEGER", "metric_name": metric, "metric_value": value, "profiled_at": AT, **more}


def event(event_id: str, kind: str = "DataDriftDetected", **more: Any) -> dict[str, Any]:
    about = {"table_name": "orders", "column_name": "id", "metric_name": "mean", "drift_severity": "high"}
    values = {"baseline_value": 1.5, "current_value": 3.0, "change_percent": 100.0}
    times = {"timestamp": AT, "metadata": "see ticket 12", "created_at": AT}
    return {"event_id": event_id, "event_type": kind, **about, **values, **times, **more}


HISTOGRAM = '[{"bin_start": 1, "bin_end": 12.0, "count": 12}]'
# The metric, the column's type, the text, and the number that the text is.
VALUES = [
    ("count", "INTEGER", "12", 12.0),
    ("mean", "INTEGER", "12.0", 12.0),
    ("stddev", "INTEGER", "1e+16", 1e16),
    ("null_count", "INTEGER", "None", None),
    ("null_percent", "INTEGER", "nan", None),
    ("distinct_percent", "INTEGER", "-inf", None),
    ("distinct_count", "INTEGER", "1e400", None),
    ("avg_length", "VARCHAR(20)", "-2.5e-3", -0.0025),
    ("min_length", "VARCHAR(20)", "1e-400", 0.0),
    ("min", "VARCHAR(20)", "00123", None),
    ("max", "VARCHAR(20)", "123", None),
    ("min", "bigint", "-7", -7.0),
    ("max", "Decimal(38, 0)", "99999999999999999999999999999999999999", 1e38),
    ("min", "DATE", "2024-01-01", None),
    ("count", None, " 5", None),
    ("count", None, "1_000", None),
    ("count", None, "", None),
    ("count", None, None, None),
    ("histogram", "INTEGER", HISTOGRAM, None),
]  # fmt: skip

LEFT: dict[str, Rows] = {
    "profilemesh_runs": [
        run("run_1a2b3c4d5e6f", status="success"),
        run(COVER, "customers"),
        run("r-null", "orders", None, row_count=None, column_count=None, environment=None, status=None),
        run("r-timeless", "late's %s : table", "public", profiled_at=None),
        run("r-failed", "orders", status="failed", row_count=2**31 - 1),
    ],
    "profilemesh_results": [
        *(result("run_1a2b3c4d5e6f", name, text, f"c{n}", column_type=kind)
          for n, (name, kind, text, _) in enumerate(VALUES)),
        result("r-null", "count", "12", schema_name=None, profiled_at=None),
        result("r-timeless", "mean", "1", dataset_name="late's %s : table", profiled_at="2026-02-01 00:00:00.000000"),
    ],
    "profilemesh_events": [
        event("e-1", run_id="run_1a2b3c4d5e6f"),
        event("e-2", "ProfilingCompleted", run_id=None, drift_severity=None, metric_name=None, column_name=None),
        event("e-3", "RetryAttempt", run_id=None, table_name=None, metadata=None, created_at=None),
        event("e-4", "SchemaChangeDetected", run_id=COVER, table_name="customers", baseline_value=float("inf")),
        event("e-5", None, run_id="nobody", timestamp=None),
    ],
    "profilemesh_table_state": [
        {"schema_name": "public", "table_name": "orders", "last_run_id": "r-failed", "snapshot_id": "s",
         "change_token": "t", "decision": "full", "decision_reason": "snapshot changed", "last_profiled_at": AT,
         "staleness_score": 7, "row_count": 2**40, "bytes_scanned": None, "metadata": "no {json"},
    ],
}  # fmt: skip
# Only where a run's table is part of its key.
SAME_RUN = run(COVER, "orders", row_count=13)


def rows_of(layout: Layout) -> dict[str, Rows]:
    """What a database of this layout holds."""
    left = {name: list(rows) for name, rows in LEFT.items()}
    if not layout.by_run_alone:
        left["profilemesh_runs"].append(SAME_RUN)
    if not layout.events_name_runs:
        left["profilemesh_events"] = [{**row, "run_id": None} for row in left["profilemesh_events"]]
        for row in left["profilemesh_events"]:
            del row["run_id"]
    is_there = {"runs": True, "results": layout.results, "events": layout.events, "table_state": layout.states}
    return {name: rows for name, rows in left.items() if is_there[name.removeprefix("profilemesh_")]}


def make(url: str, layout: Layout, rows: Mapping[str, Rows] | None = None, more: Iterable[str] = ()) -> None:
    """Write such a database, and then `more` statements."""
    engine = make_engine(url)
    with engine.begin() as connection:
        for statement in layout.statements(engine.dialect.name):
            connection.exec_driver_sql(statement)
        for table, filled in (rows_of(layout) if rows is None else rows).items():
            if filled:
                connection.execute(sa.insert(sa.table(table, *map(sa.column, filled[0]))), filled)
        for statement in more:
            connection.exec_driver_sql(statement)
    engine.dispose()


def contents(url: str, columns: Mapping[str, Iterable[str]] | None = None) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables of Phase 1 that are there, as the database has them; of each table these columns."""
    engine = make_engine(url)
    found = {}
    with engine.connect() as connection:
        for table in sorted(set(LEFT) & set(sa.inspect(connection).get_table_names())):
            listed = ", ".join((columns or {}).get(table, ["*"]))
            rows = connection.exec_driver_sql(f"SELECT {listed} FROM {table}").mappings()
            found[table] = sorted((dict(row) for row in rows), key=lambda row: str(list(row.values())[:2]))
    engine.dispose()
    return found
