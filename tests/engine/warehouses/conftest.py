"""What the tests of all warehouses share: how to find a table's snapshot, and to read a table as the engine does."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.sql import quoted_name

from profilemesh.planning.snapshots import Snapshot
from profilemesh.tables import TableRef
from profilemesh.warehouses.base import Warehouse


@pytest.fixture
def snapshot_of() -> Callable[[Warehouse, str], Snapshot]:
    def find(warehouse: Warehouse, name: str) -> Snapshot:
        return next(snapshot for snapshot in warehouse.catalogue() if snapshot.table.name == name)

    return find


@pytest.fixture
def cells() -> Callable[[Warehouse, Snapshot], dict[str, list[Any]]]:
    """Every column's readings of a streamed table: {"name": sent, "name/odd": ..., "name/overflow": ...}."""

    def read(warehouse: Warehouse, snapshot: Snapshot) -> dict[str, list[Any]]:
        statement = sa.select(*_readings(warehouse, snapshot)).select_from(from_clause(snapshot.table))
        found: dict[str, list[Any]] = {column.name: [] for column in statement.selected_columns}
        with warehouse.open_scan(snapshot.table) as scan:
            for batch in scan.batches(statement):
                for name, column in zip(batch.schema.names, batch.columns, strict=True):
                    found[name] += column.to_pylist()
            assert len(scan.statements) == 1
        return found

    return read


def _readings(warehouse: Warehouse, snapshot: Snapshot) -> list[sa.Label[Any]]:
    columns = []
    for column in snapshot.columns:
        reading = warehouse.reading(column)
        columns.append(reading.sent.label(column.name))
        for part in ("overflow", "length", "odd"):
            expression = getattr(reading, part)
            if expression is not None:
                columns.append(expression.label(f"{column.name}/{part}"))
    return columns


def from_clause(table: TableRef) -> sa.TableClause:
    return sa.table(quoted_name(table.name, quote=True), schema=quoted_name(table.schema, quote=True))


@pytest.fixture
def source() -> Callable[[TableRef], sa.TableClause]:
    return from_clause
