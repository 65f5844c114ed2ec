"""GET /api/runs and GET /api/runs/{run_id}."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Response
from flask.views import MethodView
from flask_smorest import Blueprint, abort

from app.answers import page_headers, send
from app.errors import PROBLEM
from app.extensions import db
from app.queries import profiles, runs
from app.schemas.problems import ProblemSchema
from app.schemas.runs import RunChoice, RunDetailSchema, RunListFilter, RunSchema
from profilemesh.storage.models import Run

blueprint = Blueprint("Runs", __name__, url_prefix="/api", description="What was profiled, when, and what came of it.")
PAGING = {
    "X-Total-Count": {"description": "Runs beyond this page too.", "schema": {"type": "integer"}},
    "Link": {"description": "first, prev, next and last page.", "schema": {"type": "string"}},
}


@blueprint.route("/runs")
class Runs(MethodView):
    @blueprint.arguments(RunListFilter, location="query")
    @blueprint.response(200, RunSchema(many=True), headers=PAGING)
    def get(self, wanted: dict[str, Any]) -> Response:
        """List runs, newest first"""
        refuse_unknown_status(wanted["status"])
        now = datetime.now(UTC)
        count = db.session.scalar(runs.total(wanted, now)) or 0
        rows = db.session.execute(runs.listing(wanted, now).limit(wanted["limit"]).offset(wanted["offset"])).all()
        return send([run_json(row) for row in rows], page_headers(count, wanted["limit"], wanted["offset"]))


@blueprint.route("/runs/<string:run_id>")
class OneRun(MethodView):
    @blueprint.arguments(RunChoice, location="query")
    @blueprint.response(200, RunDetailSchema)
    @blueprint.alt_response(404, schema=ProblemSchema, content_type=PROBLEM, description="There is no such run")
    def get(self, wanted: dict[str, Any], run_id: str) -> Response:
        """Show one run with the profile of every column

        `table` and `schema` choose within a run that covers several tables.
        """
        found = [] if "\0" in run_id else runs.find_run(db.session(), run_id, wanted["table"], wanted["schema"])
        if not found:
            abort(404, message=f"Run {run_id} not found")
        return send(detail_json(found))


def refuse_unknown_status(status: str | None) -> None:
    if not runs.is_status(db.session(), status):
        known = ", ".join(runs.KNOWN_STATUSES)
        abort(422, messages={"query": {"status": [f"No run has this status. Known are {known}."]}})


def run_json(row: Any) -> dict[str, Any]:
    """A row of `runs.listing` as RunSchema has it; marshmallow would take longer than the query."""
    return {
        "run_id": row.run_id,
        "dataset_name": row.dataset_name,
        "schema_name": row.schema_name or None,
        "warehouse": row.warehouse,
        "warehouse_type": row.warehouse_type,
        "profiled_at": row.profiled_at,
        "environment": row.environment,
        "status": row.status,
        "row_count": row.row_count,
        "column_count": row.column_count,
        "rows_scanned": row.rows_scanned,
        "duration_seconds": row.duration_seconds,
        "scope": row.scope,
        "action": row.action,
        "reason": row.reason,
        "has_drift": bool(row.has_drift),
    }


def detail_json(found: list[Run]) -> dict[str, Any]:
    run = found[0]
    columns = profiles.profile_of(db.session(), run)
    return {
        "run_id": run.run_id,
        "dataset_name": run.dataset_name,
        "schema_name": run.schema_name or None,
        "warehouse": run.warehouse,
        "warehouse_type": run.warehouse_type,
        "profiled_at": run.profiled_at,
        "environment": run.environment,
        "status": run.status,
        "row_count": run.row_count if run.row_count is not None else counted(columns),
        "column_count": run.column_count if run.column_count is not None else len(columns) or None,
        "columns": [column_json(column) for column in columns],
        "metadata": metadata_json(run, [other.dataset_name for other in found]),
    }


def counted(columns: list[profiles.ColumnProfile]) -> int | None:
    """The table's rows as its columns' metrics tell them, where an old run does not."""
    return max((rows for column in columns if (rows := column.whole("count")) is not None), default=None)


def column_json(column: profiles.ColumnProfile) -> dict[str, Any]:
    return {
        "column_name": column.name,
        "column_type": column.type,
        "null_count": column.whole("null_count"),
        "null_percent": column.number("null_percent"),
        "distinct_count": column.whole("distinct_count"),
        "distinct_percent": column.number("distinct_percent"),
        "min_value": column.value("min"),
        "max_value": column.value("max"),
        "mean": column.number("mean"),
        "stddev": column.number("stddev"),
        "histogram": column.histogram,
        "metrics": column.other_metrics,
    }


def metadata_json(run: Run, tables: list[str]) -> dict[str, Any]:
    """How the numbers came about; `tables` names all that an adopted run covers."""
    return {
        "scope": run.scope,
        "scope_detail": profiles.finite(run.scope_detail),
        "strategy": run.strategy,
        "action": run.action,
        "reason": run.reason,
        "plan_id": run.plan_id,
        "started_at": run.started_at,
        "as_of": run.as_of,
        "duration_seconds": run.duration_seconds,
        "rows_scanned": run.rows_scanned,
        "bytes_scanned": run.bytes_scanned,
        "statements": None if run.statements is None else len(run.statements),
        "column_errors": run.column_errors or {},
        "error": run.error,
        "has_drift": bool(run.has_drift),
        "tables": tables,
    }
