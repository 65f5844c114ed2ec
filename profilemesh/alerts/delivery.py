"""Delivery: what waits is sent, by one process per route at a time, in order, until the channels have taken it.

In time order, for each route: its lease is taken; the items of every tick that is over become one digest; the oldest
digest that waits is sent to those of the route's channels that do not have it yet, and each that took it is noted at
once. When all have, the digest is sent and the next one follows. When one has not, the digest is tried again later, and
those behind it wait; other routes do not. A process that dies between sending and noting leaves a digest that is sent
again under the same key. While it tells nobody, a try that fails after `give_up_after_hours` is the last one: the
digest is given up, and a note that says so takes its place at the end of the line.
"""

from __future__ import annotations

import hashlib
import logging
import random
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from profilemesh.alerts.digests import content_of, loss_of, message_of
from profilemesh.alerts.messages import Message
from profilemesh.config.model import AlertsConfig, Config, Route
from profilemesh.config.windows import quiet_until
from profilemesh.errors import StorageError
from profilemesh.storage import Storage, alerts
from profilemesh.storage.claims import new_holder, retire
from profilemesh.storage.clock import storage_now
from profilemesh.storage.models import AlertDigest

log = logging.getLogger(__name__)

TERM = timedelta(seconds=60)
"""A sender that was not heard of for so long is replaced, a dead one at once. Longer than one channel may take."""
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(minutes=30)
ROUTES_AT_ONCE = 8
KEPT = timedelta(days=90)
"""How long digests that have ended are kept."""


@dataclass
class Delivered:
    """What came of one delivery: digests sent, given up, and still waiting with the reason, by route."""

    sent: dict[str, int] = field(default_factory=dict)
    given_up: dict[str, int] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.sent.values())


def deliver(config: Config, storage: Storage, stop: threading.Event | None = None) -> Delivered:
    """Send what is due, all of it or until `stop` is set. What fails is tried again by a later call.

    Never raises for a channel; StorageError if the storage cannot even be asked what there is to do.
    """
    done, stopping = Delivered(), stop or threading.Event()
    with storage.read() as session:
        names = alerts.routes_at_work(session)
    known = {route.name: route for route in config.alerts.routes}
    with ThreadPoolExecutor(ROUTES_AT_ONCE, "alerts") as pool:
        for name in names:
            pool.submit(_Line(name, known.get(name), config.alerts, storage, done, stopping).work)
    if done.total:
        with storage.begin() as session:
            alerts.forget(session, storage_now(session) - KEPT)
    return done


def pause_after(attempts: int, chance: Callable[[], float] = random.random) -> timedelta:
    """How long after so many failures the next try is: twice as long each time, less by up to a half by chance."""
    whole = min(FIRST_PAUSE * 2.0 ** min(attempts - 1, 30), LONGEST_PAUSE)
    return whole * (1 - chance() / 2)


def channel_name(url: str, key: str) -> str:
    """A channel in `delivered`: tells nothing of its address, and stays the same while one digest is tried."""
    return hashlib.sha256(f"{key} {url}".encode()).hexdigest()[:16]


