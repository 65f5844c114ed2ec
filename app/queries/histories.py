"""How a table and its columns went over time: the runs of a span thinned out evenly, and what is stored of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.queries.columns import RESULT, RUN, RUNS
from app.queries.profiles import ColumnProfile
from app.queries.runs import GOOD_STATUSES, LISTED
from profilemesh.profiling.metrics import BY_NAME
from profilemesh.tables import TableRef

MOST = 120
"""So many runs a chart is drawn of; those with drift come on top."""
MOST_DRIFTED = 120
MOST_VALUES = 6000
"""So many stored numbers are averaged for one chart: of a table of many columns every so many runs are left out."""
SAMPLE = "sample"


def _of(table: TableRef) -> tuple[sa.ColumnElement[bool], ...]:
    return RUN.warehouse == table.warehouse, RUN.schema_name == table.schema, RUN.dataset_name == table.name


@dataclass(frozen=True)
class Span:
    """The good runs since a time, oldest first; `total` is how many there are where some are left out."""

    runs: tuple[Any, ...] = ()
    total: int = 0

    @property
    def is_thinned(self) -> bool:
        return self.total > len(self.runs)

    def every(self, most: int) -> tuple[Any, ...]:
        """At most so many of them, evenly; the newest is always there."""
        step = -(-len(self.runs) // max(most, 1)) or 1
        return self.runs[::-1][::step][::-1]


def span_of(session: Session, table: TableRef, since: datetime) -> Span:
    """Every n-th run, so that a year of quarter hours is as quick to draw as a month of days, and those with drift."""
    numbered = (
        sa.select(
            RUN.run_id,
            sa.func.row_number().over(order_by=(RUN.profiled_at.desc(), RUN.run_id.desc())).label("place"),
            sa.func.count().over().label("total"),
            RUN.has_drift,
        )
        .where(*_of(table), RUN.status.in_(GOOD_STATUSES), RUN.profiled_at >= since)
        .subquery()
    )
    c = numbered.c
    is_nth = (c.place - 1) % ((c.total - 1) // MOST + 1)
    kept = (
        sa.select(*LISTED, RUN.hash_family, RUN.column_errors, c.total)
        .join(numbered, c.run_id == RUN.run_id)
        .where(*_of(table), sa.or_(is_nth == 0, c.has_drift))
        .order_by(RUN.profiled_at.desc(), RUN.run_id.desc())
        .limit(MOST + MOST_DRIFTED)
    )
    rows = session.execute(kept).all()
    return Span(tuple(reversed(rows)), rows[0].total if rows else 0)


WHOLE = (*LISTED, RUN.error, RUN.scope_detail, RUN.hash_family, RUN.column_errors, RUN.as_of)


@dataclass(frozen=True)
class Newest:
    """The newest runs, newest first; the last that succeeded, however far back; how many there ever were."""

    runs: tuple[Any, ...] = ()
    good: Any | None = None
    total: int = 0


def newest_of(session: Session, table: TableRef, most: int) -> Newest:
    """In one statement, since sixty failures in a row would push the last good run off any list."""
    newest_first = (RUN.profiled_at.desc(), RUN.run_id.desc())
    total = sa.select(sa.func.count()).select_from(RUNS).where(*_of(table)).scalar_subquery()
    listed = sa.select(RUN.run_id).where(*_of(table)).order_by(*newest_first).limit(most)
    good = sa.select(RUN.run_id).where(*_of(table), RUN.status.in_(GOOD_STATUSES)).order_by(*newest_first).limit(1)
    ids = sa.union_all(sa.select(listed.subquery()), sa.select(good.subquery()))
    wanted = sa.select(*WHOLE, total.label("total")).where(*_of(table), RUN.run_id.in_(ids)).order_by(*newest_first)
    rows = session.execute(wanted).all()
    found = next((row for row in rows if row.status in GOOD_STATUSES), None)
    return Newest(tuple(rows[:most]), found, rows[0].total if rows else 0)


def baseline_of(session: Session, latest: Any, days: int) -> Any | None:
    """The newest like run that is so many days older, else the oldest after that; None where none came before."""
    until = latest.profiled_at - timedelta(days=days)
    is_sample = RUN.scope == SAMPLE if latest.scope == SAMPLE else sa.func.coalesce(RUN.scope, "full") != SAMPLE
    table = TableRef(latest.warehouse, latest.schema_name, latest.dataset_name)
    like = (
        sa.select(RUN.run_id, RUN.profiled_at, RUN.row_count, RUN.dataset_name, RUN.schema_name, RUN.hash_family)
        .where(*_of(table), RUN.status.in_(GOOD_STATUSES), is_sample, sa.not_(RUN.is_expected))
        .where(RUN.run_id != latest.run_id)
        .limit(1)
    )
    older = like.where(RUN.profiled_at <= until).order_by(RUN.profiled_at.desc(), RUN.run_id.desc()).subquery()
    newer = (
        like.where(RUN.profiled_at > until, RUN.profiled_at < latest.profiled_at)
        .order_by(RUN.profiled_at, RUN.run_id)
        .subquery()
    )
    found = session.execute(sa.union_all(sa.select(older), sa.select(newer))).all()
    return min(found, key=lambda run: (run.profiled_at > until, run.profiled_at), default=None)


@dataclass(frozen=True)
class ColumnKey:
    """A column of a run by what a list is searched and sorted by; `place` is its place in the table."""

    name: str
    type: str
    place: int
    null_percent: float | None
    distinct_count: float | None


def columns_of(session: Session, run: Any) -> list[ColumnKey]:
    """The columns of a run in the table's order."""

    def of(metric: str) -> sa.ColumnElement[Any]:
        return sa.func.max(sa.case((RESULT.metric_name == metric, RESULT.metric_number)), type_=sa.Double)

    first = sa.func.min(RESULT.id)
    wanted = (
        sa.select(RESULT.column_name, sa.func.max(RESULT.column_type), of("null_percent"), of("distinct_count"))
        .where(RESULT.run_id == run.run_id, RESULT.dataset_name == run.dataset_name)
        .where(RESULT.schema_name == run.schema_name, RESULT.column_name != "")
        .group_by(RESULT.column_name)
        .order_by(first)
    )
    return [
        ColumnKey(name, type_ or "", place, nulls, distinct)
        for place, (name, type_, nulls, distinct) in enumerate(session.execute(wanted))
    ]


