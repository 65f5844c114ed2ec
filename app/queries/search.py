"""What one text finds: tables and columns by a part of their names, runs by the beginning of their ids."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.queries.runs import LISTED, NEWEST_FIRST
from app.queries.tables import NAME, SAME_TABLE, STATE_KEY
from profilemesh.storage.models import Result, Run, TableState
from profilemesh.tables import TableRef


@dataclass(frozen=True)
class FoundColumn:
    table: TableRef
    name: str
    type: str | None


@dataclass(frozen=True)
class Found:
    tables: Sequence[Any]
    columns: Sequence[FoundColumn]
    runs: Sequence[Any]

    @property
    def is_empty(self) -> bool:
        return not (self.tables or self.columns or self.runs)


def search(session: Session, text: str, most: int) -> Found:
    """At most so many of each; what is called exactly so comes first, then what begins so."""
    return Found(_tables(session, text, most), _columns(session, text, most), _runs(session, text, most))


def _tables(session: Session, text: str, most: int) -> Sequence[Any]:
    state = TableState
    whole = state.schema_name + "." + state.table_name
    wanted = sa.select(*STATE_KEY, state.warehouse_type, state.row_count, state.last_profiled_at)
    matching = wanted.where(sa.or_(_holds(state.table_name, text), _holds(whole, text)))
    return session.execute(matching.order_by(_closeness(state.table_name, text), *NAME).limit(most)).all()


def _holds(name: Any, text: str) -> sa.ColumnElement[bool]:
    found: sa.ColumnElement[bool] = name.icontains(text, autoescape=True)
    return found


def _closeness(name: Any, text: str) -> sa.ColumnElement[int]:
    begins = name.istartswith(text, autoescape=True)
    return sa.case((sa.func.lower(name) == text.lower(), 0), (begins, 1), else_=2)


def _columns(session: Session, text: str, most: int) -> list[FoundColumn]:
    """As the tables' states list them; where an older run alone tells, as it does."""
    found = [*_of_states(session, text), *_of_runs(session, text, most)]
    return sorted(found, key=lambda column: (_place(column.name, text), column.name, column.table))[:most]


def _place(name: str, text: str) -> int:
    lowered, wanted = name.lower(), text.lower()
    return 0 if lowered == wanted else 1 if lowered.startswith(wanted) else 2


def _of_states(session: Session, text: str) -> Iterator[FoundColumn]:
    as_stored = json.dumps(text)[1:-1]
    wanted = sa.select(*STATE_KEY, TableState.columns).where(_holds(sa.cast(TableState.columns, sa.String), as_stored))
    for row in session.execute(wanted):
        for column in row.columns or ():
            if text.lower() in column["name"].lower():
                yield FoundColumn(TableRef(*row[:3]), column["name"], column["type"])


def _of_runs(session: Session, text: str, most: int) -> Iterator[FoundColumn]:
    newest = sa.select(Run.run_id).where(SAME_TABLE).order_by(*NEWEST_FIRST).limit(1).correlate(TableState)
    same_run = sa.and_(
        Result.run_id == newest.scalar_subquery(),
        Result.dataset_name == TableState.table_name,
        Result.schema_name == TableState.schema_name,
        # Every column of every run has it: one row of each.
        Result.metric_name == "count",
    )
    wanted = (
        sa.select(*STATE_KEY, Result.column_name, sa.func.max(Result.column_type))
        .join(Result, same_run)
        .where(TableState.columns.is_(None), Result.column_name != "", _holds(Result.column_name, text))
        .group_by(*STATE_KEY, Result.column_name)
        .order_by(_closeness(Result.column_name, text), Result.column_name, *STATE_KEY)
        .limit(most)
    )
    for warehouse, schema, table, name, type_ in session.execute(wanted):
        yield FoundColumn(TableRef(warehouse, schema, table), name, type_)


def _runs(session: Session, text: str, most: int) -> Sequence[Any]:
    begins = _begins(session, text)
    return session.execute(sa.select(*LISTED).where(begins).order_by(*NEWEST_FIRST).limit(most)).all()


def _begins(session: Session, text: str) -> sa.ColumnElement[bool]:
    """In the words by which each database uses its index."""
    if session.get_bind().dialect.name == "postgresql":
        return Run.run_id.startswith(text, autoescape=True)
    return sa.and_(Run.run_id >= text, Run.run_id < text + "\U0010ffff")
