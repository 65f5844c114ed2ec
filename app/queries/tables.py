"""Tables: the list, and one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from app.queries.runs import GOOD_STATUSES, LISTED, NEWEST_FIRST, in_warehouse
from profilemesh.storage.models import Run, TableState
from profilemesh.tables import TableRef

KEY = (Run.warehouse, Run.schema_name, Run.dataset_name)


def _known() -> sa.Subquery:
    """Every table that was ever planned or run, with what is remembered of it."""
    return (
        sa.select(TableState.warehouse, TableState.schema_name, TableState.table_name)
        .union(sa.select(Run.warehouse, Run.schema_name, Run.dataset_name))
        .subquery("known")
    )


def listing(wanted: Mapping[str, Any]) -> sa.Select[*tuple[Any, ...]]:
    """Known tables by name, with what is remembered of each (None where nothing is)."""
    known, state = _known(), aliased(TableState)
    at_home = sa.and_(
        state.warehouse == known.c.warehouse,
        state.schema_name == known.c.schema_name,
        state.table_name == known.c.table_name,
    )
    remembered = (
        state.decision,
        state.decision_reason,
        state.last_profiled_at,
        state.last_verified_at,
        state.row_count,
    )
    statement = sa.select(known, *remembered).outerjoin(state, at_home)
    return statement.where(*_conditions(known, wanted)).order_by(
        known.c.table_name, known.c.schema_name, known.c.warehouse
    )


def total(wanted: Mapping[str, Any]) -> sa.Select[int]:
    known = _known()
    return sa.select(sa.func.count()).select_from(known).where(*_conditions(known, wanted))


def _conditions(known: sa.Subquery, wanted: Mapping[str, Any]) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if wanted["warehouse"]:
        found.append(known.c.warehouse == wanted["warehouse"])
    if wanted["q"]:
        found.append(known.c.table_name.icontains(wanted["q"], autoescape=True))
    return found


def warehouses(session: Session) -> list[str]:
    known = _known()
    return list(session.scalars(sa.select(known.c.warehouse).distinct().order_by(known.c.warehouse)))


def recent_runs(session: Session, tables: Sequence[Any], now: datetime, most: int = 30) -> dict[TableRef, list[Any]]:
    """The newest runs of each of these tables in the last 90 days, oldest first; one statement for all."""
    if not tables:
        return {}
    keys = [(t.warehouse, t.schema_name, t.table_name) for t in tables]
    rank = sa.func.row_number().over(partition_by=KEY, order_by=NEWEST_FIRST).label("rank")
    ranked = (
        sa.select(*KEY, Run.warehouse_type, Run.status, Run.profiled_at, Run.row_count, Run.column_count, rank)
        .where(sa.tuple_(*KEY).in_(keys), Run.profiled_at >= now - timedelta(days=90))
        .subquery()
    )
    found: dict[TableRef, list[Any]] = {}
    for row in session.execute(sa.select(ranked).where(ranked.c.rank <= most).order_by(ranked.c.rank.desc())):
        found.setdefault(TableRef(row.warehouse, row.schema_name, row.dataset_name), []).append(row)
    return found


def find(session: Session, name: str, schema: str | None, warehouse: str | None) -> list[TableRef]:
    """The tables of that name, the most recently profiled first; empty when there is none."""
    ran = sa.select(*KEY, sa.func.max(Run.profiled_at).label("at")).where(Run.dataset_name == name).group_by(*KEY)
    kept = sa.select(TableState.warehouse, TableState.schema_name, TableState.table_name, TableState.last_profiled_at)
    kept = kept.where(TableState.table_name == name)
    if schema:
        ran, kept = ran.where(Run.schema_name == schema), kept.where(TableState.schema_name == schema)
    if warehouse:
        ran = ran.where(in_warehouse(Run, warehouse))
        of_type = sa.select(Run.warehouse).where(Run.warehouse_type == warehouse, Run.dataset_name == name)
        kept = kept.where(sa.or_(TableState.warehouse == warehouse, TableState.warehouse.in_(of_type)))
    rows = sorted(
        [*session.execute(ran).all(), *session.execute(kept).all()],
        key=lambda row: (row[3] is not None, row[3].timestamp() if row[3] else 0.0),
        reverse=True,
    )
    return list(dict.fromkeys(TableRef(row[0], row[1], row[2]) for row in rows))


def state_of(session: Session, table: TableRef) -> TableState | None:
    return session.get(TableState, (table.warehouse, table.schema, table.name))


def claimed(session: Session) -> dict[str, TableRef]:
    """The tables that are being read, by the name under which a tick's progress has them."""
    names = sa.select(TableState.warehouse, TableState.schema_name, TableState.table_name)
    found = [TableRef(*row) for row in session.execute(names.where(TableState.claimed_by.is_not(None)))]
    return {str(table): table for table in found}


def _of(table: TableRef) -> tuple[sa.ColumnElement[bool], ...]:
    return Run.warehouse == table.warehouse, Run.schema_name == table.schema, Run.dataset_name == table.name


def newest_runs(session: Session, table: TableRef, most: int = 60) -> list[Any]:
    """The table's runs, newest first, without their heavy columns."""
    statement = sa.select(*LISTED, Run.error, Run.scope_detail, Run.hash_family).where(*_of(table))
    return list(session.execute(statement.order_by(*NEWEST_FIRST).limit(most)))


def count_runs(session: Session, table: TableRef) -> int:
    return session.scalar(sa.select(sa.func.count()).select_from(Run).where(*_of(table))) or 0


def latest_good(session: Session, table: TableRef) -> Any | None:
    """The newest run that succeeded, whatever came after it."""
    wanted = sa.select(*LISTED, Run.hash_family).where(*_of(table), Run.status.in_(GOOD_STATUSES))
    return session.execute(wanted.order_by(*NEWEST_FIRST).limit(1)).first()
