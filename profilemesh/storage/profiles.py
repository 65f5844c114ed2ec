"""The profiles that runs are compared by: each run's numbers as one small object, a table's history in one statement.

Runs of before there were such objects are put together from their metrics, all of them in one statement more.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

import numpy as np
import orjson
import sqlalchemy as sa
from sqlalchemy.orm import Session

from profilemesh.drift.numbers import Layout, Numbers
from profilemesh.drift.profiles import GOOD, SAMPLE, Profile
from profilemesh.storage.models import ProfileNumbers, Result, Run, clean_text
from profilemesh.storage.writes import insert
from profilemesh.tables import Column, Kind, TableRef

MOST_RUNS = 60
MOST_AGE = timedelta(days=90)
_TEXTS = ("min", "max")
"""Metrics whose texts are kept too: the first and last day of a column of days."""
_LAYOUT = b"\x02"
"""The first byte of the form in which numbers are stored."""
_DAY_TEXT = 40
"""Characters of the longest of those texts; the smallest and largest names of a column of names are not needed."""

Metrics = Mapping[str, Mapping[str, Any]]


def save(session: Session, profile: Profile) -> None:
    """Store what later runs will need of this one."""
    statement = insert(session, ProfileNumbers).values(run_id=profile.run_id, payload=packed(profile))
    session.execute(statement.on_conflict_do_nothing(index_elements=["run_id"]))


def packed(profile: Profile) -> bytes:
    """A head that is mostly the same in every run of a table, the few texts, and a double for each number."""
    columns = profile.columns and [[each.name, each.type, each.kind.value, each.nullable] for each in profile.columns]
    names, row, texts = {}, [], {}
    for column, metrics in profile.metrics.items():
        kept = {metric: kept for metric, value in metrics.items() if (kept := _kept(metric, value)) is not None}
        told = {metric: value for metric, value in kept.items() if isinstance(value, str)}
        if told:
            texts[column] = told
        names[column] = [metric for metric in kept if metric not in told]
        row += [kept[metric] for metric in names[column]]
    parts = zlib.compress(_dumped({"columns": columns, "metrics": names}), 1), _dumped(texts)
    sizes = (len(part).to_bytes(4, "big") for part in parts)
    return b"".join((_LAYOUT, *sizes, *parts, np.array(row, "<f8").tobytes()))


def unpacked(payload: bytes) -> tuple[tuple[Column, ...] | None, Metrics]:
    head = 9 + int.from_bytes(payload[1:5], "big")
    numbers = head + int.from_bytes(payload[5:9], "big")
    columns, layout = _head(payload[9:head])
    return columns, Numbers(layout, np.frombuffer(payload[numbers:], "<f8"), orjson.loads(payload[head:numbers]))


@lru_cache(maxsize=64)
def _head(packed: bytes) -> tuple[tuple[Column, ...] | None, Layout]:
    told = orjson.loads(zlib.decompress(packed))
    columns = told["columns"] and tuple(Column(name, type_, Kind(kind), n) for name, type_, kind, n in told["columns"])
    return columns, Layout({column: tuple(metrics) for column, metrics in told["metrics"].items()})


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
    except (OverflowError, ValueError):
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
    span = {"before": wanted.before, "since": wanted.before - wanted.age, "most": wanted.runs}
    rows: list[sa.Row[Any]] = list(session.execute(_NEWEST, _names(wanted.table) | span))
    missing = wanted.pinned - {row.run_id for row in rows}
    if missing:
        rows = [*rows, *_named(session, wanted.table, missing)]
    bare = [row.run_id for row in rows if not _is_known(row)]
    older = _of_results(session, wanted.table, bare) if bare else {}
    return [_profile(row, older) for row in rows]


def named(session: Session, table: TableRef, run_ids: Collection[str]) -> dict[str, Profile]:
    """The profiles of these runs of a table by their ids, without summaries; of what did not succeed there is none."""
    rows = _named(session, table, run_ids)
    bare = [row.run_id for row in rows if not _is_known(row)]
    older = _of_results(session, table, bare) if bare else {}
    return {row.run_id: _profile(row, older) for row in rows}


def _named(session: Session, table: TableRef, run_ids: Collection[str]) -> list[sa.Row[Any]]:
    return list(session.execute(_OF_TABLE.where(_RUN.run_id.in_(sorted(run_ids))), _names(table)))


def _names(table: TableRef) -> dict[str, str]:
    return {"warehouse": table.warehouse, "schema": table.schema, "name": table.name}


_RUN: Any = Run.__table__.c
_NUMBERS: Any = ProfileNumbers.__table__.c
_OF_TABLE = (
    sa.select(
        _RUN.run_id,
        _RUN.profiled_at,
        _RUN.scope,
        _RUN.row_count,
        _RUN.status,
        _RUN.is_expected,
        _NUMBERS.payload,
    )
    .select_from(Run.__table__.outerjoin(ProfileNumbers.__table__, _NUMBERS.run_id == _RUN.run_id))
    .where(
        _RUN.warehouse == sa.bindparam("warehouse"),
        _RUN.schema_name == sa.bindparam("schema"),
        _RUN.dataset_name == sa.bindparam("name"),
        _RUN.status.in_(GOOD),
    )
)
# Put together once: that takes longer than the database needs to answer it.
_NEWEST = (
    _OF_TABLE.where(_RUN.profiled_at < sa.bindparam("before"), _RUN.profiled_at >= sa.bindparam("since"))
    .order_by(_RUN.profiled_at.desc(), _RUN.run_id.desc())
    .limit(sa.bindparam("most"))
)


def _is_known(row: sa.Row[Any]) -> bool:
    """Whether its numbers are at hand, in the form of this version."""
    return row.payload is not None and row.payload[:1] == _LAYOUT


def _profile(row: sa.Row[Any], older: Mapping[str, Metrics]) -> Profile:
    columns, metrics = unpacked(row.payload) if _is_known(row) else (None, older.get(row.run_id, {}))
    rows = None if row.scope == SAMPLE else row.row_count
    found = (row.run_id, row.profiled_at, row.scope, rows, metrics, columns, None)
    return Profile(*found, status=row.status, is_expected=row.is_expected)


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
