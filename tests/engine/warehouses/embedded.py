"""One table file of either embedded engine, written and read by the engine itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import adbc_driver_sqlite.dbapi as adbc
import duckdb
import sqlalchemy as sa

from profilemesh.config.model import WarehouseConfig
from profilemesh.planning.snapshots import Probe, Probed, Snapshot
from profilemesh.tables import EVERY_ROW, Rows, TableRef
from profilemesh.warehouses.duckdb import DuckDBWarehouse
from profilemesh.warehouses.files import FileWarehouse
from profilemesh.warehouses.sqlite import SQLiteWarehouse


@dataclass
class Desk:
    """`file` is its engine's name too, as the ending."""

    file: Path

    def __post_init__(self) -> None:
        self.engine = self.file.suffix[1:]
        kind = DuckDBWarehouse if self.engine == "duckdb" else SQLiteWarehouse
        self.warehouse: FileWarehouse = kind(WarehouseConfig("desk", self.engine, filepath=self.file))

    def run(self, *statements: str) -> None:
        if self.engine == "duckdb":
            with duckdb.connect(str(self.file)) as connection:
                for statement in statements:
                    connection.execute(statement)
            return
        # The library that reads: a second one in this process would drop its locks.
        with adbc.connect(str(self.file), autocommit=True) as connection, connection.cursor() as cursor:
            for statement in ("PRAGMA synchronous = OFF", *statements):
                cursor.execute(statement)
                cursor.fetchall()

    def table(self, name: str = "t") -> TableRef:
        return TableRef("desk", "main", name)

    def snapshot(self, name: str = "t") -> Snapshot:
        return next(found for found in self.warehouse.catalogue() if found.table.name == name)

    def probe(self, probe: Probe = Probe(), name: str = "t") -> Probed:  # noqa: B008 - a value
        return self.warehouse.probe({self.table(name): probe})[self.table(name)]

    def rows(self, *columns: str, rows: Rows = EVERY_ROW, name: str = "t") -> Sequence[tuple[Any, ...]]:
        """The columns' values in these rows of a table, in no order."""
        of_table = {column.name: column for column in self.snapshot(name).columns}
        source = self.warehouse.source(self.table(name), [of_table[column] for column in columns], rows)
        with self.warehouse.open_scan(self.table(name)) as scan:
            return scan.rows(sa.select(*source.c).select_from(source))

    def count(self, rows: Rows, name: str = "t") -> int:
        """How many rows these are, by a source that has the columns of the key only."""
        source = self.warehouse.source(self.table(name), rows.key, rows)
        with self.warehouse.open_scan(self.table(name)) as scan:
            return int(scan.rows(sa.select(sa.func.count()).select_from(source))[0][0])

    def key(self, *names: str, name: str = "t"):
        of_table = {column.name: column for column in self.snapshot(name).columns}
        return tuple(of_table[column] for column in names)
