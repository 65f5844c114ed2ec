"""The decision log, as the page and the API ask for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.queries.warehouses import meant
from profilemesh.storage import decisions
from profilemesh.storage.models import LoggedDecision, Saving, TableState
from profilemesh.tables import TableRef

Log = sa.Select[LoggedDecision]


def listing(session: Session, wanted: Mapping[str, Any], now: datetime) -> Log:
    """Newest first; `wanted` is a loaded DecisionFilter. Tables are looked up, so that the log is read by index."""
    since = now - timedelta(days=wanted["days"])
    found = decisions.listing(action=wanted["action"], reason=wanted["reason"], since=since)
    names = meant(session, wanted["warehouse"])
    if wanted["table"]:
        return found.where(_is_one_of(_named(session, wanted["table"], wanted["schema"], names)))
    if names is not None:
        found = found.where(LoggedDecision.warehouse.in_(names))
    if wanted["schema"]:
        found = found.where(LoggedDecision.schema_name == wanted["schema"])
    if wanted.get("q"):
        found = found.where(LoggedDecision.table_name.icontains(wanted["q"], autoescape=True))
    return found


def _named(session: Session, table: str, schema: str | None, warehouses: set[str] | None) -> list[TableRef]:
    names = sa.select(TableState.warehouse, TableState.schema_name, TableState.table_name)
    names = names.where(TableState.table_name == table)
    if schema:
        names = names.where(TableState.schema_name == schema)
    if warehouses is not None:
        names = names.where(TableState.warehouse.in_(warehouses))
    return [TableRef(*row) for row in session.execute(names)]


def _is_one_of(tables: Sequence[TableRef]) -> sa.ColumnElement[bool]:
    same = (
        sa.and_(
            LoggedDecision.warehouse == table.warehouse,
            LoggedDecision.schema_name == table.schema,
            LoggedDecision.table_name == table.name,
        )
        for table in tables
    )
    return sa.or_(sa.false(), *same)


def total(listed: Log) -> sa.Select[int]:
    return listed.with_only_columns(sa.func.count()).order_by(None)


def warehouses(session: Session) -> list[str]:
    """Those that anything was ever decided about."""
    return list(session.scalars(sa.select(TableState.warehouse).distinct().order_by(TableState.warehouse)))


def newest_of(session: Session, table: TableRef, most: int = 20) -> Sequence[LoggedDecision]:
    return session.scalars(decisions.of_table(table).limit(most)).all()


def by_reason(session: Session, since: datetime, warehouses: set[str] | None = None) -> list[Any]:
    """How many decisions of each action and reason stood since then, the most frequent first."""
    log, count = LoggedDecision, sa.func.count().label("decisions")
    wanted = sa.select(log.action, log.reason, count).where(log.last_at >= since).group_by(log.action, log.reason)
    if warehouses is not None:
        wanted = wanted.where(log.warehouse.in_(warehouses))
    return list(session.execute(wanted.order_by(count.desc(), log.action, log.reason)))


@dataclass(frozen=True)
class Day:
    """What one UTC day's decisions read and spared, in rows."""

    day: date
    read: int = 0
    measured: int = 0
    estimated: int = 0
    unpriced: int = 0
    decisions: int = 0

    @property
    def spared(self) -> int:
        return self.measured + self.estimated


def spared_by_day(session: Session, now: datetime, days: int, warehouses: set[str] | None = None) -> list[Day]:
    """The last so many days, oldest first, also those on which nothing was decided."""
    s, today = Saving, now.date()
    days_told = [today - timedelta(days=back) for back in range(days - 1, -1, -1)]
    told = (s.rows_read, s.rows_measured, s.rows_estimated, s.unpriced, s.decisions)
    sums = sa.select(s.day, *map(sa.func.sum, told)).where(s.day >= days_told[0], s.day <= today).group_by(s.day)
    if warehouses is not None:
        sums = sums.where(s.warehouse.in_(sorted(warehouses)))
    found = {day: Day(day, *map(int, rows)) for day, *rows in session.execute(sums)}
    return [found.get(day, Day(day)) for day in days_told]
