"""What the next tick would do: the warehouses are really looked at, nothing is written.

The plan is kept for a few seconds, so that ten viewers do not look ten times; who comes while one looks waits for that
look.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from flask import Flask, current_app

from app.extensions import db
from profilemesh.config import Config, load_config
from profilemesh.errors import ConfigError, ProfileMeshError
from profilemesh.planning import Action, Decision, Plan
from profilemesh.runner import look, opened
from profilemesh.storage import Storage, ticks

KEPT = timedelta(seconds=5)


@dataclass(frozen=True)
class Skipped:
    """The tables that are not read for one reason, by name."""

    reason: str
    decisions: tuple[Decision, ...]


@dataclass(frozen=True)
class Preview:
    """A plan, how long the look took, and what it comes to."""

    plan: Plan
    seconds: float

    @cached_property
    def reads(self) -> tuple[Decision, ...]:
        return self.plan.to_read

    @cached_property
    def put_off(self) -> tuple[Decision, ...]:
        return tuple(d for d in self.plan.decisions if d.action is Action.DEFER)

    @cached_property
    def skips(self) -> list[Skipped]:
        """By reason, the largest group first."""
        groups: dict[str, list[Decision]] = {}
        for decision in self.plan.decisions:
            if decision.action is Action.SKIP:
                groups.setdefault(decision.reason, []).append(decision)
        found = (Skipped(reason, tuple(decisions)) for reason, decisions in groups.items())
        return sorted(found, key=lambda group: (-len(group.decisions), group.reason))

    @cached_property
    def skipped(self) -> int:
        return sum(len(group.decisions) for group in self.skips)

    @cached_property
    def rows(self) -> int | None:
        """Rows that are expected to be read; None if that of any table is unknown."""
        return _total([decision.cost.rows for decision in self.reads])

    @cached_property
    def partitions(self) -> int:
        return sum(len(decision.change.to_read) for decision in self.reads if decision.change)


def _total(sizes: Sequence[int | None]) -> int | None:
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


class Looker:
    """Looks at the warehouses, one look at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: tuple[datetime, datetime, Preview | ProfileMeshError] | None = None
        self._read: tuple[tuple[str, int], Config] | None = None

    def preview(self) -> Preview:
        """What the next tick would do. Raises ProfileMeshError where no plan can be made."""
        with self._lock:
            if self._seen is None or self._is_over(*self._seen[:2]):
                began = datetime.now(UTC)
                found = self._look()
                self._seen = began, datetime.now(UTC), found
            found = self._seen[2]
        if isinstance(found, ProfileMeshError):
            raise found
        return found

    @staticmethod
    def _is_over(began: datetime, seen: datetime) -> bool:
        """Old, or a tick of whatever process has ended since the look began."""
        if datetime.now(UTC) - seen > KEPT:
            return True
        with Storage(db.engine).read() as session:
            return any(tick.ended_at and tick.ended_at >= began for tick in ticks.latest(session, 3))

    def forget(self) -> None:
        """Something was changed by hand: the next viewer looks anew."""
        with self._lock:
            self._seen = None

    def _look(self) -> Preview | ProfileMeshError:
        began = time.monotonic()
        try:
            config = self.config()
            with opened(config) as warehouses:
                plan = look(config, Storage(db.engine), warehouses, datetime.now(UTC))
        except ProfileMeshError as error:
            current_app.logger.warning("no plan could be made: %s", error)
            return error
        return Preview(plan, time.monotonic() - began)

    def config(self) -> Config:
        """The configuration as it stands in its file now. Raises ConfigError."""
        path = Path(current_app.config["PROFILEMESH_CONFIG"]).expanduser()
        try:
            key = (str(path), path.stat().st_mtime_ns)
        except OSError:
            raise ConfigError(f"there is no configuration file {path}") from None
        if self._read is None or self._read[0] != key:
            # The storage stays the one whose pages are served.
            environ = {**os.environ, "PROFILEMESH_DB_URL": current_app.config["SQLALCHEMY_DATABASE_URI"]}
            self._read = key, load_config(path, environ)
        return self._read[1]


def init_app(app: Flask) -> None:
    app.extensions["looker"] = Looker()


def looker() -> Looker:
    found: Any = current_app.extensions["looker"]
    assert isinstance(found, Looker)
    return found


def config_or_none() -> Config | None:
    """The configuration, where there is one that can be used."""
    try:
        return looker().config()
    except ConfigError:
        return None
