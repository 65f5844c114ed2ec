"""/runs and /runs/<run_id>."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint, Response, abort

from app.api.runs import refuse_unknown_status
from app.clients import is_local
from app.compared import moved_since
from app.exports import FORMATS
from app.extensions import db
from app.links import Wanted
from app.pages import parse, show
from app.pages.drift import lines_of
from app.pictures import distribution
from app.queries import findings, profiles, runs
from app.queries.run_pages import turned
from app.schemas.runs import SCOPES, RunChoice, RunPageFilter
from app.scopes import told_scope
from app.table_columns import Line
from profilemesh.tables import TableRef

pages = Blueprint("runs", __name__, url_prefix="/runs")


@pages.get("")
def index() -> Response:
    wanted, now = parse(RunPageFilter), datetime.now(UTC)
    refuse_unknown_status(wanted["status"])
    session = db.session()
    page = turned(session, wanted, runs.Runs(session, wanted, now))
    return show(
        "runs/index.html",
        part="runs/_rows.html",
        page=page,
        wanted=_told(wanted),
        choices=runs.choices(session) | {"scopes": SCOPES},
        has_runs=bool(page.rows) or runs.any_run(session),
        formats=FORMATS,
        now=now,
    )


def _told(wanted: Wanted) -> Wanted:
    """The filters as an address has them, without the place in the list."""
    drift = {True: "true", False: "false"}.get(wanted["drift"])
    return Wanted({**wanted, "drift": drift, "cursor": None, "newer": None}, wanted.defaults)


@pages.get("/<string:run_id>")
def one(run_id: str) -> Response:
    wanted = parse(RunChoice)
    found = [] if "\0" in run_id else runs.find_run(db.session(), run_id, wanted["table"], wanted["schema"])
    if not found:
        abort(404, description=f"Run {run_id} not found.")
    run, now, session = found[0], datetime.now(UTC), db.session()
    near = runs.neighbours(session, run)
    return show(
        "runs/show.html",
        run=run,
        others=found[1:],
        table=TableRef(run.warehouse, run.schema_name, run.dataset_name),
        columns=[Line(each, distribution(each)) for each in profiles.profile_of(session, run)],
        told=told_scope(run),
        drifted=list(lines_of(findings.of_run(session, run, now))),
        near=near,
        since=moved_since(session, near.like_before, run) if near.like_before is not None else None,
        trace=runs.trace_of(session, run) if run.error and is_local() else None,
        formats=FORMATS,
        now=now,
    )
