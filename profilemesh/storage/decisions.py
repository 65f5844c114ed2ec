"""The decision log: what was decided of every table in every tick, why, and what came of it.

In time order: `record` stores a whole plan's decisions before any of it is carried out; `settle` adds to one of them
what its reading took. Skips that repeat the table's last decision extend its row, so that a quiet table's log stays
short; such skips are many, and are stored in groups, not one by one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from profilemesh.events import EventType, Occurrence
from profilemesh.planning.decisions import Action, Decision, Reason, was_hashed
from profilemesh.storage import savings
from profilemesh.storage.events import save_events
from profilemesh.storage.models import LoggedDecision, TableState, clean_json, clean_text
from profilemesh.storage.savings import Spared
from profilemesh.storage.states import KEY, is_state_of, is_state_of_one, key_of
from profilemesh.storage.writes import chunks, count, insert, insert_all
from profilemesh.tables import TableRef

_ROWS_PER_STATEMENT = 5000
_FEW = 100
_ALIKE = 20
_TOO_DEAR = (Reason.COST_CAP, Reason.BUDGET_SPENT)
_UNCHANGED = (Reason.SNAPSHOT_MATCH, Reason.PROBE_MATCH)
_AS_GOOD_AS_READ = (Reason.SNAPSHOT_MATCH, Reason.SAMPLE_MATCH)


def record(session: Session, plan_id: str, decisions: Iterable[Decision], now: datetime) -> None:
    """Store what was decided: in the tables' states, in the log, in the day's savings, and as events.

    Never touches what was last profiled.
    """
    latest = {_stored(decision.table): decision for decision in decisions}
    standing = _standing(session, latest)
    # In one order everywhere, or two processes that record at once lock each other's rows.
    entries = [_Entry(latest[table], standing.get(table), now) for table in sorted(latest)]
    if not entries:
        return
    repeated = [entry for entry in entries if entry.repeats]
    new = [entry for entry in entries if not entry.repeats]
    ids = _logged(session, plan_id, new, now)
    _extend(session, repeated, now)
    _update_states(session, entries, ids)
    savings.add(session, [_spared_at_once(entry.decision, now) for entry in entries])
    save_events(session, [happened for entry in new for happened in entry.occurrences(plan_id)])


@dataclass(frozen=True)
class _Entry:
    """One decision beside what storage says of its table: its state, and the last decision that was logged."""

    decision: Decision
    before: sa.Row[Any] | None
    now: datetime

    @cached_property
    def evidence(self) -> Any:
        """As it will be read back."""
        return clean_json(self.decision.evidence)

    @cached_property
    def repeats(self) -> bool:
        """A skip like the last one, which needs no row of its own."""
        decision, before = self.decision, self.before
        if before is None or before.log_id is None or decision.action is not Action.SKIP:
            return False
        if (before.action, before.reason) != (decision.action, decision.reason):
            return False
        # As it was given is mostly as it is read back; cleaning thousands takes time.
        return bool(before.evidence == decision.evidence or before.evidence == self.evidence)

    @cached_property
    def is_put_off(self) -> bool:
        return self.decision.action is Action.DEFER and self.decision.reason in _TOO_DEAR

    def state(self) -> dict[str, Any]:
        """What the table's state says from now on, beside the decision itself."""
        decision, before = self.decision, self.before
        deferred, vanished, verified = (
            (before.deferred_since, before.vanished_at, before.last_verified_at) if before else (None, None, None)
        )
        if self.is_put_off:
            deferred = deferred or self.now
        elif decision.action is Action.SKIP and decision.reason in _AS_GOOD_AS_READ:
            deferred = None
        if decision.reason is Reason.VANISHED:
            vanished = vanished or self.now
        return {
            "decided_at": self.now,
            "staleness_score": decision.staleness,
            "due_at": decision.due_at,
            "last_verified_at": max(filter(None, (verified, _verified_at(decision, self.now))), default=None),
            "deferred_since": deferred,
            "vanished_at": vanished,
        }

    def occurrences(self, plan_id: str) -> list[Occurrence]:
        """What is told of a decision that does not repeat the last one."""
        decision, before = self.decision, self.before
        kind = None
        if decision.action is Action.SKIP and decision.reason in _UNCHANGED:
            kind = EventType.PROFILE_SKIPPED_NO_CHANGE
        elif self.is_put_off and (before is None or before.deferred_since is None):
            kind = EventType.PROFILE_DEFERRED_COST_CAP
        details = {"plan_id": plan_id, "reason": decision.reason.value} | self.evidence
        return [] if kind is None else [Occurrence(kind, decision.table, self.now, details=details)]


def _stored(table: TableRef) -> TableRef:
    """The table by the names that are read back."""
    return TableRef(clean_text(table.warehouse), clean_text(table.schema), clean_text(table.name))


