"""What one text finds: tables and columns by a part of their names, runs by the beginning of their ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.functions import GenericFunction

from app.queries.columns import COLUMN_NAME, COLUMN_NAMES, STATE, STATES
from app.queries.runs import LISTED, NEWEST_FIRST
from app.queries.tables import NAME, SAME_TABLE, STATE_KEY
from profilemesh.storage.models import Result, Run, TableState
from profilemesh.tables import TableRef


class place_of(GenericFunction[int]):
    """Where in a text another one begins, 0 where it is not in it; faster than any LIKE."""

    type = sa.Integer()
    inherit_cache = True


@compiles(place_of, "postgresql")
def _postgres_place(element: Any, compiler: Any, **kw: Any) -> str:
    return f"strpos({compiler.process(element.clauses, **kw)})"


@compiles(place_of, "sqlite")
def _sqlite_place(element: Any, compiler: Any, **kw: Any) -> str:
    return f"instr({compiler.process(element.clauses, **kw)})"


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
    """Chosen by their names alone, of which there is an index; only the few that are shown are read whole."""
    close = _closeness(STATE.table_name, text)
    whole = sa.func.lower(STATE.schema_name + "." + STATE.table_name)
    matching = sa.select(*NAME).where(place_of(whole, sa.func.lower(text)) > 0)
    chosen = matching.order_by(close, *NAME).limit(most).subquery("chosen")
    state, c = STATES.alias("shown"), chosen.c
    key = state.c.warehouse, state.c.schema_name, state.c.table_name
    same = sa.and_(key[0] == c.warehouse, key[1] == c.schema_name, key[2] == c.table_name)
    shown = sa.select(*key, state.c.warehouse_type, state.c.row_count, state.c.last_profiled_at)
    name = key[2], key[1], key[0]
    return session.execute(shown.join(chosen, same).order_by(_closeness(key[2], text), *name)).all()


def _holds(name: Any, text: str) -> sa.ColumnElement[bool]:
    found: sa.ColumnElement[bool] = name.icontains(text, autoescape=True)
    return found


def _closeness(name: Any, text: str) -> sa.ColumnElement[int]:
    begins = name.istartswith(text, autoescape=True)
    return sa.case((sa.func.lower(name) == text.lower(), 0), (begins, 1), else_=2)


def _columns(session: Session, text: str, most: int) -> list[FoundColumn]:
    """As the tables' states list them; where an older run alone tells, as it does."""
    found = [*_of_names(session, text, most), *_of_runs(session, text, most)]
    return sorted(found, key=lambda column: (_place(column.name, text), column.name, column.table))[:most]


def _place(name: str, text: str) -> int:
    lowered, wanted = name.lower(), text.lower()
    return 0 if lowered == wanted else 1 if lowered.startswith(wanted) else 2


def _of_names(session: Session, text: str, most: int) -> Iterator[FoundColumn]:
    """The names first, as an index has them; only of the closest the tables."""
    c, wanted = COLUMN_NAME, sa.func.lower(text)
    place = place_of(c.lowered, wanted)
    close = sa.case((c.lowered == wanted, 0), (place == 1, 1), else_=2)
    matching = sa.select(c.lowered.label("name"), close.label("close")).where(place > 0).distinct()
    names = matching.order_by(close, c.lowered).limit(most).subquery("names")
    table = c.warehouse, c.schema_name, c.table_name
    found = sa.select(*table, c.name, c.type).join_from(names, COLUMN_NAMES, c.lowered == names.c.name)
    for *key, name, type_ in session.execute(found.order_by(names.c.close, c.name, *table).limit(most)):
        yield FoundColumn(TableRef(*key), name, type_)


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
