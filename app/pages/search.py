"""/search: what one text finds; for the box of every page the same, as a list to choose from."""

from __future__ import annotations

from flask import Blueprint, Response

from app.extensions import db
from app.pages import is_part, parse, show
from app.queries import runs, search
from app.schemas.search import SearchPageFilter

pages = Blueprint("search", __name__, url_prefix="/search")
IN_BOX, ON_PAGE = 6, 50


@pages.get("")
def index() -> Response:
    wanted = parse(SearchPageFilter)
    text = wanted["q"].strip()
    is_box = is_part()
    found = search.search(db.session(), text, IN_BOX if is_box else ON_PAGE) if text else None
    return show(
        "search/index.html",
        part="search/_options.html",
        found=found,
        searched=text,
        most=ON_PAGE,
        has_runs=is_box or found is not None or runs.any_run(db.session()),
    )
