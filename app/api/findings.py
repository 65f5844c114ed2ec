"""GET /api/findings, GET /api/findings/{finding_id}, and POST of what is done with one or with many."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from flask import Response
from flask.views import MethodView
from flask_smorest import abort

from app.answers import part_headers, send
from app.api.described import NEXT, TABLE, Changing, leads_to, paging, problem, shown
from app.clients import only_local_json
from app.extensions import csrf, db
from app.findings import Basis
from app.queries import findings
from app.remembered import remembered, this_minute
from app.schemas.findings import (
    BulkTriage,
    FindingDetailSchema,
    FindingListFilter,
    FindingSchema,
    Triage,
    TriagedSchema,
)
from app.triage import BY_API, carry_out
from profilemesh.storage.models import FindingOccurrence, TriageEntry

blueprint = Changing("Findings", __name__, url_prefix="/api", description="What drifted, and what became of it.")
# Only JSON is taken, which no page of another site can send unasked.
csrf.exempt(blueprint)
MISSING = "There is no such finding"
FIELDS = [name for name in FindingSchema._declared_fields if name not in ("schema_name", "column_name")]


@blueprint.route("/findings")
class Findings(MethodView):
    decorators = [remembered]  # noqa: RUF012 - as Flask has it

    @leads_to(
        blueprint,
        next=("/api/findings", NEXT),
        finding=("/api/findings/{finding_id}", {"finding_id": "/0/finding_id"}),
        table=(TABLE, {"table": "/0/table_name", "warehouse": "/0/warehouse"}),
    )
    @blueprint.arguments(FindingListFilter, location="query")
    @shown(blueprint, FindingSchema(many=True), headers=paging("findings"))
    def get(self, wanted: dict[str, Any]) -> Response:
        """List what drifted, a finding per fact, the last seen first

        A finding that several runs saw is listed once. Without `state`, those that are resolved are left out.
        """
        part = findings.Findings(db.session(), wanted, this_minute()).part()
        return send([finding_json(row) for row in part.rows], part_headers(part, wanted))


@blueprint.route("/findings/<finding:finding_id>")
class OneFinding(MethodView):
    decorators = [remembered]  # noqa: RUF012 - as Flask has it

    @shown(blueprint, FindingDetailSchema, missing=MISSING)
    def get(self, finding_id: str) -> Response:
        """Show one finding with its occurrences, their evidence, and what was done with it"""
        session = db.session()
        finding = None if "\0" in finding_id else findings.find(session, finding_id, this_minute())
        if finding is None:
            abort(404, message=f"Finding {finding_id} not found")
        seen, history = findings.occurrences(session, finding_id), findings.history(session, finding_id)
        found = {"seen": [occurrence_json(each) for each in seen], "history": [entry_json(each) for each in history]}
        return send(finding_json(finding) | found)


def changing(view: Any) -> Any:
    """Documents what a change may be refused for."""
    view = problem(blueprint, 400, "The body is not JSON")(view)
    view = problem(blueprint, 403, "The client is not on the server's machine: there is no sign-in yet")(view)
    return problem(blueprint, 415, "The content type is not application/json")(view)


@blueprint.route("/findings/<string:finding_id>/triage")
class TriageOne(MethodView):
    decorators = [only_local_json]  # noqa: RUF012 - as Flask has it

    @blueprint.arguments(Triage)
    @blueprint.response(200, TriagedSchema)
    @problem(blueprint, 404, MISSING)
    @problem(blueprint, 409, "It is so already, or the action does not fit its state")
    @changing
    def post(self, wanted: dict[str, Any], finding_id: str) -> Response:
        """Acknowledge, snooze, assign, comment, expect, resolve or reopen a finding

        Only for clients on the server's own machine.
        """
        (outcome,) = carry_out(db.session(), [finding_id], wanted, BY_API, datetime.now(UTC))
        if outcome.result == "missing":
            abort(404, message=f"Finding {finding_id} not found")
        if outcome.result == "unchanged":
            abort(409, message=f"Nothing to {wanted['action']}: the finding is {outcome.state}.")
        return send(asdict(outcome))


@blueprint.route("/findings/triage")
class TriageMany(MethodView):
    decorators = [only_local_json]  # noqa: RUF012 - as Flask has it

    @blueprint.arguments(BulkTriage)
    @blueprint.response(200, TriagedSchema(many=True))
    @changing
    def post(self, wanted: dict[str, Any]) -> Response:
        """Do one thing to many findings, with a result for each, in the order asked for

        What does not exist or is so already hinders nothing else. Only for clients on the server's own machine.
        """
        outcomes = carry_out(db.session(), wanted["findings"], wanted, BY_API, datetime.now(UTC))
        return send([asdict(outcome) for outcome in outcomes])


def finding_json(row: Any) -> dict[str, Any]:
    """A row of a list of findings as FindingSchema has it."""
    told = {name: getattr(row, name) for name in FIELDS}
    return told | {"schema_name": row.schema_name or None, "column_name": row.column_name or None}


def occurrence_json(found: FindingOccurrence) -> dict[str, Any]:
    basis = Basis.of(found.details)
    told = {
        name: getattr(found, name)
        for name in (
            "run_id",
            "at",
            "event_id",
            "severity",
            "sentence",
            "baseline_value",
            "current_value",
            "change_percent",
        )
    }
    culprits = [{"partition": partition, "share": share} for partition, share in basis.culprits]
    return told | asdict(basis) | {"culprits": culprits}


def entry_json(entry: TriageEntry) -> dict[str, Any]:
    return {"at": entry.at, "who": entry.who, "action": entry.action, "text": entry.text}
