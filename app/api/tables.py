"""GET /api/tables/{table}/state."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from flask import Response
from flask.views import MethodView
from flask_smorest import Blueprint, abort

from app.answers import send
from app.api.plan import meaning
from app.errors import PROBLEM
from app.extensions import db
from app.preview import config_or_none
from app.queries import tables
from app.schemas.decisions import StateSchema
from app.schemas.problems import ProblemSchema
from app.schemas.tables import TableChoice
from app.standing import Standing, standing
from profilemesh.storage.models import TableState
from profilemesh.tables import TableRef

blueprint = Blueprint("Tables", __name__, url_prefix="/api/tables", description="What is known of a table.")


@blueprint.route("/<path:table>/state")
class State(MethodView):
    @blueprint.arguments(TableChoice, location="query")
    @blueprint.response(200, StateSchema)
    @blueprint.alt_response(404, schema=ProblemSchema, content_type=PROBLEM, description="There is no such table")
    def get(self, wanted: dict[str, Any], table: str) -> Response:
        """Tell what is remembered of a table, and what would make it run

        `table` is the bare name. One that stands in several places answers for the most recently profiled; `also_in`
        lists the others, `schema` and `warehouse` choose among them.
        """
        found = [] if "\0" in table else tables.find(db.session(), table, wanted["schema"], wanted["warehouse"])
        if not found:
            abort(404, message=f"Table {table} not found")
        state, now = tables.state_of(db.session(), found[0]), datetime.now(UTC)
        return send(state_json(found, state, standing(found[0], state, config_or_none(), now)))


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
    "staleness_score",
    "confidence",
    "snapshot_id",
    "row_count",
    "last_run_id",
)


def state_json(found: list[TableRef], state: TableState | None, stands: Standing) -> dict[str, Any]:
    table, others = found[0], found[1:]
    reason = state.decision_reason if state else None
    return {name: getattr(state, name, None) for name in COPIED} | {
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
        "also_in": [{"warehouse": other.warehouse, "schema_name": other.schema or None} for other in others],
    }
