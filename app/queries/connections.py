"""How the warehouses stand, by what is remembered of their tables; nothing here asks a warehouse."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.queries.columns import RUN, RUN_COUNT, STATE
from app.queries.runs import LISTED, NEWEST_FIRST
from app.queries.warehouses import UNKNOWN

OUT_OF_REACH = ("warehouse_unreachable", "warehouse_busy")


@dataclass(frozen=True)
class Standing:
    """What is remembered of a warehouse's tables. `reached_at` is when a tick last looked at it or a run read from it,
    `missed_at` when a tick last tried in vain, None where the newest try went well. `proved`, `likely` and `unproved`
    count what an unchanged token proves of the tables' profiles."""

    name: str
    type: str
    tables: int
    gone: int
    reached_at: datetime | None
    profiled_at: datetime | None
    missed_at: datetime | None
    proved: int
    likely: int
    unproved: int
    never: int


def standings(session: Session, only: str | None = None) -> dict[str, Standing]:
    """By name; one statement, whatever the number of warehouses."""
    s = STATE
    is_missed = sa.func.coalesce(s.decision_reason, "").in_(OUT_OF_REACH)
    tried = sa.func.coalesce(sa.func.max(sa.case((is_missed, s.decided_at))), sa.null(), type_=s.decided_at.type)
    columns = (
        s.warehouse.label("name"),
        sa.func.max(s.warehouse_type).label("type"),
        _count_if(s.vanished_at.is_(None)).label("tables"),
        _count_if(s.vanished_at.is_not(None)).label("gone"),
        sa.func.max(sa.case((~is_missed, s.decided_at)), type_=s.decided_at.type).label("reached_at"),
        sa.func.max(s.last_profiled_at).label("profiled_at"),
        tried.label("missed_at"),
        *(
            _count_if(
                sa.and_(s.vanished_at.is_(None), s.last_profiled_at.is_not(None), s.confidence == confidence)
            ).label(name)
            for name, confidence in (("proved", "exact"), ("likely", "heuristic"), ("unproved", "none"))
        ),
        _count_if(sa.and_(s.vanished_at.is_(None), s.last_profiled_at.is_(None))).label("never"),
    )
    wanted = sa.select(*columns).group_by(s.warehouse).order_by(s.warehouse)
    if only is not None:
        wanted = wanted.where(s.warehouse == only)
    return {row.name: _standing(row) for row in session.execute(wanted)}


def _count_if(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.coalesce(sa.func.sum(sa.case((condition, 1), else_=0)), 0)


def _standing(row: Any) -> Standing:
    told = dict(row._mapping)
    reached = max(filter(None, (row.reached_at, row.profiled_at)), default=None)
    is_missed = row.missed_at is not None and (reached is None or row.missed_at > reached)
    return Standing(
        **{
            **told,
            "type": row.type or UNKNOWN,
            "reached_at": reached,
            "missed_at": row.missed_at if is_missed else None,
        }
    )


def runs_since(session: Session, since: datetime, only: str | None = None) -> dict[str, tuple[int, int]]:
    """By warehouse: how many runs there were in the days from `since` on, and how many of them failed."""
    c = RUN_COUNT
    failed = sa.func.sum(sa.case((c.status == "failed", c.runs), else_=0))
    wanted = sa.select(c.warehouse, sa.func.sum(c.runs), failed).where(c.span == "day", c.at >= since)
    if only is not None:
        wanted = wanted.where(c.warehouse == only)
    rows = session.execute(wanted.group_by(c.warehouse))
    return {name: (int(runs), int(bad)) for name, runs, bad in rows}


def unproved(session: Session, warehouse: str, most: int) -> list[Any]:
    """Its tables that are read at every tick because nothing proves them unchanged, by name."""
    s = STATE
    wanted = (
        sa.select(s.warehouse, s.schema_name, s.table_name, s.decision_reason, s.evidence)
        .where(s.warehouse == warehouse, s.vanished_at.is_(None), s.confidence == "none")
        .where(s.last_profiled_at.is_not(None))
        .order_by(s.schema_name, s.table_name)
    )
    return list(session.execute(wanted.limit(most)))


def failures(session: Session, warehouse: str, most: int) -> list[Any]:
    """Its newest runs that failed."""
    wanted = sa.select(*LISTED, RUN.error, RUN.scope_detail).where(RUN.warehouse == warehouse, RUN.status == "failed")
    return list(session.execute(wanted.order_by(*NEWEST_FIRST).limit(most)))
