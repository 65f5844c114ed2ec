"""GET /api/plan, POST /api/plan/run, GET /api/decisions and GET /api/ticks."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any, NoReturn

from flask import Response
from flask.views import MethodView
from flask_smorest import abort

from app import words
from app.answers import page_headers, send
from app.api.described import Changing, paging, problem
from app.clients import is_local, only_local_json
from app.extensions import csrf, db
from app.hand import run_planned
from app.preview import Preview, looker
from app.queries import decisions
from app.schemas.decisions import (
    DecisionListFilter,
    DecisionSchema,
    PlanFilter,
    PlanSchema,
    RunRequest,
    StartedSchema,
    TickFilter,
    TickSchema,
)
from profilemesh.errors import ProfileMeshError
from profilemesh.planning import Action, Decision
from profilemesh.storage import ticks
from profilemesh.storage.models import LoggedDecision, Tick

blueprint = Changing("Plan", __name__, url_prefix="/api", description="What is read and why, before and after.")
# Only JSON is taken, which no page of another site can send unasked.
csrf.exempt(blueprint)
PAGING = {name: told for name, told in paging("decisions").items() if name != "X-Next-Cursor"}
NO_PLAN = "No plan can be made: the configuration or the storage cannot be used"


@blueprint.route("/plan")
class ThePlan(MethodView):
    @blueprint.arguments(PlanFilter(), location="query")
    @blueprint.response(200, PlanSchema, headers=PAGING)
    @problem(blueprint, 503, NO_PLAN)
    def get(self, wanted: dict[str, Any]) -> Response:
        """Tell what the next tick would do, and why

        The warehouses are looked at, which may take seconds; nothing is written. A plan is kept for a few seconds, so
        that many may ask. `limit` and `offset` choose among its decisions, which stand in the order of their names.
        """
        try:
            seen = looker().preview()
        except ProfileMeshError as error:
            no_plan(error)
        chosen = [d for d in seen.plan.decisions if wanted["action"] in (None, d.action)]
        cut = chosen[wanted["offset"] : wanted["offset"] + wanted["limit"]]
        return send(plan_json(seen, cut), page_headers(len(chosen), wanted["limit"], wanted["offset"]))


@blueprint.route("/plan/run")
class RunThePlan(MethodView):
    decorators = [only_local_json]  # noqa: RUF012 - as Flask has it

    @blueprint.arguments(RunRequest)
    @blueprint.response(202, StartedSchema)
    @problem(blueprint, 400, "The body is not JSON")
    @problem(blueprint, 403, "The client is not on the server's machine: there is no sign-in yet")
    @problem(blueprint, 409, "The same was asked for and is going on")
    @problem(blueprint, 415, "The content type is not application/json")
    @problem(blueprint, 503, f"{NO_PLAN}; or this server only shows")
    def post(self, wanted: dict[str, Any]) -> Response:
        """Begin a tick now, for all tables or those that `table` names

        Answers when the plan is made; it is carried out in the background. `force` reads what it selects whatever
        changed. Only for clients on the server's own machine.
        """
        answer = send({"plan_id": run_planned(wanted["table"], wanted["force"])})
        answer.status_code = 202
        return answer


@blueprint.route("/decisions")
class Decisions(MethodView):
    @blueprint.arguments(DecisionListFilter(), location="query")
    @blueprint.response(200, DecisionSchema(many=True), headers=PAGING)
    def get(self, wanted: dict[str, Any]) -> Response:
        """List what was decided, why, and what came of it, newest first

        A skip that repeats the table's last decision adds no row: `last_at` and `ticks` tell how long it stood.
        """
        session = db.session()
        listed = decisions.listing(session, wanted, datetime.now(UTC))
        count = session.scalar(decisions.total(listed)) or 0
        rows = session.scalars(listed.limit(wanted["limit"]).offset(wanted["offset"]))
        return send([decision_json(row) for row in rows], page_headers(count, wanted["limit"], wanted["offset"]))


@blueprint.route("/ticks")
class Ticks(MethodView):
    @blueprint.arguments(TickFilter(), location="query")
    @blueprint.response(200, TickSchema(many=True))
    def get(self, wanted: dict[str, Any]) -> Response:
        """List the last ticks with their progress, newest first"""
        return send([tick_json(tick) for tick in ticks.latest(db.session(), wanted["limit"])])


def no_plan(error: ProfileMeshError) -> NoReturn:
    """The message may name files and hosts: it is for people on this machine."""
    abort(503, message=str(error) if is_local() else f"{NO_PLAN}. The server's log has the reason.")
    raise error


def plan_json(seen: Preview, chosen: list[Decision]) -> dict[str, Any]:
    plan = seen.plan
    counts = Counter(decision.action.value for decision in plan.decisions)
    return {
        "plan_id": plan.plan_id,
        "made_at": plan.made_at,
        "seconds": round(seen.seconds, 3),
        "counts": {action.value: counts[action.value] for action in Action},
        "rows_estimated": seen.rows,
        "decisions": [planned_json(decision) for decision in chosen],
        "troubles": [
            {"warehouse": name, "reason": trouble.reason, "message": trouble.message}
            for name, trouble in sorted(plan.troubles.items())
        ],
        "missing": [{"name": each.name, "instead": each.instead} for each in plan.missing],
    }


def planned_json(decision: Decision) -> dict[str, Any]:
    return {
        "warehouse": decision.table.warehouse,
        "schema_name": decision.table.schema or None,
        "table_name": decision.table.name,
        "action": decision.action.value,
        "reason": decision.reason.value,
        "meaning": decision.reason.meaning,
        "evidence": dict(decision.evidence),
        "staleness_score": decision.staleness,
        "due_at": decision.due_at,
        "rows_estimated": decision.cost.rows,
        "bytes_estimated": decision.cost.bytes,
        "rows_naive": decision.naive.rows,
        "bytes_naive": decision.naive.bytes,
        "is_naive_measured": decision.naive.is_measured,
    }


COPIED = (
    "id",
    "warehouse",
    "table_name",
    "plan_id",
    "decided_at",
    "last_at",
    "ticks",
    "action",
    "reason",
    "staleness_score",
    "rows_estimated",
    "bytes_estimated",
    "rows_naive",
    "bytes_naive",
    "outcome",
    "run_id",
    "rows_actual",
    "bytes_actual",
    "seconds_actual",
)


def decision_json(row: LoggedDecision) -> dict[str, Any]:
    return {name: getattr(row, name) for name in COPIED} | {
        "schema_name": row.schema_name or None,
        "meaning": meaning(row.reason),
        "evidence": row.evidence or {},
        "is_naive_measured": bool(row.is_naive_measured),
    }


def meaning(reason: str | None) -> str | None:
    """In words; of an older version's reason, which has none any more, its name."""
    if reason is None:
        return None
    return words.reason(reason)


def tick_json(tick: Tick) -> dict[str, Any]:
    names = [name for name in TickSchema._declared_fields if name != "current"]
    return {name: getattr(tick, name) for name in names} | {"current": tick.current or []}
