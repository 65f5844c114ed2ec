"""What is asked for by hand: a plan carried out at once, in a thread of the process that was asked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

from jobs.deliver_alerts import deliver_alerts
from jobs.tick import HAND, Project, tick
from profilemesh.runner import utc_now

STOP_SECONDS = 12.0


class ByHand:
    """The runs asked for here that are still going on. The claims on tables keep those of other processes apart."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.lock, self.stopping = threading.Lock(), threading.Event()
        self.running: dict[str | None, tuple[threading.Thread, datetime]] = {}

    def run_now(
        self, only: str | None = None, force: bool = False, planned: Callable[[str | None], object] | None = None
    ) -> str | None:
        """Begin to plan and carry out all tables, or those that `only` names; `force` reads what did not change too.

        Returns at once: None if it has begun, else who is at it already. `planned` hears the plan's id once it is made,
        and None at the end.
        """
        with self.lock:
            if self.stopping.is_set():
                return "this server is being stopped"
            _, since = self.running.get(only, (None, None))
            if since is not None:
                return f"a run of {only or 'all tables'}, asked for at {since:%H:%M:%S} UTC, is still going on"
            thread = threading.Thread(target=self._run, args=(only, force, planned), name="by-hand", daemon=True)
            self.running[only] = (thread, utc_now())
            thread.start()
        return None

    def stop(self) -> None:
        """Interrupt them, and wait until they have given back what they hold."""
        with self.lock:
            self.stopping.set()
            threads = [thread for thread, _ in self.running.values()]
        for thread in threads:
            thread.join(STOP_SECONDS)

    def _run(self, only: str | None, force: bool, planned: Callable[[str | None], object] | None) -> None:
        try:
            tick(self.project, asked_by=HAND, only=only, force=force, stop=self.stopping, planned=planned)
        finally:
            with self.lock:
                del self.running[only]
            if planned is not None:
                planned(None)
        deliver_alerts(self.project, self.stopping)
