"""What the overview shows, each number for the period and for the one before it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.queries import failures, spans
from app.queries.columns import RUN, RUN_COUNT, RUNS, STATE
from app.queries.counts import (
    Piece,
    Stretch,
    drift_between,
    periods,
    runs_between,
    without_times,
)
from app.queries.lists import worded_once
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
        """A clock that runs ahead may have dated something later than now: that is of the last step."""
        return int(min(time, self.now).timestamp()) // self.step * self.step

    @property
    def parts(self) -> list[Piece]:
        """What to count of this period (1) and of the one before (0)."""
        return periods(self.since, self.before, by_hour=self.step == HOUR)


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


@dataclass(frozen=True)
class Narrowed:
    """To a warehouse, by name or by type, and to an environment: conditions on what has both."""

    warehouse: str | None
    environment: str | None

    @classmethod
    def by(cls, wanted: Mapping[str, Any]) -> Narrowed:
        return cls(wanted["warehouse"], wanted["environment"])

    def __call__(self, columns: Any) -> list[sa.ColumnElement[bool]]:
        found = [in_warehouse(columns, self.warehouse)] if self.warehouse else []
        return found + ([columns.environment == self.environment] if self.environment else [])


def activity(session: Session, period: Period, wanted: Mapping[str, Any]) -> Activity:
    found = Activity()
    parts, times = without_times(period.parts)
    for current, at, status, scope, runs, read in session.execute(_activity(parts, Narrowed.by(wanted)), times):
        step, count = period.step_at(at) if at else 0, int(runs)
        found.runs.add(current, step, count)
        found.rows.add(current, step, int(read or 0))
        if status == "failed":
            found.failed.add(current, step, count)
        found.outcomes[outcome(status, scope)].add(current, step, count)
    return found


def _step_of(c: Any) -> sa.ColumnElement[datetime]:
    """When, of the period itself; of the one before nobody asks."""
    return sa.case((c.period == 1, c.at)).label("at")


@worded_once
def _activity(parts: tuple[Stretch, ...], narrowed: Narrowed) -> sa.Select[*tuple[Any, ...]]:
    c = runs_between(parts, narrowed).c
    key = (c.period, _step_of(c), c.status, c.scope)
    return sa.select(*key, sa.func.sum(c.runs), sa.func.sum(c.rows_scanned)).group_by(*key)


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
    found = spans.first_runs(session, period.step, period.since, Narrowed.by(wanted))
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
    found = Drift()
    parts, times = without_times(period.parts)
    drifted = _drift(parts, _named(names), wanted["environment"] or None)
    for current, at, severity, count in session.execute(drifted, times):
        found.add(current, period.step_at(at) if at else 0, severity, int(count))
    return found


Names = frozenset[str] | None
"""Of the warehouses that are meant; None for all."""


def _named(names: Collection[str] | None) -> Names:
    return None if names is None else frozenset(names)


def _in(column: sa.ColumnElement[str], names: Names) -> list[sa.ColumnElement[bool]]:
    return [] if names is None else [column.in_(sorted(names))]


@worded_once
def _drift(parts: tuple[Stretch, ...], names: Names, environment: str | None) -> sa.Select[*tuple[Any, ...]]:
    def chosen(columns: Any) -> list[sa.ColumnElement[bool]]:
        of_environment = [columns.environment == environment] if environment else []
        return [*_in(columns.warehouse, names), *of_environment]

    c = drift_between(parts, chosen).c
    key = c.period, _step_of(c), c.severity
    return sa.select(*key, sa.func.sum(c.events)).group_by(*key)


def newest_runs(session: Session, wanted: Mapping[str, Any], most: int = 8) -> list[Any]:
    return list(session.execute(_newest_runs(Narrowed.by(wanted), most)))


@worded_once
def _newest_runs(narrowed: Narrowed, most: int) -> sa.Select[*tuple[Any, ...]]:
    statement = sa.select(*LISTED, RUN.error, RUN.scope_detail).where(*narrowed(RUN))
    return statement.order_by(*NEWEST_FIRST).limit(most)


def failing(
    session: Session, names: Collection[str] | None, environment: str | None, now: datetime, most: int = 6
) -> list[Any]:
    """Tables whose newest finished run, of the last 90 days, failed: the run, its last good one, failures since."""
    since = now - timedelta(days=90)
    return list(session.execute(_failing(_named(names), environment, most), {"since": since}))


@worded_once
def _failing(names: Names, environment: str | None, most: int) -> sa.Select[*tuple[Any, ...]]:
    chosen = [RUN.profiled_at >= sa.bindparam("since", type_=RUN.profiled_at.type), *_in(RUN.warehouse, names)]
    chosen += [RUN.environment == environment] if environment else []
    found = failures.failing(*chosen).subquery("found").c
    newest = sa.select(found.warehouse, found.schema_name, found.dataset_name, found.at)
    return _told_failures(newest.order_by(found.at.desc(), found.dataset_name).limit(most).subquery("failing"))


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
    # Behind a function, or SQLite would begin with all that ever failed.
    is_failed = sa.func.coalesce(RUN.status, "") == "failed"
    same = sa.and_(_same(RUN, failing.c), RUN.profiled_at == failing.c.at, is_failed)
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
    rows = session.execute(_standing(_named(names)), {"at": at}).all()
    here, due, put_off, paused = (
        sum(int(getattr(row, name)) for row in rows) for name in ("here", "due", "put_off", "paused")
    )
    return Standing(here, due, put_off, paused, [row for row in rows if row.table_name is not None][:most])


@worded_once
def _standing(names: Names) -> sa.Select[*tuple[Any, ...]]:
    """By warehouse and reason, counted from an index; of what is troubled a name and times besides."""
    s = STATE
    is_here, is_open = s.vanished_at.is_(None), s.paused_at.is_(None)
    is_due = sa.or_(s.due_at.is_(None), s.due_at <= sa.bindparam("at", type_=s.due_at.type))
    claims = {
        "here": is_here,
        "due": sa.and_(is_here, is_open, is_due),
        "put_off": sa.and_(is_here, is_open, s.deferred_since.is_not(None)),
        "paused": sa.and_(is_here, ~is_open),
    }
    sums = (sa.func.sum(sa.case((claim, 1), else_=0)).label(name) for name, claim in claims.items())
    counted = sa.select(s.warehouse, s.decision_reason, sa.func.count().label("tables"), *sums)
    counts = counted.where(*_in(s.warehouse, names)).group_by(s.decision_reason, s.warehouse).subquery("counts")
    troubles = _troubles(names).subquery("troubles")
    same = sa.and_(troubles.c.warehouse == counts.c.warehouse, troubles.c.decision_reason == counts.c.decision_reason)
    of_trouble = (column for column in troubles.c if column.name not in ("warehouse", "decision_reason"))
    told = sa.select(*counts.c, *of_trouble).select_from(counts.outerjoin(troubles, same))
    return told.order_by(counts.c.decision_reason.desc(), counts.c.warehouse)


def _troubles(names: Names) -> sa.Select[*tuple[Any, ...]]:
    s = STATE
    return (
        sa.select(
            s.warehouse,
            s.decision_reason,
            sa.func.min(s.table_name).label("table_name"),
            sa.func.min(s.schema_name).label("schema_name"),
            sa.func.max(s.decided_at, type_=s.decided_at.type).label("decided_at"),
            sa.func.max(s.last_profiled_at, type_=s.decided_at.type).label("last_profiled_at"),
        )
        .where(s.decision_reason.in_(TROUBLES), *_in(s.warehouse, names))
        .group_by(s.decision_reason, s.warehouse)
    )


def stalest(session: Session, names: Collection[str] | None, most: int = 3) -> list[Any]:
    """The tables whose profiles are furthest behind, where they count as stale and nothing else is known to hinder.

    What was read or proved since the score was given is no longer behind.
    """
    return list(session.execute(_stalest(_named(names), most)))


@worded_once
def _stalest(names: Names, most: int) -> sa.Select[*tuple[Any, ...]]:
    key = (*STATE_KEY, STATE.staleness_score, STATE.last_profiled_at, STATE.decision_reason, STATE.decided_at)
    hindered = STATE.decision_reason.in_(TROUBLES)
    is_known = sa.or_(STATE.decision_reason.is_(None), ~hindered)
    is_behind = (
        sa.func.coalesce(time, LONG_AGO) < STATE.decided_at for time in (STATE.last_profiled_at, STATE.sampled_at)
    )
    wanted = sa.select(*key).where(STATE.staleness_score >= STALE, is_known, *is_behind, *_in(STATE.warehouse, names))
    return wanted.order_by(STATE.staleness_score.desc(), *NAME).limit(most)


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
        """None where all runs are of it: what was spared knows none, and is shown without."""
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
