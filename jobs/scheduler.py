"""The scheduler of one process. Every process of a server has one; the one that holds the lease ticks.

In time order: whoever wins the lease catches up with a tick that was missed, or cut short, while nobody held it; then
ticks are due at the same moments in every process, and the others let them pass. A tick goes on as long as it takes:
those due meanwhile are one. If the lease is lost, the tick in hand is stopped, for another process will tick. After a
tick, and every `DELIVER_SECONDS`, what waits of alerts is sent.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.interval import IntervalTrigger
from sqlalchemy.exc import SQLAlchemyError

from jobs.deliver_alerts import deliver_alerts
from jobs.lease import TERM, KeptLease
from jobs.tick import SCHEDULE, Project, tick
from profilemesh.errors import StorageError
from profilemesh.runner import Report, utc_now
from profilemesh.storage import ticks
from profilemesh.storage.models import Tick

log = logging.getLogger(__name__)

LEASE = "scheduler"
MIDNIGHT = datetime(2000, 1, 1, tzinfo=UTC)
STOP_SECONDS = 12.0
"""How long a stop waits for the tick in hand to give back what it holds."""

DELIVER_SECONDS = 30
"""How often alerts that failed, or waited for the end of quiet hours, are looked at."""


def trigger_of(settings: Mapping[str, Any]) -> BaseTrigger:
    """When ticks are due, by the settings."""
    by_minutes = IntervalTrigger(minutes=settings["PROFILEMESH_TICK_MINUTES"], start_date=MIDNIGHT, timezone=UTC)
    return settings["PROFILEMESH_TICK_CRON"] or by_minutes


class Scheduler:
    """`start` begins it; `stop` ends it for good: the tick in hand is interrupted, the lease given back. `told` hears
    what came of each tick, None of one that failed or was stopped."""

    def __init__(
        self,
        project: Project,
        trigger: BaseTrigger,
        term: timedelta = TERM,
        told: Callable[[Report | None], object] = id,
    ) -> None:
        self.project, self.trigger, self.told = project, trigger, told
        self.in_hand, self.interrupt, self.is_stopped = threading.Lock(), threading.Event(), False
        self.stopping = threading.Event()
        self.lease = KeptLease(LEASE, project.storage_url, on_won=self._won, on_lost=self._lost, term=term)
        # Late is better than never, and several that were missed are one.
        late = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        self.clock = BackgroundScheduler(timezone=UTC, job_defaults=late)
        by_seconds = IntervalTrigger(seconds=DELIVER_SECONDS, timezone=UTC)
        for job, when in ((self.tick, trigger), (self.deliver, by_seconds)):
            self.clock.add_job(job, when, id=job.__name__, name=job.__name__)

    def start(self) -> None:
        self.clock.start()
        self.lease.start()

    def stop(self) -> None:
        if self.is_stopped:
            return
        self.is_stopped = True
        self.interrupt.set()
        self.stopping.set()
        self.clock.shutdown(wait=False)
        if self.in_hand.acquire(timeout=STOP_SECONDS):
            self.in_hand.release()
        else:
            log.warning("the tick in hand does not stop; what it holds is free when this process has ended")
        self.lease.stop()

    def tick(self) -> None:
        """A tick if this process holds the lease and none is in hand."""
        if not self.in_hand.acquire(blocking=False):
            return
        try:
            # Made before the look at what may set it: so neither a stop nor a loss goes by unseen.
            self.interrupt = threading.Event()
            if self.lease.is_held and not self.is_stopped:
                self.told(tick(self.project, asked_by=SCHEDULE, stop=self.interrupt))
                self._deliver_soon()
        finally:
            self.in_hand.release()

    def deliver(self) -> None:
        """Send what waits if this process holds the lease, beside whatever tick is in hand."""
        if self.lease.is_held and not self.is_stopped:
            deliver_alerts(self.project, self.stopping)

    def _deliver_soon(self) -> None:
        # Beside the tick, which is over: a server that is slow to take a message holds no tick up.
        with suppress(JobLookupError):
            self.clock.modify_job("deliver", next_run_time=utc_now())

    def _won(self) -> None:
        if self.is_stopped:
            return
        try:
            is_due = self._is_overdue()
        except (StorageError, SQLAlchemyError) as error:
            log.warning("whether a tick was missed is not known: %s", error)
            return
        if is_due:
            self.clock.add_job(self.tick, id="catch_up", name="catch up", replace_existing=True)

    def _lost(self) -> None:
        self.interrupt.set()

    def _is_overdue(self) -> bool:
        assert self.lease.storage is not None
        with self.lease.storage.read() as session:
            found = ticks.latest(session, 2, SCHEDULE)
        cut_short = [each for each in found if _is_cut_short(each)]
        # Twice in a row: it may be what kills its process, and waits for its time.
        if not found or (found[0] in cut_short and len(cut_short) == 1):
            return True
        due = self.trigger.get_next_fire_time(None, found[0].started_at + timedelta(microseconds=1))
        return due is not None and due <= utc_now()


def _is_cut_short(last: Tick) -> bool:
    """Nobody else ticks, for the lease is ours: what still runs was left by a dead process."""
    return last.status in (ticks.RUNNING, ticks.INTERRUPTED)