class _Line:
    """What waits on one route, in the hands of one process."""

    def __init__(
        self,
        name: str,
        route: Route | None,
        config: AlertsConfig,
        storage: Storage,
        done: Delivered,
        stop: threading.Event,
    ) -> None:
        self.name, self.route, self.config, self.storage = name, route, config, storage
        self.done, self.stop, self.holder = done, stop, new_holder()

    def work(self) -> None:
        try:
            with self.storage.begin() as session:
                if not self._holds(session):
                    return
                self._sort(session)
            while not self.stop.is_set() and self._send_next():
                pass
            with self.storage.begin() as session:
                alerts.let_go(session, self.name, self.holder)
        except (StorageError, SQLAlchemyError) as error:
            retire(self.holder)
            self._fails(f"the storage: {error}")
        except Exception as error:  # noqa: BLE001 - one route's failure never stops the others
            retire(self.holder)
            log.exception("the route %s failed", self.name)
            self._fails(f"{type(error).__name__}: {error}")

    def _holds(self, session: Session) -> bool:
        return alerts.hold(session, self.name, self.holder, TERM)

    def _sort(self, session: Session) -> None:
        """The items of every tick that is over become a digest."""
        now = storage_now(session)
        for plan_id in alerts.ended_plans(session, self.name, now):
            items = alerts.items_of(session, self.name, plan_id)
            content = content_of([item.told for item in items], self.config.dashboard_url)
            alerts.make_digest(session, self._digest(plan_id, content, now), items)

    def _digest(self, plan_id: str, content: dict[str, object], now: datetime) -> AlertDigest:
        key = str(uuid.uuid4())
        return AlertDigest(key=key, route=self.name, plan_id=plan_id, content=content, made_at=now, attempts=0)

    def _send_next(self) -> bool:
        """Send the oldest digest that waits; False if there is none, it is not its time, or it fails."""
        with self.storage.begin() as session:
            if not self._holds(session):
                return False
            digest = alerts.head(session, self.name)
            if digest is None or not self._is_time(session, digest):
                return False
        assert self.route is not None
        message, failures = message_of(digest), []
        for url in self.route.to:
            if self.stop.is_set():
                return False
            error = self._send_to(url, digest, message)
            if error is not None:
                failures.append(error)
        return self._fail(digest, "; ".join(failures)) if failures else self._succeed(digest)

    def _is_time(self, session: Session, digest: AlertDigest) -> bool:
        now = storage_now(session)
        if self.route is None or not self.route.enabled:
            self._leave(session, digest, now)
            return False
        quiet = quiet_until(self.route.quiet_hours, now)
        if quiet is not None:
            alerts.change(session, digest.id, not_before=quiet)
            return False
        return digest.next_at is None or digest.next_at <= now

    def _leave(self, session: Session, digest: AlertDigest, now: datetime) -> None:
        """Nobody may hear of it. It waits for its route to come back, but not for ever."""
        why = "is not configured any more" if self.route is None else "is disabled"
        alerts.change(session, digest.id, last_error=f"the route {why}")
        if self._is_too_old(digest, now):
            alerts.end(session, digest.id, alerts.GIVEN_UP, now, f"the route {why}")
            self.done.given_up[self.name] = self.done.given_up.get(self.name, 0) + 1
            log.warning("a message was given up: the route %s %s", self.name, why)

    def _is_too_old(self, digest: AlertDigest, now: datetime) -> bool:
        return digest.made_at <= now - timedelta(hours=self.config.give_up_after_hours)

    def _send_to(self, url: str, digest: AlertDigest, message: Message) -> str | None:
        """Send it to one channel that does not have it yet, and note that it has; else why not."""
        from profilemesh.alerts import channels

        channel = channel_name(url, digest.key)
        if channel in (digest.delivered or ()):
            return None
        with self.storage.begin() as session:
            if not self._holds(session):
                return "another process has taken over"
        sent = channels.send(url, message)
        if sent.error is not None:
            return f"{sent.label}: {sent.error}"
        digest.delivered = [*(digest.delivered or ()), channel]
        if self.route is not None and len(self.route.to) > 1:
            with self.storage.begin() as session:
                alerts.change(session, digest.id, delivered=digest.delivered)
        return None

    def _succeed(self, digest: AlertDigest) -> bool:
        with self.storage.begin() as session:
            alerts.end(session, digest.id, alerts.SENT, storage_now(session))
        self.done.sent[self.name] = self.done.sent.get(self.name, 0) + 1
        return True

    def _fail(self, digest: AlertDigest, error: str) -> bool:
        """Try it again later; or give it up, say so behind all others, and go on with the next."""
        attempts = digest.attempts + 1
        with self.storage.begin() as session:
            if not self._holds(session):
                return False
            now = storage_now(session)
            if not self._is_too_old(digest, now):
                alerts.change(
                    session, digest.id, attempts=attempts, last_error=error, next_at=now + pause_after(attempts)
                )
                self._fails(error)
                return False
            alerts.change(session, digest.id, attempts=attempts)
            self._give_up(session, digest, error, now)
        return True

    def _give_up(self, session: Session, digest: AlertDigest, error: str, now: datetime) -> None:
        alerts.end(session, digest.id, alerts.GIVEN_UP, now, error)
        self._note_loss(session, digest, now)
        self.done.given_up[self.name] = self.done.given_up.get(self.name, 0) + 1
        log.warning("a message of the route %s was given up after %s tries: %s", self.name, digest.attempts + 1, error)

    def _note_loss(self, session: Session, digest: AlertDigest, now: datetime) -> None:
        """At the end of the line; one note for all that are given up while it waits."""
        given_up, note = [digest], alerts.last_note(session, self.name)
        if note is not None:
            given_up.append(note)
        content = loss_of(given_up, self.config.dashboard_url)
        alerts.make_digest(session, self._digest("", content, now))
        if note is not None:
            alerts.withdraw(session, note.id)

    def _fails(self, error: str) -> None:
        log.warning("the route %s waits: %s", self.name, error)
        self.done.failed[self.name] = error
