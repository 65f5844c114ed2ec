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
    @blueprint.arguments(DriftListFilter, location="query")
    @shown(blueprint, DriftAlertSchema(many=True), headers=paging("alerts"))
    def get(self, wanted: dict[str, Any]) -> Response:
        """List drift and schema changes, newest first"""
        found = drift.Drift(db.session(), wanted, this_minute())
        part = found.part()
        return send([alert_json(row, found.types) for row in part.rows], part_headers(part, wanted))


def alert_json(row: Any, types: Mapping[str, str]) -> dict[str, Any]:
    """A row of a list of drift as DriftAlertSchema has it."""
    is_schema = row.event_type == "SchemaChangeDetected"
    told = {
        "event_id": row.event_id,
        "run_id": row.run_id or "",
        "table_name": row.table_name or UNKNOWN,
        "schema_name": row.schema_name or None,
        "column_name": row.column_name,
        "metric_name": "schema" if is_schema else row.metric_name or UNKNOWN,
        "baseline_value": None if is_schema else row.baseline_value,
        "current_value": None if is_schema else row.current_value,
        "severity": row.severity,
        "timestamp": row.timestamp,
        "warehouse": row.warehouse,
        "warehouse_type": types.get(row.warehouse, UNKNOWN),
    }
    # A page of an existing frontend crashes on null, and knows what to do when it is not there.
    return told if row.change_percent is None or is_schema else told | {"change_percent": row.change_percent}
