"""One table's turn: claimed, read, saved.

All that a run produced, and the snapshot it was read at, is saved in one transaction; whatever goes wrong before it
leaves the old truth.
"""

from __future__ import annotations

import time
import traceback
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from profilemesh import comparing
from profilemesh.comparing import Reading
from profilemesh.errors import (
    ProfileMeshError,
    ScanCancelled,
    StatementFailed,
    StorageError,
    SummariesIncompatible,
    TableMissing,
    WarehouseBusy,
    WarehouseUnreachable,
)
from profilemesh.events import EventType, Occurrence
from profilemesh.parts import (
    ChangedMeanwhile,
    Parts,
    as_kept,
    as_read,
    has_moved,
    merge_parts,
    read_parts,
    shifts_in,
    undivided,
)
from profilemesh.planning import Action, Decision, PlannedTable, Reason
from profilemesh.planning.budget import sample_token
from profilemesh.planning.snapshots import Confidence, Snapshot
from profilemesh.profiling import Scope, profile
from profilemesh.profiling.metrics import CATALOGUE
from profilemesh.profiling.results import Value, column_metrics, encoded
from profilemesh.profiling.summary import TableSummary
from profilemesh.scopes import reconciled, told_of_parts, told_of_sample
from profilemesh.storage import decisions, events, runs, states, summaries, withheld
from profilemesh.storage.clock import storage_now
from profilemesh.storage.models import Run
from profilemesh.storage.runs import Metric
from profilemesh.tables import EVERY_ROW, Rows, TableRef
from profilemesh.warehouses import connected
from profilemesh.warehouses.base import Scan, SentStatement

if TYPE_CHECKING:
    from profilemesh.runner import Work

CLAIM_TERM = timedelta(seconds=60)
"""A claim that its holder has not renewed for this long is free. It is renewed every third of it."""
REVEALING = tuple(metric.name for metric in CATALOGUE if metric.reveals)
"""Metrics that show values: those of a column that has become sensitive are forgotten, in old runs too."""
SHOWN_SQL = 20_000
"""Characters of a statement that are kept with the run."""
SHOWN_STATEMENTS = 200
"""Statements that are kept with a run; a table read in many parts sends more."""

Clock = Callable[[], datetime]


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
    """How one table's turn ended: `success`, `failed` or `deferred`. `error` says why in the last two cases.

    `rows` are the table's; `rows_read` those that the turn read.
    """

    table: TableRef
    status: str
    run_id: str | None = None
    rows: int | None = None
    seconds: float = 0.0
    error: str | None = None
    column_errors: Mapping[str, str] = field(default_factory=dict)
    rows_read: int | None = None
    action: str | None = None


