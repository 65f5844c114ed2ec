"""GET /api/drift."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response
from flask.views import MethodView
from flask_smorest import Blueprint

from app.answers import part_headers, send
from app.api.described import NEXT, TABLE, leads_to, paging, shown
from app.extensions import db
from app.queries import drift
from app.queries.warehouses import UNKNOWN
from app.remembered import remembered, this_minute
from app.schemas.drift import DriftAlertSchema, DriftListFilter

blueprint = Blueprint("Drift", __name__, url_prefix="/api", description="What moved away from its baseline.")


@blueprint.route("/drift")
class DriftList(MethodView):
    decorators = [remembered]  # noqa: RUF012 - as Flask has it

    @leads_to(
        blueprint,
        # Not to its run: an older alert may have none.
        next=("/api/drift", NEXT),
        table=(TABLE, {"table": "/0/table_name", "warehouse": "/0/warehouse"}),
    )
    @blueprint.arguments(DriftListFilter(), location="query")
    @shown(blueprint, DriftAlertSchema(many=True), headers=paging("alerts"))
    def get(self, wanted: dict[str, Any]) -> Response:
        """List drift and schema changes, newest first"""
        found = drift.Drift(db.session(), wanted, this_minute())
        part = found.part()
        return send([alert_json(row, found.types) for row in part.rows], part_headers(part, wanted))


TOLD = (
    "event_id",
    "run_id",
    "table_name",
    "schema_name",
    "column_name",
    "metric_name",
    "baseline_value",
    "current_value",
    "change_percent",
    "severity",
    "timestamp",
    "warehouse",
    "warehouse_type",
)


def alert_json(row: Any, types: Mapping[str, str]) -> dict[str, Any]:
    """A row of a list of drift as DriftAlertSchema has it."""
    told = dict(zip(TOLD, alert_values(row, types), strict=True))
    if told["change_percent"] is None:
        # A page of an existing frontend crashes on null, and knows what to do when it is not there.
        del told["change_percent"]
    return told


def alert_values(row: Any, types: Mapping[str, str]) -> tuple[Any, ...]:
    event_id, type_, run, warehouse, schema, table, column, metric, base, now, change, severity, at = row[:13]
    if type_ == "SchemaChangeDetected":
        metric, base, now, change = "schema", None, None, None
    names = (event_id, run or "", table or UNKNOWN, schema or None, column, metric or UNKNOWN)
    return (*names, base, now, change, severity, at, warehouse, types.get(warehouse, UNKNOWN))
