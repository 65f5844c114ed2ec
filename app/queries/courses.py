"""How the metrics of findings ran: of many of late, one list of values each; of one before it, meanwhile and since."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.queries.columns import RESULT, RESULTS, RUN, RUNS
from app.queries.profiles import ColumnProfile, to_number
from app.queries.runs import GOOD_STATUSES, NEWEST_FIRST
from app.queries.several import chosen, rows_of
from app.queries.tables import KEY
from profilemesh.drift import Kind
from profilemesh.drift import measures as m
from profilemesh.tables import TableRef

MOST = 24
REACH = timedelta(days=60)
STORED = frozenset("null_percent mean stddev distinct_count avg_length min max".split())
"""Metrics of which every run keeps the number itself."""

BEFORE, AFTER = 45, 15
"""So many runs are shown up to where a finding was last seen, and so many after it."""
MEASURES = {each.name: each for each in (*m.SHARES, m.DISTINCT, m.MEAN, m.DEVIATION, m.LENGTH, *m.EXTREMES)}
INSTEAD = ("mean", "distinct_count")
"""What is shown of a column whose distribution moved: the first that is known."""

Values = list[float | None]


def of_findings(session: Session, rows: Sequence[Any], now: datetime) -> dict[str, Values]:
    """finding_id -> its metric in the last good runs of its table, oldest first; empty where there is no number."""
    if not rows:
        return {}
    recent = _recent(session, {_table(row) for row in rows}, now)
    found: dict[str, Values] = {}
    for row in rows:
        runs = recent.get(TableRef(*_table(row)), [])
        if row.metric_name == "row_count":
            found[row.finding_id] = [run.row_count for run in runs]
    return found | _measured(session, rows, recent)


def _recent(session: Session, places: Collection[tuple[str, str, str]], now: datetime) -> dict[TableRef, list[Any]]:
    rank = sa.func.row_number().over(partition_by=KEY, order_by=NEWEST_FIRST).label("rank")
    tables = chosen(places)
    same = [column == name for column, name in zip(KEY, tables.c, strict=True)]
    ranked = (
        sa.select(*KEY, RUN.run_id, RUN.row_count, rank)
        .join_from(tables, RUNS, sa.and_(*same))
        .where(RUN.profiled_at >= now - REACH, RUN.status.in_(GOOD_STATUSES))
        .subquery()
    )
    found: dict[TableRef, list[Any]] = {}
    for row in session.execute(sa.select(ranked).where(ranked.c.rank <= MOST).order_by(ranked.c.rank.desc())):
        found.setdefault(TableRef(row.warehouse, row.schema_name, row.dataset_name), []).append(row)
    return found


def _measured(session: Session, rows: Sequence[Any], recent: Mapping[TableRef, list[Any]]) -> dict[str, Values]:
    runs_of = {
        row.finding_id: [run.run_id for run in recent.get(TableRef(*_table(row)), [])]
        for row in rows
        if row.metric_name in STORED and row.column_name
    }
    wanted = [
        (row.finding_id, run_id, row.table_name, row.schema_name, row.metric_name, row.column_name)
        for row in rows
        for run_id in runs_of.get(row.finding_id, [])
    ]
    if not wanted:
        return {}
    w = rows_of("wanted", ("finding_id", "run_id", "dataset_name", "schema_name", "metric_name", "column_name"), wanted)
    same = sa.and_(*(RESULT[column.name] == column for column in w.c if column.name != "finding_id"))
    found = session.execute(sa.select(w.c.finding_id, w.c.run_id, RESULT.metric_number).join_from(w, RESULTS, same))
    values = {(finding_id, run_id): value for finding_id, run_id, value in found}
    return {one: [values.get((one, run_id)) for run_id in runs] for one, runs in runs_of.items() if len(runs) > 1}


def _table(row: Any) -> tuple[str, str, str]:
    return row.warehouse, row.schema_name, row.table_name


def runs_about(session: Session, finding: Any) -> list[Any]:
    """The good runs of its table up to where it was last seen, and some after it, oldest first."""
    columns = (RUN.run_id, RUN.profiled_at, RUN.row_count, RUN.dataset_name, RUN.schema_name)
    of_table = sa.select(*columns).where(
        RUN.warehouse == finding.warehouse,
        RUN.schema_name == finding.schema_name,
        RUN.dataset_name == finding.table_name,
        RUN.status.in_(GOOD_STATUSES),
    )
    seen = finding.last_seen_at
    until = of_table.where(RUN.profiled_at <= seen).order_by(RUN.profiled_at.desc(), RUN.run_id.desc()).limit(BEFORE)
    later = of_table.where(RUN.profiled_at > seen).order_by(RUN.profiled_at, RUN.run_id).limit(AFTER)
    return [*reversed(session.execute(until).all()), *session.execute(later)]


@dataclass(frozen=True)
class Course:
    """A metric in each of some runs; `of` names the value that a share is of."""

    name: str = ""
    values: tuple[float | None, ...] = ()
    of: str | None = None

    @property
    def label(self) -> str:
        words = self.name.replace("_percent", " share").replace("_", " ")
        return f"Share of {self.of}" if self.of is not None else words[:1].upper() + words[1:]


def of_one(session: Session, finding: Any, runs: Sequence[Any], moved: str | None) -> Course:
    """Its metric in each of these runs; of a distribution the share of the value that `moved`, or what tells of it."""
    if finding.metric_name == "row_count":
        return Course("row_count", tuple(run.row_count for run in runs))
    if not finding.column_name or not runs or finding.kind == Kind.SCHEMA:
        return Course()
    if moved is not None:
        return _share_of(session, finding, runs, moved)
    names = INSTEAD if finding.metric_name == m.DISTRIBUTION else (finding.metric_name,)
    stored = _stored(session, finding, runs, {*names, *(needed for name in names for needed in _needed(name))})
    by_run = [{name: to_number(text) for name, text in stored.get(run.run_id, {}).items()} for run in runs]
    for name in names:
        measure = MEASURES.get(name)
        values = tuple(measure.read(metrics) if measure else metrics.get(name) for metrics in by_run)
        if any(value is not None for value in values):
            return Course(name, values)
    return Course()


def _share_of(session: Session, finding: Any, runs: Sequence[Any], value: str) -> Course:
    """Of all values that are listed, as the engine compares them."""
    stored = _stored(session, finding, runs, {"top_values"})
    listed = [ColumnProfile("", "", stored.get(run.run_id, {})).top_values for run in runs]
    totals = [sum(count for _, count in values) for values in listed]
    shares = (
        100 * dict(values).get(value, 0) / total if total else None
        for values, total in zip(listed, totals, strict=True)
    )
    return Course("share_percent", tuple(shares), value)


def _needed(name: str) -> tuple[str, ...]:
    """What a share is computed from."""
    return ("count", "null_count", name.replace("_percent", "_count")) if name.endswith("_percent") else ()


def _stored(
    session: Session, finding: Any, runs: Sequence[Any], names: Collection[str]
) -> dict[str, dict[str, str | None]]:
    rows = session.execute(
        sa.select(RESULT.run_id, RESULT.metric_name, RESULT.metric_value)
        .where(RESULT.run_id.in_([run.run_id for run in runs]), RESULT.dataset_name == finding.table_name)
        .where(RESULT.schema_name == finding.schema_name, RESULT.column_name == finding.column_name)
        .where(RESULT.metric_name.in_(sorted(names)))
    )
    found: dict[str, dict[str, str | None]] = {}
    for run_id, name, value in rows:
        found.setdefault(run_id, {})[name] = value
    return found


def runs_named(session: Session, finding: Any, run_ids: Collection[str]) -> dict[str, Any]:
    """Those of these runs of its table that are still on record."""
    if not run_ids:
        return {}
    columns = (RUN.run_id, RUN.profiled_at, RUN.row_count, RUN.dataset_name, RUN.schema_name, RUN.hash_family)
    wanted = sa.select(*columns).where(RUN.run_id.in_(sorted(run_ids)), RUN.dataset_name == finding.table_name)
    of_table = wanted.where(RUN.warehouse == finding.warehouse, RUN.schema_name == finding.schema_name)
    return {run.run_id: run for run in session.execute(of_table)}
