"""DuckDB in memory, asked as a warehouse is: quick enough to profile hundreds of small tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from profilemesh.config.model import WarehouseConfig
from profilemesh.profiling import Scope, profile
from profilemesh.profiling.sql import DUCKDB, rendered
from profilemesh.profiling.summary import ColumnSummary, TableSummary
from profilemesh.tables import Column, TableRef
from profilemesh.warehouses.base import Scan
from profilemesh.warehouses.duckdb import DuckDBWarehouse, kind_of


class MemoryScan(Scan):
    dialect = DUCKDB

    def __init__(self) -> None:
        super().__init__()
        self.connection = duckdb.connect(config={"threads": 2})
        self.connection.execute("SET TimeZone = 'UTC'")

    def rows(self, statement: Any) -> Sequence[tuple[Any, ...]]:
        return self.connection.execute(rendered(statement, DUCKDB)).fetchall()

    def cancel(self) -> None:
        self.connection.interrupt()

    def close(self) -> None:
        self.connection.close()


class Memory:
    """Tables in memory and their summaries."""

    warehouse = DuckDBWarehouse(WarehouseConfig("memory", "duckdb"))

    def __init__(self) -> None:
        self.scan = MemoryScan()

    def load(self, table: str, rows: pa.Table, types: Mapping[str, str] | None = None) -> None:
        """Make a table of these rows, cast to these types."""
        casts = {name: f'CAST("{name}" AS {type_})' for name, type_ in (types or {}).items()}
        selected = ", ".join(f'{casts.get(name, name)} AS "{name}"' for name in rows.schema.names)
        self.scan.connection.register("loaded", rows)
        self.scan.connection.execute(f'CREATE OR REPLACE TABLE "{table}" AS SELECT {selected} FROM loaded')
        self.scan.connection.unregister("loaded")

    def execute(self, statement: str) -> None:
        self.scan.connection.execute(statement)

    def summary(self, table: str, shifts: Mapping[str, float] | None = None) -> TableSummary:
        described = self.scan.connection.execute(f'DESCRIBE "{table}"').fetchall()
        columns = tuple(Column(name, type_, kind_of(type_)) for name, type_, *_ in described if name != "part")
        scope = Scope(TableRef("memory", "main", table), columns, shifts=shifts or {})
        found = profile(self.warehouse, self.scan, scope)
        assert found.errors == {}
        return found.summary

    def column(self, values: Any, type_: str | None = None) -> ColumnSummary:
        """The summary of a column of these values (or of an Arrow array)."""
        self.load("one", pa.table({"c": values}), {"c": type_} if type_ else {})
        return self.summary("one").columns["c"]
