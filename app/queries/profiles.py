"""The stored metrics of runs: one by one, and over many runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.queries.columns import RESULT
from profilemesh.storage.results import (
    CONTRACT,
    NUMERIC_TYPES,
    OF_NUMBERS,
    ColumnProfile,
    counted,
    finite,
    is_list,
    profile_of,
    to_number,
)

__all__ = [
    "CONTRACT",
    "NUMERIC_TYPES",
    "OF_NUMBERS",
    "ColumnProfile",
    "counted",
    "finite",
    "history",
    "is_list",
    "null_share",
    "profile_of",
    "stored_metrics",
    "to_number",
    "trends",
]


def stored_metrics(run_id: str, table: str | None, schema: str | None) -> sa.Select[*tuple[Any, ...]]:
    """Every metric of a run as it is stored, table by table, column by column."""
    shown = (RESULT.run_id, RESULT.dataset_name, RESULT.schema_name, RESULT.column_name, RESULT.column_type)
    wanted = sa.select(*shown, RESULT.metric_name, RESULT.metric_value, RESULT.metric_number)
    wanted = wanted.where(RESULT.run_id == run_id)
    for column, value in ((RESULT.dataset_name, table), (RESULT.schema_name, schema)):
        if value:
            wanted = wanted.where(column == value)
    return wanted.order_by(RESULT.dataset_name, RESULT.id)


TRENDS = ("null_percent", "mean", "distinct_count")


def trends(session: Session, runs: Sequence[Any]) -> dict[str, dict[str, list[float | None]]]:
    """column -> metric -> its value in each of the runs of one table, in their order; None where unknown."""
    if not runs:
        return {}
    places = {run.run_id: i for i, run in enumerate(runs)}
    rows = session.execute(
        sa.select(RESULT.run_id, RESULT.column_name, RESULT.metric_name, RESULT.metric_value)
        .where(RESULT.run_id.in_(places), RESULT.dataset_name == runs[0].dataset_name)
        .where(RESULT.schema_name == runs[0].schema_name)
        .where(RESULT.metric_name.in_(TRENDS), RESULT.column_name != "")
    )
    found: dict[str, dict[str, list[float | None]]] = {}
    for run_id, column, metric, value in rows:
        series = found.setdefault(column, {name: [None] * len(places) for name in TRENDS})[metric]
        series[places[run_id]] = to_number(value)
    return found


def null_share(trend: dict[str, dict[str, list[float | None]]], length: int) -> list[float | None]:
    """The mean null share over all columns, run by run."""
    series = [metrics["null_percent"] for metrics in trend.values()]
    return [_mean(s[i] for s in series) for i in range(length)]


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def history(session: Session, runs: Sequence[Any], column: str, metric: str | None) -> dict[str, ColumnProfile]:
    """run_id -> what is stored of one column in each of these runs of one table; runs without it are left out."""
    if not runs:
        return {}
    ours = {run.run_id: run.hash_family is not None for run in runs}
    wanted = (
        sa.select(RESULT.run_id, RESULT.column_type, RESULT.metric_name, RESULT.metric_value)
        .where(RESULT.run_id.in_(ours), RESULT.dataset_name == runs[0].dataset_name)
        .where(RESULT.schema_name == runs[0].schema_name, RESULT.column_name == column)
        .order_by(RESULT.id)
    )
    found: dict[str, ColumnProfile] = {}
    for run_id, type_, name, value in session.execute(
        wanted if metric is None else wanted.where(RESULT.metric_name == metric)
    ):
        profile = found.setdefault(run_id, ColumnProfile(column, type_ or "", estimates=ours[run_id]))
        profile.values[name] = value
    return found
