"""/plan: what the next tick would do and why, what is being done, what was decided, what it spared."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, abort, redirect, url_for
from htmx_flask import request
from werkzeug import Response as Redirect

from app.clients import is_local, require_local
from app.extensions import db
from app.hand import can_run, run_now
from app.pages import is_part, parse, show
from app.pictures import spared_chart
from app.preview import looker
from app.queries import decisions, tables
from app.queries.pages import Page
from app.queries.warehouses import meant
from app.schemas.decisions import ACTIONS, REASONS, PlanPageFilter, ProgressFilter
from profilemesh.errors import ProfileMeshError
from profilemesh.storage import steering, ticks
from profilemesh.storage.models import Tick
from profilemesh.tables import TableRef

pages = Blueprint("plan", __name__, url_prefix="/plan")
SAVINGS_DAYS = 30
ASKED_SECONDS = 60
MOST_SHOWN = 100
TICKS_SHOWN = 8


@pages.get("")
def index() -> Response:
    wanted, now = parse(PlanPageFilter), datetime.now(UTC)
    shown = _log(wanted, now)
    if not is_part():
        shown |= {"can_run": can_run()}
        shown |= _progress(wanted["asked"], now) | _savings(wanted["warehouse"], now)
        if wanted["preview"]:
            shown |= _preview()
    return show("plan/index.html", part="plan/_log.html", wanted=wanted, now=now, **shown)


@pages.get("/preview")
def preview() -> Response | Redirect:
    if not request.htmx:
        return redirect(url_for("plan.index", preview=1))
    return show("plan/_preview.html", **_preview())


@pages.get("/progress")
def progress() -> Response | Redirect:
    if not request.htmx:
        return redirect(url_for("plan.index"))
    wanted, now = parse(ProgressFilter), datetime.now(UTC)
    shown = _progress(wanted["asked"], now)
    response = show("plan/_progress.html", now=now, **shown)
    if not shown["running"] and not shown["is_awaited"]:
        # What the tick did is to be seen in the other parts of the page.
        response.headers["HX-Trigger"] = "tick-ended"
    return response


@pages.post("/run")
def run() -> Redirect:
    require_local()
    asked = int(datetime.now(UTC).timestamp())
    table = _table() if "table" in request.form else None
    run_now(_literal(table) if table else None, request.form.get("force") == "1")
    return redirect(url_for("plan.index", asked=asked), 303)


@pages.post("/pause")
def pause() -> Redirect:
    table = _steered()
    steering.pause(db.session(), table, datetime.now(UTC))
    return _back(table)


@pages.post("/resume")
def resume() -> Redirect:
    table = _steered()
    steering.resume(db.session(), table)
    return _back(table)


@pages.post("/cancel")
def cancel() -> Redirect:
    table = _steered()
    steering.request_cancel(db.session(), table, datetime.now(UTC))
    return _back(table)


def _steered() -> TableRef:
    require_local()
    return _table()


def _table() -> TableRef:
    """The table that the form names; one that nobody knows is not made up."""
    names = [request.form.get(name, "") for name in ("warehouse", "schema", "table")]
    if not all(names) or any("\0" in name for name in names):
        abort(422, description="The form does not name a table.")
    return TableRef(*names)


def _literal(table: TableRef) -> str:
    """The glob that matches this table alone."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in str(table))


def _back(table: TableRef) -> Redirect:
    db.session.commit()
    looker().forget()
    if request.form.get("back") == "plan":
        return redirect(url_for("plan.index"), 303)
    return redirect(url_for("tables.one", table=table.name, warehouse=table.warehouse, schema=table.schema), 303)


def _log(wanted: dict[str, Any], now: datetime) -> dict[str, Any]:
    session = db.session()
    listed = decisions.listing(session, wanted, now)
    page = Page(wanted["page"], session.scalar(decisions.total(listed)) or 0)
    return {
        "rows": session.scalars(listed.limit(page.size).offset((page.number - 1) * page.size)).all(),
        "page": page,
        "choices": {"warehouses": decisions.warehouses(session), "actions": ACTIONS, "reasons": REASONS},
    }


def _preview() -> dict[str, Any]:
    known = {"can_run": can_run(), "most_shown": MOST_SHOWN}
    try:
        return known | {"preview": looker().preview()}
    except ProfileMeshError as error:
        # The message may name files and hosts, which are nobody's business elsewhere.
        told = str(error) if is_local() else "The server's log has the reason."
        return known | {"preview": None, "trouble": told}


def _progress(asked: int | None, now: datetime) -> dict[str, Any]:
    session = db.session()
    running, latest = ticks.running(session), ticks.latest(session, TICKS_SHOWN)
    last = latest[0] if latest else None
    return {
        "running": running,
        "claimed": tables.claimed(session) if running else {},
        "last": last,
        "ticks": latest,
        "asked": asked,
        "is_awaited": not running and _is_awaited(asked, last, now),
    }


def _is_awaited(asked: int | None, last: Tick | None, now: datetime) -> bool:
    """Somebody asked for a run just now, and no tick has begun since."""
    if asked is None or now.timestamp() - asked > ASKED_SECONDS:
        return False
    return last is None or last.started_at.timestamp() < asked


def _savings(warehouse: str | None, now: datetime) -> dict[str, Any]:
    warehouses = meant(db.session(), warehouse)
    days = decisions.spared_by_day(db.session(), now, SAVINGS_DAYS, warehouses)
    return {
        "days": days,
        "chart": spared_chart(days),
        "has_savings": any(day.decisions for day in days),
        "unpriced": sum(day.unpriced for day in days),
    }
