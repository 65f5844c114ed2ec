"""What is remembered of tables between ticks, and the claims on them.

The life of a claim: `claim` wins it, `renew` keeps it while a scan lasts, and `advance`, in the transaction that stores
the profile, moves the memory forward and frees it; a failure frees it by `release`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from profilemesh.errors import StorageError
from profilemesh.planning.decisions import Decision, Reason, State
from profilemesh.planning.snapshots import Snapshot
from profilemesh.storage.claims import holder_is_dead
from profilemesh.storage.models import Run, TableState
from profilemesh.tables import TableRef

_KEY = ("warehouse", "schema_name", "table_name")
_TABLES_PER_STATEMENT = 500


def latest_states(session: Session) -> dict[TableRef, State]:
    """What storage remembers of every table, in one statement."""
    rows = session.execute(
        sa.select(
            TableState.warehouse,
            TableState.schema_name,
            TableState.table_name,
            TableState.change_token,
            TableState.columns,
            TableState.profile_key,
            TableState.last_profiled_at,
            TableState.last_verified_at,
            TableState.row_count,
        )
    )
    states = (_state(row) for row in rows)
    return {state.table: state for state in states}


def _state(row: sa.Row[Any]) -> State:
    columns = row.columns
    return State(
        table=TableRef(row.warehouse, row.schema_name, row.table_name),
        token=row.change_token,
        columns=None if columns is None else tuple((column["name"], column["type"]) for column in columns),
        profile_key=row.profile_key,
        last_profiled_at=row.last_profiled_at,
        last_verified_at=row.last_verified_at,
        row_count=row.row_count,
    )


def listing() -> sa.Select[TableState]:
    """Every table's memory, by name."""
    return sa.select(TableState).order_by(TableState.warehouse, TableState.schema_name, TableState.table_name)


def record_decisions(session: Session, decisions: Iterable[Decision], now: datetime) -> None:
    """Store what was decided for each table, one statement per 500 tables; never touches what was last profiled."""
    latest = {decision.table: decision for decision in decisions}
    # In one order everywhere, or two processes that record at once lock each other's rows.
    rows = iter([_decision_row(latest[table], now) for table in sorted(latest)])
    while chunk := list(islice(rows, _TABLES_PER_STATEMENT)):
        statement = _insert(session).values(chunk)
        new = statement.excluded
        later = sa.case((new.last_verified_at > TableState.last_verified_at, new.last_verified_at))
        verified = sa.func.coalesce(later, TableState.last_verified_at, new.last_verified_at)
        moved = {name: new[name] for name in ("decision", "decision_reason", "evidence", "decided_at")}
        session.execute(
            statement.on_conflict_do_update(index_elements=_KEY, set_=moved | {"last_verified_at": verified})
        )


def _decision_row(decision: Decision, now: datetime) -> dict[str, Any]:
    return _key(decision.table) | {
        "decision": decision.action.value,
        "decision_reason": decision.reason.value,
        "evidence": decision.evidence,
        "decided_at": now,
        "last_verified_at": _verified_at(decision, now),
    }


def _verified_at(decision: Decision, now: datetime) -> datetime | None:
    """Up to when an equal token proves that nothing changed; None where nothing was proved."""
    if decision.reason is not Reason.SNAPSHOT_MATCH:
        return None
    known_until = decision.snapshot.verified_as_of if decision.snapshot else None
    return min(now, known_until) if known_until else now


def claim(session: Session, table: TableRef, holder: str, now: datetime, term: timedelta) -> bool:
    """Win the table for `holder` until `now + term`; False if another holds it.

    A claim whose term is over, or whose holder is known to be dead, is taken over. `now` is the wall clock, for all
    holders alike, whatever time a profile is made for.
    """
    session.execute(_insert(session).values(_key(table)).on_conflict_do_nothing(index_elements=_KEY))
    free = sa.or_(TableState.claimed_by.is_(None), TableState.claimed_by == holder, TableState.claimed_until <= now)
    until = {"claimed_by": holder, "claimed_until": now + term}
    if _hits_one(session, table, free, until):
        return True
    other = session.scalar(sa.select(TableState.claimed_by).where(_is(table)))
    if other is None or not holder_is_dead(other):
        return False
    return _hits_one(session, table, TableState.claimed_by == other, until)


def last_profiled_at(session: Session, table: TableRef) -> datetime | None:
    """When the table's last stored profile was made; None if it has none."""
    return session.scalar(sa.select(TableState.last_profiled_at).where(_is(table)))


def renew(session: Session, table: TableRef, holder: str, now: datetime, term: timedelta) -> bool:
    """Hold the table until `now + term`; False if it was lost to another."""
    return _hits_one(session, table, TableState.claimed_by == holder, {"claimed_until": now + term})


def release(session: Session, table: TableRef, holder: str) -> None:
    """Give the table up; nothing happens if it was lost already."""
    _hits_one(session, table, TableState.claimed_by == holder, {"claimed_by": None, "claimed_until": None})


def advance(
    session: Session, table: TableRef, holder: str, snapshot: Snapshot, run: Run, *, profile_key: str | None = None
) -> None:
    """Remember that `run` profiled `snapshot`, and free the claim; `run` holds its final counts and times.

    `last_changed_at` moves only where two known tokens differ. Raises StorageError if `holder` lost the claim, so that
    the transaction, and with it the whole run, is rolled back.
    """
    values = _memory_of(snapshot) | {
        "profile_key": profile_key,
        "last_run_id": run.run_id,
        "last_profiled_at": run.profiled_at,
        "last_verified_at": run.as_of or run.profiled_at,
        "last_changed_at": sa.case(
            (
                TableState.change_token != sa.bindparam("token", snapshot.token, TableState.change_token.type),
                run.profiled_at,
            ),
            else_=TableState.last_changed_at,
        ),
        "row_count": run.row_count,
        "bytes_scanned": run.bytes_scanned,
        "claimed_by": None,
        "claimed_until": None,
    }
    if not _hits_one(session, table, TableState.claimed_by == holder, values):
        raise StorageError(f"claim lost: another process took {table} over; nothing of run {run.run_id} was stored")


def _memory_of(snapshot: Snapshot) -> dict[str, Any]:
    token = snapshot.token
    return {
        "snapshot_id": None if token is None else hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest(),
        "change_token": token,
        "confidence": snapshot.confidence.value,
        "columns": [
            {"name": column.name, "type": column.type, "kind": column.kind.value} for column in snapshot.columns
        ],
    }


def _key(table: TableRef) -> dict[str, Any]:
    return dict(zip(_KEY, (table.warehouse, table.schema, table.name), strict=True))


def _is(table: TableRef) -> sa.ColumnElement[bool]:
    return sa.and_(*(getattr(TableState, name) == value for name, value in _key(table).items()))


def _insert(session: Session) -> postgresql.Insert | sqlite.Insert:
    """INSERT with ON CONFLICT, which both dialects spell alike and SQLAlchemy keeps apart."""
    dialect = session.get_bind().dialect.name
    return postgresql.insert(TableState) if dialect == "postgresql" else sqlite.insert(TableState)


def _hits_one(session: Session, table: TableRef, condition: sa.ColumnElement[bool], values: Mapping[str, Any]) -> bool:
    statement = sa.update(TableState).where(_is(table), condition).values(values)
    result = session.execute(statement.execution_options(synchronize_session=False))
    assert isinstance(result, CursorResult)
    return result.rowcount == 1
