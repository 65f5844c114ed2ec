"""What is done with findings by a form: many at once on /drift, one on its own page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from flask import Blueprint, abort, flash, redirect, url_for
from htmx_flask import request
from marshmallow import ValidationError
from werkzeug import Response as Redirect

from app.clients import require_local
from app.extensions import db
from app.findings import DONE
from app.links import kept
from app.pages import parse
from app.schemas.findings import FindingPageFilter, Triage
from app.triage import BY_FORM, Outcome, carry_out
from app.words import plural

pages = Blueprint("triage", __name__, url_prefix="/drift")


@pages.post("/triage")
def bulk() -> Redirect:
    """Of what is chosen on /drift; its filters are in the address, and are kept."""
    require_local()
    wanted, chosen = parse(FindingPageFilter), request.form.getlist("finding")
    if chosen:
        asked = _asked()
        flash(_told(_carry_out(chosen, asked), asked))
    else:
        flash("Nothing was chosen. Tick the findings first.")
    return redirect(url_for("drift.index", **kept(wanted, page=wanted["page"])), 303)


@pages.post("/<string:finding_id>/triage")
def one(finding_id: str) -> Redirect:
    require_local()
    asked = _asked()
    outcomes = _carry_out([finding_id], asked)
    if outcomes[0].result == "missing":
        abort(404, description=f"Finding {finding_id} not found.")
    flash(_told(outcomes, asked))
    return redirect(url_for("drift.one", finding_id=finding_id), 303)


def _carry_out(ids: Sequence[str], asked: dict[str, Any]) -> list[Outcome]:
    return carry_out(db.session(), ids, asked, BY_FORM, datetime.now(UTC))


def _asked() -> dict[str, Any]:
    """What the form asks for, as a loaded Triage; a button may say for how many days."""
    action, _, days = request.form.get("action", "").partition("-")
    sent = {"action": action} | {name: request.form[name] for name in ("to", "text") if name in request.form}
    until = _until(days, request.form.get("until", "")) if action == "snooze" else None
    try:
        loaded: dict[str, Any] = Triage().load(sent | ({"until": until.isoformat()} if until else {}))
    except ValidationError as error:
        said = (text for told in error.messages_dict.values() for text in told)
        abort(422, description=" ".join(map(str, said)))
    return loaded


def _until(days: str, until: str) -> datetime | None:
    if days.isdecimal() and len(days) <= 4:
        return datetime.now(UTC) + timedelta(days=int(days))
    try:
        return datetime.combine(date.fromisoformat(until), time(), UTC)
    except ValueError:
        return None


def _told(outcomes: Sequence[Outcome], asked: dict[str, Any]) -> str:
    counts, done = Counter(each.result for each in outcomes), DONE[asked["action"]]
    said = [f"{counts['done']} {plural(counts['done'], 'finding')} {done}" if counts["done"] else "Nothing changed"]
    if counts["unchanged"]:
        said.append(f"{counts['unchanged']} left as {plural(counts['unchanged'], 'it was', 'they were')}")
    if counts["missing"]:
        said.append(f"{counts['missing']} not found")
    return ", ".join(said) + "."
