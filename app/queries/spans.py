"""How many tables have a run in a period, and since when there are how many, without looking at all runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.functions import GenericFunction

from app.queries.columns import RUN, RUN_SPAN, RUNS
from app.queries.lists import worded_once

TABLE = (RUN_SPAN.warehouse, RUN_SPAN.schema_name, RUN_SPAN.table_name)
FEW_RUNS = timedelta(days=2)
"""A period whose runs are sooner gone through than the tables that ran before and after it."""
Condition = Callable[[Any], Sequence[sa.ColumnElement[bool]]]


class epoch(GenericFunction[float]):
    """Seconds since 1970."""

    type = sa.Double()
    inherit_cache = True


@compiles(epoch, "postgresql")
def _postgres_epoch(element: Any, compiler: Any, **kw: Any) -> str:
    return f"extract(epoch FROM {compiler.process(element.clauses, **kw)})"


@compiles(epoch, "sqlite")
def _sqlite_epoch(element: Any, compiler: Any, **kw: Any) -> str:
    return f"((julianday({compiler.process(element.clauses, **kw)}) - 2440587.5) * 86400)"


class whole(GenericFunction[int]):
    """A number from 0 on, without what follows its point."""

    type = sa.BigInteger()
    inherit_cache = True


@compiles(whole, "postgresql")
def _postgres_whole(element: Any, compiler: Any, **kw: Any) -> str:
    return f"floor({compiler.process(element.clauses, **kw)})"


@compiles(whole, "sqlite")
def _sqlite_whole(element: Any, compiler: Any, **kw: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **kw)} AS INTEGER)"


def _tables(chosen: Condition) -> Any:
    """A row per table: its first and last run, and the longest pause between two."""
    c = RUN_SPAN
    earlier = {"partition_by": TABLE, "order_by": c.first_at, "rows": (None, -1)}
    reached = sa.func.max(c.last_at).over(**earlier)
    swept = sa.select(*TABLE, c.first_at, c.last_at, c.longest_gap, reached.label("reached")).where(*chosen(c))
    s = swept.subquery("swept").c
    pause = sa.func.coalesce(epoch(s.first_at) - epoch(s.reached), 0)
    gap = sa.case((pause > s.longest_gap, pause), else_=s.longest_gap)
    table = (s.warehouse, s.schema_name, s.table_name)
    first, last = sa.func.min(s.first_at, type_=c.first_at.type), sa.func.max(s.last_at, type_=c.last_at.type)
    told = sa.select(*table, first.label("first_at"), last.label("last_at"), sa.func.max(gap).label("gap"))
    return told.group_by(*table).subquery("tables").c


def tables_with_runs(since: datetime, until: datetime | None, chosen: Condition) -> sa.ScalarSelect[int]:
    """How many tables have a run in [since, until); `chosen` gives the conditions on columns that have warehouse,
    warehouse_type and environment."""
    if until is not None and until - since <= FEW_RUNS:
        within = [RUN.profiled_at >= since, RUN.profiled_at < until, *chosen(RUN)]
        different = sa.select(RUN.warehouse, RUN.schema_name, RUN.dataset_name).where(*within).distinct().subquery()
        return sa.select(sa.func.count()).select_from(different).scalar_subquery()
    t = _tables(chosen)
    holds = [t.last_at >= since]
    if until is not None:
        one = sa.select(RUN.run_id).select_from(RUNS).where(RUN.profiled_at >= since, RUN.profiled_at < until)
        of_table = (RUN.warehouse == t.warehouse, RUN.schema_name == t.schema_name, RUN.dataset_name == t.table_name)
        looked_up = one.where(*of_table, *chosen(RUN)).exists()
        # A second for what the databases round.
        is_bridged = t.gap + 1 <= (until - since).total_seconds()
        holds += [t.first_at < until, sa.or_(t.first_at >= since, t.last_at < until, is_bridged, looked_up)]
    return sa.select(sa.func.count()).select_from(sa.select(t.warehouse).where(*holds).subquery()).scalar_subquery()


@dataclass(frozen=True)
class Firsts:
    """How many tables had their first run in each step of a period, by its beginning, and how many before; how many of
    all ran in the period; when the first of all runs was."""

    by_step: Mapping[int, int]
    before: int
    active: int
    first_at: datetime | None


def first_runs(session: Session, step: int, since: datetime, chosen: Condition) -> Firsts:
    """Of the period from `since` on. Steps begin on whole hours or days of UTC, the first one before it."""
    begins = datetime.fromtimestamp(int(since.timestamp()) // step * step, UTC)
    rows = session.execute(_first_runs(chosen), {"begins": begins, "since": since, "step": step}).all()
    return Firsts(
        by_step={int(row[0]) * step: row[1] for row in rows if row[0] is not None},
        before=sum(row[1] for row in rows if row[0] is None),
        active=sum(int(row[2]) for row in rows),
        first_at=min((row[3] for row in rows), default=None),
    )


@worded_once
def _first_runs(chosen: Condition) -> sa.Select[*tuple[Any, ...]]:
    """How many tables had their first run in each step from `begins` on, or before it (NULL)."""
    c = RUN_SPAN
    begins, since = (sa.bindparam(name, type_=c.first_at.type) for name in ("begins", "since"))
    first = sa.func.min(c.first_at, type_=c.first_at.type).label("first_at")
    is_active = sa.func.max(sa.case((c.last_at >= since, 1), else_=0)).label("is_active")
    t = sa.select(first, is_active).where(*chosen(c)).group_by(*TABLE).subquery("tables").c
    slot = sa.case((t.first_at >= begins, whole(epoch(t.first_at) / sa.bindparam("step", type_=sa.Integer))))
    active, earliest = sa.func.sum(t.is_active), sa.func.min(t.first_at, type_=c.first_at.type)
    return sa.select(slot, sa.func.count(), active, earliest).group_by(slot)
