"""What is remembered of tables between ticks, and the claims on them.

The life of a claim: `claim` wins it, `renew` keeps it while a scan lasts, and `advance` (a profile) or `sampled` (a
sample), in the transaction that stores the run, moves the memory forward and frees it; a failure frees it by `release`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from profilemesh.errors import StorageError
from profilemesh.planning.decisions import State
from profilemesh.planning.intervals import change_gap
from profilemesh.planning.snapshots import Confidence, KeptManifest, Snapshot
from profilemesh.storage.claims import holder_is_dead
from profilemesh.storage.models import Run, TableState, clean_text
from profilemesh.storage.writes import chunks, hits_one, insert
from profilemesh.tables import TableRef

KEY = ("warehouse", "schema_name", "table_name")
_TABLES_PER_STATEMENT = 200


def latest_states(session: Session) -> dict[TableRef, State]:
    """What storage remembers of every table but its partitions, in one statement.

    Nothing of a table that is known by its runs alone, be they adopted: whether its warehouse has it no plan ever saw.
    """
    known: _Pairs = {}
    states = (_state(row, known) for row in session.execute(sa.select(*_REMEMBERED).where(sa.or_(*_LOOKED_AT))))
    return {state.table: state for state in states}


# Of thousands of tables, most columns are like some other: one pair stands for all of them.
_Pairs = dict[tuple[str, str], tuple[str, str]]


_REMEMBERED = (
    TableState.warehouse,
    TableState.schema_name,
    TableState.table_name,
    TableState.change_token,
    TableState.columns,
    TableState.profile_key,
    TableState.last_profiled_at,
    TableState.last_verified_at,
    TableState.row_count,
    TableState.bytes_scanned,
    TableState.confidence,
    TableState.probe_token,
    TableState.last_full_at,
    TableState.last_changed_at,
    TableState.change_gap_minutes,
    TableState.sampled_token,
    TableState.sampled_at,
    TableState.deferred_since,
    TableState.vanished_at,
    TableState.paused_at,
)


_LOOKED_AT = tuple(
    column.is_not(None)
    for column in (
        TableState.decided_at,
        TableState.last_profiled_at,
        TableState.last_verified_at,
        TableState.sampled_at,
        TableState.paused_at,
        TableState.claimed_by,
        TableState.change_token,
        TableState.manifest,
    )
)


def _state(row: sa.Row[Any], pairs: _Pairs) -> State:
    known = dict(row._mapping)
    table = TableRef(*(known.pop(name) for name in KEY))
    columns, token, confidence = (known.pop(name) for name in ("columns", "change_token", "confidence"))
    return State(
        table,
        token,
        None if columns is None else tuple(_pair(column["name"], column["type"], pairs) for column in columns),
        confidence=Confidence.EXACT if confidence is None else Confidence(confidence),
        **known,
    )


def _pair(name: str, type_name: str, pairs: _Pairs) -> tuple[str, str]:
    return pairs.setdefault((name, type_name), (name, type_name))


def with_manifests(
    session: Session, states: Mapping[TableRef, State], tables: Iterable[TableRef]
) -> dict[TableRef, State]:
    """All of `states`, those of `tables` with what is remembered of their partitions."""
    filled = dict(states)
    for chunk in chunks(sorted(set(tables) & states.keys()), _TABLES_PER_STATEMENT):
        same = is_state_of_one(chunk)
        rows = session.execute(
            sa.select(TableState.warehouse, TableState.schema_name, TableState.table_name, TableState.manifest).where(
                same, TableState.manifest.is_not(None)
            )
        )
        for row in rows:
            table = TableRef(*row[:3])
            filled[table] = replace(filled[table], manifest=KeptManifest.from_json(row.manifest))
    return filled


@dataclass(frozen=True, slots=True)
class Standstill:
    """Since when a table's data is unchanged, and how long it usually is."""

    table: TableRef
    last_run_id: str
    last_changed_at: datetime
    change_gap_minutes: float


def standstills(session: Session, warehouses: Iterable[str]) -> list[Standstill]:
    """Of every table that was seen changed at least once, in one statement."""
    known = sa.and_(TableState.last_changed_at.is_not(None), TableState.change_gap_minutes.is_not(None))
    columns = (TableState.last_run_id, TableState.last_changed_at, TableState.change_gap_minutes)
    keys = (TableState.warehouse, TableState.schema_name, TableState.table_name)
    wanted = (TableState.warehouse.in_(sorted(warehouses)), known, TableState.last_run_id.is_not(None))
    found: Iterable[Any] = session.execute(sa.select(*keys, *columns).where(*wanted))
    return [Standstill(TableRef(*row[:3]), *row[3:]) for row in found]


_SAW_A_CHANGE = ("snapshot_changed", "partitions_changed", "schema_changed")


