"""One table, divided by day, in a warehouse of each type: written to as its owner, read back row by row."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import duckdb

from profilemesh.config.model import WarehouseConfig

COLUMNS = "id BIGINT, day DATE, v INTEGER, name VARCHAR(20)"
DAYS = tuple(f"2026-03-{day:02}" for day in range(1, 9))


class Owner(Protocol):
    """Who owns the table `t`; days that have no partition where the warehouse has such are no days to write to."""

    config: WarehouseConfig
    has_leaves: bool

    def write(self, *statements: str) -> None: ...
    def rows(self, query: str) -> list[tuple[Any, ...]]: ...
    def close(self) -> None: ...


@dataclass
class DuckDBOwner:
    path: Path
    has_leaves = False

    @property
    def config(self) -> WarehouseConfig:
        return WarehouseConfig("w", "duckdb", filepath=self.path)

    def write(self, *statements: str) -> None:
        with duckdb.connect(str(self.path)) as connection:
            for statement in statements:
                connection.execute(statement)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.path)) as connection:
            return connection.execute(query).fetchall()

    def close(self) -> None:
        """Nothing is held open."""


_SQLITE = """
import json, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
for line in sys.stdin:
    found = []
    for statement in json.loads(line):
        found = connection.execute(statement).fetchall()
    print(json.dumps(found), flush=True)
"""


class SQLiteOwner:
    """A process of its own: two SQLite libraries in one must not have one file open."""

    has_leaves = False

    def __init__(self, path: Path) -> None:
        self.config = WarehouseConfig("w", "sqlite", filepath=path)
        self.process = subprocess.Popen(
            [sys.executable, "-c", _SQLITE, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def _ask(self, *statements: str) -> list[tuple[Any, ...]]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(statements) + "\n")
        self.process.stdin.flush()
        return [tuple(row) for row in json.loads(self.process.stdout.readline())]

    def write(self, *statements: str) -> None:
        self._ask(*statements)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self._ask(query)

    def close(self) -> None:
        self.process.communicate("")


@dataclass
class PostgresOwner:
    server: Any
    database: str
    has_leaves = True

    @property
    def config(self) -> WarehouseConfig:
        return WarehouseConfig(
            "w", "postgres", host=self.server.socket_dir, database=self.database, username="postgres"
        )

    def write(self, *statements: str) -> None:
        self.server.execute(*statements, database=self.database)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return list(self.server.execute(query, database=self.database))

    def close(self) -> None:
        self.server.execute(f'DROP DATABASE "{self.database}" WITH (FORCE)')


@contextmanager
def owner(kind: str, folder: Path, server: Any, name: str) -> Iterator[Owner]:
    made: Owner
    if kind == "duckdb":
        made = DuckDBOwner(folder / "w.duckdb")
    elif kind == "sqlite":
        made = SQLiteOwner(folder / "w.sqlite")
    else:
        server.execute(f'CREATE DATABASE "{name}"')
        made = PostgresOwner(server, name)
    try:
        yield made
    finally:
        made.close()


def metrics_of(rows: list[tuple[Any, ...]], columns: list[str]) -> dict[tuple[str, str], Any]:
    """The exact metrics of a table by (column, metric), computed here from its rows."""
    found: dict[tuple[str, str], Any] = {}
    for place, name in enumerate(columns):
        values = [row[place] for row in rows if row[place] is not None]
        found[name, "count"] = len(rows)
        found[name, "null_count"] = len(rows) - len(values)
        found[name, "distinct_count"] = len(set(values))
        if values:
            found[name, "min"], found[name, "max"] = str(min(values)), str(max(values))
        if values and isinstance(values[0], int):
            found[name, "mean"] = sum(values) / len(values)
    return found
