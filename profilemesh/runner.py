"""Carries out a plan. Alone knows the order: look, plan, claim, read, merge, save, publish.

What one table's run produced is saved in one transaction, together with the snapshot it was read at. A process that
dies before it leaves the old truth and a claim that its successor takes over; after it, the new truth stands.
"""

from __future__ import annotations

import gc
import logging
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from profilemesh.clock import utc_now
from profilemesh.config.model import Config
from profilemesh.errors import Interrupted, StorageError
from profilemesh.planning import Asked, Decision, Plan, State, make_plan, wanted_probes
from profilemesh.planning.snapshots import Catalogue
from profilemesh.staleness import look_for_old_data
from profilemesh.storage import Storage, decisions, runs, states, steering, ticks
from profilemesh.storage.claims import new_holder, retire
from profilemesh.storage.clock import storage_now
from profilemesh.storage.models import Tick
from profilemesh.tables import TableRef
from profilemesh.turn import CLAIM_TERM, Clock, Listener, Outcome, Silence, Turn, give_up
from profilemesh.warehouses import open_warehouse, probed, read_catalogue
from profilemesh.warehouses.base import Scan, Warehouse

__all__ = ["Clock", "Listener", "Outcome", "Report", "Silence", "look", "opened", "run_plan", "utc_now"]

log = logging.getLogger(__name__)

STOP_SECONDS = 5.0
"""How long a stop waits for the running statements to end before it leaves them to themselves."""
HEED_SECONDS = 0.2
"""How often `stop` is looked at."""
MIND_SECONDS = 1.0
"""How often progress is written down and requests to stop are looked for while tables are read."""


@dataclass(frozen=True)
class Report:
    """What came of a plan."""

    plan: Plan
    outcomes: tuple[Outcome, ...]

    @property
    def failed(self) -> tuple[Outcome, ...]:
        return tuple(outcome for outcome in self.outcomes if outcome.status == "failed")

    @property
    def is_trouble(self) -> bool:
        """Something needs a person: a table failed or is missing, or a warehouse cannot be reached."""
        return bool(self.failed or self.plan.is_trouble)


@contextmanager
def opened(config: Config) -> Iterator[dict[str, Warehouse]]:
    """All configured warehouses, by name, closed at the end."""
    with ExitStack() as stack:
        warehouses = {name: open_warehouse(each, config.execution) for name, each in config.warehouses.items()}
        for warehouse in warehouses.values():
            stack.callback(warehouse.close)
        yield warehouses


def look(
    config: Config,
    storage: Storage,
    warehouses: Mapping[str, Warehouse],
    now: datetime,
    *,
    only: Asked = None,
    force: bool = False,
) -> Plan:
    """Read the catalogues and the remembered states, and make the plan. Writes nothing."""
    with _uncollected():
        # The memory first: if another process profiles a table meanwhile, its turn finds that and is put off, while a
        # catalogue from before that profile would have it read again.
        with storage.read() as session:
            remembered = states.latest_states(session)
        catalogue = read_catalogue(config, warehouses)
        probes = wanted_probes(config, catalogue, remembered, now, only=only, force=force)
        catalogue = probed(catalogue, probes, warehouses)
        moved = _moved(catalogue, remembered)
        if moved:
            with storage.read() as session:
                remembered = states.with_manifests(session, remembered, moved)
        return make_plan(config, catalogue, remembered, now, only=only, force=force)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the collector of cycles. Hundreds of thousands of small values are made and all kept: it would look
    through them again and again, for a third of the time that ten thousand tables take."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _moved(catalogue: Catalogue, remembered: Mapping[TableRef, State]) -> list[TableRef]:
    """The tables with partitions whose token is another: only of these the partitions are looked at one by one."""
    return [
        table
        for table, snapshot in catalogue.snapshots.items()
        if snapshot.partitions is not None
        and table in remembered
        and (snapshot.token is None or snapshot.token != remembered[table].token)
    ]


