"""GET /health/live and GET /health/ready: for whoever starts, balances and restarts servers."""

from __future__ import annotations

import orjson
from flask import Response, current_app
from flask.views import MethodView
from flask_smorest import Blueprint
from marshmallow import Schema, fields, validate
from sqlalchemy.exc import DBAPIError, TimeoutError

from app.answers import send
from app.extensions import db
from app.schemas.problems import PROBLEM, ProblemSchema
from app.schemas.runs import sure
from app.storage import trouble
from profilemesh.errors import StorageOutdated
from profilemesh.storage import leases
from profilemesh.storage.schema import require_current

blueprint = Blueprint("Health", __name__, url_prefix="/health", description="Whether this process can answer.")


class LiveSchema(Schema):
    status = sure(fields.String, "alive", validate=validate.Equal("alive"))


class ChecksSchema(Schema):
    storage = sure(fields.String, "ok, or what is wrong with the database.")
    schema = sure(fields.String, "ok, or what is wrong with its schema; unknown while the database does not answer.")
    scheduler = sure(fields.String, "running, off (by its setting, here), or stopped: nobody ticks; unknown likewise.")


class ReadySchema(Schema):
    status = sure(fields.String, "ready", validate=validate.Equal("ready"))
    checks = sure(fields.Nested, "One by one.", nested=ChecksSchema)


class UnreadySchema(ProblemSchema):
    checks = sure(fields.Nested, "One by one.", nested=ChecksSchema)


@blueprint.route("/live")
class Live(MethodView):
    @blueprint.response(200, LiveSchema)
    def get(self) -> Response:
        """Tell that this process answers, whatever becomes of the storage"""
        return send({"status": "alive"})


@blueprint.route("/ready")
class Ready(MethodView):
    @blueprint.response(200, ReadySchema)
    @blueprint.alt_response(503, schema=UnreadySchema, content_type=PROBLEM, description="Something is missing")
    def get(self) -> Response:
        """Tell whether this process can do its work: storage, schema, scheduler

        503 where the storage does not answer or has another schema. A scheduler that is off, or runs elsewhere, is as
        it should be.
        """
        checks = checked()
        wrong = [f"{name}: {checks[name]}" for name in ("storage", "schema") if checks[name] != "ok"]
        if not wrong:
            return send({"status": "ready", "checks": checks})
        body = {"type": "about:blank", "title": "Not ready", "status": 503, "detail": "; ".join(wrong)}
        content = orjson.dumps(body | {"checks": checks})
        return Response(content, 503, {"Retry-After": "5"}, content_type=PROBLEM)


def checked() -> dict[str, str]:
    found = {"storage": "ok", "schema": "unknown", "scheduler": "unknown"}
    try:
        with db.engine.connect() as connection:
            require_current(connection)
        return {"storage": "ok", "schema": "ok", "scheduler": scheduler()}
    except StorageOutdated as error:
        return found | {"schema": str(error)}
    except (DBAPIError, TimeoutError) as error:
        cause = trouble(error)
        if cause is None:
            raise
        current_app.logger.error("storage: %s", cause)
        return found | {"storage": "does not answer"}


def scheduler() -> str:
    """One process of many ticks, and holds the lease for it."""
    if leases.held_by(db.session(), "scheduler"):
        return "running"
    return "stopped" if current_app.config["PROFILEMESH_SCHEDULER"] else "off"
