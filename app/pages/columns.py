"""/tables/<table>/columns/<column>."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint, Response, abort

from app.api.tables import BETWEEN, places, split
from app.column_view import ColumnView, column_of
from app.extensions import db
from app.pages import parse, show
from app.pages.drift import lines_of
from app.pages.tables import page_of
from app.schemas.columns import ColumnPageFilter, TableHistoryFilter
from profilemesh.tables import TableRef

pages = Blueprint("columns", __name__, url_prefix="/tables")


@pages.get("/<name:table>/columns/<name:column>")
def one(table: str, column: str) -> Response:
    wanted, now = parse(ColumnPageFilter), datetime.now(UTC)
    for name, rest in split(table, column):
        found = [] if "\0" in rest else places(name, wanted)
        if found and (shown := column_of(db.session(), found[0], rest, wanted, now)):
            return _page(found[0], shown, wanted, now)
    # A table may be called so.
    named = places(f"{table}{BETWEEN}{column}", wanted)
    if not named:
        abort(404, description=f"Column {column} of {table} not found.")
    return page_of(named, parse(TableHistoryFilter), now)


def _page(table: TableRef, shown: ColumnView, wanted: dict[str, object], now: datetime) -> Response:
    drifted = list(lines_of(shown.findings, shown.courses))
    return show(
        "columns/show.html", "columns/_body.html", table=table, column=shown, wanted=wanted, drifted=drifted, now=now
    )
