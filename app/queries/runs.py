"""Runs: the list, and one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.queries import warehouses
from app.queries.columns import RUN, RUN_COUNT, RUNS, STATE
from app.queries.counts import passed, pieces, runs_between
from app.queries.lists import Order, Part, Shape, part_of, since_of, worded_once

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
TOLD = (RUN.error, RUN.scope_detail, RUN.hash_family)
"""What it takes beside them to tell how a run went, and to read its metrics."""
WHOLE = tuple(column for column in RUNS.c if column.name != "error_trace")


class Runs:
    """The runs that a loaded RunFilter asks for, newest first, without their heavy columns."""

    def __init__(self, session: Session, wanted: Mapping[str, Any], now: datetime) -> None:
        self.session, self.wanted = session, wanted
        self.since = since_of(wanted, now)
        self.warehouses = warehouses.with_runs_of(session, wanted["warehouse"])
        chosen = frozenset((name, wanted[name]) for name in FILTERS if wanted.get(name) not in (None, ""))
        self.asked = Asked(chosen, self.since, self.warehouses)

    @property
    def listed(self) -> sa.Select[*tuple[Any, ...]]:
        return _listed(self.asked)

    @property
    def told(self) -> sa.Select[*tuple[Any, ...]]:
        """For people: with what is needed to tell how each run went."""
        return self.listed.add_columns(RUN.error, RUN.scope_detail).order_by(*NEWEST_FIRST)

    def count(self) -> int:
        """From the counts, unless they do not know what is asked for."""
        return self.session.scalar(_total(self.asked)) or 0

    def count_to(self, most: int) -> int:
        """The same, and no further than to one more than `most` where rows must be counted."""
        return self.session.scalar(_total_to(self.asked, most)) or 0

    def newest(self, most: int) -> Sequence[Any]:
        return self.session.execute(_newest(self.asked, most)).all()

    def part(self) -> Part:
        """What its `limit`, `offset` and `cursor` cut out."""
        return part_of(self.session, self.listed, self.count, ORDER, self.wanted, self.since, self._passed)

    def _passed(self, most: int) -> tuple[datetime | None, int]:
        asked = self.asked
        if not asked.is_counted:
            return None, 0
        return passed(self.session, RUN_COUNT, RUN_COUNT.runs, asked.counted, self.since, most)


FILTERS = ("warehouse", "schema", "table", "q", "status", "environment", "scope", "action", "drift")
UNCOUNTED = frozenset({"schema", "table", "q", "action", "drift"})
"""Those that the counts know nothing of."""


@dataclass(frozen=True)
class Asked:
    """Which runs: the filters that are set, and the names of the warehouses that are meant."""

    chosen: frozenset[tuple[str, Any]]
    since: datetime
    warehouses: frozenset[str] | None

    @property
    def is_counted(self) -> bool:
        return not any(name in UNCOUNTED for name, _ in self.chosen)

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        wanted = dict(self.chosen)
        found = [RUN.profiled_at >= self.since, *self.counted(RUN)]
        found += [
            column == wanted[key]
            for column, key in (
                (RUN.schema_name, "schema"),
                (RUN.dataset_name, "table"),
                (RUN.action, "action"),
                (RUN.has_drift, "drift"),
            )
            if key in wanted
        ]
        if "q" in wanted:
            # Every table with a run has a state, and of those there are few to look through.
            named = sa.select(STATE.table_name).where(STATE.table_name.icontains(wanted["q"], autoescape=True))
            found.append(RUN.dataset_name.in_(named))
        return found

    def counted(self, columns: Any) -> list[sa.ColumnElement[bool]]:
        """What the counts know as well."""
        wanted = dict(self.chosen)
        found = in_warehouses(columns, wanted.get("warehouse"), self.warehouses)
        keys = ("status", "environment", "scope")
        return found + [getattr(columns, key) == wanted[key] for key in keys if key in wanted]


@worded_once
def _listed(asked: Asked) -> sa.Select[*tuple[Any, ...]]:
    return sa.select(*LISTED).where(*asked.conditions())


@worded_once
def _newest(asked: Asked, most: int) -> sa.Select[*tuple[Any, ...]]:
    return _listed(asked).order_by(*ORDER.clauses).limit(most)


@worded_once
def _total(asked: Asked) -> sa.Select[*tuple[Any, ...]]:
    if not asked.is_counted:
        return sa.select(sa.func.count()).select_from(RUNS).where(*asked.conditions())
    counted = runs_between(pieces(asked.since), asked.counted)
    return sa.select(sa.cast(sa.func.coalesce(sa.func.sum(counted.c.runs), 0), sa.BigInteger))


@worded_once
def _total_to(asked: Asked, most: int) -> sa.Select[*tuple[Any, ...]]:
    if asked.is_counted:
        return _total(asked)
    some = sa.select(sa.literal(1)).select_from(RUNS).where(*asked.conditions()).limit(most + 1).subquery()
    return sa.select(sa.func.count()).select_from(some)


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


def trace_of(session: Session, run: Any) -> str | None:
    """Where in our code a run failed; long, so that no list brings it along."""
    same = (RUN.run_id == run.run_id, RUN.dataset_name == run.dataset_name)
    return session.scalar(sa.select(RUN.error_trace).where(*same))


def named(session: Session, run_ids: Collection[str]) -> list[Any]:
    """All that is stored of these runs, table by table, the newest first."""
    wanted = sa.select(*WHOLE).where(RUN.run_id.in_(sorted(run_ids)))
    return list(session.execute(wanted.order_by(*NEWEST_FIRST)))


def _same_table(run: Any) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        RUN.warehouse == run.warehouse,
        RUN.schema_name == run.schema_name,
        RUN.dataset_name == run.dataset_name,
    )


@dataclass(frozen=True)
class Neighbours:
    """The runs of a table before and after one of them, and the last before it that it can be measured against: one
    that succeeded, of a sample if it is of a sample itself. None: there is none."""

    before: Any | None = None
    after: Any | None = None
    like_before: Any | None = None


def neighbours(session: Session, run: Any) -> Neighbours:
    here = sa.tuple_(sa.literal(run.profiled_at, RUN.profiled_at.type), sa.literal(run.run_id))
    place, same = sa.tuple_(RUN.profiled_at, RUN.run_id), sa.select(*LISTED, *TOLD).where(*_same_table(run))
    newest, oldest = (RUN.profiled_at.desc(), RUN.run_id.desc()), (RUN.profiled_at, RUN.run_id)
    earlier = same.where(place < here).order_by(*newest).limit(1)
    wanted = {
        "before": earlier,
        "after": same.where(place > here).order_by(*oldest).limit(1),
        "like_before": earlier.where(RUN.status.in_(GOOD_STATUSES), _is_like(run)),
    }
    parts = (sa.select(sa.literal(name).label("place"), each.subquery(name)) for name, each in wanted.items())
    return Neighbours(**{row.place: row for row in session.execute(sa.union_all(*parts))})


def _is_like(run: Any) -> sa.ColumnElement[bool]:
    is_sample = sa.func.coalesce(RUN.scope, "") == "sample"
    return is_sample if run.scope == "sample" else ~is_sample
