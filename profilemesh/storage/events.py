"""Events: what happened, each stored once."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from profilemesh.drift.findings import Finding, Kind
from profilemesh.events import EventType, Occurrence
from profilemesh.storage.models import DRIFT_EVENTS, Event, clean_json, clean_text
from profilemesh.storage.triggers import SEVERITY
from profilemesh.storage.writes import insert, insert_all
from profilemesh.tables import TableRef

_NAMESPACE = uuid.UUID("5c5b6d0e-6f0b-4f0e-9a43-2c1f4a9a7d11")


def save_event(session: Session, occurrence: Occurrence) -> None:
    """Store one event; saying it again of the same run changes nothing."""
    save_events(session, [occurrence])


def save_events(session: Session, occurrences: Sequence[Occurrence]) -> None:
    """Store many events in one executemany."""
    if occurrences:
        statement = insert(session, Event).on_conflict_do_nothing(index_elements=["event_id"])
        insert_all(session, statement, [_row(occurrence) for occurrence in occurrences])


def save_drift(session: Session, finding: Finding, run_id: str, at: datetime, finding_id: str) -> None:
    """Store the event of one finding in one run; saying it again changes nothing."""
    is_schema = finding.kind is Kind.SCHEMA
    kind = EventType.SCHEMA_CHANGE_DETECTED if is_schema else EventType.DATA_DRIFT_DETECTED
    told = {"finding_id": finding_id, "kind": finding.kind.value, "metric": finding.metric}
    told |= {"sentence": clean_text(finding.sentence)}
    row = _row(Occurrence(kind, finding.table, at, run_id, told)) | {
        "event_id": drift_event_id(run_id, finding),
        "column_name": finding.column or None,
        "metric_name": "schema" if is_schema else finding.metric,
        "baseline_value": finding.baseline_value,
        "current_value": finding.current_value,
        "change_percent": finding.change_percent,
        "drift_severity": finding.severity.value,
    }
    statement = insert(session, Event).on_conflict_do_nothing(index_elements=["event_id"])
    insert_all(session, statement, [row])


def drift_event_id(run_id: str, finding: Finding) -> str:
    return str(uuid.uuid5(_NAMESPACE, json.dumps([run_id, finding.fingerprint])))


def drift(tables: Collection[TableRef] | None, since: datetime | None) -> sa.Select[Any]:
    """Drift and schema changes of these tables, or of all, newest first, as `exporting.alert_values` takes them."""
    columns: tuple[Any, ...] = (
        Event.event_id,
        Event.event_type,
        Event.run_id,
        Event.warehouse,
        Event.schema_name,
        Event.table_name,
        Event.column_name,
        Event.metric_name,
        Event.baseline_value,
        Event.current_value,
        Event.change_percent,
        sa.literal_column(SEVERITY, sa.String).label("severity"),
        Event.timestamp,
    )
    wanted = sa.select(*columns).where(Event.event_type.in_(DRIFT_EVENTS))
    if tables is not None:
        place = sa.tuple_(Event.warehouse, Event.schema_name, Event.table_name)
        wanted = wanted.where(place.in_([(table.warehouse, table.schema, table.name) for table in tables]))
    if since is not None:
        wanted = wanted.where(Event.timestamp >= since)
    return wanted.order_by(Event.timestamp.desc(), Event.event_id.desc())


def _row(occurrence: Occurrence) -> dict[str, Any]:
    details = clean_json(occurrence.details)
    return {
        "event_id": _event_id(occurrence),
        "event_type": occurrence.type.value,
        "run_id": occurrence.run_id,
        "warehouse": occurrence.table.warehouse,
        "schema_name": occurrence.table.schema,
        "table_name": occurrence.table.name,
        "timestamp": occurrence.at,
        "created_at": occurrence.at,
        "metadata": json.dumps(details, ensure_ascii=False) if details else None,
    }


def _event_id(occurrence: Occurrence) -> str:
    """The same for the same happening of a run; without a run nothing tells two happenings apart but the time."""
    if occurrence.run_id is None:
        return str(uuid.uuid4())
    told = json.dumps([occurrence.type.value, occurrence.run_id, *_names(occurrence)])
    return str(uuid.uuid5(_NAMESPACE, told))


def _names(occurrence: Occurrence) -> tuple[str, str, str]:
    return occurrence.table.warehouse, occurrence.table.schema, occurrence.table.name
