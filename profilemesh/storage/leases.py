"""Leases: who alone may do something for a while, be there one process or twenty on several machines.

The life of a lease: `take` wins it for a term, `renew` from time to time keeps it, `release` gives it back. A holder
that stops renewing is replaced when its term is over, at once if it is known to be dead. Terms are measured by the
storage's clock, so that machines need not agree on the time; `now` replaces it where a caller has a reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from profilemesh.storage.claims import holder_is_dead
from profilemesh.storage.clock import storage_now
from profilemesh.storage.models import Lease
from profilemesh.storage.writes import hits_one, insert


def take(session: Session, name: str, holder: str, term: timedelta, *, now: datetime | None = None) -> bool:
    """Win the lease until a term from now, or keep it; False if another holds it."""
    at = now or storage_now(session)
    mine = {"holder": holder, "taken_at": at, "until": at + term}
    session.execute(insert(session, Lease).values(name=name).on_conflict_do_nothing(index_elements=["name"]))
    if _hits(session, name, Lease.holder == holder, {"until": at + term}):
        return True
    if _hits(session, name, sa.or_(Lease.holder.is_(None), Lease.until <= at), mine):
        return True
    other = session.scalar(sa.select(Lease.holder).where(Lease.name == name))
    if other is None or not holder_is_dead(other):
        return False
    return _hits(session, name, Lease.holder == other, mine)


def renew(session: Session, name: str, holder: str, term: timedelta, *, now: datetime | None = None) -> bool:
    """Keep the lease until a term from now; False if it was lost to another."""
    until = (now or storage_now(session)) + term
    return _hits(session, name, Lease.holder == holder, {"until": until})


def release(session: Session, name: str, holder: str) -> None:
    """Give the lease back; nothing happens if it was lost already."""
    _hits(session, name, Lease.holder == holder, {"holder": None, "taken_at": None, "until": None})


def held_by(session: Session, name: str, *, now: datetime | None = None) -> tuple[str, datetime] | None:
    """Who holds the lease and until when; None if its term is over, or it is nobody's."""
    at = now or storage_now(session)
    row = session.execute(
        sa.select(Lease.holder, Lease.until).where(Lease.name == name, Lease.until > at)
    ).one_or_none()
    if row is None or row.holder is None or row.until is None or holder_is_dead(row.holder):
        return None
    return row.holder, row.until


def _hits(session: Session, name: str, condition: sa.ColumnElement[bool], values: Mapping[str, Any]) -> bool:
    return hits_one(session, sa.update(Lease).where(Lease.name == name, condition).values(values))
