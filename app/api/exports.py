"""GET /api/export/runs, GET /api/export/drift and GET /api/export/metrics."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Response
from flask.views import MethodView
from flask_smorest import Blueprint, abort
from marshmallow import Schema, fields

from app.api.described import DOWN, problem
from app.api.runs import refuse_unknown_status
from app.exports import FORMATS, Export, send
from app.extensions import db
from app.queries import drift, profiles, runs
from app.remembered import this_minute
from app.schemas.drift import DriftAlertSchema, DriftFilter
from app.schemas.fields import Choice, Text
from app.schemas.runs import RunChoice, RunFilter, RunSchema, maybe, sure
from profilemesh.exporting import (
    DRIFT_COLUMNS,
    METRIC_COLUMNS,
    RUN_COLUMNS,
    alert_json,
    alert_values,
    metric_json,
    run_json,
)

blueprint = Blueprint("Exports", __name__, url_prefix="/api/export", description="Whole lists as files.")
FORMAT = "json, csv, jsonl (a JSON object a line) or parquet."


class RunExportFilter(RunFilter):
    format = Choice(FORMATS, FORMAT, default="json")


class DriftExportFilter(DriftFilter):
    format = Choice(FORMATS, FORMAT, default="json")


class RunsFileSchema(Schema):
    runs = sure(fields.List, "Newest first, all that match.", cls_or_instance=fields.Nested(RunSchema))


class DriftFileSchema(Schema):
    drift_alerts = sure(fields.List, "Newest first, all that match.", cls_or_instance=fields.Nested(DriftAlertSchema))


class MetricsExportFilter(RunChoice):
    run_id = Text("The run.", required=True)
    format = Choice(FORMATS, FORMAT, default="json")


class MetricSchema(Schema):
    """One metric of one column in one run, as it is stored."""

    run_id = sure(fields.String, "The run.")
    dataset_name = sure(fields.String, "The table.")
    schema_name = maybe(fields.String, "Its schema.")
    column_name = sure(fields.String, "As the warehouse spells it.")
    column_type = maybe(fields.String, "The warehouse's own word.")
    metric_name = sure(fields.String, "As `docs/metrics.md` lists them.")
    metric_value = maybe(fields.String, "As it is stored: a text, also where it is a number or a list.")
    metric_number = maybe(fields.Float, "The same, where it is a finite number.")


class MetricsFileSchema(Schema):
    metrics = sure(fields.List, "Column by column, in the table's order.", cls_or_instance=fields.Nested(MetricSchema))


FILES = {
    kind: {"schema": {"type": "string", "format": "binary"}}
    for kind in (format.kind for format in FORMATS.values())
    if kind != "application/json"
}


def exported(schema: type[Schema]) -> Any:
    """Documents the file in each of its formats."""

    def documented(view: Any) -> Any:
        view = problem(blueprint, 503, DOWN)(view)
        view = blueprint.response(200, schema, headers={"Content-Disposition": {"schema": {"type": "string"}}})(view)
        return blueprint.doc(responses={200: {"content": FILES}})(view)

    return documented


@blueprint.route("/runs")
class RunExport(MethodView):
    @blueprint.arguments(RunExportFilter(), location="query")
    @exported(RunsFileSchema)
    def get(self, wanted: dict[str, Any]) -> Response:
        """Send every run that matches, newest first

        There is no limit: rows are read while they are sent. In CSV a text that a spreadsheet would take for a formula
        has an apostrophe before it.
        """
        refuse_unknown_status(wanted["status"])
        found = runs.Runs(db.session(), wanted, this_minute())
        statement = found.listed.order_by(*runs.ORDER.clauses)
        return send(Export("runs", "runs", RUN_COLUMNS, run_json, tuple), statement, wanted["format"])


@blueprint.route("/drift")
class DriftExport(MethodView):
    @blueprint.arguments(DriftExportFilter(), location="query")
    @exported(DriftFileSchema)
    def get(self, wanted: dict[str, Any]) -> Response:
        """Send all drift that matches, newest first

        There is no limit: rows are read while they are sent. In CSV a text that a spreadsheet would take for a formula
        has an apostrophe before it.
        """
        found = drift.Drift(db.session(), wanted, this_minute())
        statement = found.listed.order_by(*drift.ORDER.clauses)
        types = found.types
        tell, values = partial(alert_json, types=types), partial(alert_values, types=types)
        export = Export("drift", "drift_alerts", DRIFT_COLUMNS, tell, values)
        return send(export, statement, wanted["format"])


@blueprint.route("/metrics")
class MetricsExport(MethodView):
    @blueprint.arguments(MetricsExportFilter(), location="query")
    @exported(MetricsFileSchema)
    @problem(blueprint, 404, "There is no such run")
    def get(self, wanted: dict[str, Any]) -> Response:
        """Send every metric of one run

        `table` and `schema` choose within a run that covers several tables; without them all of it is sent. In CSV a
        text that a spreadsheet would take for a formula has an apostrophe before it.
        """
        session, run_id = db.session(), wanted["run_id"] or ""
        if not runs.find_run(session, run_id, wanted["table"], wanted["schema"]):
            abort(404, message=f"Run {run_id} not found")
        statement = profiles.stored_metrics(run_id, wanted["table"], wanted["schema"])
        return send(Export("metrics", "metrics", METRIC_COLUMNS, metric_json, tuple), statement, wanted["format"])
