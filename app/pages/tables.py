"""/tables and /tables/<table>."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, abort

from app import pictures
from app.extensions import db
from app.hand import can_run
from app.pages import parse, show
from app.pages.drift import lines_of
from app.preview import config_or_none
from app.queries import decisions, findings, profiles, tables, warehouses
from app.queries.pages import Page
from app.queries.runs import GOOD_STATUSES
from app.schemas.tables import TableChoice, TablePageFilter
from app.standing import standing
from profilemesh.tables import TableRef

pages = Blueprint("tables", __name__, url_prefix="/tables")


@pages.get("")
def index() -> Response:
    wanted, now = parse(TablePageFilter), datetime.now(UTC)
    found = tables.Tables(db.session(), wanted, now)
    page = Page(wanted["page"], found.count())
    rows = db.session.execute(page.cut(found.told)).all()
    recent = tables.recent_runs(db.session(), rows, now)
    lines = [(row, recent.get(TableRef(row.warehouse, row.schema_name, row.table_name), [])) for row in rows]
    return show(
        "tables/index.html",
        part="tables/_rows.html",
        lines=[pictures.table_line(row, runs) for row, runs in lines],
        page=page,
        wanted=wanted,
        warehouses=sorted(warehouses.types(db.session())),
        now=now,
    )


@pages.get("/<name:table>")
def one(table: str) -> Response:
    wanted, now = parse(TableChoice), datetime.now(UTC)
    found = [] if "\0" in table else tables.find(db.session(), table, wanted["schema"], wanted["warehouse"])
    if not found:
        abort(404, description=f"Table {table} not found.")
    return show("tables/show.html", table=found[0], also_in=found[1:], **_shown(found[0], now), now=now)


def _shown(table: TableRef, now: datetime) -> dict[str, Any]:
    session = db.session()
    state = tables.state_of(session, table)
    runs = tables.newest_runs(session, table)
    good = [run for run in reversed(runs) if run.status in GOOD_STATUSES][-30:]
    # Sixty failures in a row push the last good run off the list.
    latest = good[-1] if good else tables.latest_good(session, table)
    trend = profiles.trends(session, good)
    columns = profiles.profile_of(session, latest) if latest is not None else []
    drifted, drift_count = findings.of_table(session, table, now)
    return {
        "drifted": list(lines_of(drifted, _courses(drifted, good, trend))),
        "drift_count": drift_count,
        "state": state,
        "stands": standing(table, state, config_or_none(), now),
        "decisions": decisions.newest_of(session, table),
        "can_run": can_run(),
        "runs": runs[:15],
        "run_count": tables.count_runs(session, table) if len(runs) == 60 else len(runs),
        "latest": latest,
        "columns": columns,
        "trends": {c.name: pictures.column_trend(c, trend.get(c.name)) for c in columns},
        "row_chart": pictures.row_chart(good),
        "null_chart": pictures.null_chart(good, profiles.null_share(trend, len(good))),
    }


def _courses(drifted: Sequence[Any], good: Sequence[Any], trend: Mapping[str, Any]) -> dict[str, list[float | None]]:
    """Of the findings whose metric the page has read anyway."""
    found = {each.finding_id: trend.get(each.column_name, {}).get(each.metric_name, []) for each in drifted}
    rows = [run.row_count for run in good]
    return found | {each.finding_id: rows for each in drifted if each.metric_name == "row_count"}
