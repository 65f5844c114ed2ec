"""A lease as one process sees it: taken when it is free, renewed from a thread of its own, given back at the end.

In time order: `start` tries to win it; while another has it, it is looked at every `BEAT_SECONDS` and the moment its
term is over, and taken over then or when its holder is dead; won, it is renewed every third of its term, be the process
idle or at work. A process that was paused, or cannot reach the storage, for longer than the term has lost it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy.exc import SQLAlchemyError

from profilemesh.errors import StorageError
from profilemesh.storage import Storage, leases, open_storage
from profilemesh.storage.claims import new_holder, retire
from profilemesh.storage.clock import storage_now

log = logging.getLogger(__name__)

TERM = timedelta(seconds=60)
BEAT_SECONDS = 5.0
"""How often one who does not hold the lease looks whether it is free."""
END_SECONDS = 12.0
"""How long the end waits for a storage that is busy."""


class KeptLease:
    """`on_won` and `on_lost` are called from the lease's own thread."""

    def __init__(
        self,
        name: str,
        storage_url: str,
        *,
        on_won: Callable[[], None],
        on_lost: Callable[[], None],
        term: timedelta = TERM,
    ) -> None:
        self.name, self.storage_url, self.term = name, storage_url, term
        self.on_won, self.on_lost = on_won, on_lost
        self.holder = new_holder()
        self.held_until: float | None = None
        self.taken_until = 0.0
        self.storage: Storage | None = None
        self.complaint: str | None = None
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._keep, name=f"lease-{name}", daemon=True)

    @property
    def is_held(self) -> bool:
        """Whether this process holds it, for certain: its term, by this machine's clock, is not over."""
        return self.held_until is not None and time.monotonic() < self.held_until

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        """Give the lease back."""
        self.ending.set()
        if self.thread.is_alive():
            self.thread.join(END_SECONDS)

    def _keep(self) -> None:
        pause = 0.0
        while not self.ending.wait(pause):
            self._beat()
            third = self.term.total_seconds() / 3
            over = self.taken_until - time.monotonic()
            pause = third if self.is_held else min(BEAT_SECONDS, third, over if over > 0 else third)
        self._give_back()

    def _beat(self) -> None:
        asked, had = time.monotonic(), self.held_until is not None
        try:
            held = self._take()
        except (StorageError, SQLAlchemyError) as error:
            self._complain(error)
            held = self.is_held
        else:
            self.complaint = None
            # From before it was asked for: so it ends here no later than in the storage.
            self.held_until = asked + self.term.total_seconds() if held else None
        if held and not had:
            log.info("this process (%s) is the %s from now on", self.holder, self.name)
            self.on_won()
        elif had and not held:
            self.held_until = None
            log.warning("the lease %s was lost; another process has it, or will", self.name)
            self.on_lost()

    def _take(self) -> bool:
        storage = self.storage = self.storage or open_storage(self.storage_url)
        with storage.read() as session:
            now = storage_now(session)
            other = leases.held_by(session, self.name, now=now)
        if other is not None and other[0] != self.holder:
            self.taken_until = time.monotonic() + (other[1] - now).total_seconds()
            return False
        with storage.begin() as session:
            return leases.take(session, self.name, self.holder, self.term)

    def _complain(self, error: Exception) -> None:
        """Once for as long as the trouble is the same."""
        if str(error) != self.complaint:
            log.warning("the lease %s cannot be looked at: %s", self.name, error)
            self.complaint = str(error)

    def _give_back(self) -> None:
        if self.storage is None:
            return
        try:
            if self.held_until is not None:
                with self.storage.begin() as session:
                    leases.release(session, self.name, self.holder)
        except (StorageError, SQLAlchemyError) as error:
            retire(self.holder)
            log.warning("the lease %s could not be given back: %s", self.name, error)
        finally:
            self.held_until = None
            self.storage.close()
