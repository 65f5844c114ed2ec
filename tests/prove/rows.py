"""The rows of the proof of truth: the same in each engine, made by numpy, so that Python knows them without asking."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import adbc_driver_postgresql.dbapi as adbc_postgres
import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

TABLE = "truth"

# Name: the type in DuckDB, PostgreSQL, SQLite.
COLUMNS = {
    "id": ("BIGINT", "bigint", "INTEGER"),
    "quantity": ("SMALLINT", "smallint", "INTEGER"),
    "balance": ("INTEGER", "integer", "INTEGER"),
    "customer": ("INTEGER", "integer", "INTEGER"),
    "amount": ("DECIMAL(12,2)", "numeric(12,2)", "DECIMAL(12,2)"),
    "score": ("DOUBLE", "double precision", "REAL"),
    "small": ("FLOAT", "real", "REAL"),
    "odd": ("DOUBLE", "double precision", "REAL"),
    "far": ("DOUBLE", "double precision", "REAL"),
    "farther": ("DOUBLE", "double precision", "REAL"),
    "tiny": ("DOUBLE", "double precision", "REAL"),
    "huge": ("DOUBLE", "double precision", "REAL"),
    "same": ("DOUBLE", "double precision", "REAL"),
    "unknown": ("DOUBLE", "double precision", "REAL"),
    "status": ("VARCHAR", "text", "TEXT"),
    "email": ("VARCHAR", "text", "TEXT"),
    "day": ("DATE", "date", "DATE"),
    "moment": ("TIMESTAMP", "timestamp", "TIMESTAMP"),
    "clock": ("TIME", "time", "TIME"),
    "gift": ("BOOLEAN", "boolean", "BOOLEAN"),
    "key": ("UUID", "uuid", "UUID"),
    "blob": ("BLOB", "bytea", "BLOB"),
}


def made(rows: int) -> pa.Table:
    """The rows as Arrow holds them; what an engine takes only as text is text here: amount, key."""
    random = np.random.default_rng(20261123)
    normal = random.standard_normal
    odd = normal(rows) * 100
    for value in (np.nan, np.inf, -np.inf, -0.0, 0.0):
        odd[random.random(rows) < 0.01] = value
    cents = (random.lognormal(8, 2, rows) - 1000).astype(np.int64)
    buyer = random.integers(0, max(rows // 2, 1), rows)
    columns = {
        "id": np.arange(rows),
        "quantity": random.integers(0, 12, rows).astype(np.int16),
        "balance": (normal(rows) * 1000).astype(np.int32),
        "customer": random.integers(0, 80_000, rows).astype(np.int32),
        "amount": pa.array([str(Decimal(int(cent)).scaleb(-2)) for cent in cents]),
        "score": random.lognormal(0, 3, rows),
        "small": random.lognormal(0, 1, rows).astype(np.float32),
        "odd": odd,
        "far": normal(rows) + 1e6,
        "farther": normal(rows) * 1e3 + 1e9,
        "tiny": normal(rows) * 1e-300,
        "huge": normal(rows) * 1e100,
        "same": np.full(rows, 0.1),
        "unknown": pa.nulls(rows, pa.float64()),
        "status": np.array(["paid", "shipped", "łódź 🦆", "  ", ""])[random.integers(0, 5, rows)],
        "email": pa.array([f"customer{n}@example.com" for n in buyer]),
        "day": pa.array(random.integers(15_000, 15_900, rows).astype(np.int32)).cast(pa.date32()),
        "moment": pa.array(random.integers(1_700_000_000_000_000, 1_760_000_000_000_000, rows)).cast(
            pa.timestamp("us")
        ),
        "clock": pa.array(random.integers(0, 86_400_000_000, rows)).cast(pa.time64("us")),
        "gift": random.random(rows) < 0.1,
        "key": pa.array([str(uuid.UUID(bytes=random.bytes(16))) for _ in range(rows)]),
        "blob": pa.array([random.bytes(n) for n in random.integers(0, 40, rows)]),
    }
    table = pa.table({name: pa.array(column) for name, column in columns.items()})
    for name, share in (
        ("amount", 0.1),
        ("score", 0.5),
        ("email", 0.01),
        ("moment", 0.001),
        ("gift", 0.2),
        ("blob", 0.3),
    ):
        at = table.schema.names.index(name)
        holes = pa.array(random.random(rows) < share)
        column = table.column(name)
        table = table.set_column(at, name, pc.if_else(holes, pa.scalar(None, column.type), column))
    return table


def in_duckdb(path: Path, table: pa.Table) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.register("made", table)
        connection.execute(f"CREATE TABLE {TABLE} ({_columns(0)})")
        connection.execute(f"INSERT INTO {TABLE} SELECT * FROM made")


def in_postgres(url: str, table: pa.Table) -> None:
    loaded = ", ".join(f'"{name}"::{types[1]}' for name, types in COLUMNS.items())
    with adbc_postgres.connect(url) as connection, connection.cursor() as cursor:
        cursor.adbc_ingest("loading", table, mode="create")
        cursor.execute(f"CREATE TABLE {TABLE} AS SELECT {loaded} FROM loading")
        cursor.execute("DROP TABLE loading")
        connection.commit()


_IN_SQLITE = """
import sys
import adbc_driver_sqlite.dbapi as adbc
import pyarrow.parquet as pq
path, create, table, rows = sys.argv[1:]
with adbc.connect(path) as connection, connection.cursor() as cursor:
    cursor.execute(create)
    cursor.adbc_ingest(table, pq.read_table(rows), mode="append")
    connection.commit()
"""


def in_sqlite(path: Path, table: pa.Table) -> None:
    """In a process of its own, as one that profiles a SQLite file never writes to it."""
    texts = {"day", "moment", "clock"}
    columns = {
        name: column.cast(pa.string()) if name in texts else column.cast(pa.float64()) if name == "amount" else column
        for name, column in zip(table.schema.names, table.columns, strict=True)
    }
    rows = path.with_suffix(".parquet")
    pq.write_table(pa.table(columns), rows)
    create = f"CREATE TABLE {TABLE} ({_columns(2)})"
    subprocess.run([sys.executable, "-c", _IN_SQLITE, str(path), create, TABLE, str(rows)], check=True)


def _columns(engine: int) -> str:
    return ", ".join(f'"{name}" {types[engine]}' for name, types in COLUMNS.items())


Load = Callable[[pa.Table], None]
