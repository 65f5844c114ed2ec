"""The quick reading of a SQLite table tells the same as the careful one, and gives way where it would not."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from profilemesh.config.model import WarehouseConfig
from profilemesh.profiling import Profile, Scope, profile
from profilemesh.tables import Column
from profilemesh.warehouses.sqlite import SQLiteWarehouse

COLUMNS = {
    "i": "INTEGER",
    "f": "REAL",
    "t": "TEXT",
    "b": "BOOLEAN",
    "n": "DECIMAL(10,2)",
    "d": "DATE",
    "s": "DATETIME",
    "u": "UUID",
    "j": "JSON",
    "x": "BLOB",
    "o": "WHATEVER",
}
CLEAN: dict[str, Any] = {
    "i": 7,
    "f": 1.5,
    "t": "word",
    "b": 1,
    "n": 12.25,
    "d": "2024-02-29",
    "s": "2024-02-29 10:00:00",
    "u": "00112233-4455-6677-8899-aabbccddeeff",
    "j": "[1]",
    "x": b"ab",
    "o": "thing",
}
ODD = [
    ("i", 1.5),
    ("i", "many"),
    ("i", b"x"),
    ("f", "wide"),
    ("t", b"\xff"),
    ("t", "long " * 1000),
    ("j", b"[]"),
    ("b", 2),
    ("b", "yes"),
    ("n", "dear"),
    ("d", 20240229),
    ("d", b"2024"),
    ("s", 1709200800),
    ("u", 5),
    ("x", 5),
    ("x", b"y" * 5000),
    ("o", "z" * 5000),
]
LATE = (0, 3, 4, 5, 7, 14)
"""The odd values that also come after more than a batch of clean rows, when the driver has made up its mind."""
MORE_THAN_A_BATCH = 66_000
# The file is written by another process: two SQLite libraries must not have it open in one.
WRITE = """
import sqlite3, sys
path, columns, tables = sys.argv[1], *map(eval, sys.argv[2:])
with sqlite3.connect(path) as file:
    for name, before, rows in tables:
        file.execute(f"CREATE TABLE {name} (" + ", ".join(f"{name} {type}" for name, type in columns.items()) + ")")
        insert = f"INSERT INTO {name} VALUES (" + ", ".join("?" for _ in columns) + ")"
        file.executemany(insert, ([tuple(rows[0].values())] * before) + [tuple(row.values()) for row in rows])
"""


class Careful(SQLiteWarehouse):
    """The same file, read by the careful way alone."""

    def quick_reading(self, column: Column) -> None:  # type: ignore[override]
        return None


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> WarehouseConfig:
    """A clean table, and for each odd value a table that ends with it, after a few clean rows and after many."""
    path = tmp_path_factory.mktemp("desk") / "desk.sqlite"
    clean = [CLEAN, dict.fromkeys(CLEAN), CLEAN | {"i": -(2**63), "t": "", "n": 3, "f": 4}]
    tables = [("clean", 50, clean)]
    for number, (column, odd) in enumerate(ODD):
        rows = [CLEAN, CLEAN | {column: odd}]
        tables.append((f"few_{number}", 2, rows))
        if number in LATE:
            tables.append((f"many_{number}", MORE_THAN_A_BATCH, rows))
    subprocess.run([sys.executable, "-c", WRITE, str(path), repr(COLUMNS), repr(tables)], check=True)
    return WarehouseConfig("desk", "sqlite", filepath=path)


def read(warehouse: SQLiteWarehouse, name: str) -> tuple[Profile, int]:
    [snapshot] = (each for each in warehouse.catalogue() if each.table.name == name)
    with warehouse.open_scan(snapshot.table) as scan:
        return profile(warehouse, scan, Scope(snapshot.table, snapshot.columns)), len(scan.statements)


def test_a_clean_table_is_read_once_and_tells_the_same(desk: WarehouseConfig) -> None:
    (quick, sent), (careful, _) = read(SQLiteWarehouse(desk), "clean"), read(Careful(desk), "clean")
    assert sent == 1
    assert quick.errors == careful.errors == {}
    assert quick.summary.columns == careful.summary.columns


CASES = [*((f"few_{n}", 4) for n in range(len(ODD))), *((f"many_{n}", MORE_THAN_A_BATCH + 2) for n in LATE)]


@pytest.mark.parametrize(("name", "rows"), CASES)
def test_one_odd_value_gives_way_to_the_careful_reading(desk: WarehouseConfig, name: str, rows: int) -> None:
    (quick, sent), (careful, _) = read(SQLiteWarehouse(desk), name), read(Careful(desk), name)
    assert sent == 2
    assert quick.errors == careful.errors == {}
    assert quick.summary.columns == careful.summary.columns
    assert quick.summary.rows == rows
