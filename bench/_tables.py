"""One table of mixed types, the same rows in each engine, for benchmarks and proofs."""

from __future__ import annotations

from pathlib import Path

import adbc_driver_postgresql.dbapi as adbc_postgres
import adbc_driver_sqlite.dbapi as adbc_sqlite
import duckdb
import psycopg2
import pyarrow as pa

TABLE = "orders"

COLUMNS = {
    "id": ("BIGINT", "bigint", "INTEGER"),
    "customer": ("INTEGER", "integer", "INTEGER"),
    "quantity": ("SMALLINT", "smallint", "INTEGER"),
    "amount": ("DECIMAL(12,2)", "numeric(12,2)", "DECIMAL(12,2)"),
    "score": ("DOUBLE", "double precision", "REAL"),
    "status": ("VARCHAR", "text", "TEXT"),
    "email": ("VARCHAR", "text", "TEXT"),
    "ordered_on": ("DATE", "date", "DATE"),
    "created_at": ("TIMESTAMP", "timestamp without time zone", "TIMESTAMP"),
    "is_gift": ("BOOLEAN", "boolean", "BOOLEAN"),
}
"""Name: the type in DuckDB, PostgreSQL, SQLite."""

# hash() instead of random(): the same rows at every build.
_ROWS = """
SELECT i AS id, (hash(i) % 80000)::INTEGER AS customer, (hash(i * 7) % 12)::SMALLINT AS quantity,
  CASE WHEN hash(i * 3) % 50 > 0 THEN (hash(i * 11) % 5000000)::BIGINT / 100 - 1000 END::DECIMAL(12,2) AS amount,
  CASE WHEN hash(i * 5) % 20 > 0
    THEN exp(sqrt(-2 * ln((hash(i * 13) % 999983 + 1) / 999985.0)) * cos(2 * pi() * (hash(i * 17) % 999983) / 999983.0))
  END AS score,
  ['paid', 'shipped', 'cancelled', 'open', 'returned'][1 + (hash(i * 19) % 5)::INTEGER] AS status,
  CASE WHEN hash(i * 23) % 100 > 0 THEN 'customer' || hash(i * 29) % 600000 || '@example.com' END AS email,
  DATE '2024-01-01' + (hash(i * 31) % 700)::INTEGER AS ordered_on,
  TIMESTAMP '2024-01-01' + to_microseconds((hash(i * 37) % 60480000000000)::BIGINT) AS created_at,
  hash(i * 41) % 9 = 0 AS is_gift
FROM range({rows}) AS t(i)
"""


def in_duckdb(path: Path, rows: int) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"CREATE TABLE {TABLE} ({_columns(0)})")
        connection.execute(f"INSERT INTO {TABLE} {_ROWS.format(rows=rows)}")


def in_postgres(dsn: str, source: Path, rows: int | None = None) -> None:
    """The rows of the DuckDB file `source`, loaded in bulk."""
    loaded = ", ".join(f"{name}::{types[1]}" for name, types in COLUMNS.items())
    with adbc_postgres.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.adbc_ingest("loading", _arrow(source, "amount::DOUBLE AS amount"), mode="create")
        cursor.execute(f"CREATE TABLE {TABLE} AS SELECT {loaded} FROM loading")
        cursor.execute("DROP TABLE loading")
        connection.commit()
    vacuum(dsn)


def vacuum(dsn: str) -> None:
    """So that no later reading pays for hint bits and visibility."""
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    connection.close()


def in_sqlite(path: Path, source: Path) -> None:
    """The rows of the DuckDB file `source`; dates and times as ISO text, as SQLite has them."""
    changed = "amount::DOUBLE AS amount, ordered_on::VARCHAR AS ordered_on, created_at::VARCHAR AS created_at"
    with adbc_sqlite.connect(str(path)) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {TABLE} ({_columns(2)})")
        cursor.adbc_ingest(TABLE, _arrow(source, changed), mode="append")
        connection.commit()


def _arrow(source: Path, changed: str) -> pa.Table:
    with duckdb.connect(str(source), read_only=True) as connection:
        return connection.sql(f"SELECT * REPLACE ({changed}) FROM {TABLE} ORDER BY id").to_arrow_table()


def _columns(engine: int) -> str:
    return ", ".join(f"{name} {types[engine]}" for name, types in COLUMNS.items())
