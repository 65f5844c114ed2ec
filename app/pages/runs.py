"""/runs and /runs/<run_id>."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint, Response, abort

from app.api.runs import refuse_unknown_status
from app.extensions import db
from app.pages import parse, show
from app.pages.drift import lines_of
from app.queries import findings, profiles, runs
from app.queries.pages import Page
from app.schemas.runs import RunChoice, RunPageFilter
from app.scopes import told_scope

pages = Blueprint("runs", __name__, url_prefix="/runs")


@pages.get("")
def index() -> Response:
    wanted, now = parse(RunPageFilter), datetime.now(UTC)
    refuse_unknown_status(wanted["status"])
    found = runs.Runs(db.session(), wanted, now)
    page = Page(wanted["page"], found.count())
    rows = db.session.execute(page.cut(found.told)).all()
    return show(
        "runs/index.html",
        part="runs/_rows.html",
        rows=rows,
        page=page,
        wanted=wanted,
        choices=runs.choices(db.session()),
        has_runs=bool(rows) or runs.any_run(db.session()),
        now=now,
    )


@pages.get("/<string:run_id>")
def one(run_id: str) -> Response:
    wanted = parse(RunChoice)
    found = [] if "\0" in run_id else runs.find_run(db.session(), run_id, wanted["table"], wanted["schema"])
    if not found:
        abort(404, description=f"Run {run_id} not found.")
    run, now = found[0], datetime.now(UTC)
    return show(
        "runs/show.html",
        run=run,
        others=found[1:],
        columns=profiles.profile_of(db.session(), run),
        told=told_scope(run),
        drifted=list(lines_of(findings.of_run(db.session(), run, now))),
        now=now,
    )
