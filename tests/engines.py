"""A warehouse of each type to write to and to profile, as the engine does it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from profilemesh.config.model import ExecutionConfig, WarehouseConfig
from profilemesh.profiling import Profile, Scope, profile
from profilemesh.profiling.results import column_metrics
from profilemesh.warehouses import open_warehouse
from profilemesh.warehouses.base import SentStatement, Warehouse

EXECUTION = ExecutionConfig(memory_limit_mb=512)
HOSTILE = 'x"; DROP TABLE t; --'


@dataclass(frozen=True)
class Profiled:
    """What a scan of one table found, and the statements that it sent."""

    profile: Profile
    statements: list[SentStatement]

    @property
    def errors(self) -> dict[str, str]:
        return dict(self.profile.errors)

    def metrics(self, column: str = "c", **options: Any) -> dict[str, Any]:
        return column_metrics(self.profile.summary.columns[column], **options)


@dataclass(frozen=True)
class Engine:
    """A warehouse and the way to change it: `write` takes SQL in its dialect, as its owner."""

    warehouse: Warehouse
    write: Callable[..., object]

    @property
    def type(self) -> str:
        return self.warehouse.type

    def profiled(
        self, table: str = "t", sensitive: Collection[str] = (), warehouse: Warehouse | None = None
    ) -> Profiled:
        warehouse = warehouse or self.warehouse
        snapshot = next(snapshot for snapshot in warehouse.catalogue() if snapshot.table.name == table)
        with warehouse.open_scan(snapshot.table) as scan:
            found = profile(warehouse, scan, Scope(snapshot.table, snapshot.columns, frozenset(sensitive)))
            return Profiled(found, scan.statements)


def duckdb_engine(path: Path) -> Engine:
    def write(*statements: str) -> None:
        with duckdb.connect(str(path)) as connection:
            for statement in statements:
                connection.execute(statement)

    return Engine(open_warehouse(WarehouseConfig("shop", "duckdb", filepath=path), EXECUTION), write)


def sqlite_engine(path: Path) -> Engine:
    def write(*statements: str) -> None:
        # Two SQLite libraries must not open one file in one process.
        code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.executescript(sys.stdin.read()); c.close()"
        script = ";\n".join(statements).encode()
        subprocess.run([sys.executable, "-c", code, str(path)], input=script, check=True)

    return Engine(open_warehouse(WarehouseConfig("team", "sqlite", filepath=path), EXECUTION), write)


def postgres_engine(server: Any, database: str) -> Engine:
    config = WarehouseConfig("pg", "postgres", host=server.socket_dir, database=database, username="postgres")
    return Engine(open_warehouse(config, EXECUTION), lambda *statements: server.execute(*statements, database=database))
