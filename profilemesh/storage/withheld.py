"""What findings tell of values, taken back: of columns that have become sensitive, in everything that is older."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from profilemesh.storage.findings import of_table
from profilemesh.storage.models import DRIFT_EVENTS, Event, FindingOccurrence, StoredFinding
from profilemesh.tables import TableRef

WITHHELD = "withheld"
_CULPRITS = re.compile(r", \d+ % of it in .*", re.DOTALL)
_DISTRIBUTION = "distribution"


def forget_values(session: Session, table: TableRef, columns: Collection[str], metrics: Collection[str]) -> None:
    """Withhold what findings say of these columns' values: extremes, values whose share changed."""

    def reveals(column: str | None, metric: str | None) -> bool:
        return column in columns and (metric in metrics or metric == _DISTRIBUTION)

    for finding in session.scalars(sa.select(StoredFinding).where(of_table(table))):
        if reveals(finding.column_name, finding.metric_name):
            finding.sentence = _plain(table, finding.column_name, finding.metric_name)
    for occurrence, finding in _occurrences(session, table):
        details = dict(occurrence.details or {})
        if reveals(finding.column_name, finding.metric_name):
            occurrence.sentence = finding.sentence
            details.pop("details", None)
            occurrence.baseline_value = occurrence.current_value = None
        if "explains" in details:
            details["explains"] = [_forgotten(each, table, reveals) for each in details["explains"]]
        occurrence.details = details
    for event in _events(session, table):
        if reveals(event.column_name, event.metric_name):
            event.baseline_value = event.current_value = None
            _retell(event, _plain(table, event.column_name or "", event.metric_name or ""))
    session.flush()


def forget_partitions(session: Session, table: TableRef) -> None:
    """Withhold the names of the partitions that changes lie in: by key, a partition's name is its values."""
    for finding in session.scalars(sa.select(StoredFinding).where(of_table(table))):
        finding.sentence = _cut(finding.sentence)
    for occurrence, _ in _occurrences(session, table):
        details = dict(occurrence.details or {})
        occurrence.sentence = _cut(occurrence.sentence)
        if "culprits" in details:
            details["culprits"] = [{**each, "partition": WITHHELD} for each in details["culprits"]]
        if "explains" in details:
            details["explains"] = [{**each, "sentence": _cut(each["sentence"])} for each in details["explains"]]
        occurrence.details = details
    for event in _events(session, table):
        _retell(event)
    session.flush()


def _occurrences(session: Session, table: TableRef) -> list[tuple[FindingOccurrence, StoredFinding]]:
    same = FindingOccurrence.finding_id == StoredFinding.finding_id
    found = session.execute(
        sa.select(FindingOccurrence, StoredFinding).join(StoredFinding, same).where(of_table(table))
    )
    return [(occurrence, finding) for occurrence, finding in found]


def _events(session: Session, table: TableRef) -> list[Event]:
    named = (Event.warehouse == table.warehouse, Event.schema_name == table.schema, Event.table_name == table.name)
    return list(session.scalars(sa.select(Event).where(*named, Event.event_type.in_(DRIFT_EVENTS))))


def _forgotten(told: dict[str, Any], table: TableRef, reveals: Callable[[str, str], bool]) -> dict[str, Any]:
    column, metric = told["column"], told["metric"]
    return told | {"sentence": _plain(table, column, metric)} if reveals(column, metric) else told


def _retell(event: Event, sentence: str | None = None) -> None:
    """Put another sentence in the event's metadata, or its own without the partitions."""
    try:
        told = json.loads(event.details or "{}")
    except json.JSONDecodeError:
        return
    if isinstance(told, dict) and isinstance(told.get("sentence"), str):
        said = _cut(told["sentence"]) if sentence is None else sentence
        event.details = json.dumps(told | {"sentence": said}, ensure_ascii=False)


def _plain(table: TableRef, column: str, metric: str) -> str:
    return f"{metric} of {table.name}.{column} changed"


def _cut(sentence: str) -> str:
    return _CULPRITS.sub("", sentence)