def run_plan(
    plan: Plan,
    config: Config,
    storage: Storage,
    warehouses: Mapping[str, Warehouse],
    *,
    clock: Clock = utc_now,
    listener: Listener | None = None,
    asked_by: str = "command",
    stop: threading.Event | None = None,
) -> Report:
    """Carry out every decision of the plan; one table's failure never stops the others.

    `asked_by` is kept with the tick: command, schedule, hand or dagster. Raises StorageError when the decisions cannot
    be stored; an interrupt (Ctrl-C) cancels the running scans, stores them as failed and is raised again. `stop`, set
    by another thread, does the same and raises Interrupted.
    """
    _bury_the_dead(storage, clock)
    work = Work(plan, config, storage, warehouses, clock, listener or Silence(), stop or threading.Event())
    with _uncollected(), storage.begin() as session:
        ticks.bury(session)
        decisions.record(session, plan.plan_id, plan.decisions, plan.made_at)
        ticks.begin(session, work.tick(asked_by))
    status = "interrupted"
    try:
        outcomes = work.carry_out()
        work.look_for_old_data()
        status = "failed" if any(outcome.status == "failed" for outcome in outcomes) else "done"
    finally:
        work.end_tick(status)
    return Report(plan, outcomes)


def _bury_the_dead(storage: Storage, clock: Clock) -> None:
    """Mark as failed what a killed process left running, also of tables that this plan does not read."""
    holder = new_holder()
    with storage.read() as session:
        suspects = runs.claimed_and_running(session)
    for table in suspects:
        with storage.begin() as session:
            if states.claim(session, table, holder, storage_now(session), CLAIM_TERM):
                give_up(session, table, clock())
                states.release(session, table, holder)