def _verified_at(decision: Decision, now: datetime) -> datetime | None:
    """Up to when an equal token proves that nothing changed; None where nothing was proved."""
    if decision.reason is not Reason.SNAPSHOT_MATCH:
        return None
    known_until = decision.snapshot.verified_as_of if decision.snapshot else None
    return min(now, known_until) if known_until else now


def _standing(session: Session, tables: Iterable[TableRef]) -> dict[TableRef, sa.Row[Any]]:
    """The states of these tables with the last logged decision of each, locked until the end of the transaction."""
    wanted = list(tables)
    of_all = TableState.warehouse.in_(sorted({table.warehouse for table in wanted}))
    few = len(wanted) <= _FEW
    statement = (
        sa.select(
            TableState.warehouse,
            TableState.schema_name,
            TableState.table_name,
            *(getattr(TableState, name) for name in _KEPT),
            LoggedDecision.id.label("log_id"),
            LoggedDecision.action,
            LoggedDecision.reason,
            LoggedDecision.evidence,
        )
        .outerjoin(LoggedDecision, LoggedDecision.id == TableState.decision_id)
        .where(is_state_of_one(wanted) if few else of_all)
        .order_by(TableState.warehouse, TableState.schema_name, TableState.table_name)
        .with_for_update(of=TableState)
    )
    return {TableRef(*row[:3]): row for row in session.execute(statement)} if wanted else {}


_KEPT = ("decided_at", "staleness_score", "due_at", "last_verified_at", "deferred_since", "vanished_at")


def _logged(session: Session, plan_id: str, entries: Iterable[_Entry], now: datetime) -> dict[TableRef, int]:
    """A row of the log for each, and its number."""
    rows = [
        key_of(entry.decision.table)
        | {
            "plan_id": plan_id,
            "decided_at": now,
            "last_at": now,
            "ticks": 1,
            "action": entry.decision.action.value,
            "reason": entry.decision.reason.value,
            "evidence": entry.evidence,
            "staleness_score": entry.decision.staleness,
            "rows_estimated": entry.decision.cost.rows,
            "bytes_estimated": entry.decision.cost.bytes,
            "rows_naive": entry.decision.naive.rows,
            "bytes_naive": entry.decision.naive.bytes,
            "is_naive_measured": entry.decision.naive.is_measured,
        }
        for entry in entries
    ]
    if not rows:
        return {}
    log = cast(sa.Table, LoggedDecision.__table__).c
    made = session.execute(insert(session, LoggedDecision).returning(log.id, *(log[name] for name in KEY)), rows)
    return {TableRef(*row[1:]): row[0] for row in made}


def _extend(session: Session, entries: Iterable[_Entry], now: datetime) -> None:
    last_at = sa.case((LoggedDecision.last_at < now, now), else_=LoggedDecision.last_at)
    ids = sorted(entry.before.log_id for entry in entries if entry.before)
    for chunk in chunks(ids, _ROWS_PER_STATEMENT):
        same = LoggedDecision.id.in_(chunk)
        count(session, sa.update(LoggedDecision).where(same).values(last_at=last_at, ticks=LoggedDecision.ticks + 1))


def _update_states(session: Session, entries: Iterable[_Entry], ids: Mapping[TableRef, int]) -> None:
    """Equal changes of repeated skips in one statement, all others row by row in one executemany."""
    rows: list[dict[str, Any]] = []
    alike: dict[tuple[tuple[str, Any], ...], list[_Entry]] = defaultdict(list)
    for entry in entries:
        if entry.before is not None and entry.repeats:
            changes = {name: value for name, value in entry.state().items() if value != getattr(entry.before, name)}
            alike[tuple(changes.items())].append(entry)
        else:
            rows.append(_state_row(entry, ids[_stored(entry.decision.table)]))
    for values, group in alike.items():
        if len(group) < _ALIKE:
            rows += [_state_row(entry, entry.before.log_id) for entry in group if entry.before]
        elif values:
            _update_alike(session, dict(values), group)
    if rows:
        rows.sort(key=lambda row: tuple(row[name] for name in KEY))
        statement = insert(session, TableState)
        moved = {name: statement.excluded[name] for name in rows[0] if name not in KEY}
        insert_all(session, statement.on_conflict_do_update(index_elements=KEY, set_=moved), rows)


def _state_row(entry: _Entry, decision_id: int) -> dict[str, Any]:
    decided = {
        "decision": entry.decision.action.value,
        "decision_reason": entry.decision.reason.value,
        "evidence": entry.evidence,
        "decision_id": decision_id,
    }
    return key_of(entry.decision.table) | decided | entry.state()


def _update_alike(session: Session, values: Mapping[str, Any], entries: Iterable[_Entry]) -> None:
    for chunk in chunks((entry.before.log_id for entry in entries if entry.before), _ROWS_PER_STATEMENT):
        count(session, sa.update(TableState).where(TableState.decision_id.in_(chunk)).values(values))