class Turn:
    """One table of a plan, in the hands of one worker."""

    def __init__(self, work: Work, decision: Decision, planned: PlannedTable) -> None:
        self.work, self.decision, self.planned = work, decision, planned
        self.table, self.storage = decision.table, work.storage
        self.warehouse = work.warehouses[self.table.warehouse]
        self.run = self._new_run()
        self.began_at = time.monotonic()
        self.is_claimed = False
        self.remembered: Snapshot | None = None

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
        if isinstance(error, ChangedMeanwhile):
            return self._put_off(Reason.CHANGED_MEANWHILE, str(error))
        if isinstance(error, TableMissing) and self.planned.division is not None:
            # A partition was dropped or renamed since the plan was made; the next one knows.
            return self._put_off(Reason.CHANGED_MEANWHILE, str(error))
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
        found = self._read(scan)
        self._heed_stop()
        self._save(found, scan.statements)
        return Outcome(
            self.table,
            "success",
            self.run.run_id,
            self.run.row_count,
            self._seconds(),
            column_errors=found.errors,
            rows_read=found.rows_read,
            action=self.decision.action,
        )

    def _heed_stop(self) -> None:
        if self.work.stopping.is_set():
            raise ScanCancelled(f"{self.table}: stopped by hand")
        if self.table in self.work.cancelled:
            raise ScanCancelled(f"{self.table}: cancelled by hand")

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
            obstacle = self._obstacle(session)
            if obstacle is not None:
                self._log(session, "deferred")
                return obstacle
            give_up(session, self.table, self.work.clock())
            runs.start_run(session, self.run)
            self._publish(session, EventType.PROFILING_STARTED)
        self.is_claimed = True
        return None

    def _obstacle(self, session: Session) -> str | None:
        """Why this table cannot be claimed; None if it now is."""
        if not states.claim(session, self.table, self.work.holder, storage_now(session), CLAIM_TERM):
            return "another process is working on this table"
        if states.last_read(session, self.table) != self.planned.read_before:
            states.release(session, self.table, self.work.holder)
            return "another process has profiled this table since the plan was made"
        return None

    def _read(self, scan: Scan) -> Parts:
        """The table as the plan wants it read: all at once, in parts, some parts merged with the others, or a sample.

        Never more than that: a filter that cannot be applied is a failure.
        """
        division, scope = self.planned.division, self._scope()
        if division is None:
            found = undivided(profile(self.warehouse, scan, scope, self._heard))
            if self.decision.action is Action.SAMPLE and not found.rows_read:
                raise StatementFailed(f"table {self.table}: the sample has no rows; raise its fraction")
            if self._is_proved_by_content:
                self._heed_stop()
                self.remembered = as_read(self._snapshot, self.warehouse.look_again(self.table, self.planned.probe))
            return found
        known = (self.run.run_id, self.run.profiled_at, self._heard)
        if self.decision.action is Action.PARTIAL:
            assert self.planned.kept is not None
            merged = merge_parts(self.warehouse, scan, scope, division, self.planned.kept, self._stored_parts, *known)
        else:
            merged = read_parts(self.warehouse, scan, scope, division, *known)
        self._heed_stop()
        after = self.warehouse.look_again(self.table, self.planned.probe)
        if has_moved(division, after):
            raise ChangedMeanwhile(
                f"table {self.table}: partitions changed while others were read; tried again next time"
            )
        assert merged.manifest is not None
        self.remembered = as_read(self._snapshot, after)
        return replace(merged, manifest=as_kept(merged.manifest, division, after))

    @property
    def _is_proved_by_content(self) -> bool:
        """An equal checksum will count as proof, so it has to be of the very rows that were read."""
        probed = self._snapshot.probed
        is_exact = probed is not None and probed.token is not None and probed.confidence is Confidence.EXACT
        return is_exact and self.decision.action is Action.FULL

    def _heard(self, rows: int) -> None:
        self.work.heard(self.table, rows)

    def _stored_parts(self, wanted: Mapping[str, str]) -> Mapping[str, bytes]:
        with self.storage.read() as session:
            return summaries.of_partitions(session, wanted)

    def _scope(self) -> Scope:
        payload = None
        if not self.planned.starts_afresh:
            with self.storage.read() as session:
                payload = summaries.latest(session, self.table)
        return Scope(self.table, self.planned.columns, self.planned.sensitive, shifts_in(payload), self._rows())

    def _rows(self) -> Rows:
        if self.decision.action is not Action.SAMPLE:
            return EVERY_ROW
        return Rows(fraction=self.decision.fraction, seed=uuid.UUID(self.run.run_id).int % 2**31)

    def _save(self, found: Parts, statements: list[SentStatement]) -> None:
        """Everything this run produced, and the snapshot it was read at, in one transaction."""
        self._describe(found, statements)
        values = self._values(found.whole)
        reading = Reading(found, self._snapshot.columns, self.planned.sensitive, self.planned.kept, values)
        compared = comparing.compared(self.work.config, self.storage, self.run, reading)
        with self.storage.begin() as session:
            if self.planned.is_reshaped and self.planned.sensitive:
                if self._snapshot.partitions is None:
                    # A key with a sensitive column is none: what it once told partitions apart by must go too.
                    runs.forget_partitions(session, self.table)
                    withheld.forget_partitions(session, self.table)
                runs.forget_values(session, self.table, self.planned.sensitive, REVEALING)
                withheld.forget_values(session, self.table, self.planned.sensitive, REVEALING)
            if self.decision.reason is Reason.RECONCILE_DUE:
                self._compare_with_merged(session, found.whole)
            comparing.keep(session, self.work.config, self.run, compared, has_moved=self._has_moved)
            runs.finish_run(session, self.run)
            runs.save_results(session, self.run, self._metrics(found.whole, values))
            summaries.save(session, self.run.run_id, "", self.run.profiled_at, found.whole.to_bytes())
            for key, payload in found.payloads.items():
                summaries.save(session, self.run.run_id, key, self.run.profiled_at, payload)
            self._remember(session, found)
            self._log(session, "success")
            self._publish(session, EventType.PROFILING_COMPLETED, rows=found.whole.rows)
            self._publish_scope(session)

    @property
    def _has_moved(self) -> bool:
        """Whether the data was seen changed since the last run."""
        reason = self.decision.evidence.get("because", self.decision.reason)
        return reason in (Reason.SNAPSHOT_CHANGED, Reason.PARTITIONS_CHANGED, Reason.SCHEMA_CHANGED)

    def _describe(self, found: Parts, statements: list[SentStatement]) -> None:
        run, snapshot = self.run, self._snapshot
        run.scope = {Action.PARTIAL: "merged", Action.SAMPLE: "sample"}.get(self.decision.action, "full")
        run.scope_detail = self._scope_detail(found)
        run.as_of = run.started_at
        run.duration_seconds = self._seconds()
        run.row_count = self._row_count(found)
        run.rows_scanned = found.rows_read
        run.column_count = len(snapshot.columns)
        run.bytes_scanned = found.bytes_read
        run.hash_family = found.whole.family
        run.column_errors = dict(found.errors) or None
        run.statements = [_shown(statement) for statement in statements[:SHOWN_STATEMENTS]]

    @property
    def _snapshot(self) -> Snapshot:
        assert self.decision.snapshot is not None
        return self.decision.snapshot

    def _row_count(self, found: Parts) -> int:
        """The table's; of a sampled one as the sample lets expect."""
        fraction = self.decision.fraction
        return found.whole.rows if fraction is None else round(found.rows_read / fraction)

    def _scope_detail(self, found: Parts) -> dict[str, object] | None:
        detail: dict[str, object | None] = {
            "doubt": self.warehouse.hidden_rows_doubt(self.table),
            "sensitive": sorted(self.planned.sensitive),
        }
        if self.decision.action is Action.PARTIAL and found.manifest is not None:
            detail |= told_of_parts(found.manifest, self.run.run_id, self.decision, self.planned)
        elif self.decision.fraction is not None:
            detail |= told_of_sample(self.decision.fraction, found.rows_read)
        return {name: value for name, value in detail.items() if value} or None

    def _compare_with_merged(self, session: Session, whole: TableSummary) -> None:
        """How far the merged profile was from the truth, where nothing but merging can have made a difference."""
        merged = summaries.latest(session, self.table)
        tokens = (self.decision.evidence.get("token_before"), self.decision.evidence.get("token_after"))
        if merged is not None and tokens[0] is not None and tokens[0] == tokens[1]:
            detail = self.run.scope_detail or {}
            self.run.scope_detail = detail | {"reconciled": reconciled(TableSummary.from_bytes(merged), whole)}

    def _remember(self, session: Session, found: Parts) -> None:
        holder, snapshot = self.work.holder, self.remembered or self._snapshot
        if self.decision.action is Action.SAMPLE:
            states.sampled(session, self.table, holder, sample_token(snapshot), self.run)
            return
        states.advance(
            session,
            self.table,
            holder,
            snapshot,
            self.run,
            profile_key=self.planned.profile_key,
            manifest=found.manifest,
            confidence=self.planned.confidence,
            is_whole=self.decision.action is Action.FULL,
        )

    def _log(self, session: Session, outcome: str) -> None:
        run = self.run
        decisions.settle(
            session,
            self.work.plan.plan_id,
            self.table,
            outcome=outcome,
            run_id=run.run_id if outcome != "deferred" else None,
            rows=run.rows_scanned,
            bytes=run.bytes_scanned,
            seconds=self._seconds(),
        )

    def _publish_scope(self, session: Session) -> None:
        if self.decision.action is Action.PARTIAL:
            self._publish(session, EventType.PROFILE_PARTIAL, rows_read=self.run.rows_scanned, rows=self.run.row_count)
        elif self.decision.action is Action.SAMPLE and self.decision.reason is not Reason.SAMPLING_CONFIGURED:
            details = {"fraction": self.decision.fraction, "reason": self.decision.reason}
            self._publish(session, EventType.PROFILE_SAMPLED_COST_CAP, **details)

    def _values(self, whole: TableSummary) -> dict[str, dict[str, Value]]:
        """Every metric of every column, whether or not it is to be stored: drift compares them all."""
        settings = self.work.config.profiling
        return {
            name: column_metrics(
                summary,
                bins=settings.histogram_bins if settings.compute_histograms else 0,
                listed=settings.max_distinct_values,
                sensitive=name in self.planned.sensitive,
            )
            for name, summary in whole.columns.items()
        }

    def _metrics(self, whole: TableSummary, values: Mapping[str, Mapping[str, Value]]) -> list[Metric]:
        """What of it is stored as the run's results."""
        wanted = {"count", *self.work.config.profiling.metrics}
        return [
            Metric(name, metric, *encoded(value), whole.columns[name].type)
            for name, found in values.items()
            for metric, value in found.items()
            if len(wanted) == 1 or metric in wanted
        ]

    def _put_off(self, reason: Reason, message: str) -> Outcome:
        """Nothing is kept of what was read; the table waits for the next tick."""
        decision = Decision(self.table, Action.DEFER, reason, {"message": message})
        try:
            with self.storage.begin() as session:
                if self.is_claimed:
                    runs.withdraw_run(session, self.run)
                    states.release(session, self.table, self.work.holder)
                # In this order: both add to the day's savings, whose rows are locked from `defer` to `sample`.
                decisions.record(session, self.work.plan.plan_id, [decision], self.work.clock())
                self._log(session, "deferred")
        except (StorageError, SQLAlchemyError) as error:
            return self._failed(error)
        return self._deferred(message)

    def _deferred(self, message: str) -> Outcome:
        return Outcome(self.table, "deferred", seconds=self._seconds(), error=message)

    def _failed(self, error: Exception) -> Outcome:
        is_ours = isinstance(error, ProfileMeshError)
        message = str(error) if is_ours else f"{type(error).__name__}: {error}"
        if isinstance(error, ScanCancelled) and self.table in self.work.cancelled:
            message = f"{self.table}: cancelled by hand"
        try:
            self._store_failure(error, message, None if is_ours else traceback.format_exc())
        except (StorageError, SQLAlchemyError) as second:
            self.work.is_unsettled = True
            if str(second) != message:
                message = f"{message}; and this failure could not be stored: {second}"
        return Outcome(self.table, "failed", self.run.run_id, seconds=self._seconds(), error=message)

    def _store_failure(self, error: Exception, message: str, trace: str | None) -> None:
        self.run.duration_seconds = self._seconds()
        with self.storage.begin() as session:
            if not self.is_claimed:
                runs.start_run(session, self.run)
            runs.fail_run(session, self.run, message, trace)
            if isinstance(error, SummariesIncompatible):
                # Else every later tick would try the same merge again.
                states.forget_manifest(session, self.table)
            states.release(session, self.table, self.work.holder)
            self._log(session, "failed")
            self._publish(session, EventType.PROFILING_FAILED, error=message)

    def _publish(self, session: Session, event: EventType, **details: object) -> None:
        events.save_event(session, Occurrence(event, self.table, self.work.clock(), self.run.run_id, details))


def give_up(session: Session, table: TableRef, at: datetime) -> None:
    """Mark a table's unfinished runs as interrupted; only for the holder of its claim."""
    details = {"error": runs.INTERRUPTED}
    for run_id, plan_id in runs.running(session, table):
        events.save_event(session, Occurrence(EventType.PROFILING_FAILED, table, at, run_id, details))
        if plan_id is not None:
            decisions.settle(session, plan_id, table, outcome="failed", run_id=run_id)
    runs.interrupted(session, table)


def _shown(statement: SentStatement) -> dict[str, object]:
    shown = asdict(statement)
    if len(statement.sql) > SHOWN_SQL:
        shown["sql"] = f"{statement.sql[:SHOWN_SQL]} ... ({len(statement.sql)} characters)"
    return shown
