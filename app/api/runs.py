"""GET /api/runs, GET /api/runs/{run_id} and GET /api/runs/{run_id}/compare/{other}."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Response
from flask.views import MethodView
from flask_smorest import Blueprint, abort

from app.answers import part_headers, send
from app.api.described import COLUMN, COMPARE, NEXT, RUN, TABLE, leads_to, paging, problem, shown
from app.extensions import db
from app.queries import compare, profiles, runs
from app.remembered import remembered, this_minute
from app.schemas.compare import CompareSchema
from app.schemas.runs import RunChoice, RunDetailSchema, RunListFilter, RunSchema
from profilemesh import two_runs
from profilemesh.exporting import RUN_COLUMNS, run_json
from profilemesh.storage.models import Run
from profilemesh.two_runs import Change, ColumnChange, Comparison

blueprint = Blueprint("Runs", __name__, url_prefix="/api", description="What was profiled, when, and what came of it.")


@blueprint.route("/runs")
class Runs(MethodView):
    decorators = [remembered]  # noqa: RUF012 - as Flask has it

    @leads_to(
        blueprint,
        next=("/api/runs", NEXT),
        run=(RUN, {"run_id": "/0/run_id", "table": "/0/dataset_name"}),
        compare=(COMPARE, {"run_id": "/1/run_id", "other": "/0/run_id"}),
        table=(TABLE, {"table": "/0/dataset_name", "warehouse": "/0/warehouse"}),
    )
    @blueprint.arguments(RunListFilter(), location="query")
    @shown(blueprint, RunSchema(many=True), headers=paging("runs"))
    def get(self, wanted: dict[str, Any]) -> Response:
        """List runs, newest first"""
        refuse_unknown_status(wanted["status"])
        part = runs.Runs(db.session(), wanted, this_minute()).part()
        return send([run_json(row) for row in part.rows], part_headers(part, wanted))


@blueprint.route("/runs/<string:run_id>")
class OneRun(MethodView):
    decorators = [remembered]  # noqa: RUF012 - as Flask has it

    @leads_to(
        blueprint,
        table=(TABLE, {"table": "/dataset_name", "warehouse": "/warehouse"}),
        column=(COLUMN, {"table": "/dataset_name", "column": "/columns/0/column_name"}),
    )
    @blueprint.arguments(RunChoice(), location="query")
    @shown(blueprint, RunDetailSchema, missing="There is no such run")
    def get(self, wanted: dict[str, Any], run_id: str) -> Response:
        """Show one run with the profile of every column

        `table` and `schema` choose within a run that covers several tables.
        """
        found = [] if "\0" in run_id else runs.find_run(db.session(), run_id, wanted["table"], wanted["schema"])
        if not found:
            abort(404, message=f"Run {run_id} not found")
        return send(detail_json(found))


@blueprint.route("/runs/<string:run_id>/compare/<string:other>")
class Compare(MethodView):
    decorators = [remembered]  # noqa: RUF012 - as Flask has it

    @leads_to(blueprint, run=(RUN, {"run_id": "/run/run_id"}), other=(RUN, {"run_id": "/other/run_id"}))
    @blueprint.arguments(RunChoice(), location="query")
    @shown(blueprint, CompareSchema, missing="There is no such run")
    @problem(blueprint, 422, "The two are not runs of one table, or a parameter is wrong")
    def get(self, wanted: dict[str, Any], run_id: str, other: str) -> Response:
        """Put two runs of one table side by side

        Changes are told from `run_id` to `other`. `table` and `schema` choose within runs that cover several tables.
        """
        session = db.session()
        for each in (run_id, other):
            if "\0" in each or not runs.find_run(session, each):
                abort(404, message=f"Run {each} not found")
        before, after = compare.same_table(session, run_id, other, wanted["table"], wanted["schema"])
        if not before:
            abort(422, message=f"Runs {run_id} and {other} have no table in common.")
        return send(comparison_json(two_runs.compare(session, before[0], after[0])))


def refuse_unknown_status(status: str | None) -> None:
    if not runs.is_status(db.session(), status):
        abort(422, messages={"query": {"status": [f"Must be one of {', '.join(runs.KNOWN_STATUSES)}, or stored."]}})


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
        "row_count": run.row_count if run.row_count is not None else profiles.counted(columns),
        "column_count": run.column_count if run.column_count is not None else len(columns) or None,
        "columns": [column_json(column) for column in columns],
        "metadata": metadata_json(run, [other.dataset_name for other in found]),
    }


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


def comparison_json(found: Comparison) -> dict[str, Any]:
    run = found.after
    return {
        "table_name": run.dataset_name,
        "schema_name": run.schema_name or None,
        "warehouse": run.warehouse,
        "warehouse_type": run.warehouse_type,
        "run": run_json([getattr(found.before, name) for name in RUN_COLUMNS]),
        "other": run_json([getattr(run, name) for name in RUN_COLUMNS]),
        "row_count": change_json(found.rows),
        "columns": [column_change_json(column) for column in found.columns],
    }


def column_change_json(column: ColumnChange) -> dict[str, Any]:
    return {
        "column_name": column.name,
        "status": column.status,
        "column_type": column.type_before,
        "other_type": column.type_after,
        "metrics": {name: change_json(change) for name, change in column.metrics.items()},
    }


def change_json(change: Change) -> dict[str, Any]:
    return {**asdict(change), "change": change.by, "change_percent": change.percent}
