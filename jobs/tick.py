"""A tick: plan and carry out, as everything stands now. What prevents it is logged and recorded, never raised."""

from __future__ import annotations

import logging
import os
import threading
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from profilemesh.config import Config, load_config
from profilemesh.errors import Interrupted, ProfileMeshError, StorageError
from profilemesh.runner import Report, look, opened, run_plan, utc_now
from profilemesh.storage import open_storage, ticks
from profilemesh.storage.claims import new_holder
from profilemesh.storage.models import Tick

log = logging.getLogger(__name__)

SCHEDULE, HAND = "schedule", "hand"


@dataclass(frozen=True)
class Project:
    """Where a tick finds what it works on."""

    config_path: Path
    storage_url: str

    @classmethod
    def of(cls, app: Flask) -> Project:
        path = Path(app.config["PROFILEMESH_CONFIG"]).expanduser()
        return cls(path, app.config["SQLALCHEMY_DATABASE_URI"])

    def config(self) -> Config:
        """The file as it is now. The storage stays the one whose pages are served."""
        return load_config(self.config_path, {**os.environ, "PROFILEMESH_DB_URL": self.storage_url})


def tick(
    project: Project,
    *,
    asked_by: str = SCHEDULE,
    only: str | None = None,
    force: bool = False,
    stop: threading.Event | None = None,
    planned: Callable[[str], object] | None = None,
) -> Report | None:
    """What came of it; None if it was stopped, or failed as a whole. `stop`, set by another thread, ends it; `planned`
    hears the plan's id."""
    stop = stop or threading.Event()
    try:
        return _carried_out(project, asked_by, only, force, stop, planned)
    except Interrupted as error:
        log.warning("the tick was %s", error)
    except Exception as error:  # noqa: BLE001 - one tick's failure is recorded, and the next one tries again
        is_ours = isinstance(error, ProfileMeshError)
        log.error("the tick failed: %s", error, exc_info=not is_ours)
        _record(project, asked_by, str(error) if is_ours else f"{type(error).__name__}: {error}")
    return None


def _carried_out(
    project: Project,
    asked_by: str,
    only: str | None,
    force: bool,
    stop: threading.Event,
    planned: Callable[[str], object] | None,
) -> Report:
    with closing(open_storage(project.storage_url)) as storage:
        config = project.config()
        with opened(config) as warehouses:
            plan = look(config, storage, warehouses, utc_now(), only=only, force=force)
            if stop.is_set():
                raise Interrupted("stopped before anything was read")
            if planned is not None:
                planned(plan.plan_id)
            return run_plan(plan, config, storage, warehouses, asked_by=asked_by, stop=stop)


def _record(project: Project, asked_by: str, error: str) -> None:
    """The failure as a tick of its own, for the pages to show. A storage that is away is known from the log alone."""
    tick_id = str(uuid.uuid4())
    failed = Tick(tick_id=tick_id, plan_id=tick_id, asked_by=asked_by, holder=new_holder())
    try:
        with closing(open_storage(project.storage_url)) as storage, storage.begin() as session:
            ticks.begin(session, failed)
            ticks.end(session, tick_id, ticks.FAILED, error)
    except (StorageError, SQLAlchemyError) as trouble:
        log.warning("the failed tick could not be recorded: %s", trouble)
