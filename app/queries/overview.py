"""What the overview shows, each number for the period and for the one before it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.queries import failures, spans
from app.queries.columns import EVENT, RUN, RUN_COUNT, RUNS, STATE
from app.queries.counts import Piece, drift_between, is_drift, periods, runs_between, severity_of
from app.queries.runs import GOOD_STATUSES, LISTED, NEWEST_FIRST, in_warehouse
from app.queries.tables import LONG_AGO, NAME, STALE, STATE_KEY

TROUBLES = ("warehouse_unreachable", "warehouse_busy", "paused", "vanished")
SEVERITIES = ("low", "medium", "high")
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


def _counted(model: Any, wanted: Mapping[str, Any]) -> list[sa.ColumnElement[bool]]:
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


@dataclass(frozen=True)
class Tables:
    """How many tables have ever run, now and when the period began, and step by step; how many ran in the period; when
    the first of all runs was, to the step (None without any)."""

    known: Figure
    active: int
    since: int | None


def tables(session: Session, period: Period, wanted: Mapping[str, Any]) -> Tables:
    found = spans.first_runs(session, period.step, period.since, lambda columns: _counted(columns, wanted))
    course, known = dict[int, int](), found.before
    # A clock that runs ahead may have dated one later than now.
    for step in sorted({*period.steps, *found.by_step}):
        known += found.by_step.get(step, 0)
        course[step] = known
    since = period.step_at(found.first_at) if found.first_at else None
    return Tables(Figure(known, found.before, course), found.active, since)


@dataclass
class Drift:
    """Drift that was found, in all and by severity."""

    found: Figure = field(default_factory=Figure)
    severities: dict[str, Figure] = field(default_factory=lambda: {name: Figure() for name in SEVERITIES})

    def add(self, is_now: int, step: int, severity: str, count: int) -> None:
        self.found.add(is_now, step, count)
        self.severities[severity].add(is_now, step, count)


def drift(session: Session, period: Period, wanted: Mapping[str, Any], names: Collection[str] | None) -> Drift:
    if wanted["environment"]:
        return _drift_of_runs(session, period, wanted)
    found = Drift()
    c = drift_between(period.parts, lambda model: [] if names is None else [model.warehouse.in_(sorted(names))]).c
    key = c.period, c.at, c.severity
    for current, at, severity, count in session.execute(sa.select(*key, sa.func.sum(c.events)).group_by(*key)):
        found.add(current, period.step_at(at), severity, int(count))
    return found


def _drift_of_runs(session: Session, period: Period, wanted: Mapping[str, Any]) -> Drift:
    """Where only the run tells what is asked for."""
    of_run = sa.select(RUN.run_id).where(RUN.run_id == EVENT.run_id, RUN.dataset_name == EVENT.table_name)
    rows = session.execute(
        sa.select(EVENT.timestamp, severity_of(EVENT))
        .where(is_drift(), EVENT.timestamp >= period.before, EVENT.timestamp <= period.now)
        .where(of_run.where(*_counted(RUN, wanted)).exists())
    )
    found = Drift()
    for time, severity in rows:
        found.add(int(time >= period.since), period.step_at(time), severity, 1)
    return found


def newest_runs(session: Session, wanted: Mapping[str, Any], most: int = 8) -> list[Any]:
    statement = sa.select(*LISTED, RUN.error, RUN.scope_detail).where(*_counted(RUN, wanted))
    return list(session.execute(statement.order_by(*NEWEST_FIRST).limit(most)))


def failing(
    session: Session, names: Collection[str] | None, environment: str | None, now: datetime, most: int = 6
) -> list[Any]:
    """Tables whose newest finished run, of the last 90 days, failed: the run, its last good one, failures since."""
    chosen = [RUN.profiled_at >= now - timedelta(days=90)]
    chosen += [] if names is None else [RUN.warehouse.in_(sorted(names))]
    chosen += [RUN.environment == environment] if environment else []
    found = failures.failing(*chosen).subquery("found").c
    newest = sa.select(found.warehouse, found.schema_name, found.dataset_name, found.at)
    shown = newest.order_by(found.at.desc(), found.dataset_name).limit(most).subquery("failing")
    return list(session.execute(_told_failures(shown)))


def _told_failures(failing: sa.Subquery) -> sa.Select[*tuple[Any, ...]]:
    good, bad = RUNS.alias("good"), RUNS.alias("bad")
    last_good = (
        sa.select(sa.func.max(good.c.profiled_at, type_=RUN.profiled_at.type))
        .where(_same(good.c, RUN), good.c.status.in_(GOOD_STATUSES), good.c.profiled_at < RUN.profiled_at)
        .correlate(RUNS)
        .scalar_subquery()
    )
    times = (
        sa.select(sa.func.count())
        .where(_same(bad.c, RUN), bad.c.status == "failed", bad.c.profiled_at <= RUN.profiled_at)
        .where(sa.or_(last_good.is_(None), bad.c.profiled_at > last_good))
        .correlate(RUNS)
        .scalar_subquery()
    )
    told = sa.select(*LISTED, RUN.error, RUN.scope_detail, last_good.label("last_good"), times.label("times"))
    same = sa.and_(_same(RUN, failing.c), RUN.profiled_at == failing.c.at, RUN.status == "failed")
    return told.join_from(failing, RUNS, same).order_by(*NEWEST_FIRST)


def _same(one: Any, other: Any) -> sa.ColumnElement[bool]:
    return sa.and_(
        one.warehouse == other.warehouse,
        one.schema_name == other.schema_name,
        one.dataset_name == other.dataset_name,
    )


@dataclass
class Standing:
    """How the tables stand since the last tick, as far as it left word: no warehouse is asked.

    Those that are not gone, and of them those due at the next tick, waiting for budget, paused by hand. `troubled`: by
    warehouse and reason those that are not looked at, with how many they are, the name of one, and since when.
    """

    tables: int = 0
    due: int = 0
    put_off: int = 0
    paused: int = 0
    troubled: list[Any] = field(default_factory=list)


def standing(session: Session, names: Collection[str] | None, at: datetime, most: int = 6) -> Standing:
    is_here, is_open = STATE.vanished_at.is_(None), STATE.paused_at.is_(None)
    is_due = sa.and_(is_here, is_open, sa.or_(STATE.due_at.is_(None), STATE.due_at <= at))
    put_off = sa.and_(is_here, is_open, STATE.deferred_since.is_not(None))
    counts = {"here": is_here, "due": is_due, "put_off": put_off, "paused": sa.and_(is_here, ~is_open)}
    statement = sa.select(
        STATE.warehouse,
        STATE.decision_reason,
        sa.func.count().label("tables"),
        sa.func.min(STATE.table_name).label("table_name"),
        sa.func.min(STATE.schema_name).label("schema_name"),
        sa.func.max(STATE.decided_at, type_=STATE.decided_at.type).label("decided_at"),
        sa.func.max(STATE.last_profiled_at, type_=STATE.decided_at.type).label("last_profiled_at"),
        *(sa.func.sum(sa.case((claim, 1), else_=0)).label(name) for name, claim in counts.items()),
    ).group_by(STATE.warehouse, STATE.decision_reason)
    if names is not None:
        statement = statement.where(STATE.warehouse.in_(sorted(names)))
    rows = session.execute(statement.order_by(STATE.decision_reason.desc(), STATE.warehouse)).all()
    sums = {name: sum(int(getattr(row, name)) for row in rows) for name in counts}
    troubled = [row for row in rows if row.decision_reason in TROUBLES][:most]
    return Standing(sums["here"], sums["due"], sums["put_off"], sums["paused"], troubled)


def stalest(session: Session, names: Collection[str] | None, most: int = 3) -> list[Any]:
    """The tables whose profiles are furthest behind, where they count as stale and nothing else is known to hinder.

    What was read or proved since the score was given is no longer behind.
    """
    key = (*STATE_KEY, STATE.staleness_score, STATE.last_profiled_at, STATE.decision_reason, STATE.decided_at)
    hindered = STATE.decision_reason.in_(TROUBLES)
    is_known = sa.or_(STATE.decision_reason.is_(None), ~hindered)
    is_behind = (
        sa.func.coalesce(time, LONG_AGO) < STATE.decided_at for time in (STATE.last_profiled_at, STATE.sampled_at)
    )
    wanted = sa.select(*key).where(STATE.staleness_score >= STALE, is_known, *is_behind)
    if names is not None:
        wanted = wanted.where(STATE.warehouse.in_(sorted(names)))
    return list(session.execute(wanted.order_by(STATE.staleness_score.desc(), *NAME).limit(most)))


@dataclass(frozen=True)
class Choices:
    """The warehouses that have runs with their types, and the environments."""

    types: Mapping[str, set[str]]
    runs_in: set[str]

    @property
    def warehouses(self) -> list[str]:
        return sorted(self.types)

    @property
    def environments(self) -> list[str]:
        return sorted(filter(None, self.runs_in))

    def meant(self, wanted: str | None) -> set[str] | None:
        """The warehouse of that name, and those that are, or once were, of that type; None where nothing is asked."""
        return {wanted, *(name for name, types in self.types.items() if wanted in types)} if wanted else None

    def narrowing(self, environment: str | None) -> str | None:
        """None where all runs are of it: what drifted knows its environment by its run alone, which takes long."""
        return None if self.runs_in == {environment} else environment


def choices(session: Session) -> Choices:
    shape = (RUN_COUNT.warehouse, RUN_COUNT.warehouse_type, RUN_COUNT.environment)
    types, environments = dict[str, set[str]](), set[str]()
    for name, type_, environment in session.execute(sa.select(*shape).where(RUN_COUNT.span == "day").distinct()):
        types.setdefault(name, set()).add(type_)
        environments.add(environment)
    return Choices(types, environments)


def label(step: int, period: Period) -> str:
    moment = datetime.fromtimestamp(step, UTC)
    return f"{moment:%H:%M}" if period.step == HOUR else f"{moment:%-d %b}"