def change_times(session: Session, tables: Iterable[TableRef], since: datetime) -> dict[TableRef, list[datetime]]:
    """When each table's data was seen changed: by runs that were made for that reason. A sample sees it too."""
    found: dict[TableRef, list[datetime]] = {table: [] for table in tables}
    for chunk in chunks(sorted(found), _TABLES_PER_STATEMENT):
        names = [(table.warehouse, table.schema, table.name) for table in chunk]
        of_one = sa.tuple_(Run.warehouse, Run.schema_name, Run.dataset_name).in_(names)
        good = sa.and_(Run.status == "success", Run.reason.in_(_SAW_A_CHANGE), Run.profiled_at >= since)
        columns = (Run.warehouse, Run.schema_name, Run.dataset_name, Run.profiled_at)
        for row in session.execute(sa.select(*columns).where(of_one, good)):
            found[TableRef(*row[:3])].append(row[3])
    return found


def listing() -> sa.Select[TableState]:
    """Every table's memory, by name."""
    return sa.select(TableState).order_by(TableState.warehouse, TableState.schema_name, TableState.table_name)


def key_of(table: TableRef) -> dict[str, Any]:
    return dict(zip(KEY, (table.warehouse, table.schema, table.name), strict=True))


def is_state_of(table: TableRef) -> sa.ColumnElement[bool]:
    return sa.and_(*(getattr(TableState, name) == value for name, value in key_of(table).items()))


def is_state_of_one(tables: Iterable[TableRef]) -> sa.ColumnElement[bool]:
    names = [(table.warehouse, table.schema, table.name) for table in tables]
    return sa.tuple_(TableState.warehouse, TableState.schema_name, TableState.table_name).in_(names)


def ensure(session: Session, table: TableRef) -> None:
    """A state for the table, if it has none yet."""
    session.execute(insert(session, TableState).values(key_of(table)).on_conflict_do_nothing(index_elements=KEY))


def claim(session: Session, table: TableRef, holder: str, now: datetime, term: timedelta) -> bool:
    """Win the table for `holder` until `now + term`; False if another holds it.

    A claim whose term is over, or whose holder is known to be dead, is taken over. `now` is the wall clock, for all
    holders alike, whatever time a profile is made for.
    """
    ensure(session, table)
    free = sa.or_(TableState.claimed_by.is_(None), TableState.claimed_by == holder, TableState.claimed_until <= now)
    # A request to cancel was meant for whoever held the table then.
    cancel = sa.case((TableState.claimed_by == holder, TableState.cancel_requested_at))
    until = {"claimed_by": holder, "claimed_until": now + term, "cancel_requested_at": cancel}
    if _hits_one(session, table, free, until):
        return True
    other = session.scalar(sa.select(TableState.claimed_by).where(is_state_of(table)))
    if other is None or not holder_is_dead(other):
        return False
    return _hits_one(session, table, TableState.claimed_by == other, until)


def last_read(session: Session, table: TableRef) -> tuple[datetime | None, datetime | None]:
    """When the table's last stored profile was made, and its last sample."""
    read = sa.select(TableState.last_profiled_at, TableState.sampled_at).where(is_state_of(table))
    profiled_at, sampled_at = session.execute(read).one_or_none() or (None, None)
    return profiled_at, sampled_at


def renew(session: Session, table: TableRef, holder: str, now: datetime, term: timedelta) -> bool:
    """Hold the table until `now + term`; False if it was lost to another."""
    return _hits_one(session, table, TableState.claimed_by == holder, {"claimed_until": now + term})


def release(session: Session, table: TableRef, holder: str) -> None:
    """Give the table up; nothing happens if it was lost already."""
    _hits_one(session, table, TableState.claimed_by == holder, _FREE)


_FREE: Mapping[str, Any] = {"claimed_by": None, "claimed_until": None, "cancel_requested_at": None}


def advance(
    session: Session,
    table: TableRef,
    holder: str,
    snapshot: Snapshot,
    run: Run,
    *,
    profile_key: str | None = None,
    manifest: KeptManifest | None = None,
    confidence: Confidence | None = None,
    is_whole: bool = True,
) -> None:
    """Remember that `run` profiled `snapshot`, and free the claim; `run` holds its final counts and times.

    `manifest` has the partitions behind the profile; `confidence` tells how far an equal token proves it true, as far
    as the snapshot's own if it is not given; `is_whole` says that every row was read.

    `last_changed_at` moves only where two known tokens differ, and starts afresh for a table that was gone. Raises
    StorageError if `holder` lost the claim, so that the transaction, and with it the whole run, is rolled back.
    """
    before = session.execute(sa.select(*_HISTORY).where(is_state_of(table)).with_for_update()).one_or_none()
    values: dict[str, Any] = dict(_FREE) | _memory_of(snapshot) | _history(before, snapshot, run)
    values |= {
        "profile_key": profile_key,
        "manifest": None if manifest is None else manifest.to_json(),
        "confidence": (confidence or snapshot.confidence).value,
        "last_run_id": run.run_id,
        "last_profiled_at": run.profiled_at,
        "last_verified_at": run.as_of or run.profiled_at,
        "row_count": run.row_count,
        "deferred_since": None,
        "vanished_at": None,
        "due_at": None,
    }
    if is_whole:
        # What a part took says nothing of what the whole would.
        values |= {"last_full_at": run.profiled_at, "bytes_scanned": run.bytes_scanned}
    if not _hits_one(session, table, TableState.claimed_by == holder, values):
        raise _claim_lost(table, run)


