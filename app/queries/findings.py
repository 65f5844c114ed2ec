"""Findings of drift: the list, its counts, the page of tables with theirs, and all that is known of one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.queries import warehouses
from app.queries.columns import FINDING, FINDINGS, OCCURRENCE, OCCURRENCES, RUN
from app.queries.lists import Order, Part, part_of
from profilemesh.storage.models import FindingOccurrence, TriageEntry
from profilemesh.tables import TableRef

SEVERITIES = ("high", "medium", "low")
STATES = ("open", "acknowledged", "snoozed", "expected", "resolved")
CHOICES = ("unresolved", *STATES, "all")
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
ORDER = Order((FINDING.last_seen_at, FINDING.finding_id), (datetime, str))
TABLE = (FINDING.warehouse, FINDING.schema_name, FINDING.table_name)
OF_LAST = (
    OCCURRENCE.baseline_value,
    OCCURRENCE.current_value,
    OCCURRENCE.change_percent,
    OCCURRENCE.details,
)
LATEST = sa.and_(OCCURRENCE.finding_id == FINDING.finding_id, OCCURRENCE.run_id == FINDING.last_run_id)
_COLUMNS = [column for column in FINDINGS.c if column.name != "state"]
RANK = sa.case((FINDING.severity == "high", 2), (FINDING.severity == "medium", 1), else_=0)


def state_at(now: datetime) -> sa.ColumnElement[str]:
    """A snooze that is over is open again, whether or not a run has noticed."""
    is_over = sa.and_(FINDING.state == "snoozed", FINDING.snoozed_until <= now)
    return sa.case((is_over, "open"), else_=FINDING.state)


def in_state(wanted: str, now: datetime) -> list[sa.ColumnElement[bool]]:
    """By conditions on the stored state, which has an index."""
    state, until = FINDING.state, FINDING.snoozed_until
    if wanted == "all":
        return []
    if wanted == "unresolved":
        return [state != "resolved"]
    if wanted == "open":
        return [sa.or_(state == "open", sa.and_(state == "snoozed", until <= now))]
    return [state == wanted, *([until > now] if wanted == "snoozed" else [])]


@dataclass(frozen=True)
class Counts:
    """How many match in each state, whatever the severity asked for is taken for, and by severity in that state."""

    states: Mapping[str, int]
    severities: Mapping[str, int]
    total: int


class Findings:
    """The findings that a loaded FindingFilter asks for."""

    def __init__(self, session: Session, wanted: Mapping[str, Any], now: datetime) -> None:
        self.session, self.wanted, self.now = session, wanted, now
        self.since = _since(wanted, now)
        self.warehouses = warehouses.meant(session, wanted["warehouse"])

    @property
    def listed(self) -> sa.Select[*tuple[Any, ...]]:
        wanted = sa.select(*_COLUMNS, state_at(self.now).label("state"), *OF_LAST)
        return wanted.select_from(FINDINGS.outerjoin(OCCURRENCES, LATEST)).where(*self._conditions())

    @property
    def total(self) -> sa.Select[*tuple[Any, ...]]:
        return sa.select(sa.func.count()).select_from(FINDINGS).where(*self._conditions())

    def part(self) -> Part:
        """What its `limit`, `offset` and `cursor` cut out, the last seen first."""
        return part_of(self.session, self.listed, self.total, ORDER, self.wanted, self.since)

    @property
    def by_table(self) -> sa.Select[*tuple[Any, ...]]:
        """For people: the tables with the worst of what is still open first, the findings of each together."""
        state = state_at(self.now)
        waits = sa.case((state == "open", 2), (state == "acknowledged", 1), else_=0)
        whole: dict[str, Any] = {"partition_by": TABLE}
        worst = sa.func.max(waits * 10 + RANK).over(**whole)
        of_table = sa.func.count().over(**whole).label("of_table")
        newest = sa.func.max(FINDING.last_seen_at).over(**whole)
        within = (waits.desc(), RANK.desc(), FINDING.last_seen_at.desc(), FINDING.finding_id)
        return self.listed.add_columns(of_table).order_by(worst.desc(), newest.desc(), *TABLE, *within)

    def counts(self) -> Counts:
        state = state_at(self.now).label("state")
        severity = sa.case((FINDING.severity.in_(("high", "medium")), FINDING.severity), else_="low").label("severity")
        counted = sa.select(state, severity, sa.func.count()).where(*self._conditions(whole=True))
        return _summed(self.session.execute(counted.group_by(state, severity)).all(), self.wanted)

    def _conditions(self, whole: bool = False) -> list[sa.ColumnElement[bool]]:
        wanted, found = self.wanted, list[sa.ColumnElement[bool]]()
        if self.since > LONG_AGO:
            found.append(FINDING.last_seen_at >= self.since)
        if self.warehouses is not None:
            found.append(FINDING.warehouse.in_(sorted(self.warehouses)))
        for column, name in ((FINDING.schema_name, "schema"), (FINDING.table_name, "table")):
            if wanted[name]:
                found.append(column == wanted[name])
        if wanted.get("q"):
            found.append(FINDING.table_name.icontains(wanted["q"], autoescape=True))
        if wanted["owner"]:
            found.append(sa.or_(FINDING.owner == wanted["owner"], FINDING.assignee == wanted["owner"]))
        if whole:
            return found
        return [*found, *in_state(wanted["state"], self.now), *_of_severity(wanted["severity"])]


def _since(wanted: Mapping[str, Any], now: datetime) -> datetime:
    if wanted.get("cursor"):
        since: datetime = wanted["cursor"].since
        return since
    return now - timedelta(days=wanted["days"]) if wanted["days"] else LONG_AGO


def _of_severity(severity: str | None) -> list[sa.ColumnElement[bool]]:
    if severity is None:
        return []
    return [FINDING.severity.not_in(("high", "medium"))] if severity == "low" else [FINDING.severity == severity]


def _summed(rows: Sequence[Any], wanted: Mapping[str, Any]) -> Counts:
    states, severities = dict.fromkeys(CHOICES, 0), dict.fromkeys(SEVERITIES, 0)
    for state, severity, count in rows:
        names = {state, "all", *([] if state == "resolved" else ["unresolved"])}
        if wanted["severity"] in (None, severity):
            for name in names:
                states[name] = states.get(name, 0) + count
        if wanted["state"] in names:
            severities[severity] += count
    return Counts(states, severities, states[wanted["state"]])


def owners(session: Session) -> list[str]:
    """Whose the findings are that are not resolved: their owners, and to whom they are assigned."""
    waiting = FINDING.state.in_(STATES[:-1])
    named = [sa.select(column).where(waiting, column.is_not(None)) for column in (FINDING.owner, FINDING.assignee)]
    return sorted(session.scalars(sa.union(*named)))


def any_finding(session: Session) -> bool:
    return session.scalar(sa.select(FINDING.finding_id).limit(1)) is not None


def of_table(session: Session, table: TableRef, now: datetime, most: int = 8) -> tuple[list[Any], int]:
    """What is not resolved of a table, the worst first, and how much that is in all."""
    wanted = dict.fromkeys(("severity", "owner", "days"))
    named = {"warehouse": None, "schema": table.schema, "table": table.name, "state": "unresolved"}
    found = Findings(session, wanted | named, now).by_table.where(FINDING.warehouse == table.warehouse)
    rows = list(session.execute(found.limit(most)))
    return rows, rows[0].of_table if rows else 0


def worst(
    session: Session, warehouses: Collection[str] | None, environment: str | None, now: datetime, most: int = 5
) -> list[Any]:
    """The worst of what is open, in these warehouses (None: in all), last found by a run of this environment."""
    wanted = (
        sa.select(*_COLUMNS, state_at(now).label("state"), *OF_LAST)
        .select_from(FINDINGS.outerjoin(OCCURRENCES, LATEST))
        .where(*in_state("open", now))
        .order_by(RANK.desc(), FINDING.last_seen_at.desc(), FINDING.finding_id)
    )
    if warehouses is not None:
        wanted = wanted.where(FINDING.warehouse.in_(sorted(warehouses)))
    if environment:
        run = sa.select(RUN.run_id).where(RUN.run_id == FINDING.last_run_id, RUN.dataset_name == FINDING.table_name)
        wanted = wanted.where(run.where(RUN.environment == environment).exists())
    return list(session.execute(wanted.limit(most)))


def of_run(session: Session, run: Any, now: datetime) -> list[Any]:
    """What a run found of its table, as it found it then, the worst first."""
    at_that_time = (OCCURRENCE.severity, OCCURRENCE.sentence, *OF_LAST)
    columns = [column for column in FINDINGS.c if column.name not in ("state", "severity", "sentence")]
    return list(
        session.execute(
            sa.select(*columns, state_at(now).label("state"), *at_that_time)
            .select_from(FINDINGS.join(OCCURRENCES, OCCURRENCE.finding_id == FINDING.finding_id))
            .where(OCCURRENCE.run_id == run.run_id, FINDING.table_name == run.dataset_name)
            .where(FINDING.warehouse == run.warehouse, FINDING.schema_name == run.schema_name)
            .order_by(
                sa.case((OCCURRENCE.severity == "high", 2), (OCCURRENCE.severity == "medium", 1), else_=0).desc(),
                FINDING.column_name,
                FINDING.metric_name,
            )
        )
    )


def find(session: Session, finding_id: str, now: datetime) -> Any | None:
    wanted = sa.select(*_COLUMNS, state_at(now).label("state"), *OF_LAST)
    joined = wanted.select_from(FINDINGS.outerjoin(OCCURRENCES, LATEST))
    return session.execute(joined.where(FINDING.finding_id == finding_id)).one_or_none()


def states_of(session: Session, finding_ids: Sequence[str], now: datetime) -> dict[str, str]:
    """finding_id -> its state; those that do not exist are left out."""
    wanted = sa.select(FINDING.finding_id, state_at(now)).where(FINDING.finding_id.in_(finding_ids))
    return {finding_id: state for finding_id, state in session.execute(wanted)}


def occurrences(session: Session, finding_id: str, most: int = 100) -> list[FindingOccurrence]:
    """Newest first."""
    found = FindingOccurrence
    wanted = sa.select(found).where(found.finding_id == finding_id).order_by(found.at.desc(), found.run_id.desc())
    return list(session.scalars(wanted.limit(most)))


def history(session: Session, finding_id: str, most: int = 500) -> list[TriageEntry]:
    """What was done with it, newest first."""
    wanted = sa.select(TriageEntry).where(TriageEntry.finding_id == finding_id).order_by(TriageEntry.id.desc())
    return list(session.scalars(wanted.limit(most)))
