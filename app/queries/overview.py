"""What the overview shows, each number for the period and for the one before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from app.queries import warehouses
from app.queries.counts import Piece, drift_between, is_drift, periods, runs_between
from app.queries.runs import GOOD_STATUSES, LISTED, NEWEST_FIRST, in_warehouse
from profilemesh.storage.models import Event, Run, RunCount, TableState

TROUBLES = ("warehouse_unreachable", "warehouse_busy", "paused", "vanished")
OUTCOMES = ("full", "partial", "sample", "failed")
HOUR, DAY = 3600, 86400


@dataclass(frozen=True)
class Period:
    """The last `days` days up to now, in steps that begin on whole hours or days of UTC, and as long before."""

    now: datetime
    days: int

    @property
    def since(self) -> datetime:
        return self.now - timedelta(days=self.days)

    @property
    def before(self) -> datetime:
        return self.now - timedelta(days=2 * self.days)

    @property
    def step(self) -> int:
        return HOUR if self.days == 1 else DAY

    @property
    def steps(self) -> list[int]:
        """The start of each step of the period, as seconds since 1970; of the first and last only a part is in it."""
        first, last = (int(t.timestamp()) // self.step * self.step for t in (self.since, self.now))
        return list(range(first, last + self.step, self.step))

    def step_at(self, time: datetime) -> int:
        return int(time.timestamp()) // self.step * self.step

    @property
    def parts(self) -> list[Piece]:
        """What to count of this period (1) and of the one before (0)."""
        return periods(self.since, self.now + timedelta(microseconds=1), self.before, by_hour=self.step == HOUR)


@dataclass
class Figure:
    """One number of the period, of the period before, and step by step."""

    now: int = 0
    before: int = 0
    steps: dict[int, int] = field(default_factory=dict)

    def add(self, is_now: int, step: int, value: int) -> None:
        if is_now:
            self.now += value
            self.steps[step] = self.steps.get(step, 0) + value
        else:
            self.before += value

    def series(self, period: Period) -> list[int]:
        """Step by step, without the first: cut short, it would look like a rise."""
        return [self.steps.get(step, 0) for step in period.steps[1:]]


@dataclass
class Activity:
    """Runs of the period: how many, how they ended, how much they read."""

    runs: Figure = field(default_factory=Figure)
    failed: Figure = field(default_factory=Figure)
    rows: Figure = field(default_factory=Figure)
    outcomes: dict[str, Figure] = field(default_factory=lambda: {name: Figure() for name in OUTCOMES})


def _chosen(wanted: Mapping[str, Any]) -> list[sa.ColumnElement[bool]]:
    return _counted(Run, wanted)


def _counted(model: type[Run] | type[RunCount], wanted: Mapping[str, Any]) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if wanted["warehouse"]:
        found.append(in_warehouse(model, wanted["warehouse"]))
    if wanted["environment"]:
        found.append(model.environment == wanted["environment"])
    return found


def activity(session: Session, period: Period, wanted: Mapping[str, Any]) -> Activity:
    found = Activity()
    c = runs_between(period.parts, lambda model: _counted(model, wanted)).c
    key = (c.period, c.at, c.status, c.scope)
    rows = session.execute(sa.select(*key, sa.func.sum(c.runs), sa.func.sum(c.rows_scanned)).group_by(*key))
    for current, at, status, scope, runs, read in rows:
        step, count = period.step_at(at), int(runs)
        found.runs.add(current, step, count)
        found.rows.add(current, step, int(read or 0))
        if status == "failed":
            found.failed.add(current, step, count)
        found.outcomes[outcome(status, scope)].add(current, step, count)
    return found


def outcome(status: str, scope: str | None) -> str:
    """Which of the four a run counts as; the scope of a merged profile is what was read: a part."""
    if status == "failed":
        return "failed"
    return {"merged": "partial", "partial": "partial", "sample": "sample"}.get(scope or "", "full")


def profiled_tables(session: Session, period: Period, wanted: Mapping[str, Any]) -> Figure:
    """Different tables with a good run, of the period, of the one before, and of each step."""
    good = (Run.status.in_(GOOD_STATUSES), *_chosen(wanted))
    now, before = session.execute(
        sa.select(
            tables_with_runs(period.since, period.now + timedelta(microseconds=1), *good),
            tables_with_runs(period.before, period.since, *good),
        )
    ).one()
    return Figure(now, before)


def tables_with_runs(
    since: datetime, until: datetime | None, *conditions: sa.ColumnElement[bool]
) -> sa.ScalarSelect[int]:
    """How many tables have such a run in [since, until): one look into the index per known table."""
    state = aliased(TableState)
    of_table = sa.and_(
        Run.warehouse == state.warehouse, Run.schema_name == state.schema_name, Run.dataset_name == state.table_name
    )
    within = [Run.profiled_at >= since] + ([] if until is None else [Run.profiled_at < until])
    # A limit keeps the planner from joining all runs of the period instead.
    one = sa.select(Run.run_id).where(of_table, *within, *conditions).limit(1).correlate(state).scalar_subquery()
    return sa.select(sa.func.count()).select_from(state).where(one.is_not(None)).scalar_subquery()


def drift(session: Session, period: Period, wanted: Mapping[str, Any]) -> Figure:
    names = warehouses.meant(session, wanted["warehouse"])
    if wanted["environment"]:
        return _drift_of_runs(session, period, wanted)
    found = Figure()
    c = drift_between(period.parts, lambda model: [] if names is None else [model.warehouse.in_(names)]).c
    for current, at, count in session.execute(
        sa.select(c.period, c.at, sa.func.sum(c.events)).group_by(c.period, c.at)
    ):
        found.add(current, period.step_at(at), int(count))
    return found


def _drift_of_runs(session: Session, period: Period, wanted: Mapping[str, Any]) -> Figure:
    """Where only the run tells what is asked for."""
    of_run = sa.select(Run.run_id).where(Run.run_id == Event.run_id, Run.dataset_name == Event.table_name)
    times = session.scalars(
        sa.select(Event.timestamp)
        .where(is_drift(), Event.timestamp >= period.before, Event.timestamp <= period.now)
        .where(of_run.where(*_chosen(wanted)).exists())
    )
    found = Figure()
    for time in times:
        found.add(int(time >= period.since), period.step_at(time), 1)
    return found


def any_drift(session: Session) -> bool:
    return session.scalar(sa.select(Event.event_id).where(is_drift()).limit(1)) is not None


def newest_runs(session: Session, wanted: Mapping[str, Any], most: int = 8) -> list[Any]:
    statement = sa.select(*LISTED, Run.error, Run.scope_detail).where(*_chosen(wanted))
    return list(session.execute(statement.order_by(*NEWEST_FIRST).limit(most)))


def failing(session: Session, wanted: Mapping[str, Any], now: datetime, most: int = 8) -> list[Any]:
    """Tables whose newest finished run of the last 90 days failed: the run, its last good one, failures since.

    Not those proved unchanged since: their last profile is the truth, whatever became of the run.
    """
    later, good, bad = aliased(Run), aliased(Run), aliased(Run)
    verified = sa.exists().where(
        TableState.warehouse == Run.warehouse,
        TableState.schema_name == Run.schema_name,
        TableState.table_name == Run.dataset_name,
        TableState.last_verified_at > Run.profiled_at,
    )
    superseded = sa.exists().where(_same(later, Run), later.profiled_at > Run.profiled_at, later.status != "running")
    last_good = (
        sa.select(sa.func.max(good.profiled_at))
        .where(_same(good, Run), good.status.in_(GOOD_STATUSES), good.profiled_at < Run.profiled_at)
        .correlate(Run)
        .scalar_subquery()
    )
    times = (
        sa.select(sa.func.count())
        .where(_same(bad, Run), bad.status == "failed", bad.profiled_at <= Run.profiled_at)
        .where(sa.or_(last_good.is_(None), bad.profiled_at > last_good))
        .correlate(Run)
        .scalar_subquery()
    )
    statement = (
        sa.select(*LISTED, Run.error, Run.scope_detail, last_good.label("last_good"), times.label("times"))
        .where(
            Run.status == "failed",
            Run.profiled_at >= now - timedelta(days=90),
            ~superseded,
            ~verified,
            *_chosen(wanted),
        )
        .order_by(*NEWEST_FIRST)
        .limit(most)
    )
    return list(session.execute(statement))


def _same(one: Any, other: Any) -> sa.ColumnElement[bool]:
    return sa.and_(
        one.warehouse == other.warehouse,
        one.schema_name == other.schema_name,
        one.dataset_name == other.dataset_name,
    )


def troubled(session: Session, wanted: Mapping[str, Any], most: int = 8) -> list[Any]:
    """Tables that are not looked at: by warehouse and reason, how many, one of them, since when, and what was said."""
    state = TableState
    statement = (
        sa.select(
            state.warehouse,
            state.decision_reason,
            sa.func.count().label("tables"),
            sa.func.min(state.table_name).label("table_name"),
            sa.func.min(state.schema_name).label("schema_name"),
            sa.func.max(state.decided_at).label("decided_at"),
            sa.func.max(state.last_profiled_at).label("last_profiled_at"),
        )
        .where(state.decision_reason.in_(TROUBLES))
        .group_by(state.warehouse, state.decision_reason)
        .order_by(state.decision_reason.desc(), state.warehouse)
        .limit(most)
    )
    if wanted["warehouse"]:
        statement = statement.where(state.warehouse.in_(warehouses.meant(session, wanted["warehouse"]) or ()))
    return list(session.execute(statement))


def known_tables(session: Session, warehouse: str | None) -> int:
    statement = sa.select(sa.func.count()).select_from(TableState)
    if warehouse:
        statement = statement.where(TableState.warehouse.in_(warehouses.meant(session, warehouse) or ()))
    return session.scalar(statement) or 0


def label(step: int, period: Period) -> str:
    moment = datetime.fromtimestamp(step, UTC)
    return f"{moment:%H:%M}" if period.step == HOUR else f"{moment:%-d %b}"
