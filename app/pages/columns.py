"""/tables/<table>/columns/<column>."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from flask import Blueprint, Response, abort

from app.column_view import ColumnView, column_of
from app.extensions import db
from app.pages import parse, show
from app.pages.drift import lines_of
from app.pages.tables import page_of
from app.queries import tables
from app.schemas.columns import ColumnPageFilter, TableHistoryFilter
from profilemesh.tables import TableRef

pages = Blueprint("columns", __name__, url_prefix="/tables")
BETWEEN = "/columns/"


@pages.get("/<name:table>/columns/<name:column>")
def one(table: str, column: str) -> Response:
    wanted, now = parse(ColumnPageFilter), datetime.now(UTC)
    path = f"{table}{BETWEEN}{column}"
    if "\0" in path:
        abort(404, description=f"Column {column} of {table} not found.")
    for name, rest in _readings(path):
        found = tables.find(db.session(), name, wanted["schema"], wanted["warehouse"])
        if found and rest is None:
            return page_of(found, parse(TableHistoryFilter), now)
        if found and rest and (shown := column_of(db.session(), found[0], rest, wanted, now)):
            return _page(found[0], shown, wanted, now)
    abort(404, description=f"Column {column} of {table} not found.")


def _readings(path: str) -> Iterator[tuple[str, str | None]]:
    """The table and the column that an address may mean: names may hold what stands between them, and a table's name
    may be the whole. There is nearly always one."""
    at = path.find(BETWEEN)
    while at >= 0:
        yield path[:at], path[at + len(BETWEEN) :]
        at = path.find(BETWEEN, at + 1)
    yield path, None


def _page(table: TableRef, shown: ColumnView, wanted: dict[str, object], now: datetime) -> Response:
    drifted = list(lines_of(shown.findings, shown.courses))
    return show(
        "columns/show.html", "columns/_body.html", table=table, column=shown, wanted=wanted, drifted=drifted, now=now
    )
