"""Takes over the tables of a ProfileMesh Phase 1 where they stand, as part of the first migration.

In time order: lock the tables; add the columns they lack; mend the rows that our layout has no place for; give each
table our layout, which fills the rest (`values`); then tell what the rows say of each other. PostgreSQL alters its
tables in place, SQLite makes them anew. All of it happens inside the transaction of the migration.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from profilemesh.errors import StorageError
from profilemesh.storage.adoption.layout import Layout
from profilemesh.storage.adoption.links import link
from profilemesh.storage.adoption.mending import mend
from profilemesh.storage.adoption.postgres import PostgresLayout
from profilemesh.storage.adoption.sqlite import SqliteLayout
from profilemesh.storage.engine import place

__all__ = ["PHASE1", "UNKNOWN_WAREHOUSE", "adopt"]

UNKNOWN_WAREHOUSE = ("unknown", "unknown")

PHASE1 = {
    "profilemesh_runs": "run_id dataset_name schema_name profiled_at environment status row_count column_count",
    "profilemesh_results": "id run_id dataset_name schema_name column_name column_type metric_name metric_value "
    "profiled_at",
    "profilemesh_events": "event_id event_type run_id table_name column_name metric_name baseline_value current_value "
    "change_percent drift_severity timestamp metadata created_at",
    "profilemesh_table_state": "schema_name table_name last_run_id snapshot_id change_token decision decision_reason "
    "last_profiled_at staleness_score row_count bytes_scanned metadata",
}


def adopt(
    connection: Connection, tables: Sequence[sa.Table], standing: Iterable[str], warehouse: tuple[str, str]
) -> None:
    """Give the Phase-1 tables named `standing` the layout of `tables`; the others of them stand in it already.

    `warehouse` is the name and type of the one whose tables they describe. Raises StorageError, which rolls everything
    back, if somebody else's view, key or column is in the way.
    """
    kind = PostgresLayout if connection.dialect.name == "postgresql" else SqliteLayout
    layouts: list[Layout] = [kind(connection, table) for table in tables if table.name in set(standing)]
    for layout in layouts:
        layout.lock()
    for layout in layouts:
        _refuse_names_in_use(layout)
        layout.add_columns(_constants(layout.table, warehouse))
    mend({layout.table.name: layout for layout in layouts})
    for layout in layouts:
        layout.take_shape()
    link(connection, {table.name: table for table in tables})


def _constants(table: sa.Table, warehouse: tuple[str, str]) -> dict[str, object]:
    """What all rows have in the columns that Phase 1 did not know and ours must have."""
    found = {"warehouse": warehouse[0], "warehouse_type": warehouse[1], "has_drift": False, "schema_name": ""}
    return {name: value for name, value in found.items() if name in table.columns}


def _refuse_names_in_use(layout: Layout) -> None:
    known = set(PHASE1[layout.table.name].split())
    taken = sorted(layout.columns.keys() & set(layout.table.columns.keys()) - known)
    if taken:
        raise StorageError(
            f"{place(layout.connection.engine.url)}: {layout.name} has a column {taken[0]} that Phase 1 did not make, "
            "a name that ProfileMesh uses itself; rename that column and upgrade again; nothing was changed"
        )
