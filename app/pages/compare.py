"""/compare: two runs of a table side by side."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, abort

from app.compared import Card, compared
from app.extensions import db
from app.pages import parse, show
from app.queries.chosen import Chosen, chosen
from app.queries.pages import Page
from app.schemas.comparing import ComparePageFilter

pages = Blueprint("compare", __name__, url_prefix="/compare")
CARDS = 12
MOST_NAMED = 200


@pages.get("")
def index() -> Response:
    wanted, now = parse(ComparePageFilter), datetime.now(UTC)
    found = chosen(db.session(), wanted)
    if found.missing is not None:
        abort(404, description=f"Run {found.missing} not found, or it is not of this table.")
    shown = _compared(found, wanted) if found.before is not None and found.after is not None else {}
    response = show(
        "compare/index.html",
        part="compare/_compared.html",
        chosen=found,
        wanted=wanted,
        most_named=MOST_NAMED,
        now=now,
        **shown,
    )
    response.status_code = 422 if found.is_wrong else 200
    return response


def _compared(found: Chosen, wanted: dict[str, Any]) -> dict[str, Any]:
    both = compared(db.session(), found.before, found.after)
    # Where nothing can be measured every column is shown, in the table's order; and where one is asked for, it is.
    cards = both.cards if both.sizes.unlike or wanted["q"] else both.moved
    cards = tuple(card for card in cards if _is_named(card, wanted["q"]))
    page = Page(wanted["page"], len(cards), CARDS)
    return {
        "both": both,
        "page": page,
        "cards": cards[(page.number - 1) * CARDS : page.number * CARDS],
        "unmoved": () if both.sizes.unlike or wanted["q"] else both.unmoved,
    }


def _is_named(card: Card, part: str | None) -> bool:
    return not part or part.lower() in card.change.name.lower()