def profiles_in(
    session: Session, runs: Sequence[Any], names: Collection[str], metrics: Collection[str] | None = None
) -> dict[str, dict[str, ColumnProfile]]:
    """run_id -> column -> what is stored of these columns in these runs of one table, in one statement.

    To name the metrics lets an index find each of them; without, those of older versions are there as well."""
    if not runs or not names:
        return {}
    ours = {run.run_id: run.hash_family is not None for run in runs}
    wanted = (
        sa.select(RESULT.run_id, RESULT.column_name, RESULT.column_type, RESULT.metric_name, RESULT.metric_value)
        .where(RESULT.run_id.in_(ours), RESULT.dataset_name == runs[0].dataset_name)
        .where(RESULT.schema_name == runs[0].schema_name, RESULT.column_name.in_(sorted(names)))
        .order_by(RESULT.id)
    )
    if metrics is not None:
        wanted = wanted.where(RESULT.metric_name.in_(sorted(metrics)))
    found: dict[str, dict[str, ColumnProfile]] = {}
    for run_id, name, type_, metric, value in session.execute(wanted):
        of_run = found.setdefault(run_id, {})
        column = of_run.get(name)
        if column is None:
            column = of_run[name] = ColumnProfile(name, type_ or "", estimates=ours[run_id])
        column.values[metric] = value
    return found


Numbers = dict[str, dict[str, list[float | None]]]
TRENDS = ("null_percent", "mean", "distinct_count")


@dataclass(frozen=True)
class Trends:
    """column -> metric -> its number in each of some runs, None where unknown; run_id -> mean null share of all."""

    columns: Numbers
    null_shares: dict[str, float]


def trends_of(session: Session, runs: Sequence[Any], names: Collection[str], averaged: Sequence[Any]) -> Trends:
    """Of the columns named in `runs`, and over all columns in those `averaged`: one statement for both."""
    if not averaged:
        return Trends({}, {})
    places = {run.run_id: place for place, run in enumerate(runs)}
    named = _numbers(runs, TRENDS).add_columns(RESULT.column_name).where(RESULT.column_name.in_(sorted(names)))
    over_all = (
        _numbers(averaged, ["null_percent"])
        .with_only_columns(
            RESULT.run_id,
            sa.literal("null_percent"),
            sa.func.avg(RESULT.metric_number, type_=sa.Double),
            sa.literal(""),
        )
        .where(RESULT.column_name != "")
        .group_by(RESULT.run_id)
    )
    columns: Numbers = {}
    shares: dict[str, float] = {}
    for run_id, metric, value, name in session.execute(sa.union_all(named, over_all)):
        if name:
            series = columns.setdefault(name, {each: [None] * len(places) for each in TRENDS})[metric]
            series[places[run_id]] = value
        elif value is not None:
            shares[run_id] = value
    return Trends(columns, shares)


def _numbers(runs: Sequence[Any], metrics: Collection[str]) -> sa.Select[*tuple[Any, ...]]:
    return (
        sa.select(RESULT.run_id, RESULT.metric_name, RESULT.metric_number)
        .where(RESULT.run_id.in_([run.run_id for run in runs]), RESULT.dataset_name == runs[0].dataset_name)
        .where(RESULT.schema_name == runs[0].schema_name, RESULT.metric_name.in_(metrics))
    )


LISTS = frozenset({"histogram", "date_histogram", "top_values"})


@dataclass(frozen=True)
class Measured:
    """A column in one run: its type then, its numbers by metric, and the texts of its extremes."""

    type: str
    values: dict[str, float | None]
    texts: dict[str, str | None]


def column_course(session: Session, runs: Sequence[Any], column: str, more: Collection[str]) -> dict[str, Measured]:
    """run_id -> what each of these runs measured of the column; runs that had no such column are left out.

    `more` names metrics beside the catalogue's, such as older versions stored.
    """
    if not runs:
        return {}
    metrics = sorted({*BY_NAME, *more} - LISTS)
    wanted = (
        _numbers(runs, metrics)
        .add_columns(RESULT.column_type, RESULT.metric_value)
        .where(RESULT.column_name == column)
        .order_by(RESULT.id)
    )
    found: dict[str, Measured] = {}
    for run_id, metric, value, type_, text in session.execute(wanted):
        measured = found.setdefault(run_id, Measured(type_ or "", {}, {}))
        measured.values[metric] = value
        measured.texts[metric] = text
    return found
