"""Profile a table: `profile(warehouse, scan, scope)` reads its rows once and returns the mergeable summary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from profilemesh.profiling.lens import Lens
from profilemesh.profiling.scope import Scope
from profilemesh.profiling.statements import TOGETHER, Found, Split, summarise
from profilemesh.profiling.stream import Progress, Stream
from profilemesh.profiling.summary import TableSummary
from profilemesh.tables import PART
from profilemesh.warehouses.base import Scan, Warehouse

__all__ = ["Profile", "Progress", "Scope", "profile", "profile_parts"]


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
    [found] = profile_parts(warehouse, scan, scope, progress)
    return found


def profile_parts(
    warehouse: Warehouse, scan: Scan, scope: Scope, progress: Progress = lambda rows: None
) -> list[Profile]:
    """The same for scopes whose rows are told apart: a profile for each partition of `scope.rows.of`, in its order.

    What fails in one partition is unknown in all; the bytes are those of all, told with the first.
    """
    split = Split(len(scope.rows.of or ()), sa.column(PART)) if scope.rows.are_told_apart else TOGETHER
    if warehouse.strategy == "stream":
        found = Stream(warehouse, scan, scope, progress, split).run()
    else:
        found = pushdown(warehouse, scan, scope, split)
        progress(sum(part.rows for part in found))
    family = warehouse.hash_family
    return [Profile(TableSummary(part.rows, part.columns, family), part.errors, part.bytes_read) for part in found]


def pushdown(warehouse: Warehouse, scan: Scan, scope: Scope, split: Split = TOGETHER) -> list[Found]:
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
    if split.part is not None:
        split = Split(split.count, source.c[PART])
    parts = summarise(source, lenses, scan.rows, errors, split=split)
    names = [column.name for column in scope.columns]
    return [Found(rows, dict(zip(names, summaries, strict=True)), errors) for rows, summaries in parts]
