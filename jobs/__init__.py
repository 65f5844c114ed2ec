"""What goes on beside the pages: the scheduler, and what is asked for by hand.

Servers tell their processes to stop each in its own way, and granian's run no `atexit`; in all of them the main thread
comes to its end, and what is registered with `threading` is called before it waits for the threads that are at work.
"""

from __future__ import annotations

import logging
import signal
import threading
from datetime import timedelta

from flask import Flask
from flask.helpers import get_debug_flag
from werkzeug.serving import is_running_from_reloader

from app import create_app
from jobs.by_hand import ByHand
from jobs.lease import TERM
from jobs.scheduler import Scheduler, trigger_of
from jobs.tick import Project

__all__ = ["Jobs", "served_app", "start"]

log = logging.getLogger(__name__)


def served_app() -> Flask:
    """What a server loads: the app, and its jobs running in the same process."""
    _heed_signals()
    app = create_app()
    start(app)
    return app


def _heed_signals() -> None:
    """Granian's workers set handlers once the app is loaded; till then those of their parent, which are not for them,
    would swallow a stop."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if getattr(signal.getsignal(number), "__module__", "").startswith("granian."):
            signal.signal(number, signal.SIG_DFL)


def start(app: Flask, *, term: timedelta = TERM) -> Jobs:
    """Begin what goes on in this process; the scheduler only if the settings have it on.

    `app.extensions["run_now"]` is from now on `Jobs.run_now`.
    """
    project = Project.of(app)
    scheduler = Scheduler(project, trigger_of(app.config), term) if _is_wanted(app, project) else None
    jobs = Jobs(ByHand(project), scheduler)
    app.extensions |= {"jobs": jobs, "run_now": jobs.run_now}
    jobs.start()
    return jobs


def _is_wanted(app: Flask, project: Project) -> bool:
    if not app.config["PROFILEMESH_SCHEDULER"]:
        return False
    if not project.config_path.exists():
        log.warning("no scheduler: there is no configuration %s", project.config_path)
        return False
    # The parent of a reloader loads the app too, and only watches files.
    return not get_debug_flag() or is_running_from_reloader()


class Jobs:
    """All that goes on. `stop` interrupts it, and returns when tables and lease are given back."""

    def __init__(self, by_hand: ByHand, scheduler: Scheduler | None) -> None:
        self.by_hand, self.scheduler = by_hand, scheduler
        self.run_now = by_hand.run_now
        self.is_stopped = threading.Event()

    def start(self) -> None:
        if self.scheduler:
            self.scheduler.start()
        # By the hook that concurrent.futures uses to wait for its workers: what comes later is called before. Nothing
        # public is called early enough, and a scan can take hours.
        threading._register_atexit(self.stop)  # type: ignore[attr-defined]

    def stop(self) -> None:
        if self.is_stopped.is_set():
            return
        self.is_stopped.set()
        self.by_hand.stopping.set()
        if self.scheduler:
            self.scheduler.stop()
        self.by_hand.stop()
