"""Carries out a plan: claim, read, save. Alone knows the order.

What one table's run produced is saved in one transaction, together with the snapshot it was read at. A process that
dies before it leaves the old truth and a claim that its successor takes over; after it, the new truth stands.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from profilemesh.config.model import Config
from profilemesh.errors import (
    ProfileMeshError,
    ScanCancelled,
    StorageError,
    SummariesIncompatible,
    WarehouseBusy,
    WarehouseUnreachable,
)
from profilemesh.events import EventType, Occurrence
from profilemesh.planning import Action, Decision, Plan, PlannedTable, Reason, make_plan
from profilemesh.profiling import Profile, Scope, profile
from profilemesh.profiling.metrics import CATALOGUE
from profilemesh.profiling.results import column_metrics, encoded
from profilemesh.profiling.summary import shifts_of
from profilemesh.storage import Storage, events, runs, states, summaries
from profilemesh.storage.claims import new_holder, retire
from profilemesh.storage.models import Run
from profilemesh.storage.runs import Metric
from profilemesh.tables import TableRef
from profilemesh.warehouses import connected, open_warehouse, read_catalogue
from profilemesh.warehouses.base import Scan, SentStatement, Warehouse

log = logging.getLogger(__name__)

CLAIM_TERM = timedelta(seconds=60)
"""A claim that its holder has not renewed for this long is free. It is renewed every third of it."""
STOP_SECONDS = 5.0
"""How long a stop waits for the running statements to end before it leaves them to themselves."""
REVEALING = tuple(metric.name for metric in CATALOGUE if metric.reveals)
"""Metrics that show values: those of a column that has become sensitive are forgotten, in old runs too."""
SHOWN_SQL = 20_000
"""Characters of a statement that are kept with the run."""

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


class Listener(Protocol):
    """Hears of progress, from several threads."""

    def started(self, decision: Decision) -> None: ...
    def read(self, table: TableRef, rows: int) -> None: ...
    def ended(self, outcome: Outcome) -> None: ...


class Silence:
    """A listener that does nothing."""

    def started(self, decision: Decision) -> None: ...
    def read(self, table: TableRef, rows: int) -> None: ...
    def ended(self, outcome: Outcome) -> None: ...


@dataclass(frozen=True)
class Outcome:
    """How one table's turn ended: `success`, `failed` or `deferred`. `error` says why in the last two cases."""

    table: TableRef
    status: str
    run_id: str | None = None
    rows: int | None = None
    seconds: float = 0.0
    error: str | None = None
    column_errors: Mapping[str, str] = field(default_factory=dict)


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
    only: str | None = None,
    force: bool = False,
) -> Plan:
    """Read the catalogues and the remembered states, and make the plan. Writes nothing."""
    catalogue = read_catalogue(config, warehouses)
    with storage.read() as session:
        remembered = states.latest_states(session)
    return make_plan(config, catalogue, remembered, now, only=only, force=force)


def run_plan(
    plan: Plan,
    config: Config,
    storage: Storage,
    warehouses: Mapping[str, Warehouse],
    *,
    clock: Clock = utc_now,
    listener: Listener | None = None,
) -> Report:
    """Carry out every decision of the plan; one table's failure never stops the others.

    Raises StorageError when the decisions cannot be stored; an interrupt (Ctrl-C) cancels the running scans, stores
    them as failed and is raised again.
    """
    _bury_the_dead(storage, clock)
    with storage.begin() as session:
        states.record_decisions(session, plan.decisions, plan.made_at)
    work = _Work(plan, config, storage, warehouses, clock, listener or Silence())
    return Report(plan, work.carry_out())


def _bury_the_dead(storage: Storage, clock: Clock) -> None:
    """Mark as failed what a killed process left running, also of tables that this plan does not read."""
    holder = new_holder()
    with storage.read() as session:
        suspects = runs.claimed_and_running(session)
    for table in suspects:
        with storage.begin() as session:
            if states.claim(session, table, holder, utc_now(), CLAIM_TERM):
                _give_up(session, table, clock())
                states.release(session, table, holder)


