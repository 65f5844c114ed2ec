"""GET /api/drift."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask.views import MethodView
from flask_smorest import Blueprint

from app.answers import part_headers, send
from app.api.described import NEXT, TABLE, leads_to, paging, shown
from app.extensions import db
from app.queries import drift
from app.remembered import remembered, this_minute
from app.schemas.drift import DriftAlertSchema, DriftListFilter
from profilemesh.exporting import alert_json

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
