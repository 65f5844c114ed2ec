"""Steering by hand: a table is paused and resumed, a running scan is asked to stop."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from profilemesh.storage.models import TableState
from profilemesh.storage.states import ensure, is_state_of
from profilemesh.storage.writes import hits_one
from profilemesh.tables import TableRef


def pause(session: Session, table: TableRef, now: datetime) -> None:
    """From now on no tick reads the table; one that is paused already stays so since then."""
    ensure(session, table)
    since = sa.func.coalesce(TableState.paused_at, now)
    hits_one(session, sa.update(TableState).where(is_state_of(table)).values(paused_at=since))


def resume(session: Session, table: TableRef) -> None:
    hits_one(session, sa.update(TableState).where(is_state_of(table)).values(paused_at=None))


def request_cancel(session: Session, table: TableRef, now: datetime) -> bool:
    """Ask whoever reads the table to stop; False if nobody does. `now` is the wall clock, as for claims."""
    held = sa.and_(is_state_of(table), TableState.claimed_by.is_not(None), TableState.claimed_until > now)
    return hits_one(session, sa.update(TableState).where(held).values(cancel_requested_at=now))


def cancel_requests(session: Session, holder: str) -> set[TableRef]:
    """Of the tables that `holder` has claimed, those whose scan is asked to stop."""
    asked = sa.and_(TableState.claimed_by == holder, TableState.cancel_requested_at.is_not(None))
    rows = session.execute(sa.select(TableState.warehouse, TableState.schema_name, TableState.table_name).where(asked))
    return {TableRef(*row) for row in rows}
