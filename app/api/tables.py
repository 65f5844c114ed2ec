"""GET /api/tables, and what is known of one: its metrics, its columns' history, its state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Response
from flask.views import MethodView
from flask_smorest import Blueprint
from werkzeug.exceptions import NotFound

from app.answers import part_headers, send
from app.api.described import COLUMN, NEXT, RUN, STATE, TABLE, leads_to, paging, shown
from app.api.plan import meaning
from app.api.runs import column_json
from app.extensions import db
from app.preview import config_or_none
from app.queries import profiles, tables
from app.queries.profiles import ColumnProfile
from app.queries.warehouses import UNKNOWN
from app.remembered import remembered, tagged, this_minute
from app.schemas.decisions import StateSchema
from app.schemas.tables import (
    HistoryChoice,
    HistorySchema,
    TableChoice,
    TableListFilter,
    TableMetricsSchema,
    TableSchema,
)
from app.standing import Standing, standing
from profilemesh.storage import states
from profilemesh.storage.models import TableState
from profilemesh.tables import TableRef

blueprint = Blueprint("Tables", __name__, url_prefix="/api", description="What is known of a table.")


@blueprint.route("/tables")
class Tables(MethodView):
    decorators = [remembered]  # noqa: RUF012 - as Flask has it

    @leads_to(
        blueprint,
        next=("/api/tables", NEXT),
        table=(TABLE, {"table": "/0/table_name", "warehouse": "/0/warehouse"}),
        state=(STATE, {"table": "/0/table_name", "warehouse": "/0/warehouse"}),
    )
    @blueprint.arguments(TableListFilter(), location="query")
    @shown(blueprint, TableSchema(many=True), headers=paging("tables"))
    def get(self, wanted: dict[str, Any]) -> Response:
        """List tables with what is remembered of them"""
        part = tables.Tables(db.session(), wanted, this_minute()).part()
        return send([table_json(row) for row in part.rows], part_headers(part, wanted))


@blueprint.route("/tables/<name:table>/metrics")
class Metrics(MethodView):
    decorators = [remembered]  # noqa: RUF012 - as Flask has it

    @leads_to(
        blueprint,
        run=(RUN, {"run_id": "/run_id", "table": "/table_name"}),
        column=(COLUMN, {"table": "/table_name", "column": "/columns/0/column_name"}),
        state=(STATE, {"table": "/table_name", "warehouse": "/warehouse"}),
    )
    @blueprint.arguments(TableChoice(), location="query")
    @shown(blueprint, TableMetricsSchema, missing="There is no such table, or no run of it has succeeded")
    def get(self, wanted: dict[str, Any], table: str) -> Response:
        """Show the last profile of a table, and the course of its last 30

        `table` is the bare name. One that stands in several places answers for the most recently profiled; `also_in`
        lists the others, `schema` and `warehouse` choose among them. Only runs that succeeded count, but for
        `total_runs`.
        """
        return send(metrics_of(table, wanted))


@blueprint.route("/tables/<name:table>/columns/<name:column>/metrics")
class ColumnHistory(MethodView):
    decorators = [remembered]  # noqa: RUF012 - as Flask has it

    @leads_to(blueprint, table=(TABLE, {"table": "/table_name", "warehouse": "/warehouse"}))
    @blueprint.arguments(HistoryChoice(), location="query")
    @shown(blueprint, HistorySchema, missing="There is no such table, or it has no such column")
    def get(self, wanted: dict[str, Any], table: str, column: str) -> Response:
        """Show every value of a column's metrics, run by run

        Of the runs that succeeded, oldest first. `table` is the bare name, as for its metrics.
        """
        for name, rest in split(table, column):
            if places(name, wanted):
                return send(history_of(name, rest, wanted))
        # A table may be called so.
        return send(metrics_of(f"{table}{BETWEEN}{column}", wanted))


@blueprint.route("/tables/<name:table>/state")
class State(MethodView):
    decorators = [tagged]  # noqa: RUF012 - as Flask has it

    @blueprint.arguments(TableChoice(), location="query")
    @shown(blueprint, StateSchema, missing="There is no such table")
    def get(self, wanted: dict[str, Any], table: str) -> Response:
        """Tell what is remembered of a table, and what would make it run

        `table` is the bare name. One that stands in several places answers for the most recently profiled; `also_in`
        lists the others, `schema` and `warehouse` choose among them.
        """
        found = found_tables(table, wanted)
        state, now = tables.state_of(db.session(), found[0]), datetime.now(UTC)
        return send(
            state_json(found[0], state, standing(found[0], state, config_or_none(), now)) | also_in(found[0], found)
        )


BETWEEN = "/columns/"


def split(table: str, column: str) -> Iterator[tuple[str, str]]:
    """All tables and columns that an address may mean: the names of both may hold what stands between them."""
    words = f"{table}{BETWEEN}{column}".split(BETWEEN)
    for place in range(1, len(words)):
        yield BETWEEN.join(words[:place]), BETWEEN.join(words[place:])


def places(table: str, wanted: Mapping[str, Any]) -> list[TableRef]:
    """The tables that are meant, the most recently profiled first."""
    return [] if "\0" in table else tables.find(db.session(), table, wanted["schema"], wanted["warehouse"])


def found_tables(table: str, wanted: Mapping[str, Any]) -> list[TableRef]:
    """The same; 404 where there is none."""
    found = places(table, wanted)
    if not found:
        raise NotFound(f"Table {table} not found")
    return found


def metrics_of(table: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
    found = found_tables(table, wanted)
    for place in found:
        good = tables.good_runs(db.session(), place)
        if good:
            return metrics_json(place, good) | also_in(place, found)
    raise NotFound(f"Table {table} not found: no run of it has succeeded yet")


def history_of(table: str, column: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
    found, since = found_tables(table, wanted), this_minute() - timedelta(days=wanted["days"])
    for place in found:
        good = tables.good_runs(db.session(), place, wanted["limit"], since)[::-1]
        measured = profiles.history(db.session(), good, column, wanted["metric"])
        if measured:
            return history_json(place, good, measured, wanted["metric"]) | also_in(place, found)
    raise NotFound(f"Column {column} of {table} not found in the last {wanted['days']} days")


def also_in(table: TableRef, found: Sequence[TableRef]) -> dict[str, Any]:
    others = [other for other in found if other != table]
    return {"also_in": [{"warehouse": other.warehouse, "schema_name": other.schema or None} for other in others]}


def place_json(table: TableRef) -> dict[str, Any]:
    return {
        "table_name": table.name,
        "schema_name": table.schema or None,
        "warehouse": table.warehouse,
        "warehouse_type": tables.type_of(db.session(), table),
    }


def table_json(row: Any) -> dict[str, Any]:
    return {
        "table_name": row.table_name,
        "schema_name": row.schema_name or None,
        "warehouse": row.warehouse,
        "warehouse_type": row.warehouse_type or UNKNOWN,
        "row_count": row.row_count,
        "column_count": row.column_count,
        "last_profiled": row.last_profiled_at,
        "last_verified": row.last_verified_at,
        "last_status": row.last_status,
        "staleness_score": row.staleness,
        "is_stale": bool(row.is_stale),
        "is_failing": bool(row.is_failing),
        "drift_count": row.drift_count,
        "decision": row.decision,
        "reason": row.decision_reason,
    }


def metrics_json(table: TableRef, good: Sequence[Any]) -> dict[str, Any]:
    """`good` are its successful runs, newest first."""
    session, last, oldest_first = db.session(), good[0], good[::-1]
    columns = profiles.profile_of(session, last)
    nulls = profiles.null_share(profiles.trends(session, oldest_first), len(good))
    times = [run.profiled_at for run in oldest_first]
    rows = last.row_count if last.row_count is not None else profiles.counted(columns)
    return place_json(table) | {
        "run_id": last.run_id,
        "last_profiled": last.profiled_at,
        # The contract has no null here.
        "row_count": rows or 0,
        "column_count": len(columns) if last.column_count is None else last.column_count,
        "total_runs": tables.count_runs(session, table),
        "drift_count": tables.count_drift(session, table),
        "row_count_trend": points(times, [run.row_count for run in oldest_first]),
        "null_percent_trend": points(times, nulls),
        "columns": [column_json(column) for column in columns],
    }


def points(times: Sequence[datetime], values: Sequence[float | None]) -> list[dict[str, Any]]:
    """Without those that are unknown."""
    return [{"timestamp": at, "value": value} for at, value in zip(times, values, strict=True) if value is not None]


def history_json(
    table: TableRef, good: Sequence[Any], measured: Mapping[str, ColumnProfile], asked: str | None
) -> dict[str, Any]:
    """Lists with counts only where they are asked for: run by run they are long."""
    metrics: dict[str, list[dict[str, Any]]] = {}
    for run in good:
        profile = measured.get(run.run_id)
        for name in profile.values if profile else ():
            if profiles.is_list(name) and name != asked:
                continue
            value = profile.shaped(name) if profile else None
            metrics.setdefault(name, []).append({"timestamp": run.profiled_at, "value": value, "run_id": run.run_id})
    last = list(measured.values())[-1]
    return place_json(table) | {"column_name": last.name, "column_type": last.type or None, "metrics": metrics}


COPIED = (
    "decision",
    "decided_at",
    "last_profiled_at",
    "last_verified_at",
    "last_changed_at",
    "first_profiled_at",
    "last_full_at",
    "sampled_at",
    "paused_at",
    "vanished_at",
    "deferred_since",
    "confidence",
    "snapshot_id",
    "row_count",
    "last_run_id",
)


def state_json(table: TableRef, state: TableState | None, stands: Standing) -> dict[str, Any]:
    reason = state.decision_reason if state else None
    return {name: getattr(state, name, None) for name in COPIED} | {
        "staleness_score": states.staleness_now(state) if state else None,
        "warehouse": table.warehouse,
        "schema_name": table.schema or None,
        "table_name": table.name,
        "reason": reason,
        "meaning": meaning(reason),
        "evidence": (state.evidence if state else None) or {},
        "next_run": stands.next_run,
        "due_at": stands.due_at,
        "is_paused": stands.is_paused,
        "is_being_read": stands.is_being_read,
        "window": stands.window,
        "partitions": [asdict(part) for part in stands.partitions],
    }
