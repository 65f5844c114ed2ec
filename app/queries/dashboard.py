"""The figures of the dashboard's API: of the last days, and against as many days before them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.queries import drift, runs
from app.queries.counts import Piece, drift_between, periods, runs_between
from app.queries.drift import Drift
from app.queries.lists import worded_once
from app.queries.runs import Runs
from app.queries.spans import tables_with_runs

RECENT = 5


@dataclass
class Totals:
    """Of one stretch of time; `ended` runs are those that are not running."""

    runs: int = 0
    ended: int = 0
    good: int = 0
    rows: float = 0.0
    counted: int = 0
    tables: int = 0
    drift: int = 0

    @property
    def average_rows(self) -> float | None:
        return self.rows / self.counted if self.counted else None

    @property
    def success_percent(self) -> float | None:
        return 100 * self.good / self.ended if self.ended else None


@dataclass
class Figures:
    now: Totals = field(default_factory=Totals)
    before: Totals = field(default_factory=Totals)
    runs_by_day: dict[date, int] = field(default_factory=dict)
    drift_by_day: dict[date, int] = field(default_factory=dict)
    by_type: dict[str, int] = field(default_factory=dict)
    recent_runs: Sequence[Any] = ()
    recent_drift: Sequence[Any] = ()
    types: Mapping[str, str] = field(default_factory=dict)


def figures(session: Session, wanted: Mapping[str, Any], now: datetime) -> Figures:
    """`wanted` is a loaded DashboardFilter. Days without anything are there with 0; the first is cut short."""
    since = now - timedelta(days=wanted["days"])
    before = since - timedelta(days=wanted["days"])
    chosen = _chosen(session, wanted, now)
    found = Figures(types=chosen.drift.types)
    question = Question(since, before, chosen.runs.asked, chosen.drift.asked)
    _add_runs(session, _runs(question), found)
    _add_drift(session, _drift(question), found)
    found.now.tables, found.before.tables = session.execute(_tables(question)).one()
    days = [since.date() + timedelta(days=n) for n in range((now.date() - since.date()).days + 1)]
    found.runs_by_day = _daily(found.runs_by_day, days)
    found.drift_by_day = _daily(found.drift_by_day, days)
    found.recent_runs, found.recent_drift = chosen.runs.newest(RECENT), chosen.drift.newest(RECENT)
    return found


@dataclass(frozen=True)
class Chosen:
    """The lists of which the figures are."""

    runs: Runs
    drift: Drift


def _chosen(session: Session, wanted: Mapping[str, Any], now: datetime) -> Chosen:
    anything = dict.fromkeys(("schema", "table", "status", "environment", "severity"))
    all_of = {**anything, **wanted}
    return Chosen(Runs(session, all_of, now), Drift(session, all_of, now))


@dataclass(frozen=True)
class Question:
    """Of [since, now) and [before, since)."""

    since: datetime
    before: datetime
    runs: runs.Asked
    drift: drift.Asked

    @property
    def parts(self) -> list[Piece]:
        return periods(self.since, self.before)


@worded_once
def _runs(asked: Question) -> sa.Select[*tuple[Any, ...]]:
    c = runs_between(asked.parts, asked.runs.counted).c
    key = (c.period, c.at, c.status, c.warehouse_type)
    return sa.select(*key, sa.func.sum(c.runs), sa.func.sum(c.rows_sum), sa.func.sum(c.rows_counted)).group_by(*key)


@worded_once
def _drift(asked: Question) -> sa.Select[*tuple[Any, ...]]:
    c = drift_between(asked.parts, asked.drift.counted).c
    return sa.select(c.period, c.at, sa.func.sum(c.events)).group_by(c.period, c.at)


@worded_once
def _tables(asked: Question) -> sa.Select[*tuple[Any, ...]]:
    now = tables_with_runs(asked.since, None, asked.runs.counted)
    return sa.select(now, tables_with_runs(asked.before, asked.since, asked.runs.counted))


def _add_runs(session: Session, counted: sa.Select[*tuple[Any, ...]], found: Figures) -> None:
    for period, at, status, type_, runs_, rows, known in session.execute(counted):
        totals, count = found.now if period else found.before, int(runs_)
        totals.runs += count
        totals.rows += rows
        totals.counted += int(known)
        totals.ended += 0 if status == "running" else count
        totals.good += count if status in runs.GOOD_STATUSES else 0
        if period:
            found.by_type[type_] = found.by_type.get(type_, 0) + count
            found.runs_by_day[at.date()] = found.runs_by_day.get(at.date(), 0) + count


def _add_drift(session: Session, counted: sa.Select[*tuple[Any, ...]], found: Figures) -> None:
    for period, at, events in session.execute(counted):
        totals = found.now if period else found.before
        totals.drift += int(events)
        if period:
            found.drift_by_day[at.date()] = found.drift_by_day.get(at.date(), 0) + int(events)


def _daily(counts: Mapping[date, int], days: Sequence[date]) -> dict[date, int]:
    """Each of these days; what clocks that run ahead have dated later counts as of the last."""
    found = dict.fromkeys(days, 0)
    for day, count in counts.items():
        found[min(day, days[-1])] += count
    return found
