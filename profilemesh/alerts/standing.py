"""How each route stands: what waits, what fails and why, what was sent last. For people, programs and pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from profilemesh.config.model import Config, Route
from profilemesh.config.windows import quiet_until
from profilemesh.storage import Storage, alerts
from profilemesh.storage.clock import storage_now


@dataclass(frozen=True)
class RouteStanding:
    """One route. `state` is idle, waiting, quiet, failing, disabled or gone; `next_at` is when it speaks again.

    `items` are findings whose tick is not over or that no delivery has looked at, `waiting` messages not yet sent.
    """

    route: str
    state: str
    channels: tuple[str, ...]
    items: int
    waiting: int
    waiting_since: datetime | None
    attempts: int
    next_at: datetime | None
    error: str | None
    sent: int
    last_sent_at: datetime | None
    given_up: int
    last_given_up_at: datetime | None


def route_standings(config: Config, storage: Storage) -> list[RouteStanding]:
    """Every configured route, and those that are gone and still have something to tell or gave something up."""
    with storage.read() as session:
        stored, now = alerts.standings(session), storage_now(session)
    known: Mapping[str, Route] = {route.name: route for route in config.alerts.routes}
    gone = [
        name for name, each in stored.items() if name not in known and (each.items or each.waiting or each.given_up)
    ]
    names = [*known, *gone]
    return [_standing(stored.get(name, alerts.Standing(name)), known.get(name), now) for name in names]


def _standing(stored: alerts.Standing, route: Route | None, now: datetime) -> RouteStanding:
    head = stored.head
    quiet = quiet_until(route.quiet_hours, now) if route else None
    later = [at for at in (quiet, head.next_at if head else None) if at is not None and at > now]
    return RouteStanding(
        stored.route,
        _state(stored, route, quiet),
        _labels(route),
        stored.items,
        stored.waiting,
        head.made_at if head else None,
        head.attempts if head else 0,
        max(later, default=None),
        head.last_error if head else None,
        stored.sent,
        stored.last_sent_at,
        stored.given_up,
        stored.last_given_up_at,
    )


def _state(stored: alerts.Standing, route: Route | None, quiet: datetime | None) -> str:
    if route is None:
        return "gone"
    if not route.enabled:
        return "disabled"
    if stored.head is not None and stored.head.attempts:
        return "failing"
    if quiet is not None:
        return "quiet"
    return "waiting" if stored.items or stored.waiting else "idle"


def _labels(route: Route | None) -> tuple[str, ...]:
    if route is None:
        return ()
    from profilemesh.alerts.channels import label_of

    return tuple(label_of(url) for url in route.to)
