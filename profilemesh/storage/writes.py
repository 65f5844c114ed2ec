"""Statements on many rows, and what both databases spell alike and SQLAlchemy keeps apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from profilemesh.storage.models import Base

T = TypeVar("T")


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in lists of at most `size`: a statement has room for some 32,000 values."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


def insert(session: Session, model: type[Base]) -> postgresql.Insert | sqlite.Insert:
    """INSERT that knows ON CONFLICT."""
    table = cast(sa.Table, model.__table__)
    return postgresql.insert(table) if is_postgres(session) else sqlite.insert(table)


def insert_all(
    session: Session, statement: postgresql.Insert | sqlite.Insert, rows: Sequence[Mapping[str, Any]]
) -> None:
    """Carry an INSERT out for all rows, many to a statement."""
    if is_postgres(session):
        # What returns nothing and knows ON CONFLICT is sent row by row.
        session.execute(statement.returning(sa.literal_column("1")), rows).close()
    else:
        session.execute(statement, rows)


def count(session: Session, statement: sa.Update | sa.Delete) -> int:
    """Carry it out, and tell how many rows it hit."""
    result = session.execute(statement.execution_options(synchronize_session=False))
    assert isinstance(result, CursorResult)
    return result.rowcount


def hits_one(session: Session, statement: sa.Update | sa.Delete) -> bool:
    return count(session, statement) == 1


def is_postgres(session: Session) -> bool:
    return session.get_bind().dialect.name == "postgresql"
