"""Profile a table: `profile(warehouse, scan, scope)` reads its rows once and returns the mergeable summary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from profilemesh.profiling.lens import Lens
from profilemesh.profiling.scope import Scope
from profilemesh.profiling.statements import Found, summarise
from profilemesh.profiling.stream import Progress, Stream
from profilemesh.profiling.summary import TableSummary
from profilemesh.warehouses.base import Scan, Warehouse

__all__ = ["Profile", "Progress", "Scope", "profile"]


@dataclass(frozen=True)
class Profile:
    """What a scan found. `errors` names the columns of which something is unknown, and why; `bytes_read` is None
    where only aggregates left the warehouse."""

    summary: TableSummary
    errors: Mapping[str, str]
    bytes_read: int | None


def profile(warehouse: Warehouse, scan: Scan, scope: Scope, progress: Progress = lambda rows: None) -> Profile:
    """Profile the rows of the scope through an open scan. `progress` hears how many rows have been read.

    Raises WarehouseError when nothing can be read; a column that alone is at fault is named in `errors` instead.
    """
    if warehouse.strategy == "stream":
        found = Stream(warehouse, scan, scope, progress).run()
    else:
        found = pushdown(warehouse, scan, scope)
        progress(found.rows)
    return Profile(TableSummary(found.rows, found.columns, warehouse.hash_family), found.errors, found.bytes_read)


def pushdown(warehouse: Warehouse, scan: Scan, scope: Scope) -> Found:
    """The warehouse aggregates: at most three statements, and only aggregates leave it."""
    source = warehouse.source(scope.table, scope.columns, scope.rows)
    if scope.rows.fraction is not None:
        source = scan.held(source)
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
    rows, summaries = summarise(source, lenses, scan.rows, errors)
    columns = {column.name: summary for column, summary in zip(scope.columns, summaries, strict=True)}
    return Found(rows, columns, errors)
