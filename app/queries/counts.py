"""How many runs and drift events fall into a time, without reading them one by one.

Whole days and whole hours come from the counts that the database keeps, only the ragged ends from the rows themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.queries.columns import DRIFT_COUNT, EVENT, RUN, RUN_COUNT
from profilemesh.storage.triggers import SEVERITY

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
Condition = Callable[[Any], Sequence[sa.ColumnElement[bool]]]


@dataclass(frozen=True)
class Piece:
    """A stretch of time, read from counts of one span or, without one, from rows. `until` None: no end. `period` tells
    apart what is counted in one statement."""

    span: str | None
    since: datetime
    until: datetime | None
    period: int = 0

    @property
    def at(self) -> Any:
        """The hour it begins in."""
        return sa.literal(_floor(self.since, HOUR), RUN.profiled_at.type)

    def holds(self, time: Any) -> list[sa.ColumnElement[bool]]:
        return [time >= self.since] + ([] if self.until is None else [time < self.until])


@dataclass(frozen=True)
class Stretch:
    """A piece without its times, which are given when it is asked for: one wording serves them all."""

    place: int
    span: str | None
    is_open: bool
    period: int

    @property
    def at(self) -> Any:
        return self._named("at", RUN.profiled_at.type)

    def holds(self, time: Any) -> list[sa.ColumnElement[bool]]:
        until = [] if self.is_open else [time < self._named("until", time.type)]
        return [time >= self._named("since", time.type), *until]

    def _named(self, end: str, type_: Any) -> Any:
        return sa.bindparam(f"{end}_{self.place}", type_=type_)


def without_times(parts: Sequence[Piece]) -> tuple[tuple[Stretch, ...], dict[str, datetime]]:
    """The same pieces to be worded once, and the times to ask with."""
    worded = [Stretch(i, piece.span, piece.until is None, piece.period) for i, piece in enumerate(parts)]
    times = dict[str, datetime]()
    for i, piece in enumerate(parts):
        named = {"at": _floor(piece.since, HOUR), "since": piece.since, "until": piece.until}
        times |= {f"{end}_{i}": time for end, time in named.items() if time is not None}
    return tuple(worded), times


def pieces(since: datetime, until: datetime | None = None, *, by_hour: bool = False, period: int = 0) -> list[Piece]:
    """[since, until) as days, hours and ragged ends; `by_hour` for charts that tell the hours of a day apart."""
    spans = [("hour", HOUR)] if by_hour else [("hour", HOUR), ("day", DAY)]
    cut = _cut(None, since, until, spans)
    return [replace(piece, period=period) for piece in cut if piece.until is None or piece.since < piece.until]


def periods(since: datetime, before: datetime, *, by_hour: bool = False) -> list[Piece]:
    """All from `since` on as period 1, and [before, since) as period 0."""
    return [*pieces(since, by_hour=by_hour, period=1), *pieces(before, since, by_hour=by_hour)]


def _cut(span: str | None, since: datetime, until: datetime | None, wider: list[tuple[str, timedelta]]) -> list[Piece]:
    if not wider:
        return [Piece(span, since, until)]
    (name, length), *rest = wider
    first = _ceil(since, length)
    last = None if until is None else _floor(until, length)
    if last is not None and first >= last:
        return [Piece(span, since, until)]
    inner = _cut(name, first, last, rest)
    return [Piece(span, since, first), *inner, *([] if last is None else [Piece(span, last, until)])]


def _ceil(time: datetime, length: timedelta) -> datetime:
    floor = _floor(time, length)
    return floor if floor == time else floor + length


def _floor(time: datetime, length: timedelta) -> datetime:
    hour = time.replace(minute=0, second=0, microsecond=0)
    return hour if length == HOUR else hour.replace(hour=0)


def passed(
    session: Session, counts: Any, rows: Any, chosen: Condition, since: datetime, most: int
) -> tuple[datetime | None, int]:
    """How far a list, newest first, is gone through in whole days and then hours without passing more than `most` rows:
    the beginning of the last of them (None if there is none), and how many rows lie from there on."""
    until, gone = None, 0
    for span, length in (("day", DAY), ("hour", HOUR)):
        slots = sa.select(counts.at, sa.func.sum(rows)).where(counts.span == span, counts.at >= _ceil(since, length))
        slots = slots.where(*chosen(counts), *([] if until is None else [counts.at < until]))
        for at, count in session.execute(slots.group_by(counts.at).order_by(counts.at.desc())):
            if gone + count > most:
                since = at
                break
            until, gone = at, gone + int(count)
    return until, gone


def runs_between(parts: Sequence[Piece | Stretch], chosen: Condition) -> sa.Subquery:
    """Rows of period, at, warehouse_type, status, scope, runs, rows_scanned, rows_sum, rows_counted, to be summed up.

    `chosen` gives the conditions on columns that have warehouse, warehouse_type, environment and status. `at` is the
    beginning of an hour or a day.
    """
    return sa.union_all(*(_runs_of(piece, chosen) for piece in parts)).subquery("counted")


def _runs_of(piece: Piece | Stretch, chosen: Condition) -> sa.Select[*tuple[Any, ...]]:
    period = sa.literal(piece.period).label("period")
    if piece.span is None:
        return sa.select(
            period,
            piece.at.label("at"),
            RUN.warehouse_type,
            RUN.status,
            sa.func.coalesce(RUN.scope, "").label("scope"),
            sa.literal(1).label("runs"),
            sa.func.coalesce(sa.cast(RUN.rows_scanned, sa.Double), 0.0).label("rows_scanned"),
            sa.func.coalesce(sa.cast(RUN.row_count, sa.Double), 0.0).label("rows_sum"),
            sa.case((RUN.row_count.is_(None), 0), else_=1).label("rows_counted"),
        ).where(*piece.holds(RUN.profiled_at), *chosen(RUN))
    c = RUN_COUNT
    columns = (period, c.at, c.warehouse_type, c.status, c.scope, c.runs, c.rows_scanned, c.rows_sum, c.rows_counted)
    return sa.select(*columns).where(c.span == piece.span, *piece.holds(c.at), *chosen(c))


def drift_between(parts: Sequence[Piece | Stretch], chosen: Condition) -> sa.Subquery:
    """Rows of period, at, severity and events, to be summed up; `chosen` as above, of warehouse and severity."""
    return sa.union_all(*(_drift_of(piece, chosen) for piece in parts)).subquery("counted")


def _drift_of(piece: Piece | Stretch, chosen: Condition) -> sa.Select[*tuple[Any, ...]]:
    period = sa.literal(piece.period).label("period")
    if piece.span is None:
        columns = (period, piece.at.label("at"), severity_of(EVENT).label("severity"), sa.literal(1).label("events"))
        return sa.select(*columns).where(is_drift(), *piece.holds(EVENT.timestamp), *chosen(EVENT))
    c = DRIFT_COUNT
    return sa.select(period, c.at, c.severity, c.events).where(c.span == piece.span, *piece.holds(c.at), *chosen(c))


def is_drift() -> sa.ColumnElement[bool]:
    """As the indexes of drift say it: SQLite compares the texts, and `= 1` behind a Boolean would be another one."""
    said: Any = sa.literal_column("event_type IN ('DataDriftDetected', 'SchemaChangeDetected')")
    return cast("sa.ColumnElement[bool]", said)


def severity_of(model: Any) -> sa.ColumnElement[str]:
    """low, medium or high; what an older writer left out or named otherwise counts as low."""
    return sa.literal_column(SEVERITY, sa.String) if model is EVENT else model.severity
