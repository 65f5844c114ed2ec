"""What a tick costs in which nothing changed: one line per claim, with its goal.

(a) 10,000 real PostgreSQL tables, each profiled before: reading the catalogue, planning, and recording what was
decided, with the storage on SQLite and on PostgreSQL. (b) 100,000 tables that are values only: planning, and the peak
memory of the process that did it. Times are medians of interleaved runs. Exit code 1 if a goal is missed.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg2
from profiling import RUNS, WithoutPandas, postgres, warehouse_config
from psycopg2.extensions import cursor as Cursor

from profilemesh.config.model import Config, IncrementalConfig, ProfilingConfig, StorageConfig, TableRule
from profilemesh.planning import Action, Decision, Plan, State, make_plan, wanted_probes
from profilemesh.planning.snapshots import Catalogue, Confidence, Snapshot
from profilemesh.runner import look, opened, run_plan
from profilemesh.storage import Storage, open_storage
from profilemesh.storage.models import TableState
from profilemesh.storage.upgrade import upgrade
from profilemesh.tables import Column, Kind, TableRef

REAL, SIMULATED = 10_000, 100_000
TICK_GOAL_SECONDS, PLAN_GOAL_SECONDS, PLAN_GOAL_MB = 3.0, 15.0, 1024
COLUMNS = "id bigint, customer int, quantity smallint, amount numeric(12,2), score float8, status text, email text, "
COLUMNS += "ordered_on date, created_at timestamptz"
RULES = ("t", "orders_*", "customers_*", "*_archive", "tmp_*", "stage_*", "fact_*", "dim_*", "*_log", "*")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--tables", type=int, default=REAL)
    options.add_argument("--simulated", type=int, default=SIMULATED)
    options.add_argument("--plan", type=int, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.plan:
        sys.meta_path.insert(0, WithoutPandas())
        print_plan(given.plan)
        return
    with tempfile.TemporaryDirectory(prefix="profilemesh-bench-") as folder, postgres(Path(folder)) as dsn:
        sys.exit(0 if all([*simulated(given.simulated), *real(Path(folder), dsn, given.tables)]) else 1)


def simulated(tables: int) -> Iterator[bool]:
    runs = [planned_elsewhere(tables) for _ in range(3)]
    what = f"{tables:,} simulated tables"
    yield claim(f"{what}, planning", statistics.median(seconds for seconds, _ in runs), "s", PLAN_GOAL_SECONDS)
    yield claim(f"{what}, peak memory", max(megabytes for _, megabytes in runs), "MB", PLAN_GOAL_MB)


def planned_elsewhere(tables: int) -> tuple[float, float]:
    """Seconds and megabytes of a process of its own."""
    command = [sys.executable, __file__, "--plan", str(tables)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return float(said[0]), float(said[1])


def print_plan(tables: int) -> None:
    """One table in twenty has changed, a few are new, and ten rules tell which are read and how."""
    config = Config(
        None,
        {"pg": warehouse_config("sqlite", "unused")},
        StorageConfig("sqlite://"),
        profiling=ProfilingConfig(tables=tuple(TableRule(table=pattern) for pattern in RULES)),
        incremental=IncrementalConfig(enabled=True),
    )
    now = datetime(2026, 1, 1, tzinfo=UTC)
    catalogue = Catalogue({s.table: s for s in map(snapshot, range(tables))}, {"pg": "postgres"})
    first = make_plan(config, catalogue, {}, now - timedelta(days=2))
    states = {d.table: state(first, d.table, d.snapshot, n) for n, d in enumerate(first.decisions) if n % 1000}
    del first
    started = time.perf_counter()
    wanted_probes(config, catalogue, states, now)
    plan = make_plan(config, catalogue, states, now)
    seconds = time.perf_counter() - started
    assert len(plan.decisions) == tables and len(plan.to_read) == len(range(0, tables, 20))
    status = Path("/proc/self/status").read_text()
    print(seconds, int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 1024)


def snapshot(number: int) -> Snapshot:
    columns = tuple(Column(f"column_{n}", "integer", Kind.INTEGER, True) for n in range(10))
    table = TableRef("pg", f"schema_{number % 50:02}", f"orders_{number:06}")
    return Snapshot(table, columns, f"{number:032}", Confidence.EXACT, None, number, number * 100, is_sampleable=True)


def state(plan: Plan, table: TableRef, seen: Snapshot | None, number: int) -> State:
    assert seen is not None
    return State(
        table,
        seen.token if number % 20 else "of yesterday",
        tuple((column.name, column.type) for column in seen.columns),
        plan.reading[table].profile_key,
        plan.made_at,
        plan.made_at,
        seen.rows_estimate,
        seen.bytes_estimate,
        last_full_at=plan.made_at,
    )


def real(folder: Path, dsn: str, tables: int) -> Iterator[bool]:
    make_tables(dsn, 100)
    few = catalogue_statements(dsn)
    make_tables(dsn, tables)
    many = catalogue_statements(dsn)
    verdict = "ok" if few == many else "MISSED"
    print(f"{f'{tables:,} tables, catalogue statements':52} {many}, of 100 tables {few}  goal: equal  {verdict}")
    yield few == many
    psql(dsn, "CREATE DATABASE storage")
    places = {"SQLite": f"sqlite:///{folder / 'storage.db'}", "PostgreSQL": dsn.replace("/postgres?", "/storage?")}
    with remembering(dsn, places["SQLite"]) as lite, remembering(dsn, places["PostgreSQL"]) as big:
        times = [[tick(config, storage) for config, storage in (lite, big)] for _ in range(RUNS + 1)][1:]
    for index, name in enumerate(places):
        looks, whole = (statistics.median(run[index][part] for run in times) for part in (0, 1))
        print(f"{f'{tables:,} tables, look alone, storage on {name}':52} {looks:7.3f} s")
        yield claim(f"{tables:,} tables, nothing changed, storage on {name}", whole, "s", TICK_GOAL_SECONDS)


def claim(name: str, found: float, unit: str, goal: float) -> bool:
    verdict = "ok" if found <= goal else "MISSED"
    print(f"{name:52} {found:7.3f} {unit}  goal <= {goal:g}  {verdict}", flush=True)
    return found <= goal


def make_tables(dsn: str, upto: int) -> None:
    """In batches: a transaction holds a lock on each table that it makes."""
    for first in range(0, upto, 500):
        last = min(upto, first + 500) - 1
        each = f"format('CREATE TABLE IF NOT EXISTS orders_%1$s ({COLUMNS}, is_%1$s boolean)', to_char(n, 'FM000000'))"
        psql(dsn, f"DO $$ BEGIN FOR n IN {first}..{last} LOOP EXECUTE {each}; END LOOP; END $$")
    psql(dsn, "VACUUM ANALYZE")


def psql(dsn: str, statement: str) -> None:
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SET client_min_messages = warning")
        cursor.execute(statement)
    connection.close()


def catalogue_statements(dsn: str) -> int:
    sent = []

    class Counting(Cursor):
        def execute(self, query: object, values: Sequence[object] | None = None) -> None:
            sent.append(query)
            super().execute(query, values)

    real_connect = psycopg2.connect
    psycopg2.connect = lambda given: real_connect(given, cursor_factory=Counting)  # type: ignore[assignment,misc]
    try:
        with opened(config_of(dsn, "sqlite://")) as warehouses:
            warehouses["postgres"].catalogue()
    finally:
        psycopg2.connect = real_connect
    return len(sent)


def config_of(dsn: str, storage: str) -> Config:
    warehouse = warehouse_config("postgres", dsn)
    return Config(None, {"postgres": warehouse}, StorageConfig(storage), incremental=IncrementalConfig(enabled=True))


@contextmanager
def remembering(dsn: str, place: str) -> Iterator[tuple[Config, Storage]]:
    """A storage in which every table has been profiled, and found unchanged since."""
    upgrade(place)
    config, storage = config_of(dsn, place), open_storage(place)
    try:
        with opened(config) as warehouses:
            plan = look(config, storage, warehouses, datetime.now(UTC))
        with storage.begin() as session:
            session.add_all(remembered(plan, decision) for decision in plan.to_read)
        tick(config, storage)
        yield config, storage
    finally:
        storage.close()


def remembered(plan: Plan, decision: Decision) -> TableState:
    table, found = decision.table, decision.snapshot
    assert found is not None
    return TableState(
        warehouse=table.warehouse,
        schema_name=table.schema,
        table_name=table.name,
        last_run_id=str(uuid.uuid4()),
        snapshot_id=found.token,
        change_token=found.token,
        confidence="exact",
        columns=[{"name": c.name, "type": c.type, "kind": c.kind.value} for c in found.columns],
        profile_key=plan.reading[table].profile_key,
        first_profiled_at=plan.made_at,
        last_profiled_at=plan.made_at,
        last_verified_at=plan.made_at,
        last_full_at=plan.made_at,
        row_count=0,
        bytes_scanned=0,
    )


def tick(config: Config, storage: Storage) -> tuple[float, float]:
    """Seconds of the look, and of all of it."""
    started = time.perf_counter()
    with opened(config) as warehouses:
        plan = look(config, storage, warehouses, datetime.now(UTC))
        seen = time.perf_counter()
        run_plan(plan, config, storage, warehouses)
    ended = time.perf_counter()
    assert all(decision.action is Action.SKIP for decision in plan.decisions)
    return seen - started, ended - started


if __name__ == "__main__":
    main()
