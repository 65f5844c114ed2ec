"""Tables: the list, and one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.queries import warehouses
from app.queries.columns import EVENT, EVENTS, RUN, RUNS, STATE, STATES
from app.queries.counts import is_drift
from app.queries.lists import Order, Part, Shape, part_of
from app.queries.runs import GOOD_STATUSES, LISTED, NEWEST_FIRST
from app.queries.several import chosen
from profilemesh.storage.models import TableState
from profilemesh.tables import TableRef

KEY = (RUN.warehouse, RUN.schema_name, RUN.dataset_name)
STATE_KEY = (STATE.warehouse, STATE.schema_name, STATE.table_name)
NAME = (STATE.table_name, STATE.schema_name, STATE.warehouse)
STALE = 50
"""The staleness from which a profile counts as stale: what was never profiled has 100."""
DRIFT_DAYS = 30
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

LAST = RUNS.alias("last")
SAME_TABLE = sa.and_(
    RUN.warehouse == STATE.warehouse,
    RUN.schema_name == STATE.schema_name,
    RUN.dataset_name == STATE.table_name,
)
IS_FAILING = sa.and_(
    LAST.c.status == "failed",
    sa.or_(STATE.last_verified_at.is_(None), STATE.last_verified_at <= LAST.c.profiled_at),
)


def _of_last_good(column: Any) -> sa.ScalarSelect[Any]:
    """What older runs tell where nothing is remembered."""
    good = sa.select(column).where(SAME_TABLE, RUN.status.in_(GOOD_STATUSES)).order_by(*NEWEST_FIRST).limit(1)
    return good.correlate(STATES).scalar_subquery()


ROWS = sa.func.coalesce(STATE.row_count, _of_last_good(RUN.row_count), type_=RUN.row_count.type)
PROFILED = sa.func.coalesce(STATE.last_profiled_at, _of_last_good(RUN.profiled_at), type_=RUN.profiled_at.type)
IS_READ_SINCE = STATE.last_profiled_at >= STATE.decided_at
UNSCORED = sa.case((PROFILED.is_(None), 100))
"""What was never read is as far behind as can be."""
STALENESS: sa.ColumnElement[int] = sa.case(
    (IS_READ_SINCE, 0), else_=sa.func.coalesce(STATE.staleness_score, UNSCORED, type_=sa.Integer)
)
"""As `storage.states.staleness_now` has it."""
IS_STALE = sa.func.coalesce(STALENESS >= STALE, sa.false())


def _drift_since(since: datetime) -> sa.ScalarSelect[int]:
    return _of_drift_since(since, sa.func.count()).scalar_subquery()


def _has_drift_since(since: datetime) -> sa.ColumnElement[bool]:
    return _of_drift_since(since, sa.literal(1)).exists()


def _of_drift_since(since: datetime, wanted: sa.ColumnElement[int]) -> sa.Select[int]:
    of_table = sa.and_(
        EVENT.warehouse == STATE.warehouse,
        EVENT.schema_name == STATE.schema_name,
        EVENT.table_name == STATE.table_name,
    )
    found = sa.select(wanted).select_from(EVENTS).where(is_drift(), of_table, EVENT.timestamp >= since)
    return found.correlate(STATES)


def _sorts(since: datetime) -> dict[str, tuple[sa.ColumnElement[Any], type] | None]:
    return {
        "name": None,
        "rows": (sa.func.coalesce(ROWS, -1, type_=sa.BigInteger), int),
        "last_profiled": (sa.func.coalesce(PROFILED, LONG_AGO, type_=RUN.profiled_at.type), datetime),
        "staleness": (sa.func.coalesce(STALENESS, -1, type_=sa.Integer), int),
        "drift": (_drift_since(since), int),
    }


SORTS = tuple(name for key in _sorts(LONG_AGO) for name in (key, f"-{key}"))


def shape_of(sort: str) -> Shape:
    first = _sorts(LONG_AGO).get(sort.removeprefix("-"))
    return Shape(f"tables {sort}", (*((first[1],) if first else ()), str, str, str))


class Tables:
    """The tables that a loaded TableFilter asks for, with what is remembered of each, its last run that has ended, and
    its drift of the last 30 days."""

    def __init__(self, session: Session, wanted: Mapping[str, Any], now: datetime) -> None:
        self.session, self.wanted, self.now = session, wanted, now
        self.since = now - timedelta(days=DRIFT_DAYS)
        self.warehouses = warehouses.meant(session, wanted["warehouse"])

    @property
    def listed(self) -> sa.Select[*tuple[Any, ...]]:
        state = STATE
        return self._joined(
            sa.select(
                state.warehouse,
                state.schema_name,
                state.table_name,
                state.warehouse_type,
                ROWS.label("row_count"),
                sa.func.coalesce(LAST.c.column_count, _of_last_good(RUN.column_count)).label("column_count"),
                PROFILED.label("last_profiled_at"),
                state.last_verified_at,
                LAST.c.status.label("last_status"),
                STALENESS.label("staleness"),
                IS_STALE.label("is_stale"),
                sa.func.coalesce(IS_FAILING, sa.false()).label("is_failing"),
                _drift_since(self.since).label("drift_count"),
                state.decision,
                state.decision_reason,
            )
        )

    def _joined(self, wanted: sa.Select[*tuple[Any, ...]]) -> sa.Select[*tuple[Any, ...]]:
        newest = (
            sa.select(RUN.run_id)
            .where(SAME_TABLE, RUN.status != "running")
            .order_by(RUN.profiled_at.desc(), RUN.run_id.desc())
            .limit(1)
            .correlate(STATES)
            .scalar_subquery()
        )
        at_home = sa.and_(
            LAST.c.run_id == newest,
            LAST.c.dataset_name == STATE.table_name,
            LAST.c.schema_name == STATE.schema_name,
            LAST.c.warehouse == STATE.warehouse,
        )
        return wanted.select_from(STATES).outerjoin(LAST, at_home).where(*self._conditions())

    @property
    def total(self) -> sa.Select[*tuple[Any, ...]]:
        count = sa.select(sa.func.count())
        if self.wanted["failing"] is None:
            return count.select_from(STATES).where(*self._conditions())
        return self._joined(count)

    def count(self) -> int:
        return self.session.scalar(self.total) or 0

    @property
    def order(self) -> Order:
        sort = self.wanted["sort"]
        first = _sorts(self.since)[sort.removeprefix("-")]
        columns = (*((first[0],) if first else ()), *NAME)
        return Order(columns, shape_of(sort), descending=sort.startswith("-"))

    @property
    def told(self) -> sa.Select[*tuple[Any, ...]]:
        """In their order, for pages."""
        return self.listed.order_by(*self.order.clauses)

    def part(self) -> Part:
        """What its `limit`, `offset` and `cursor` cut out."""
        return part_of(self.session, self.listed, self.count, self.order, self.wanted, self.now)

    def _conditions(self) -> list[sa.ColumnElement[bool]]:
        wanted, found = self.wanted, list[sa.ColumnElement[bool]]()
        if self.warehouses is not None:
            found.append(STATE.warehouse.in_(sorted(self.warehouses)))
        if wanted["schema"]:
            found.append(STATE.schema_name == wanted["schema"])
        if wanted["q"]:
            found.append(STATE.table_name.icontains(wanted["q"], autoescape=True))
        claims = (("stale", IS_STALE), ("failing", sa.func.coalesce(IS_FAILING, sa.false())))
        found += [claim == wanted[name] for name, claim in claims if wanted[name] is not None]
        if wanted["drifting"] is not None:
            drifts = _has_drift_since(self.since)
            found.append(drifts if wanted["drifting"] else ~drifts)
        return found


def recent_runs(session: Session, tables: Sequence[Any], now: datetime, most: int = 30) -> dict[TableRef, list[Any]]:
    """The newest runs of each of these tables in the last 90 days, oldest first; one statement for all."""
    if not tables:
        return {}
    since, earlier = now - timedelta(days=90), RUNS.alias("earlier")
    these = chosen((t.warehouse, t.schema_name, t.table_name) for t in tables)
    # Where the newest begin, so that the many before them are not looked at.
    first = (
        sa.select(earlier.c.profiled_at)
        .where(earlier.c.warehouse == these.c.warehouse, earlier.c.schema_name == these.c.schema_name)
        .where(earlier.c.dataset_name == these.c.table_name, earlier.c.profiled_at >= since)
        .order_by(earlier.c.profiled_at.desc())
        .limit(1)
        .offset(most - 1)
        .correlate(these)
        .scalar_subquery()
    )
    rank = sa.func.row_number().over(partition_by=KEY, order_by=NEWEST_FIRST).label("rank")
    same = sa.and_(*(column == name for column, name in zip(KEY, these.c, strict=True)))
    ranked = (
        sa.select(*KEY, RUN.status, RUN.scope, RUN.profiled_at, RUN.row_count, RUN.column_count, rank)
        .join_from(these, RUNS, same)
        .where(RUN.profiled_at >= sa.func.coalesce(first, since))
        .subquery()
    )
    found: dict[tuple[str, str, str], list[Any]] = {}
    for row in session.execute(sa.select(ranked).where(ranked.c.rank <= most).order_by(ranked.c.rank.desc())):
        found.setdefault(row[:3], []).append(row)
    return {TableRef(*table): rows for table, rows in found.items()}


def find(session: Session, name: str, schema: str | None, warehouse: str | None) -> list[TableRef]:
    """The tables of that name, the most recently profiled first; empty when there is none."""
    newest = sa.select(sa.func.max(RUN.profiled_at)).where(SAME_TABLE).correlate(STATES).scalar_subquery()
    wanted = sa.select(*STATE_KEY, newest, STATE.last_profiled_at).where(STATE.table_name == name)
    if schema:
        wanted = wanted.where(STATE.schema_name == schema)
    if warehouse:
        wanted = wanted.where(warehouses.is_meant(STATE.warehouse, warehouse))
    rows = session.execute(wanted).all()
    latest = {TableRef(*row[:3]): max(filter(None, row[3:]), default=LONG_AGO) for row in rows}
    return sorted(latest, key=lambda table: (latest[table], table), reverse=True)


def matching(session: Session, warehouse: str | None, text: str | None, most: int) -> list[TableRef]:
    """The tables with this text in their names, by name."""
    wanted = sa.select(*STATE_KEY).order_by(*NAME).limit(most)
    if text:
        wanted = wanted.where(STATE.table_name.icontains(text, autoescape=True))
    names = warehouses.meant(session, warehouse)
    if names is not None:
        wanted = wanted.where(STATE.warehouse.in_(names))
    return [TableRef(*row) for row in session.execute(wanted)]


def type_of(session: Session, table: TableRef) -> str:
    return session.scalar(sa.select(STATE.warehouse_type).where(*_is(table))) or warehouses.UNKNOWN


def _is(table: TableRef) -> tuple[sa.ColumnElement[bool], ...]:
    state = STATE
    return state.warehouse == table.warehouse, state.schema_name == table.schema, state.table_name == table.name


def state_of(session: Session, table: TableRef) -> TableState | None:
    return session.get(TableState, (table.warehouse, table.schema, table.name))


def claimed(session: Session) -> dict[str, TableRef]:
    """The tables that are being read, by the name under which a tick's progress has them."""
    found = [TableRef(*row) for row in session.execute(sa.select(*STATE_KEY).where(STATE.claimed_by.is_not(None)))]
    return {str(table): table for table in found}


