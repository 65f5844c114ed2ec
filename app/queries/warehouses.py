"""Which warehouses there are, of which type."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.queries.lists import worded_once
from app.queries.several import values_of
from profilemesh.storage.models import RunCount, TableState

UNKNOWN = "unknown"


def types(session: Session) -> dict[str, str]:
    """The type of every warehouse with a table; from one to the next by index, for tables are many."""
    return {name: type_ or UNKNOWN for name, type_ in session.execute(_types())}


@worded_once
def _types() -> sa.Select[*tuple[Any, ...]]:
    state = TableState
    known = values_of(state.warehouse)
    type_ = (
        sa.select(state.warehouse_type)
        .where(state.warehouse == known.c.name, state.warehouse_type.is_not(None))
        .order_by(state.schema_name, state.table_name)
        .limit(1)
        .scalar_subquery()
        .label("type")
    )
    return sa.select(known.c.name, type_).where(known.c.name.is_not(None))


def meant(session: Session, wanted: str | None) -> set[str] | None:
    """The warehouse of that name, and those of that type; None where nothing is asked for."""
    if not wanted:
        return None
    return {wanted, *(name for name, type_ in types(session).items() if type_ == wanted)}


def is_meant(column: sa.ColumnElement[str], wanted: str) -> sa.ColumnElement[bool]:
    """The same as a condition, where one statement is to do."""
    named = _types().subquery().c
    return sa.or_(column == wanted, column.in_(sa.select(named.name).where(named.type == wanted)))


def with_runs_of(session: Session, wanted: str | None) -> frozenset[str] | None:
    """The same by what the runs themselves say: a warehouse may once have been of another type."""
    if not wanted:
        return None
    counts = sa.select(RunCount.warehouse).where(RunCount.span == "day", RunCount.warehouse_type == wanted)
    return frozenset({wanted, *session.scalars(counts.distinct())})
