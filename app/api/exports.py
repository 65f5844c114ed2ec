"""GET /api/export/runs and GET /api/export/drift."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Response
from flask.views import MethodView
from flask_smorest import Blueprint
from marshmallow import Schema, fields

from app.api.described import DOWN, problem
from app.api.runs import refuse_unknown_status
from app.exports import FORMATS, Export, send
from app.extensions import db
from app.queries import drift, runs
from app.remembered import this_minute
from app.schemas.drift import DriftAlertSchema, DriftFilter
from app.schemas.fields import Choice
from app.schemas.runs import RunFilter, RunSchema, sure
from profilemesh.exporting import DRIFT_COLUMNS, RUN_COLUMNS, alert_json, alert_values, run_json

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