def _give_up(session: Session, table: TableRef, at: datetime) -> None:
    """Mark a table's unfinished runs as interrupted; only for the holder of its claim."""
    details = {"error": runs.INTERRUPTED}
    for run_id in runs.running(session, table):
        events.save_event(session, Occurrence(EventType.PROFILING_FAILED, table, at, run_id, details))
    runs.interrupted(session, table)


class _Work:
    """A plan being carried out: the turns in progress, the claims it holds, the scans that are open."""

    def __init__(
        self,
        plan: Plan,
        config: Config,
        storage: Storage,
        warehouses: Mapping[str, Warehouse],
        clock: Clock,
        listener: Listener,
    ) -> None:
        self.plan, self.config, self.storage = plan, config, storage
        self.warehouses, self.clock, self.listener = warehouses, clock, listener
        self.holder = new_holder()
        self.scans: dict[TableRef, Scan] = {}
        self.turns: dict[Future[Outcome], TableRef] = {}
        self.stopping = threading.Event()
        self.unreachable: dict[str, str] = {}
        self.is_unsettled = False

    def carry_out(self) -> tuple[Outcome, ...]:
        if not self.plan.to_read:
            return ()
        pool = ThreadPoolExecutor(self.config.execution.max_workers, "profilemesh")
        with self._renewing():
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
            while (chosen := self._startable(waiting, running)) is not None:
                turn = pool.submit(self._turn, chosen)
                self.turns[turn] = chosen.table
                running.add(turn)
            running = wait(running, return_when=FIRST_COMPLETED).not_done

    def _startable(self, waiting: Mapping[str, deque[Decision]], running: set[Future[Outcome]]) -> Decision | None:
        busy = Counter(self.turns[turn].warehouse for turn in running)
        if len(running) == self.config.execution.max_workers:
            return None
        for name, decisions in waiting.items():
            if decisions and busy[name] < _limit(self.config, self.warehouses[name]):
                return decisions.popleft()
        return None

    def _stop(self) -> None:
        """Cancel what is being read. A statement that does not heed it is left to itself, its run stored as failed."""
        self.stopping.set()
        for scan in list(self.scans.values()):
            scan.cancel()
        wait(self.turns, timeout=STOP_SECONDS)
        for table in list(self.scans):
            self._abandon(table)

    def _abandon(self, table: TableRef) -> None:
        try:
            with self.storage.begin() as session:
                if states.renew(session, table, self.holder, utc_now(), CLAIM_TERM):
                    _give_up(session, table, self.clock())
                    states.release(session, table, self.holder)
        except (StorageError, SQLAlchemyError) as error:
            self.is_unsettled = True
            log.warning("the run of %s could not be closed: %s", table, error)

    @contextmanager
    def _renewing(self) -> Iterator[None]:
        """A thread of its own keeps the claims alive however long a scan takes."""
        ended = threading.Event()

        def renew() -> None:
            while not ended.wait(CLAIM_TERM.total_seconds() / 3):
                self._renew()

        thread = threading.Thread(target=renew, name="profilemesh-claims", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _renew(self) -> None:
        """In one transaction, so that a slow storage delays all claims by one wait and not by one each."""
        until = utc_now()
        try:
            with self.storage.begin() as session:
                tables = sorted(self.scans)
                lost = [t for t in tables if not states.renew(session, t, self.holder, until, CLAIM_TERM)]
        except (StorageError, SQLAlchemyError) as error:
            log.warning("claims could not be renewed: %s", error)
            return
        for table in lost:
            scan = self.scans.get(table)
            if scan is not None:
                log.warning("the claim on %s was lost to another process; its scan is stopped", table)
                scan.cancel()

    def _turn(self, decision: Decision) -> Outcome:
        """One table's turn, whatever happens in it."""
        self.listener.started(decision)
        outcome = _Turn(self, decision, self.plan.reading[decision.table]).take()
        self.listener.ended(outcome)
        return outcome


def _limit(config: Config, warehouse: Warehouse) -> int:
    limits = config.execution.warehouse_limits
    return limits.get(warehouse.name) or limits.get(warehouse.type) or config.execution.max_workers


class _Turn:
    """One table: claimed, read, saved."""

    def __init__(self, work: _Work, decision: Decision, planned: PlannedTable) -> None:
        self.work, self.decision, self.planned = work, decision, planned
        self.table, self.storage = decision.table, work.storage
        self.warehouse = work.warehouses[self.table.warehouse]
        self.run = self._new_run()
        self.began_at = time.monotonic()
        self.is_claimed = False

    def take(self) -> Outcome:
        silent = self.work.unreachable.get(self.table.warehouse)
        if silent is not None:
            return self._put_off(Reason.WAREHOUSE_UNREACHABLE, silent)
        try:
            with self._opened() as scan:
                return self._with(scan)
        except Exception as error:  # noqa: BLE001 - one table's failure is recorded and never stops the others
            return self._ended_by(error)
        finally:
            self.work.scans.pop(self.table, None)

    def _opened(self) -> Scan:
        self._heed_stop()
        try:
            return connected(lambda: self.warehouse.open_scan(self.table), self.work.config.retry, self._pause)
        except WarehouseUnreachable as error:
            # The other tables of this warehouse do not wait for as long again, each.
            self.work.unreachable[self.table.warehouse] = str(error)
            raise

    def _pause(self, seconds: float) -> None:
        self.work.stopping.wait(seconds)
        self._heed_stop()

    def _ended_by(self, error: Exception) -> Outcome:
        if isinstance(error, WarehouseBusy):
            return self._put_off(Reason.WAREHOUSE_BUSY, str(error))
        if isinstance(error, ScanCancelled) and not self.is_claimed:
            return self._deferred(str(error))
        return self._failed(error)

    def _with(self, scan: Scan) -> Outcome:
        self._heed_stop()
        obstacle = self._begin()
        if obstacle is not None:
            return self._deferred(obstacle)
        self.work.scans[self.table] = scan
        self._heed_stop()
        found = profile(self.warehouse, scan, self._scope(), lambda rows: self.work.listener.read(self.table, rows))
        self._save(found, scan.statements)
        return Outcome(
            self.table, "success", self.run.run_id, found.summary.rows, self._seconds(), column_errors=found.errors
        )

    def _heed_stop(self) -> None:
        if self.work.stopping.is_set():
            raise ScanCancelled(f"{self.table}: stopped by hand")

    def _seconds(self) -> float:
        return time.monotonic() - self.began_at

    def _new_run(self) -> Run:
        started = self.work.clock()
        return Run(
            run_id=str(uuid.uuid4()),
            warehouse=self.table.warehouse,
            warehouse_type=self.warehouse.type,
            schema_name=self.table.schema,
            dataset_name=self.table.name,
            environment=self.work.config.environment,
            profiled_at=started,
            started_at=started,
            action=self.decision.action.value,
            reason=self.decision.reason.value,
            plan_id=self.work.plan.plan_id,
            strategy=self.warehouse.strategy,
            has_drift=False,
        )

    def _begin(self) -> str | None:
        """Claim the table, close what a dead predecessor left open, and note that this run has begun; or why not."""
        with self.storage.begin() as session:
            if not states.claim(session, self.table, self.work.holder, utc_now(), CLAIM_TERM):
                return "another process is working on this table"
            if states.last_profiled_at(session, self.table) != self.planned.profiled_before:
                states.release(session, self.table, self.work.holder)
                return "another process has profiled this table since the plan was made"
            _give_up(session, self.table, self.work.clock())
            runs.start_run(session, self.run)
            self._publish(session, EventType.PROFILING_STARTED)
        self.is_claimed = True
        return None

    def _scope(self) -> Scope:
        with self.storage.read() as session:
            payload = summaries.latest(session, self.table)
        shifts = {}
        # A summary that cannot be read any more costs digits in merged variances, never the run.
        with suppress(SummariesIncompatible):
            shifts = shifts_of(payload) if payload else {}
        return Scope(self.table, self.planned.columns, self.planned.sensitive, shifts)

    def _save(self, found: Profile, statements: list[SentStatement]) -> None:
        """Everything this run produced, and the snapshot it was read at, in one transaction."""
        run, snapshot = self.run, self.decision.snapshot
        assert snapshot is not None
        run.scope, run.scope_detail = "full", self._scope_detail()
        run.as_of = run.started_at
        run.duration_seconds = self._seconds()
        run.row_count = run.rows_scanned = found.summary.rows
        run.column_count = len(snapshot.columns)
        run.bytes_scanned = found.bytes_read
        run.hash_family = found.summary.family
        run.column_errors = dict(found.errors) or None
        run.statements = [_shown(statement) for statement in statements]
        with self.storage.begin() as session:
            if self.planned.is_reshaped and self.planned.sensitive:
                runs.forget_values(session, self.table, self.planned.sensitive, REVEALING)
            runs.finish_run(session, run)
            runs.save_results(session, run, self._metrics(found))
            summaries.save(session, run.run_id, "", run.profiled_at, found.summary.to_bytes())
            key = self.planned.profile_key
            states.advance(session, self.table, self.work.holder, snapshot, run, profile_key=key)
            self._publish(session, EventType.PROFILING_COMPLETED, rows=found.summary.rows)

    def _scope_detail(self) -> dict[str, object] | None:
        detail = {
            "doubt": self.warehouse.hidden_rows_doubt(self.table),
            "sensitive": sorted(self.planned.sensitive),
        }
        return {name: value for name, value in detail.items() if value} or None

    def _metrics(self, found: Profile) -> list[Metric]:
        settings = self.work.config.profiling
        metrics = []
        for name, summary in found.summary.columns.items():
            values = column_metrics(
                summary,
                bins=settings.histogram_bins if settings.compute_histograms else 0,
                listed=settings.max_distinct_values,
                sensitive=name in self.planned.sensitive,
                wanted=settings.metrics,
            )
            metrics += [Metric(name, metric, *encoded(value), summary.type) for metric, value in values.items()]
        return metrics

    def _put_off(self, reason: Reason, message: str) -> Outcome:
        """Nothing is kept of what was read; the table waits for the next tick."""
        decision = Decision(self.table, Action.DEFER, reason, {"message": message})
        try:
            with self.storage.begin() as session:
                if self.is_claimed:
                    runs.withdraw_run(session, self.run)
                    states.release(session, self.table, self.work.holder)
                states.record_decisions(session, [decision], self.work.clock())
        except (StorageError, SQLAlchemyError) as error:
            return self._failed(error)
        return self._deferred(message)

    def _deferred(self, message: str) -> Outcome:
        return Outcome(self.table, "deferred", seconds=self._seconds(), error=message)

    def _failed(self, error: Exception) -> Outcome:
        is_ours = isinstance(error, ProfileMeshError)
        message = str(error) if is_ours else f"{type(error).__name__}: {error}"
        try:
            self._store_failure(message, None if is_ours else traceback.format_exc())
        except (StorageError, SQLAlchemyError) as second:
            self.work.is_unsettled = True
            if str(second) != message:
                message = f"{message}; and this failure could not be stored: {second}"
        return Outcome(self.table, "failed", self.run.run_id, seconds=self._seconds(), error=message)

    def _store_failure(self, message: str, trace: str | None) -> None:
        self.run.duration_seconds = self._seconds()
        with self.storage.begin() as session:
            if not self.is_claimed:
                runs.start_run(session, self.run)
            runs.fail_run(session, self.run, message, trace)
            states.release(session, self.table, self.work.holder)
            self._publish(session, EventType.PROFILING_FAILED, error=message)

    def _publish(self, session: Session, event: EventType, **details: object) -> None:
        events.save_event(session, Occurrence(event, self.table, self.work.clock(), self.run.run_id, details))


def _shown(statement: SentStatement) -> dict[str, object]:
    shown = asdict(statement)
    if len(statement.sql) > SHOWN_SQL:
        shown["sql"] = f"{statement.sql[:SHOWN_SQL]} ... ({len(statement.sql)} characters)"
    return shown