def sampled(session: Session, table: TableRef, holder: str, token: str | None, run: Run) -> None:
    """Remember that `run` sampled the snapshot with `token`, and free the claim; the stored profile stays what it was.

    Raises StorageError as `advance` does.
    """
    values = dict(_FREE) | {"sampled_token": token, "sampled_at": run.profiled_at, "deferred_since": None}
    if not _hits_one(session, table, TableState.claimed_by == holder, values):
        raise _claim_lost(table, run)


def forget_manifest(session: Session, table: TableRef) -> None:
    """The summaries of the table's partitions are of no use any more: its next change is read whole."""
    session.execute(sa.update(TableState).where(is_state_of(table)).values(manifest=None))


def _claim_lost(table: TableRef, run: Run) -> StorageError:
    return StorageError(f"claim lost: another process took {table} over; nothing of run {run.run_id} was stored")


def _memory_of(snapshot: Snapshot) -> dict[str, Any]:
    token = snapshot.token
    return {
        "snapshot_id": None if token is None else hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest(),
        "change_token": token,
        "probe_token": snapshot.probed.token if snapshot.probed else None,
        "columns": [
            {"name": column.name, "type": column.type, "kind": column.kind.value} for column in snapshot.columns
        ],
    }


_HISTORY: tuple[InstrumentedAttribute[Any], ...] = (
    TableState.change_token,
    TableState.probe_token,
    TableState.first_profiled_at,
    TableState.last_profiled_at,
    TableState.last_changed_at,
    TableState.change_gap_minutes,
    TableState.vanished_at,
)


def _history(before: sa.Row[*tuple[Any, ...]] | None, snapshot: Snapshot, run: Run) -> dict[str, Any]:
    """When the table was first profiled and last changed, and the usual time between its changes."""
    if before is None or before.last_profiled_at is None or before.vanished_at is not None:
        return {"first_profiled_at": run.profiled_at, "last_changed_at": None, "change_gap_minutes": None}
    first = before.first_profiled_at or before.last_profiled_at
    changed_at, gap = before.last_changed_at, before.change_gap_minutes
    changed = _is_changed(before, snapshot)
    if changed is not None:
        since = run.profiled_at - (changed_at or first)
        gap = change_gap(gap, max(since.total_seconds() / 60, 0.0), changed)
    return {
        "first_profiled_at": first,
        "last_changed_at": run.profiled_at if changed else changed_at,
        "change_gap_minutes": gap,
    }


def _is_changed(before: sa.Row[*tuple[Any, ...]], snapshot: Snapshot) -> bool | None:
    """By the probe's tokens where both are known, else by those of the snapshots; None where nothing tells."""
    probe_token = snapshot.probed.token if snapshot.probed else None
    for old, new in ((before.probe_token, probe_token), (before.change_token, snapshot.token)):
        if old is not None and new is not None:
            return bool(old != clean_text(new))
    return None


def _hits_one(session: Session, table: TableRef, condition: sa.ColumnElement[bool], values: Mapping[str, Any]) -> bool:
    return hits_one(session, sa.update(TableState).where(is_state_of(table), condition).values(values))


def known(session: Session) -> list[TableRef]:
    """Every table that storage knows, by its runs alone too."""
    rows = session.execute(sa.select(TableState.warehouse, TableState.schema_name, TableState.table_name))
    return [TableRef(*row) for row in rows]


def staleness_now(state: TableState) -> int | None:
    """Its score; 0 where it was read since its decision, which made the score of it history."""
    decided, profiled = state.decided_at, state.last_profiled_at
    is_read_since = decided is not None and profiled is not None and profiled >= decided
    return 0 if is_read_since else state.staleness_score


def state_of(session: Session, table: TableRef) -> TableState | None:
    return session.get(TableState, (table.warehouse, table.schema, table.name))


def warehouse_types(session: Session) -> dict[str, str]:
    """The type of every warehouse with a table, "unknown" where nobody told it."""
    found = sa.select(TableState.warehouse, sa.func.max(TableState.warehouse_type)).group_by(TableState.warehouse)
    return {name: type_ or "unknown" for name, type_ in session.execute(found)}