class Work:
    """A plan being carried out: the turns in progress, the claims it holds, the scans that are open."""

    def __init__(
        self,
        plan: Plan,
        config: Config,
        storage: Storage,
        warehouses: Mapping[str, Warehouse],
        clock: Clock,
        listener: Listener,
        stop: threading.Event,
    ) -> None:
        self.plan, self.config, self.storage = plan, config, storage
        self.warehouses, self.clock, self.listener = warehouses, clock, listener
        self.holder, self.tick_id = new_holder(), str(uuid.uuid4())
        self.stop = stop
        self.cancelled: set[TableRef] = set()
        self.rows: dict[TableRef, int] = {}
        self.ended: list[Outcome] = []
        self.scans: dict[TableRef, Scan] = {}
        self.turns: dict[Future[Outcome], TableRef] = {}
        self.stopping = threading.Event()
        self.unreachable: dict[str, str] = {}
        self.is_unsettled = False

    def tick(self, asked_by: str) -> Tick:
        return Tick(
            tick_id=self.tick_id,
            plan_id=self.plan.plan_id,
            asked_by=asked_by,
            holder=self.holder,
            status="running",
            started_at=self.clock(),
            seen_at=utc_now(),
            tables_known=len(self.plan.decisions),
            tables_to_read=len(self.plan.to_read),
        )

    def heard(self, table: TableRef, rows: int) -> None:
        """A scan has read so many rows."""
        self.rows[table] = rows
        self.listener.read(table, rows)

    def carry_out(self) -> tuple[Outcome, ...]:
        if not self.plan.to_read:
            return ()
        pool = ThreadPoolExecutor(self.config.execution.max_workers, "profilemesh")
        with self._minding():
            try:
                self._take_turns(pool)
            except BaseException:
                self._stop()
                raise
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
                if self.is_unsettled:
                    retire(self.holder)
        return tuple(sorted((turn.result() for turn in self.turns), key=lambda outcome: outcome.table))

    def _take_turns(self, pool: ThreadPoolExecutor) -> None:
        """Start a table whenever a worker is free and its warehouse allows one more; end with the last of them.

        A warehouse at its limit never keeps a worker from another's tables.
        """
        waiting: dict[str, deque[Decision]] = {}
        for decision in self.plan.to_read:
            waiting.setdefault(decision.table.warehouse, deque()).append(decision)
        running: set[Future[Outcome]] = set()
        while running or any(waiting.values()):
            if self.stop.is_set():
                raise Interrupted("stopped before all of the plan was carried out")
            while (chosen := self._startable(waiting, running)) is not None:
                turn = pool.submit(self._turn, chosen)
                self.turns[turn] = chosen.table
                running.add(turn)
            running = wait(running, HEED_SECONDS, return_when=FIRST_COMPLETED).not_done

    def _startable(self, waiting: Mapping[str, deque[Decision]], running: set[Future[Outcome]]) -> Decision | None:
        busy = Counter(self.turns[turn].warehouse for turn in running)
        if len(running) == self.config.execution.max_workers:
            return None
        for name, queued in waiting.items():
            if queued and busy[name] < _limit(self.config, self.warehouses[name]):
                return queued.popleft()
        return None

    def _stop(self) -> None:
        """Cancel what is being read. A statement that does not heed it is left to itself, its run stored as failed."""
        self.stopping.set()
        reading, until = set(self.turns), time.monotonic() + STOP_SECONDS
        while reading and time.monotonic() < until:
            # Again and again: between two statements there is nothing that would hear it.
            for scan in list(self.scans.values()):
                scan.cancel()
            reading = wait(reading, HEED_SECONDS).not_done
        for table in list(self.scans):
            self._abandon(table)

    def _abandon(self, table: TableRef) -> None:
        try:
            with self.storage.begin() as session:
                if states.renew(session, table, self.holder, storage_now(session), CLAIM_TERM):
                    give_up(session, table, self.clock())
                    states.release(session, table, self.holder)
        except (StorageError, SQLAlchemyError) as error:
            self.is_unsettled = True
            log.warning("the run of %s could not be closed: %s", table, error)

    @contextmanager
    def _minding(self) -> Iterator[None]:
        """A thread of its own keeps the claims alive however long a scan takes, tells the progress, and hears who
        wants a scan to stop."""
        ended = threading.Event()

        def mind() -> None:
            renewed = time.monotonic()
            while not ended.wait(MIND_SECONDS):
                self._tell()
                if time.monotonic() - renewed >= CLAIM_TERM.total_seconds() / 3:
                    self._renew()
                    renewed = time.monotonic()

        thread = threading.Thread(target=mind, name="profilemesh-claims", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _renew(self) -> None:
        """In one transaction, so that a slow storage delays all claims by one wait and not by one each."""
        try:
            with self.storage.begin() as session:
                now = storage_now(session)
                tables = sorted(self.scans)
                lost = [t for t in tables if not states.renew(session, t, self.holder, now, CLAIM_TERM)]
        except (StorageError, SQLAlchemyError) as error:
            log.warning("claims could not be renewed: %s", error)
            return
        for table in lost:
            scan = self.scans.get(table)
            if scan is not None:
                log.warning("the claim on %s was lost to another process; its scan is stopped", table)
                scan.cancel()

    def _tell(self) -> None:
        """Write the progress down, and stop the scans that somebody asks to stop."""
        try:
            with self.storage.begin() as session:
                ticks.progress(session, self.tick_id, **self._progress())
                self.cancelled |= steering.cancel_requests(session, self.holder)
        except (StorageError, SQLAlchemyError) as error:
            log.warning("the progress could not be stored: %s", error)
        for table in self.cancelled & self.scans.keys():
            scan = self.scans.get(table)
            if scan is not None:
                scan.cancel()

    def _progress(self) -> dict[str, Any]:
        ended = list(self.ended)
        reading = {table: self.rows.get(table, 0) for table in list(self.scans)}
        return {
            "tables_done": len(ended),
            "tables_failed": sum(outcome.status == "failed" for outcome in ended),
            "rows_read": sum(outcome.rows_read or 0 for outcome in ended) + sum(reading.values()),
            "current": [{"table": str(table), "rows": rows} for table, rows in sorted(reading.items())],
        }

    def look_for_old_data(self) -> None:
        try:
            look_for_old_data(self.plan, self.config, self.storage, self.clock())
        except Exception:  # noqa: BLE001 - all tables have had their turn: what comes after takes nothing back
            log.warning("data that stands still could not be looked for", exc_info=True)

    def end_tick(self, status: str) -> None:
        try:
            with self.storage.begin() as session:
                ticks.end(session, self.tick_id, status, now=self.clock(), **self._progress() | {"current": None})
        except (StorageError, SQLAlchemyError) as error:
            # Else it would say running for as long as this process lives.
            retire(self.holder)
            log.warning("the end of the tick could not be stored: %s", error)

    def _turn(self, decision: Decision) -> Outcome:
        """One table's turn, whatever happens in it."""
        self.listener.started(decision)
        outcome = Turn(self, decision, self.plan.reading[decision.table]).take()
        self.ended.append(outcome)
        self.listener.ended(outcome)
        return outcome


def _limit(config: Config, warehouse: Warehouse) -> int:
    limits = config.execution.warehouse_limits
    return limits.get(warehouse.name) or limits.get(warehouse.type) or config.execution.max_workers
