"""Runs: the list, and one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.queries import warehouses
from app.queries.columns import RUN, RUN_COUNT, RUNS, STATE
from app.queries.counts import pieces, runs_between
from app.queries.lists import Order, Part, Shape, part_of, since_of

KNOWN_STATUSES = ("success", "completed", "failed", "drift_detected", "running", "partial")
GOOD_STATUSES = ("success", "completed", "drift_detected", "partial")
NEWEST_FIRST = (RUN.profiled_at.desc(), RUN.run_id.desc(), RUN.dataset_name.desc())
ORDER = Order((RUN.profiled_at, RUN.run_id, RUN.dataset_name), Shape("runs", (datetime, str, str)))

LISTED = (
    RUN.run_id,
    RUN.dataset_name,
    RUN.schema_name,
    RUN.warehouse,
    RUN.warehouse_type,
    RUN.profiled_at,
    RUN.environment,
    RUN.status,
    RUN.row_count,
    RUN.column_count,
    RUN.rows_scanned,
    RUN.duration_seconds,
    RUN.scope,
    RUN.action,
    RUN.reason,
    RUN.has_drift,
)
WHOLE = tuple(column for column in RUNS.c if column.name != "error_trace")


class Runs:
    """The runs that a loaded RunFilter asks for, newest first, without their heavy columns."""

    def __init__(self, session: Session, wanted: Mapping[str, Any], now: datetime) -> None:
        self.session, self.wanted = session, wanted
        self.since = since_of(wanted, now)
        self.warehouses = warehouses.with_runs_of(session, wanted["warehouse"])

    @property
    def listed(self) -> sa.Select[*tuple[Any, ...]]:
        return sa.select(*LISTED).where(*self._conditions())

    @property
    def told(self) -> sa.Select[*tuple[Any, ...]]:
        """For people: with what is needed to tell how each run went."""
        return self.listed.add_columns(RUN.error, RUN.scope_detail).order_by(*NEWEST_FIRST)

    @property
    def total(self) -> sa.Select[*tuple[Any, ...]]:
        """How many there are: from the counts, unless a table or a schema is asked for."""
        if any(self.wanted.get(name) for name in ("schema", "table", "q")):
            return sa.select(sa.func.count()).select_from(RUNS).where(*self._conditions())
        counted = runs_between(pieces(self.since), self.counted)
        return sa.select(sa.cast(sa.func.coalesce(sa.func.sum(counted.c.runs), 0), sa.BigInteger))

    def count(self) -> int:
        return self.session.scalar(self.total) or 0

    def part(self) -> Part:
        """What its `limit`, `offset` and `cursor` cut out."""
        return part_of(self.session, self.listed, self.total, ORDER, self.wanted, self.since)

    def _conditions(self) -> list[sa.ColumnElement[bool]]:
        found = [RUN.profiled_at >= self.since, *self.counted(RUN)]
        for column, key in ((RUN.schema_name, "schema"), (RUN.dataset_name, "table")):
            if self.wanted[key]:
                found.append(column == self.wanted[key])
        if self.wanted.get("q"):
            found.append(RUN.dataset_name.icontains(self.wanted["q"], autoescape=True))
        return found

    def counted(self, columns: Any) -> list[sa.ColumnElement[bool]]:
        found = in_warehouses(columns, self.wanted["warehouse"], self.warehouses)
        for column, key in ((columns.status, "status"), (columns.environment, "environment")):
            if self.wanted[key]:
                found.append(column == self.wanted[key])
        return found


def in_warehouses(columns: Any, wanted: str | None, names: Collection[str] | None) -> list[sa.ColumnElement[bool]]:
    """By configured name or by type; by the names as well, which have an index."""
    return [] if not wanted or names is None else [columns.warehouse.in_(sorted(names)), in_warehouse(columns, wanted)]


def in_warehouse(columns: Any, warehouse: str) -> sa.ColumnElement[bool]:
    """By configured name or by type."""
    return sa.or_(columns.warehouse == warehouse, columns.warehouse_type == warehouse)


def is_status(session: Session, status: str | None) -> bool:
    """Whether it can be filtered by: none, a known one, or one that is stored."""
    if status is None or status in KNOWN_STATUSES:
        return True
    return session.scalar(sa.select(sa.literal(1)).where(RUN.status == status).limit(1)) is not None


def choices(session: Session) -> dict[str, list[str]]:
    """Warehouses, environments, statuses and schemas with runs, to choose from."""
    shape = (RUN_COUNT.warehouse, RUN_COUNT.environment, RUN_COUNT.status)
    rows = session.execute(sa.select(*shape).where(RUN_COUNT.span == "day").distinct()).all()
    names = ("warehouses", "environments", "statuses")
    found = {name: sorted({row[i] for row in rows if row[i]}) for i, name in enumerate(names)}
    schemas = session.scalars(sa.select(STATE.schema_name).where(STATE.schema_name != "").distinct())
    return found | {"schemas": sorted(schemas)}


def any_run(session: Session) -> bool:
    return session.scalar(sa.select(sa.literal(1)).select_from(RUNS).limit(1)) is not None


def find_run(session: Session, run_id: str, table: str | None = None, schema: str | None = None) -> list[Any]:
    """The run, table by table: one, unless an adopted run covers several. Empty when there is none."""
    wanted = sa.select(*WHOLE).where(RUN.run_id == run_id).order_by(RUN.profiled_at.desc(), RUN.dataset_name)
    if table:
        wanted = wanted.where(RUN.dataset_name == table)
    if schema:
        wanted = wanted.where(RUN.schema_name == schema)
    return list(session.execute(wanted))
