"""/drift: what drifted and what became of it, table by table; /drift/<finding_id>: all that is known of one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from flask import Blueprint, Response, abort
from markupsafe import Markup
from sqlalchemy.orm import Session

from app.distributions import overlay
from app.drift_pictures import finding_chart, finding_spark
from app.extensions import db
from app.findings import STATES, Basis
from app.pages import is_part, parse, show
from app.queries import courses, findings, profiles, runs, warehouses
from app.queries.pages import Page
from app.schemas.findings import FindingPageFilter
from profilemesh.tables import TableRef

pages = Blueprint("drift", __name__, url_prefix="/drift")
PAGE_SIZE = 30


@dataclass(frozen=True)
class Line:
    finding: Any
    basis: Basis
    spark: Markup = Markup("")


@dataclass(frozen=True)
class Group:
    """The findings of one table on this page, and how many of it match in all."""

    table: TableRef
    total: int
    lines: tuple[Line, ...]


@pages.get("")
def index() -> Response:
    wanted, now = parse(FindingPageFilter), datetime.now(UTC)
    session = db.session()
    found = findings.Findings(session, wanted, now)
    counts = found.counts()
    page = Page(wanted["page"], counts.total, PAGE_SIZE)
    listed = found.by_table(page.size, (page.number - 1) * page.size) if counts.total else []
    rows = [each.row for each in listed]
    return show(
        "drift/index.html",
        part="drift/_list.html",
        groups=_groups(listed, courses.of_findings(session, rows, now)),
        counts=counts,
        page=page,
        wanted=wanted,
        choices={} if is_part() else _choices(session),
        has_findings=bool(rows) or findings.any_finding(session),
        has_runs=bool(rows) or runs.any_run(session),
        states=STATES,
        now=now,
    )


def _choices(session: Session) -> dict[str, list[str]]:
    return {
        "warehouses": sorted(warehouses.types(session)),
        "environments": findings.environments(session),
        "owners": findings.owners(session),
    }


def _groups(listed: Sequence[findings.Listed], known: Mapping[str, list[float | None]]) -> list[Group]:
    found = []
    for table, of_table in groupby(listed, lambda each: _table(each.row)):
        each = list(of_table)
        found.append(Group(table, each[0].of_table, tuple(lines_of([one.row for one in each], known))))
    return found


def _table(row: Any) -> TableRef:
    return TableRef(row.warehouse, row.schema_name, row.table_name)


def lines_of(rows: Iterable[Any], known: Mapping[str, list[float | None]] | None = None) -> Iterable[Line]:
    for row in rows:
        yield Line(row, Basis.of(row.details), finding_spark(row, (known or {}).get(row.finding_id, [])))


@pages.get("/<string:finding_id>")
def one(finding_id: str) -> Response:
    now = datetime.now(UTC)
    finding = None if "\0" in finding_id else findings.find(db.session(), finding_id, now)
    if finding is None:
        abort(404, description=f"Finding {finding_id} not found.")
    basis = Basis.of(finding.details)
    return show("drift/show.html", finding=finding, basis=basis, **_shown(finding, basis, now), states=STATES, now=now)


def _shown(finding: Any, basis: Basis, now: datetime) -> dict[str, Any]:
    session = db.session()
    seen = findings.occurrences(session, finding.finding_id)
    about = courses.runs_about(session, finding)
    course = courses.of_one(session, finding, about, basis.moved)
    named = courses.runs_named(
        session, finding, {*basis.baseline_runs, *_ids(finding), *(each.run_id for each in seen)}
    )
    reference = next((named[each] for each in reversed(basis.baseline_runs) if each in named), None)
    current = named.get(finding.last_run_id)
    columns = _columns(finding, [run for run in (reference, current) if run is not None])
    before, after = (columns.get(run.run_id) if run is not None else None for run in (reference, current))
    return {
        "table": _table(finding),
        "has_column_page": bool(columns),
        "seen": seen,
        "history": findings.history(session, finding.finding_id),
        "runs": named,
        "reference": reference,
        "current": current,
        "overlay": overlay(before, after),
        "chart": finding_chart(finding, course, about, {each.run_id: each.severity for each in seen}),
        "tomorrow": now.date() + timedelta(days=1),
    }


def _ids(finding: Any) -> list[str]:
    return [each for each in (finding.first_run_id, finding.last_run_id) if each]


def _columns(finding: Any, of_runs: Sequence[Any]) -> dict[str, profiles.ColumnProfile]:
    if not finding.column_name:
        return {}
    return profiles.history(db.session(), of_runs, finding.column_name, None)
