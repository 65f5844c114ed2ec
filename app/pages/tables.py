"""/tables and /tables/<table>."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, abort
from htmx_flask import request
from sqlalchemy.orm import Session

from app.calendars import calendar
from app.extensions import db
from app.hand import can_run
from app.links import Wanted
from app.pages import is_part, parse, show
from app.pages.drift import lines_of
from app.preview import config_or_none
from app.queries import catalogue, decisions, tables, warehouses
from app.schemas.columns import TableHistoryFilter
from app.schemas.tables import TablePageFilter
from app.standing import standing
from app.table_lines import table_line
from app.table_view import History, history_of, versions
from profilemesh.storage import states
from profilemesh.tables import TableRef

pages = Blueprint("tables", __name__, url_prefix="/tables")


@pages.get("")
def index() -> Response:
    wanted, now = parse(TablePageFilter), datetime.now(UTC)
    session = db.session()
    found = catalogue.Catalogue(session, wanted, now)
    page, rows = found.page(wanted["page"])
    recent, drift = tables.recent_runs(session, rows, now), found.open_drift(rows)
    refs = [TableRef(row.warehouse, row.schema_name, row.table_name) for row in rows]
    return show(
        "tables/index.html",
        part="tables/_rows.html",
        lines=[table_line(row, recent.get(ref, []), drift.get(ref)) for row, ref in zip(rows, refs, strict=True)],
        page=page,
        wanted=wanted,
        choices={} if is_part() else _choices(session),
        now=now,
    )


def _choices(session: Session) -> dict[str, Any]:
    return {
        "warehouses": sorted(warehouses.types(session)),
        "schemas": catalogue.schemas(session),
        "states": catalogue.STATES_TOLD,
    }


@pages.get("/<name:table>")
def one(table: str) -> Response:
    wanted, now = parse(TableHistoryFilter), datetime.now(UTC)
    found = [] if "\0" in table else tables.find(db.session(), table, wanted["schema"], wanted["warehouse"])
    if not found:
        abort(404, description=f"Table {table} not found.")
    return page_of(found, wanted, now)


def page_of(found: Sequence[TableRef], wanted: Wanted, now: datetime) -> Response:
    """The page of the first of these tables, which have the same name; htmx gets the part that it is to replace."""
    table = found[0]
    history = history_of(db.session(), table, wanted, now)
    part = {"columns": "tables/_columns.html", "history": "tables/_history.html"}.get(request.htmx.target or "")
    whole = {} if part and is_part() else _standing_of(table, history, now)
    shown = show(
        "tables/show.html", part, table=table, also_in=found[1:], history=history, wanted=wanted, **whole, now=now
    )
    shown.vary.add("HX-Target")
    return shown


def _standing_of(table: TableRef, history: History, now: datetime) -> dict[str, Any]:
    """What stands around the history: how the table stands, its findings, decisions and partitions."""
    session = db.session()
    state = tables.state_of(session, table)
    stands = standing(table, state, config_or_none(), now)
    return {
        "state": state,
        "staleness": states.staleness_now(state) if state else None,
        "stands": stands,
        "calendar": calendar(stands.partitions),
        "decisions": decisions.newest_of(session, table),
        "can_run": can_run(),
        "drifted": list(lines_of(history.drifted, _courses(history))),
        "versions": versions(history.past.schema),
    }


def _courses(history: History) -> dict[str, list[float | None]]:
    """Of the findings whose metric the page has read anyway."""
    columns, rows = history.trends.columns, [run.row_count for run in history.sparks]
    return {
        each.finding_id: rows
        if each.metric_name == "row_count"
        else columns.get(each.column_name, {}).get(each.metric_name, [])
        for each in history.drifted
    }