def _of(table: TableRef) -> tuple[sa.ColumnElement[bool], ...]:
    return RUN.warehouse == table.warehouse, RUN.schema_name == table.schema, RUN.dataset_name == table.name


def newest_runs(session: Session, table: TableRef, most: int = 60) -> list[Any]:
    """The table's runs, newest first, without their heavy columns."""
    statement = sa.select(*LISTED, RUN.error, RUN.scope_detail, RUN.hash_family).where(*_of(table))
    return list(session.execute(statement.order_by(*NEWEST_FIRST).limit(most)))


def good_runs(session: Session, table: TableRef, most: int = 30, since: datetime | None = None) -> list[Any]:
    """The newest runs that succeeded, newest first."""
    wanted = sa.select(*LISTED, RUN.hash_family).where(*_of(table), RUN.status.in_(GOOD_STATUSES))
    if since is not None:
        wanted = wanted.where(RUN.profiled_at >= since)
    return list(session.execute(wanted.order_by(*NEWEST_FIRST).limit(most)))


def count_runs(session: Session, table: TableRef) -> int:
    return session.scalar(sa.select(sa.func.count()).select_from(RUNS).where(*_of(table))) or 0


def count_drift(session: Session, table: TableRef) -> int:
    """All that was ever found."""
    wanted = (EVENT.table_name == table.name, EVENT.warehouse == table.warehouse, EVENT.schema_name == table.schema)
    return session.scalar(sa.select(sa.func.count()).select_from(EVENTS).where(is_drift(), *wanted)) or 0
