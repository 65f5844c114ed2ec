"""Runs: the list, and one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, defer

from profilemesh.storage.models import Run

KNOWN_STATUSES = ("success", "completed", "failed", "drift_detected", "running", "partial")
GOOD_STATUSES = ("success", "completed", "drift_detected", "partial")
NEWEST_FIRST = (Run.profiled_at.desc(), Run.run_id.desc(), Run.dataset_name.desc())

LISTED = (
    Run.run_id,
    Run.dataset_name,
    Run.schema_name,
    Run.warehouse,
    Run.warehouse_type,
    Run.profiled_at,
    Run.environment,
    Run.status,
    Run.row_count,
    Run.column_count,
    Run.rows_scanned,
    Run.duration_seconds,
    Run.scope,
    Run.action,
    Run.reason,
    Run.has_drift,
)


def listing(wanted: Mapping[str, Any], now: datetime) -> sa.Select[*tuple[Any, ...]]:
    """Runs without their heavy columns, newest first; `wanted` is a loaded RunFilter or RunPageFilter."""
    return sa.select(*LISTED, Run.error, Run.scope_detail).where(*_conditions(wanted, now)).order_by(*NEWEST_FIRST)


def total(wanted: Mapping[str, Any], now: datetime) -> sa.Select[int]:
    return sa.select(sa.func.count()).select_from(Run).where(*_conditions(wanted, now))


def _conditions(wanted: Mapping[str, Any], now: datetime) -> list[sa.ColumnElement[bool]]:
    found = [Run.profiled_at >= now - timedelta(days=wanted["days"])]
    if wanted["warehouse"]:
        found.append(in_warehouse(Run, wanted["warehouse"]))
    for column, key in (
        (Run.schema_name, "schema"),
        (Run.dataset_name, "table"),
        (Run.status, "status"),
        (Run.environment, "environment"),
    ):
        if wanted[key]:
            found.append(column == wanted[key])
    if wanted.get("q"):
        found.append(Run.dataset_name.icontains(wanted["q"], autoescape=True))
    return found


def in_warehouse(model: type[Run], warehouse: str) -> sa.ColumnElement[bool]:
    """By configured name or by type."""
    return sa.or_(model.warehouse == warehouse, model.warehouse_type == warehouse)


def is_status(session: Session, status: str | None) -> bool:
    """Whether it can be filtered by: none, a known one, or one that is stored."""
    if status is None or status in KNOWN_STATUSES:
        return True
    return session.scalar(sa.select(sa.literal(1)).where(Run.status == status).limit(1)) is not None


def choices(session: Session, now: datetime) -> dict[str, list[str]]:
    """Warehouses, schemas, environments and statuses of the last 90 days, to choose from."""
    shape = (Run.warehouse, Run.schema_name, Run.environment, Run.status)
    rows = session.execute(sa.select(*shape).where(Run.profiled_at >= now - timedelta(days=90)).distinct()).all()
    names = ("warehouses", "schemas", "environments", "statuses")
    return {name: sorted({row[i] for row in rows if row[i]}) for i, name in enumerate(names)}


def any_run(session: Session) -> bool:
    return session.scalar(sa.select(sa.literal(1)).select_from(Run).limit(1)) is not None


def find_run(session: Session, run_id: str, table: str | None = None, schema: str | None = None) -> list[Run]:
    """The run, table by table: one, unless an adopted run covers several. Empty when there is none."""
    wanted = sa.select(Run).where(Run.run_id == run_id).order_by(Run.profiled_at.desc(), Run.dataset_name)
    if table:
        wanted = wanted.where(Run.dataset_name == table)
    if schema:
        wanted = wanted.where(Run.schema_name == schema)
    return list(session.scalars(wanted.options(defer(Run.error_trace))))
