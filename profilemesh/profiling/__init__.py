"""Profile a table: `profile(warehouse, scan, scope)` reads its rows once and returns the mergeable summary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb

from profilemesh.profiling.scope import Scope
from profilemesh.profiling.statements import Lens, summarise
from profilemesh.profiling.stream import Progress, stream
from profilemesh.profiling.summary import ColumnSummary, TableSummary
from profilemesh.warehouses.base import Scan, Warehouse

__all__ = ["Profile", "Scope", "hash_family", "profile"]


@dataclass(frozen=True)
class Profile:
    """What a scan found. `errors` names the columns of which something is unknown, and why."""

    summary: TableSummary
    errors: Mapping[str, str]


def hash_family(warehouse: Warehouse) -> str:
    """The hash function behind the distinct counts: summaries of different families never merge."""
    major, minor, *_ = duckdb.__version__.split(".")
    return f"duckdb-{major}.{minor}/{warehouse.type}/{warehouse.strategy}"


def profile(warehouse: Warehouse, scan: Scan, scope: Scope, progress: Progress = lambda rows: None) -> Profile:
    """Profile the rows of the scope through an open scan. `progress` hears how many rows have been read.

    Raises WarehouseError when nothing can be read; a column that alone is at fault is named in `errors` instead.
    """
    read = stream if warehouse.strategy == "stream" else pushdown
    rows, columns, errors = read(warehouse, scan, scope, progress)
    return Profile(TableSummary(rows, columns, hash_family(warehouse)), errors)


def pushdown(
    warehouse: Warehouse, scan: Scan, scope: Scope, progress: Progress
) -> tuple[int, dict[str, ColumnSummary], dict[str, str]]:
    """The warehouse aggregates: at most three statements, and only aggregates leave it."""
    source = scope.source
    lenses = [
        Lens(
            column,
            source.c[column.name],
            sensitive=column.name in scope.sensitive,
            shift=scope.shifts.get(column.name),
        )
        for column in scope.columns
    ]
    errors: dict[str, str] = {}
    rows, summaries = summarise(source, lenses, scan.rows, scan.table, errors)
    progress(rows)
    return rows, {column.name: summary for column, summary in zip(scope.columns, summaries, strict=True)}, errors
