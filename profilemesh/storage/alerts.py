"""Alerts: the outbox of items, and the digests made of them.

An item's life: `add_items` within the transaction of its finding, `make_digest` once the tick is over. A digest's:
waiting from then on, the oldest of a route first, until it is `sent` or `given_up`. What is done to a route's digests
is done in transactions that begin with `hold`, so that of two processes one waits, and then finds that it is not its
turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from profilemesh.storage import leases, ticks
from profilemesh.storage.models import AlertDigest, AlertItem, StoredFinding, Tick
from profilemesh.storage.writes import chunks, count, insert, insert_all

WAITING, SENT, GIVEN_UP = "waiting", "sent", "given_up"
UNKNOWN_PLAN_WAIT = timedelta(minutes=1)
"""How long items wait for others of a plan that no tick is known of."""
ENTRIES = 200
"""So many findings are told one by one in a digest; the message has the number of the rest."""


def findings_by_id(session: Session, finding_ids: Iterable[str]) -> dict[str, StoredFinding]:
    found: dict[str, StoredFinding] = {}
    for some in chunks(dict.fromkeys(finding_ids), 1000):
        for each in session.scalars(sa.select(StoredFinding).where(StoredFinding.finding_id.in_(some))):
            found[each.finding_id] = each
    return found


def add_items(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        insert_all(session, insert(session, AlertItem), rows)


def hold(session: Session, route: str, holder: str, term: timedelta) -> bool:
    """Take or keep the route for a term; False if another process has it. Locks it until the transaction's end."""
    return leases.take(session, f"alerts:{route}", holder, term)


def let_go(session: Session, route: str, holder: str) -> None:
    leases.release(session, f"alerts:{route}", holder)


def routes_at_work(session: Session) -> list[str]:
    """The routes that have something to be told, also those that are configured no more."""
    items = sa.select(AlertItem.route).where(AlertItem.digest_id.is_(None))
    waiting = sa.select(AlertDigest.route).where(AlertDigest.status == WAITING)
    return sorted(session.scalars(items.union(waiting)))


def ended_plans(session: Session, route: str, now: datetime) -> list[str]:
    """The plans of a route's items whose tick is over, the oldest first.

    Items before ticks: a tick is stored before what it finds. A plan without a tick is over when its items are old.
    """
    wanted = (
        sa.select(AlertItem.plan_id, sa.func.max(AlertItem.at))
        .where(AlertItem.digest_id.is_(None), AlertItem.route == route)
        .group_by(AlertItem.plan_id)
        .order_by(sa.func.min(AlertItem.id))
    )
    plans = {plan_id: last_at for plan_id, last_at in session.execute(wanted)}
    running = {tick.plan_id for tick in ticks.running(session, now=now)}
    known: set[str] = set()
    for some in chunks(plans, 1000):
        known |= set(session.scalars(sa.select(Tick.plan_id).where(Tick.plan_id.in_(some))))
    old = now - UNKNOWN_PLAN_WAIT
    return [plan for plan, at in plans.items() if plan not in running and (plan in known or at <= old)]


def items_of(session: Session, route: str, plan_id: str) -> Sequence[AlertItem]:
    """The items of one tick that belong to no digest yet, in the order in which they were written."""
    wanted = sa.select(AlertItem).where(
        AlertItem.digest_id.is_(None), AlertItem.route == route, AlertItem.plan_id == plan_id
    )
    return session.scalars(wanted.order_by(AlertItem.id)).all()


def make_digest(session: Session, digest: AlertDigest, items: Sequence[AlertItem] = ()) -> None:
    digest.status = WAITING
    session.add(digest)
    session.flush()
    for some in chunks((item.id for item in items), 1000):
        count(session, sa.update(AlertItem).where(AlertItem.id.in_(some)).values(digest_id=digest.id))


def head(session: Session, route: str) -> AlertDigest | None:
    """The route's oldest digest that waits: none is sent before it."""
    wanted = sa.select(AlertDigest).where(AlertDigest.route == route, AlertDigest.status == WAITING)
    return session.scalars(wanted.order_by(AlertDigest.id).limit(1)).first()


def change(session: Session, digest_id: int, **values: Any) -> None:
    """Of a digest that waits; one that has ended stays as it is."""
    waiting = sa.and_(AlertDigest.id == digest_id, AlertDigest.status == WAITING)
    count(session, sa.update(AlertDigest).where(waiting).values(values))


def end(session: Session, digest_id: int, status: str, now: datetime, error: str | None = None) -> None:
    """Sent or given up."""
    change(session, digest_id, status=status, ended_at=now, last_error=error, delivered=None, next_at=None)


def last_note(session: Session, route: str) -> AlertDigest | None:
    """The note of what was given up that waits at the end of the line and was never tried."""
    wanted = sa.select(AlertDigest).where(AlertDigest.route == route, AlertDigest.status == WAITING)
    last = session.scalars(wanted.order_by(AlertDigest.id.desc()).limit(1)).first()
    return last if last is not None and last.attempts == 0 and "lost" in last.content else None


def withdraw(session: Session, digest_id: int) -> None:
    """Delete a digest that was never tried: another says what it said."""
    untried = sa.and_(AlertDigest.id == digest_id, AlertDigest.status == WAITING, AlertDigest.attempts == 0)
    count(session, sa.delete(AlertDigest).where(untried))


def forget(session: Session, before: datetime) -> int:
    """Delete what ended before, with its items; how many digests there were."""
    old = sa.select(AlertDigest.id).where(AlertDigest.status != WAITING, AlertDigest.ended_at < before)
    count(session, sa.delete(AlertItem).where(AlertItem.digest_id.in_(old)))
    ended = sa.and_(AlertDigest.status != WAITING, AlertDigest.ended_at < before)
    return count(session, sa.delete(AlertDigest).where(ended))


@dataclass(frozen=True)
class Standing:
    """How one route stands. `head` is the digest that is sent next, or fails."""

    route: str
    items: int = 0
    waiting: int = 0
    sent: int = 0
    given_up: int = 0
    last_sent_at: datetime | None = None
    last_given_up_at: datetime | None = None
    head: AlertDigest | None = None


def standings(session: Session) -> dict[str, Standing]:
    """Every route that ever had something to tell, in three statements."""
    unsorted = sa.select(AlertItem.route, sa.func.count()).where(AlertItem.digest_id.is_(None))
    items = {route: number for route, number in session.execute(unsorted.group_by(AlertItem.route))}
    by_status = sa.select(
        AlertDigest.route, AlertDigest.status, sa.func.count(), sa.func.max(AlertDigest.ended_at)
    ).group_by(AlertDigest.route, AlertDigest.status)
    found = {(route, status): (number, at) for route, status, number, at in session.execute(by_status)}
    oldest = sa.select(sa.func.min(AlertDigest.id)).where(AlertDigest.status == WAITING).group_by(AlertDigest.route)
    heads = {each.route: each for each in session.scalars(sa.select(AlertDigest).where(AlertDigest.id.in_(oldest)))}
    never = (0, None)
    return {
        route: Standing(
            route,
            items=items.get(route, 0),
            waiting=found.get((route, WAITING), never)[0],
            sent=found.get((route, SENT), never)[0],
            given_up=found.get((route, GIVEN_UP), never)[0],
            last_sent_at=found.get((route, SENT), never)[1],
            last_given_up_at=found.get((route, GIVEN_UP), never)[1],
            head=heads.get(route),
        )
        for route in sorted({*items, *(route for route, _ in found)})
    }
