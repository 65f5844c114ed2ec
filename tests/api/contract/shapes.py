"""The objects of the contract, field by field: `?` may be null, `~` may be left out, never null."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

Shape = Mapping[str, str]

RUN: Shape = {
    "run_id": "string",
    "dataset_name": "string",
    "schema_name": "string?",
    "warehouse_type": "string",
    "profiled_at": "time",
    "status": "string",
    "row_count": "int?",
    "column_count": "int?",
    "duration_seconds": "number?",
    "has_drift": "boolean",
}
ALERT: Shape = {
    "event_id": "string",
    "run_id": "string",
    "table_name": "string",
    "column_name": "string?",
    "metric_name": "string",
    "baseline_value": "number?",
    "current_value": "number?",
    "change_percent": "number~",
    "severity": "severity",
    "timestamp": "time",
    "warehouse_type": "string",
}
COLUMN: Shape = {
    "column_name": "string",
    "column_type": "string",
    "null_count": "int?",
    "null_percent": "percent?",
    "distinct_count": "int?",
    "distinct_percent": "number?",
    "min_value": "scalar?",
    "max_value": "scalar?",
    "mean": "number?",
    "stddev": "number?",
    "histogram": "array?",
}
BIN: Shape = {"bin_start": "number", "bin_end": "number", "count": "number"}
POINT: Shape = {"timestamp": "time", "value": "number"}
KPI: Shape = {"name": "string", "value": "scalar", "change_percent": "number?", "trend": "trend"}
DETAIL: Shape = {
    "run_id": "string",
    "dataset_name": "string",
    "schema_name": "string?",
    "warehouse_type": "string",
    "profiled_at": "time",
    "environment": "string",
    "row_count": "int?",
    "column_count": "int?",
    "columns": "array",
    "metadata": "object",
}
TABLE: Shape = {
    "table_name": "string",
    "schema_name": "string?",
    "warehouse": "string",
    "warehouse_type": "string",
    "row_count": "int?",
    "column_count": "int?",
    "last_profiled": "time?",
    "last_verified": "time?",
    "last_status": "string?",
    "staleness_score": "int?",
    "is_stale": "boolean",
    "is_failing": "boolean",
    "drift_count": "int",
    "decision": "string?",
    "reason": "string?",
}
METRICS: Shape = {
    "table_name": "string",
    "schema_name": "string?",
    "warehouse_type": "string",
    "last_profiled": "time",
    "row_count": "int",
    "column_count": "int",
    "total_runs": "int",
    "drift_count": "int",
    "row_count_trend": "array",
    "null_percent_trend": "array",
    "columns": "array",
    "also_in": "array",
}
COLUMN_METRICS: Shape = {
    "table_name": "string",
    "schema_name": "string?",
    "warehouse": "string",
    "warehouse_type": "string",
    "column_name": "string",
    "column_type": "string",
    "metrics": "object",
    "also_in": "array",
}
DASHBOARD: Shape = {
    "total_runs": "int",
    "total_tables": "int",
    "total_drift_events": "int",
    "avg_row_count": "number",
    "kpis": "array",
    "run_trend": "array",
    "drift_trend": "array",
    "warehouse_breakdown": "object",
    "recent_runs": "array",
    "recent_drift": "array",
}


def is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def is_time(value: Any) -> bool:
    if not (isinstance(value, str) and value.endswith(("+00:00", "Z"))):
        return False
    return datetime.fromisoformat(value).utcoffset() == timedelta(0)


KINDS: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "int": lambda value: type(value) is int,
    "number": is_number,
    "percent": lambda value: is_number(value) and 0 <= value <= 100,
    "boolean": lambda value: isinstance(value, bool),
    "scalar": lambda value: isinstance(value, str | bool) or is_number(value),
    "time": is_time,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "severity": lambda value: value in ("low", "medium", "high"),
    "trend": lambda value: value in ("up", "down", "stable"),
}


def misfits(found: Any, shape: Shape) -> list[str]:
    """What of an object is not as the contract has it."""
    if not isinstance(found, dict):
        return [f"{found!r} is no object"]
    return [f"{name}: {found.get(name, 'left out')!r}" for name, kind in shape.items() if not _fits(found, name, kind)]


def _fits(found: dict[str, Any], name: str, kind: str) -> bool:
    if name not in found:
        return kind.endswith("~")
    if found[name] is None:
        return kind.endswith("?")
    return KINDS[kind.rstrip("?~")](found[name])


def all_misfits(found: Any, shape: Shape) -> list[str]:
    """The same for every object of an array."""
    if not isinstance(found, list):
        return [f"{found!r} is no array"]
    return [misfit for each in found for misfit in misfits(each, shape)]


def strict(text: str) -> Any:
    """JSON without NaN and the infinities, which are in no standard."""

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def times(found: Any) -> list[str]:
    """Every text in an answer that looks like a time."""
    if isinstance(found, dict):
        return [time for value in found.values() for time in times(value)]
    if isinstance(found, list):
        return [time for value in found for time in times(value)]
    return [found] if isinstance(found, str) and len(found) > 18 and found[4:5] == found[7:8] == "-" else []
