"""GET /api/export/runs and GET /api/export/drift."""

from __future__ import annotations

from functools import partial
from typing import Any

import pyarrow as pa
from flask import Response
from flask.views import MethodView
from flask_smorest import Blueprint
from marshmallow import Schema, fields

from app.api.described import DOWN, problem
from app.api.drift import alert_json, alert_values
from app.api.runs import refuse_unknown_status, run_json
from app.exports import FORMATS, Export
from app.extensions import db
from app.queries import drift, runs
from app.remembered import this_minute
from app.schemas.drift import DriftAlertSchema, DriftFilter
from app.schemas.fields import Choice
from app.schemas.runs import RunFilter, RunSchema, sure

blueprint = Blueprint("Exports", __name__, url_prefix="/api/export", description="Whole lists as files.")
FORMAT = "json, csv, jsonl (a JSON object a line) or parquet."
TIME, TEXT, WHOLE, NUMBER = pa.timestamp("us", "UTC"), pa.string(), pa.int64(), pa.float64()


class RunExportFilter(RunFilter):
    format = Choice(FORMATS, FORMAT, default="json")


class DriftExportFilter(DriftFilter):
    format = Choice(FORMATS, FORMAT, default="json")


class RunsFileSchema(Schema):
    runs = sure(fields.List, "Newest first, all that match.", cls_or_instance=fields.Nested(RunSchema))


class DriftFileSchema(Schema):
    drift_alerts = sure(fields.List, "Newest first, all that match.", cls_or_instance=fields.Nested(DriftAlertSchema))


RUN_COLUMNS = {
    "run_id": TEXT,
    "dataset_name": TEXT,
    "schema_name": TEXT,
    "warehouse": TEXT,
    "warehouse_type": TEXT,
    "profiled_at": TIME,
    "environment": TEXT,
    "status": TEXT,
    "row_count": WHOLE,
    "column_count": WHOLE,
    "rows_scanned": WHOLE,
    "duration_seconds": NUMBER,
    "scope": TEXT,
    "action": TEXT,
    "reason": TEXT,
    "has_drift": pa.bool_(),
}
DRIFT_COLUMNS = {
    "event_id": TEXT,
    "run_id": TEXT,
    "table_name": TEXT,
    "schema_name": TEXT,
    "column_name": TEXT,
    "metric_name": TEXT,
    "baseline_value": NUMBER,
    "current_value": NUMBER,
    "change_percent": NUMBER,
    "severity": TEXT,
    "timestamp": TIME,
    "warehouse": TEXT,
    "warehouse_type": TEXT,
}
FILES = {
    kind: {"schema": {"type": "string", "format": "binary"}}
    for _, kind, _ in FORMATS.values()
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
        return Export("runs", "runs", RUN_COLUMNS, run_json, tuple).send(statement, wanted["format"])


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
        return export.send(statement, wanted["format"])
