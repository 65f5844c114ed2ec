"""What the overview shows, each number for the period and for the one before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from app.queries.runs import GOOD_STATUSES, LISTED, NEWEST_FIRST, in_warehouse
from profilemesh.storage.models import Event, Run, TableState

DRIFT_EVENTS = ("DataDriftDetected", "SchemaChangeDetected")
TROUBLES = ("warehouse_unreachable", "warehouse_busy", "paused", "vanished")
OUTCOMES = ("full", "partial", "sample", "failed")
HOUR, DAY = 3600, 86400

Time = InstrumentedAttribute[datetime]


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

    def step_of(self, time: Time) -> sa.ColumnElement[Any]:
        seconds = sa.cast(sa.extract("epoch", time), sa.Numeric(20, 6, asdecimal=False))
        return sa.type_coerce(seconds - seconds % self.step, sa.Numeric(20, 6, asdecimal=False))

    def is_now(self, time: Time) -> sa.ColumnElement[int]:
        return sa.case((time >= self.since, 1), else_=0)


@dataclass
class Figure:
    """One number of the period, of the period before, and step by step."""

    now: int = 0
    before: int = 0
    steps: dict[int, int] = field(default_factory=dict)

    def add(self, is_now: int, step: float, value: int) -> None:
        if is_now:
            self.now += value
            self.steps[int(step)] = self.steps.get(int(step), 0) + value
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


def _within(period: Period, wanted: Mapping[str, Any]) -> list[sa.ColumnElement[bool]]:
    found = [Run.profiled_at >= period.before, Run.profiled_at <= period.now]
    return [*found, *_chosen(wanted)]


def _chosen(wanted: Mapping[str, Any]) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if wanted["warehouse"]:
        found.append(in_warehouse(Run, wanted["warehouse"]))
    if wanted["environment"]:
        found.append(Run.environment == wanted["environment"])
    return found


def activity(session: Session, period: Period, wanted: Mapping[str, Any]) -> Activity:
    is_now, step = period.is_now(Run.profiled_at).label("is_now"), period.step_of(Run.profiled_at).label("step")
    rows = session.execute(
        sa.select(is_now, step, Run.status, Run.scope, sa.func.count(), sa.func.sum(Run.rows_scanned))
        .where(*_within(period, wanted))
        .group_by("is_now", "step", Run.status, Run.scope)
    )
    found = Activity()
    for current, at, status, scope, count, read in rows:
        found.runs.add(current, at, count)
        found.rows.add(current, at, int(read or 0))
        if status == "failed":
            found.failed.add(current, at, count)
        found.outcomes[outcome(status, scope)].add(current, at, count)
    return found


def outcome(status: str, scope: str | None) -> str:
    """Which of the four a run counts as; the scope of a merged profile is what was read: a part."""
    if status == "failed":
        return "failed"
    return {"merged": "partial", "partial": "partial", "sample": "sample"}.get(scope or "", "full")


def profiled_tables(session: Session, period: Period, wanted: Mapping[str, Any]) -> Figure:
    """Different tables with a good run; those of a step and those of the period are counted apart."""
    is_now, step = period.is_now(Run.profiled_at).label("is_now"), period.step_of(Run.profiled_at).label("step")
    seen = (
        sa.select(is_now, step, Run.warehouse, Run.schema_name, Run.dataset_name)
        .where(*_within(period, wanted), Run.status.in_(GOOD_STATUSES))
        .distinct()
        .cte("seen")
    )
    whole = sa.select(seen.c.is_now, seen.c.warehouse, seen.c.schema_name, seen.c.dataset_name).distinct().subquery()
    totals = sa.select(whole.c.is_now, sa.null().label("step"), sa.func.count().label("n")).group_by(whole.c.is_now)
    by_step = sa.select(seen.c.is_now, seen.c.step, sa.func.count()).where(seen.c.is_now == 1)
    both = totals.union_all(by_step.group_by(seen.c.is_now, seen.c.step))
    found = Figure()
    for current, at, count in session.execute(both):
        if at is not None:
            found.steps[int(at)] = count
        elif current:
            found.now = count
        else:
            found.before = count
    return found


def drift(session: Session, period: Period, wanted: Mapping[str, Any]) -> Figure:
    is_now, step = period.is_now(Event.timestamp).label("is_now"), period.step_of(Event.timestamp).label("step")
    statement = (
        sa.select(is_now, step, sa.func.count())
        .where(Event.event_type.in_(DRIFT_EVENTS), Event.timestamp >= period.before, Event.timestamp <= period.now)
        .group_by("is_now", "step")
    )
    chosen = _chosen(wanted)
    if chosen:
        of_run = sa.select(Run.run_id).where(Run.run_id == Event.run_id, Run.dataset_name == Event.table_name, *chosen)
        statement = statement.where(of_run.exists())
    found = Figure()
    for current, at, count in session.execute(statement):
        found.add(current, at, count)
    return found


def any_drift(session: Session) -> bool:
    return session.scalar(sa.select(sa.exists().where(Event.event_type.in_(DRIFT_EVENTS)))) or False


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
        of_type = sa.select(Run.warehouse).where(Run.warehouse_type == wanted["warehouse"])
        statement = statement.where(sa.or_(state.warehouse == wanted["warehouse"], state.warehouse.in_(of_type)))
    return list(session.execute(statement))


def known_tables(session: Session, warehouse: str | None) -> int:
    statement = sa.select(sa.func.count()).select_from(TableState)
    if warehouse:
        statement = statement.where(TableState.warehouse == warehouse)
    return session.scalar(statement) or 0


def label(step: int, period: Period) -> str:
    moment = datetime.fromtimestamp(step, UTC)
    return f"{moment:%H:%M}" if period.step == HOUR else f"{moment:%-d %b}"
