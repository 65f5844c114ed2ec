"""What was found of a table or one of its columns, and what became of its columns."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.queries.columns import EVENT, FINDING, FINDINGS, OCCURRENCE, OCCURRENCES, RUN
from app.queries.findings import LATEST, OF_LAST, WHOLE_FINDING, state_at
from profilemesh.tables import TableRef


def findings_of(session: Session, table: TableRef, column: str, now: datetime, most: int = 30) -> list[Any]:
    """All that was ever found of a column, newest first."""
    wanted = (
        sa.select(*WHOLE_FINDING, state_at(now).label("state"), *OF_LAST)
        .select_from(FINDINGS.outerjoin(OCCURRENCES, LATEST))
        .where(FINDING.warehouse == table.warehouse, FINDING.schema_name == table.schema)
        .where(FINDING.table_name == table.name, FINDING.column_name == column)
        .order_by(FINDING.last_seen_at.desc(), FINDING.finding_id)
    )
    return list(session.execute(wanted.limit(most)))


@dataclass(frozen=True)
class Found:
    """What a run found of a column, or of the table where `column` is empty, as it was told then."""

    at: datetime
    run_id: str | None
    column: str
    metric: str
    severity: str
    sentence: str
    finding_id: str | None


@dataclass(frozen=True)
class Past:
    """What was found since a time, and every change of the columns there ever was; each newest first."""

    drift: tuple[Found, ...] = ()
    schema: tuple[Found, ...] = ()


MOST_FOUND = 400


def past_of(session: Session, table: TableRef, since: datetime, column: str | None = None) -> Past:
    """In one statement. Changes of columns are read from the events, which older versions wrote as well."""
    drift = (
        sa.select(
            OCCURRENCE.at,
            OCCURRENCE.run_id,
            FINDING.column_name,
            FINDING.metric_name,
            OCCURRENCE.severity,
            OCCURRENCE.sentence,
            FINDING.finding_id.label("finding_id"),
        )
        .select_from(FINDINGS.join(OCCURRENCES, OCCURRENCE.finding_id == FINDING.finding_id))
        .where(FINDING.warehouse == table.warehouse, FINDING.schema_name == table.schema)
        .where(FINDING.table_name == table.name, FINDING.last_seen_at >= since, OCCURRENCE.at >= since)
        .order_by(OCCURRENCE.at.desc(), FINDING.finding_id)
        .limit(MOST_FOUND)
    )
    schema = (
        sa.select(
            EVENT.timestamp.label("at"),
            EVENT.run_id,
            EVENT.column_name,
            EVENT.metric_name,
            EVENT.drift_severity.label("severity"),
            EVENT.metadata.label("sentence"),
            sa.literal(None, RUN.run_id.type).label("finding_id"),
        )
        .where(EVENT.warehouse == table.warehouse, EVENT.schema_name == table.schema)
        .where(EVENT.table_name == table.name, EVENT.event_type == "SchemaChangeDetected")
        .order_by(EVENT.timestamp.desc(), EVENT.event_id)
        .limit(MOST_FOUND)
    )
    if column is not None:
        drift, schema = drift.where(FINDING.column_name == column), schema.where(EVENT.column_name == column)
    both = sa.union_all(
        sa.select(sa.literal("drift").label("of"), drift.subquery()),
        sa.select(sa.literal("schema").label("of"), schema.subquery()),
    )
    rows = list(session.execute(both))
    rows.sort(key=lambda row: row.at, reverse=True)
    return Past(
        tuple(Found(*row[1:]) for row in rows if row.of == "drift"),
        tuple(_schema_change(row) for row in rows if row.of == "schema"),
    )


def _schema_change(row: Any) -> Found:
    try:
        told = json.loads(row.sentence or "{}")
    except ValueError:
        told = {}
    told = told if isinstance(told, dict) else {}
    sentence, finding_id, metric = (told.get(name) for name in ("sentence", "finding_id", "metric"))
    plain = f"{row.metric_name or 'columns'} changed" + (f": {row.column_name}" if row.column_name else "")
    return Found(
        row.at,
        row.run_id,
        row.column_name or "",
        metric if isinstance(metric, str) else row.metric_name or "",
        row.severity or "low",
        sentence if isinstance(sentence, str) else plain,
        finding_id if isinstance(finding_id, str) else None,
    )
