"""Whether a warehouse can be reached and read: looked at when somebody asks, and never otherwise.

A look runs in a thread of its own, so that who asks waits only so long. A warehouse is looked at by one thread at a
time and at most once in half a minute: who asks meanwhile gets the answer that there is, or waits for the one that
comes. A look that does not come back keeps its place, so that clicking cannot pile up connections.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from flask import Flask, current_app

from profilemesh.config.masked import without_secrets
from profilemesh.config.model import Config, WarehouseConfig
from profilemesh.errors import ProfileMeshError
from profilemesh.warehouses import open_warehouse
from profilemesh.warehouses.base import CheckResult

PATIENCE_SECONDS = 10.0
KEPT = timedelta(seconds=30)
FORGOTTEN = timedelta(minutes=10)

Look = Callable[[Config, WarehouseConfig], list[CheckResult]]


@dataclass(frozen=True)
class Check:
    """`seconds` is None while the look goes on."""

    began_at: datetime
    results: tuple[CheckResult, ...] = ()
    seconds: float | None = None

    @property
    def worst_first(self) -> list[CheckResult]:
        """What does not work, what works at a cost, and what is well."""
        return sorted(self.results, key=lambda result: (result.ok, result.remedy is None))


@dataclass
class _Place:
    """One warehouse's last look."""

    check: Check | None = None
    ended: threading.Event = field(default_factory=threading.Event)


def look(config: Config, warehouse: WarehouseConfig) -> list[CheckResult]:
    """What `profilemesh check` tells of one warehouse, without secrets."""
    try:
        opened = open_warehouse(warehouse, config.execution)
        try:
            found = list(opened.check())
        finally:
            opened.close()
    except ProfileMeshError as error:
        found = [CheckResult(warehouse.name, False, str(error))]
    return [_masked(result, warehouse) for result in found]


def _masked(result: CheckResult, warehouse: WarehouseConfig) -> CheckResult:
    remedy = without_secrets(result.remedy, warehouse) if result.remedy else None
    return replace(result, message=without_secrets(result.message, warehouse), remedy=remedy)


@dataclass
class Checks:
    """The last looks of this process, by warehouse."""

    look: Look = look
    patience_seconds: float = PATIENCE_SECONDS
    _places: dict[str, _Place] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, config: Config, warehouse: WarehouseConfig, now: datetime) -> Check:
        """The answer, after at most `patience_seconds`; one without results is still to come."""
        with self._lock:
            place = self._places.setdefault(warehouse.name, _Place())
            if self._may_look(place, now):
                place.check, place.ended = Check(now), threading.Event()
                self._begin(place, config, warehouse)
        place.ended.wait(self.patience_seconds)
        assert place.check is not None
        return place.check

    @staticmethod
    def _may_look(place: _Place, now: datetime) -> bool:
        if place.check is None:
            return True
        return place.check.seconds is not None and now - place.check.began_at >= KEPT

    def _begin(self, place: _Place, config: Config, warehouse: WarehouseConfig) -> None:
        began = time.monotonic()

        def work() -> None:
            found: Iterable[CheckResult] = ()
            try:
                found = self.look(config, warehouse)
            finally:
                # Whatever went wrong, the place is free again.
                assert place.check is not None
                place.check = replace(place.check, results=tuple(found), seconds=time.monotonic() - began)
                place.ended.set()

        threading.Thread(target=work, name=f"check-{warehouse.name}", daemon=True).start()

    def latest(self, name: str, now: datetime) -> Check | None:
        """The last look, where there was one lately."""
        place = self._places.get(name)
        check = place.check if place else None
        return check if check is not None and now - check.began_at < FORGOTTEN else None


def init_app(app: Flask) -> None:
    app.extensions["checks"] = Checks()


def checks() -> Checks:
    found: Any = current_app.extensions["checks"]
    assert isinstance(found, Checks)
    return found