def _spared_at_once(decision: Decision, now: datetime) -> Spared:
    """What is certain before anything is read: a skip spares a full scan, a deferral only puts it off."""
    day, warehouse, action = now.astimezone(UTC).date(), clean_text(decision.table.warehouse), decision.action.value
    spares = decision.action is Action.SKIP and decision.reason is not Reason.VANISHED
    spares = spares and not was_hashed(decision.evidence)
    naive = decision.naive
    is_unpriced = naive.rows is None and (spares or decision.action.reads)
    counted = Spared(day, warehouse, action, decisions=1, unpriced=int(is_unpriced))
    if not spares:
        return counted
    return counted + _spared(day, warehouse, action, naive.rows or 0, naive.bytes or 0, naive.is_measured)


def _spared(day: date, warehouse: str, action: str, rows: int, size: int, is_measured: bool) -> Spared:
    if is_measured:
        return Spared(day, warehouse, action, rows_measured=rows, bytes_measured=size)
    return Spared(day, warehouse, action, rows_estimated=rows, bytes_estimated=size)


def settle(
    session: Session,
    plan_id: str,
    table: TableRef,
    *,
    outcome: str,
    run_id: str | None = None,
    rows: int | None = None,
    bytes: int | None = None,
    seconds: float | None = None,
) -> bool:
    """Add what became of a plan's decision to read a table; False if there is none that is still open.

    `outcome` is `success`, `failed` or `deferred`; `rows`, `bytes` and `seconds` are what it took, None where unknown.
    Only a part or a sample that succeeded spared something.
    """
    # The state first, as `record` does: else the two wait for each other.
    session.execute(sa.select(TableState.table_name).where(is_state_of(table)).with_for_update())
    logged = session.scalars(_open(plan_id, table)).one_or_none()
    if logged is None:
        return False
    logged.outcome, logged.run_id = outcome, run_id
    logged.rows_actual, logged.bytes_actual, logged.seconds_actual = rows, bytes, seconds
    session.flush()
    savings.add(session, [_spared_in_the_end(logged, outcome, rows, bytes)])
    return True


def _open(plan_id: str, table: TableRef) -> sa.Select[LoggedDecision]:
    """The newest of the plan's decisions to read the table, if nothing became of it yet."""
    reads = [action.value for action in Action if action.reads]
    return (
        of_table(table)
        .where(LoggedDecision.plan_id == plan_id, LoggedDecision.action.in_(reads), LoggedDecision.outcome.is_(None))
        .limit(1)
    )


def _spared_in_the_end(logged: LoggedDecision, outcome: str, rows: int | None, size: int | None) -> Spared:
    day, key = logged.decided_at.astimezone(UTC).date(), (logged.warehouse, logged.action)
    read = Spared(day, *key, rows_read=rows or 0, bytes_read=size or 0)
    if outcome != "success" or logged.action == Action.FULL or was_hashed(logged.evidence):
        return read
    return read + _spared(
        day, *key, _less(logged.rows_naive, rows), _less(logged.bytes_naive, size), logged.is_naive_measured
    )


def _less(naive: int | None, actual: int | None) -> int:
    """Nothing where either is unknown, or where the estimate was too low."""
    return 0 if naive is None or actual is None else max(0, naive - actual)


def listing(
    *,
    warehouse: str | None = None,
    schema: str | None = None,
    table: str | None = None,
    action: str | None = None,
    reason: str | None = None,
    since: datetime | None = None,
) -> sa.Select[LoggedDecision]:
    """The log, newest first; `since` keeps what was still decided so at that time or later."""
    wanted = {
        LoggedDecision.warehouse: warehouse,
        LoggedDecision.schema_name: schema,
        LoggedDecision.table_name: table,
        LoggedDecision.action: action,
        LoggedDecision.reason: reason,
    }
    found = sa.select(LoggedDecision).where(*(column == value for column, value in wanted.items() if value is not None))
    if since is not None:
        found = found.where(LoggedDecision.last_at >= since)
    return found.order_by(LoggedDecision.last_at.desc(), LoggedDecision.id.desc())


def listing_of(tables: Sequence[TableRef] | None) -> sa.Select[LoggedDecision]:
    """The log of these tables, or of all, newest first."""
    if tables is None:
        return listing()
    log = sa.tuple_(LoggedDecision.warehouse, LoggedDecision.schema_name, LoggedDecision.table_name)
    return listing().where(log.in_([(table.warehouse, table.schema, table.name) for table in tables]))


def of_table(table: TableRef) -> sa.Select[LoggedDecision]:
    """One table's log, newest first."""
    return listing(warehouse=table.warehouse, schema=table.schema, table=table.name)
