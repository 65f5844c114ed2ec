"""A stored profile as Dagster shows it: what was counted as metadata, what drift found as asset checks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetKey,
    DataVersion,
    MaterializeResult,
    MetadataValue,
    TableColumn,
    TableRecord,
    TableSchema,
)
from sqlalchemy.orm import Session

from profilemesh.drift.findings import Kind, Severity
from profilemesh.drift.profiles import GOOD
from profilemesh.integrations.dagster.names import shown
from profilemesh.planning import Decision
from profilemesh.reasons import why
from profilemesh.storage import Storage, findings, runs
from profilemesh.storage.models import Result, Run, StoredFinding
from profilemesh.tables import TableRef

CHECKS: Mapping[str, tuple[Kind, ...]] = {
    "schema": (Kind.SCHEMA,),
    "volume": (Kind.VOLUME,),
    "freshness": (Kind.FRESHNESS,),
    "drift": (Kind.METRIC, Kind.DISTRIBUTION),
}
"""The checks of every table, and which findings fail each."""
MEANINGS = {
    "schema": "No column was added, removed or retyped that nobody expected.",
    "volume": "As many rows as this table usually has.",
    "freshness": "The data changes as often as it usually does.",
    "drift": "No metric and no distribution moved away from its baseline.",
}
MOST_COLUMNS = 200
MOST_FINDINGS = 50
_NUMBERS = ("null_percent", "distinct_count", "mean", "stddev")
_TEXTS = ("min", "max")
_COUNTS = ("count", "null_count")
_SCHEMA = TableSchema(
    [
        TableColumn("column", "string"),
        TableColumn("type", "string"),
        *(TableColumn(name, "float") for name in _NUMBERS),
        *(TableColumn(name, "string") for name in _TEXTS),
    ]
)


@dataclass(frozen=True)
class Portrait:
    """What storage knows of a table. `run` is the last that stored a profile; `is_compared` says that there was an
    earlier one, without which nothing can be said of drift."""

    table: TableRef
    run: Run | None
    metrics: Sequence[Result] = ()
    standing: Sequence[StoredFinding] = ()
    is_compared: bool = False


def portrait(storage: Storage, table: TableRef, now: datetime) -> Portrait:
    """Three statements, whatever the table."""
    with storage.read() as session:
        return _portrait(session, table, now)


def _portrait(session: Session, table: TableRef, now: datetime) -> Portrait:
    good = session.scalars(runs.listing(table, GOOD).limit(2)).all()
    if not good:
        return Portrait(table, None)
    metrics = runs.metrics_of(session, good[0], (*_COUNTS, *_NUMBERS, *_TEXTS))
    return Portrait(table, good[0], metrics, findings.standing(session, table, now), len(good) > 1)


def check_specs(key: AssetKey) -> list[AssetCheckSpec]:
    return [AssetCheckSpec(name, asset=key, description=MEANINGS[name]) for name in CHECKS]


def materialised(
    key: AssetKey, found: Portrait, decision: Decision | None, dashboard: str | None
) -> MaterializeResult[Any]:
    """The event of a table whose profile is `found`. Its data version is the profile's run: while an answer comes from
    the same profile, nothing downstream is out of date."""
    assert found.run is not None
    metadata = dict(told_of(found, decision, dashboard))
    return MaterializeResult(asset_key=key, metadata=metadata, data_version=DataVersion(found.run.run_id))


def told_of(found: Portrait, decision: Decision | None, dashboard: str | None) -> Iterator[tuple[str, Any]]:
    """What is unknown is absent."""
    run = found.run
    assert run is not None
    numbers: dict[str, Any] = {
        "dagster/row_count": run.row_count,
        "profilemesh/columns": run.column_count,
        "profilemesh/rows_read": run.rows_scanned,
        "profilemesh/bytes_read": run.bytes_scanned,
        "profilemesh/seconds": _rounded(run.duration_seconds),
        "profilemesh/null_percent": _rounded(_null_percent(found.metrics)),
        "profilemesh/findings": len(found.standing) if found.is_compared else None,
        "profilemesh/scope": run.scope,
        "profilemesh/run_id": run.run_id,
    }
    yield from ((name, value) for name, value in numbers.items() if value is not None)
    yield "profilemesh/as_of", MetadataValue.timestamp(run.as_of or run.profiled_at)
    if decision is not None:
        yield "profilemesh/decision", f"{decision.action}: {shown(why(decision.reason, decision.evidence), 500)}"
    if run.column_errors:
        yield "profilemesh/columns_unread", len(run.column_errors)
    if dashboard:
        yield "profilemesh/dashboard", MetadataValue.url(f"{dashboard.rstrip('/')}/runs/{run.run_id}")
    columns = _by_column(found.metrics)
    if columns:
        yield "dagster/column_schema", MetadataValue.table_schema(_schema(columns))
        records = [_record(name, values) for name, values in list(columns.items())[:MOST_COLUMNS]]
        yield "profilemesh/profile", MetadataValue.table(records, _SCHEMA)


Columns = Mapping[str, Mapping[str, Result]]


def _by_column(metrics: Sequence[Result]) -> Columns:
    columns: dict[str, dict[str, Result]] = defaultdict(dict)
    for each in metrics:
        columns[each.column_name][each.metric_name] = each
    return columns


def _type(values: Mapping[str, Result]) -> str:
    return shown(next(iter(values.values())).column_type or "")


def _schema(columns: Columns) -> TableSchema:
    return TableSchema([TableColumn(shown(name), _type(values)) for name, values in columns.items()])


def _record(name: str, values: Mapping[str, Result]) -> TableRecord:
    numbers = {metric: _rounded(values[metric].metric_number) if metric in values else None for metric in _NUMBERS}
    texts = {metric: _text(values.get(metric)) for metric in _TEXTS}
    return TableRecord({"column": shown(name), "type": _type(values), **numbers, **texts})


def _text(found: Result | None) -> str | None:
    return None if found is None or found.metric_value is None else shown(found.metric_value, 100)


def _rounded(number: float | None) -> float | None:
    """For people: the storage has all digits. Nine of them tell a count of a billion."""
    return None if number is None else float(f"{number:.9g}")


def _null_percent(metrics: Sequence[Result]) -> float | None:
    """Of all cells; None where there is none."""
    totals = {name: sum(each.metric_number or 0 for each in metrics if each.metric_name == name) for name in _COUNTS}
    return 100 * totals["null_count"] / totals["count"] if totals["count"] else None


def checked(key: AssetKey, found: Portrait) -> Iterator[AssetCheckResult]:
    """One result per check. Of a table that was read once nothing is said: there is nothing to compare it with."""
    if not found.is_compared:
        return
    for name, kinds in CHECKS.items():
        at_fault = [each for each in found.standing if each.kind in kinds]
        yield AssetCheckResult(
            passed=not at_fault,
            asset_key=key,
            check_name=name,
            severity=_severity(at_fault),
            description=_sentence(at_fault),
            metadata={"findings": len(at_fault)} | ({"found": _table_of(at_fault)} if at_fault else {}),
        )


def _severity(at_fault: Sequence[StoredFinding]) -> AssetCheckSeverity:
    is_high = any(each.severity == Severity.HIGH for each in at_fault)
    return AssetCheckSeverity.ERROR if is_high else AssetCheckSeverity.WARN


def _sentence(at_fault: Sequence[StoredFinding]) -> str | None:
    if not at_fault:
        return None
    more = len(at_fault) - 1
    return f"{shown(at_fault[0].sentence, 500)}{f' (and {more} more)' if more else ''}"


def _table_of(at_fault: Sequence[StoredFinding]) -> MetadataValue[Any]:
    schema = TableSchema([TableColumn(name, "string") for name in ("severity", "column", "finding", "since", "state")])
    return MetadataValue.table([_finding(each) for each in at_fault[:MOST_FINDINGS]], schema)


def _finding(stored: StoredFinding) -> TableRecord:
    return TableRecord(
        {
            "severity": stored.severity,
            "column": shown(stored.column_name),
            "finding": shown(stored.sentence, 500),
            "since": stored.opened_at.isoformat(timespec="seconds"),
            "state": stored.state,
        }
    )
