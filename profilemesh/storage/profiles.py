"""The profiles that runs are compared by: each run's numbers as one small object, a table's history in one statement.

Runs of before there were such objects are put together from their metrics, all of them in one statement more.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.orm import Session

from profilemesh.drift.profiles import GOOD, SAMPLE, Profile
from profilemesh.storage.models import ProfileNumbers, Result, Run, clean_text
from profilemesh.storage.writes import count, insert
from profilemesh.tables import Column, Kind, TableRef

MOST_RUNS = 60
MOST_AGE = timedelta(days=90)
_TEXTS = ("min", "max")
"""Metrics whose texts are kept too: the first and last day of a column of days."""
_DAY_TEXT = 40
"""Characters of the longest of those texts; the smallest and largest names of a column of names are not needed."""

Metrics = Mapping[str, Mapping[str, Any]]


def save(session: Session, profile: Profile) -> None:
    """Store what later runs will need of this one."""
    statement = insert(session, ProfileNumbers).values(run_id=profile.run_id, payload=packed(profile))
    session.execute(statement.on_conflict_do_nothing(index_elements=["run_id"]))


def packed(profile: Profile) -> bytes:
    columns = profile.columns and [[each.name, each.type, each.kind.value, each.nullable] for each in profile.columns]
    metrics = {
        name: {metric: kept for metric, value in values.items() if (kept := _kept(metric, value)) is not None}
        for name, values in profile.metrics.items()
    }
    # A text of its own: of most tables it is the same in every run, and is read once.
    told = _dumped(columns).decode() if columns else None
    return _dumped({"version": 1, "columns": told, "metrics": metrics})


def _dumped(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:
        # A lone surrogate, which is no text that could be stored.
        return orjson.dumps(_clean(value))


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {clean_text(key): _clean(each) for key, each in value.items()}
    return [_clean(each) for each in value] if isinstance(value, list) else value


def _kept(metric: str, value: object) -> int | float | str | None:
    if isinstance(value, str):
        return value if metric in _TEXTS and len(value) <= _DAY_TEXT and value[:1].isdigit() else None
    if isinstance(value, int) and abs(value) < 2**63:
        return value
    if not isinstance(value, int | float | Decimal):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose history: the good runs of a table before a time, and some that are named."""

    table: TableRef
    before: datetime
    pinned: frozenset[str] = frozenset()
    runs: int = MOST_RUNS
    age: timedelta = MOST_AGE


def history(session: Session, wanted: Wanted) -> list[Profile]:
    """The profiles of a table's earlier runs, newest first, without their summaries."""
    rows = session.execute(_runs(wanted)).all()
    missing = wanted.pinned - {row.run_id for row in rows}
    if missing:
        named = _select(wanted.table).where(Run.run_id.in_(sorted(missing)))
        rows = [*rows, *session.execute(named)]
    bare = [row.run_id for row in rows if row.payload is None]
    older = _of_results(session, wanted.table, bare) if bare else {}
    return [_profile(row, older) for row in rows]


def named(session: Session, table: TableRef, run_ids: Collection[str]) -> dict[str, Profile]:
    """The profiles of these runs of a table by their ids, without summaries; of what did not succeed there is none."""
    rows = session.execute(_select(table).where(Run.run_id.in_(sorted(run_ids)))).all()
    bare = [row.run_id for row in rows if row.payload is None]
    older = _of_results(session, table, bare) if bare else {}
    return {row.run_id: _profile(row, older) for row in rows}


def _runs(wanted: Wanted) -> sa.Select[Any]:
    span = sa.and_(Run.profiled_at < wanted.before, Run.profiled_at >= wanted.before - wanted.age)
    newest = _select(wanted.table).where(span).order_by(Run.profiled_at.desc(), Run.run_id.desc())
    return newest.limit(wanted.runs)


_COLUMNS: tuple[Any, ...] = (
    Run.run_id,
    Run.profiled_at,
    Run.scope,
    Run.row_count,
    Run.status,
    Run.is_expected,
    ProfileNumbers.payload,
)


def _select(table: TableRef) -> sa.Select[Any]:
    same = sa.and_(Run.warehouse == table.warehouse, Run.schema_name == table.schema, Run.dataset_name == table.name)
    return (
        sa.select(*_COLUMNS)
        .outerjoin(ProfileNumbers, ProfileNumbers.run_id == Run.run_id)
        .where(same, Run.status.in_(GOOD))
    )


def _profile(row: sa.Row[Any], older: Mapping[str, Metrics]) -> Profile:
    columns, metrics = unpacked(row.payload) if row.payload else (None, older.get(row.run_id, {}))
    rows = None if row.scope == SAMPLE else row.row_count
    found = (row.run_id, row.profiled_at, row.scope, rows, metrics, columns, None)
    return Profile(*found, status=row.status, is_expected=row.is_expected)


def unpacked(payload: bytes) -> tuple[tuple[Column, ...] | None, Metrics]:
    told = orjson.loads(payload)
    return _columns(told["columns"]), told["metrics"]


@lru_cache(maxsize=64)
def _columns(told: str | None) -> tuple[Column, ...] | None:
    if told is None:
        return None
    return tuple(Column(name, type_, Kind(kind), nullable) for name, type_, kind, nullable in orjson.loads(told))


def _of_results(session: Session, table: TableRef, run_ids: Sequence[str]) -> dict[str, dict[str, dict[str, Any]]]:
    """The numbers of runs that have no object of their own. Which columns the table had is not known of them."""
    same = sa.and_(Result.run_id.in_(run_ids), Result.dataset_name == table.name)
    statement = sa.select(Result.run_id, Result.column_name, Result.metric_name, Result.metric_number).where(
        same, Result.metric_number.is_not(None)
    )
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for run_id, column, metric, number in session.execute(statement):
        found.setdefault(run_id, {}).setdefault(column, {})[metric] = number
    return found


def forget(session: Session, run_ids: sa.Select[Any] | Iterable[str]) -> None:
    """Delete the objects of these runs; what is left of their metrics stands for them."""
    ids: Collection[str] | sa.Select[Any] = run_ids if isinstance(run_ids, sa.Select) else list(run_ids)
    count(session, sa.delete(ProfileNumbers).where(ProfileNumbers.run_id.in_(ids)))
