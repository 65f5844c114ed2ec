"""Ticks: how far a plan that is being carried out has come, for every process to see."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from profilemesh.storage.claims import holder_is_dead
from profilemesh.storage.clock import storage_now
from profilemesh.storage.models import Tick
from profilemesh.storage.writes import count, hits_one

RUNNING, DONE, FAILED, INTERRUPTED = "running", "done", "failed", "interrupted"
UNSEEN_LIMIT = timedelta(minutes=1)


def begin(session: Session, tick: Tick) -> None:
    """Store a new tick as running; its times are now, by the storage's clock, unless it has them."""
    now = storage_now(session)
    tick.status = RUNNING
    tick.started_at = tick.started_at or now
    tick.seen_at = tick.seen_at or now
    session.add(tick)
    session.flush()


def progress(session: Session, tick_id: str, *, now: datetime | None = None, **counts: Any) -> bool:
    """Say that the tick goes on, and how far it is: any of `tables_done`, `tables_failed`, `rows_read`, `current`, ...

    One that was taken for interrupted, because nobody had heard of it, is running again. False if it has ended.
    """
    goes_on = sa.and_(Tick.tick_id == tick_id, Tick.status.in_((RUNNING, INTERRUPTED)))
    again = {"status": RUNNING, "ended_at": None, "error": None, "seen_at": now or storage_now(session)}
    return hits_one(session, sa.update(Tick).where(goes_on).values(counts | again))


def end(
    session: Session,
    tick_id: str,
    status: str,
    error: str | None = None,
    *,
    now: datetime | None = None,
    **counts: Any,
) -> bool:
    """The tick is over: `done`, `failed` or `interrupted`. False if it was over before."""
    open_ = sa.and_(Tick.tick_id == tick_id, Tick.status.in_((RUNNING, INTERRUPTED)))
    at = now or storage_now(session)
    last = {"status": status, "error": error, "seen_at": at, "ended_at": at, "current": None}
    return hits_one(session, sa.update(Tick).where(open_).values(counts | last))


def latest(session: Session, n: int, asked_by: str | None = None) -> Sequence[Tick]:
    """The last ticks, of all or of those asked for by one, the newest first."""
    wanted = sa.select(Tick) if asked_by is None else sa.select(Tick).where(Tick.asked_by == asked_by)
    return session.scalars(wanted.order_by(Tick.started_at.desc(), Tick.tick_id.desc()).limit(n)).all()


def running(session: Session, *, now: datetime | None = None) -> list[Tick]:
    """The ticks that are being carried out, oldest first: heard of within the last minute, by a living holder."""
    heard_since = (now or storage_now(session)) - UNSEEN_LIMIT
    wanted = sa.select(Tick).where(Tick.status == RUNNING, Tick.seen_at >= heard_since)
    ticks = session.scalars(wanted.order_by(Tick.started_at, Tick.tick_id))
    return [tick for tick in ticks if not holder_is_dead(tick.holder)]


def bury(session: Session, *, now: datetime | None = None) -> int:
    """Mark as interrupted the ticks that say running and are not, and tell how many there were."""
    at = now or storage_now(session)
    rows = session.execute(sa.select(Tick.tick_id, Tick.holder, Tick.seen_at).where(Tick.status == RUNNING))
    gone = [row.tick_id for row in rows if row.seen_at < at - UNSEEN_LIMIT or holder_is_dead(row.holder)]
    if not gone:
        return 0
    # Heard of since it was looked at: not gone after all.
    still = sa.and_(Tick.tick_id.in_(gone), Tick.status == RUNNING, Tick.seen_at <= at)
    ended = {"status": INTERRUPTED, "ended_at": at, "current": None, "error": _ERROR}
    return count(session, sa.update(Tick).where(still).values(ended))


_ERROR = "interrupted: the process that carried it out stopped before it was done"
