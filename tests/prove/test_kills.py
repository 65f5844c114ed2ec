"""Killed at any moment, a run leaves the old truth or the new one, and the next run always ends in the truth."""

from __future__ import annotations

import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sqlalchemy as sa

from profilemesh.config.model import WarehouseConfig
from profilemesh.planning import Reason
from profilemesh.storage.models import Result
from profilemesh.storage.upgrade import upgrade
from tests.engine.ticks import Left, Project, write_duckdb, write_sqlite

CHILD = """
import sys
from profilemesh.cli import run
from profilemesh.warehouses import duckdb, postgres, sqlite
print("go", flush=True)
sys.argv[1:] = ["profile", "--json"]
run()
"""
TABLES = ("d1", "d2", "s1", "s2", "p1", "p2")
Write = Callable[..., object]


@dataclass
class Warehouses:
    """Six tables in three warehouses; all is known of them: ids from 1 up, each tenth `qty` NULL, else id % 7."""

    writers: dict[str, Write]
    rows: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TABLES, 0))

    def create(self) -> None:
        for table in TABLES:
            self.writers[table[0]](f"CREATE TABLE {table} (id BIGINT, qty INTEGER)")

    def grow(self, table: str, count: int) -> None:
        first = self.rows[table] + 1
        last = self.rows[table] = self.rows[table] + count
        numbers = {
            "d": f"SELECT i FROM range({first}, {last + 1}) r(i)",
            "p": f"SELECT i FROM generate_series({first}, {last}) r(i)",
            "s": "WITH RECURSIVE r(i) AS "
            f"(SELECT {first} UNION ALL SELECT i + 1 FROM r WHERE i < {last}) SELECT i FROM r",
        }[table[0]]
        self.writers[table[0]](
            f"INSERT INTO {table} SELECT i, CASE WHEN i % 10 <> 0 THEN i % 7 END FROM ({numbers}) AS n"
        )

    def truth(self, table: str) -> dict[tuple[str, str], float]:
        rows = self.rows[table]
        nulls = rows // 10
        quantities = [i % 7 for i in range(1, rows + 1) if i % 10]
        return {
            ("id", "count"): rows,
            ("id", "max"): rows,
            ("id", "null_count"): 0,
            ("qty", "null_count"): nulls,
            ("qty", "zero_count"): quantities.count(0),
            ("qty", "distinct_count"): len(set(quantities)),
        }


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path, execution={"max_workers": 2})
    upgrade(made.url)
    return made


@pytest.fixture
def warehouses(project: Project, postgres_server, postgres_database: str) -> Warehouses:
    duck, lite = project.folder / "duck.duckdb", project.folder / "lite.sqlite"
    project.warehouses |= {
        "duck": WarehouseConfig("duck", "duckdb", filepath=duck),
        "lite": WarehouseConfig("lite", "sqlite", filepath=lite),
        "pg": WarehouseConfig(
            "pg", "postgres", host=postgres_server.socket_dir, database=postgres_database, username="postgres"
        ),
    }
    made = Warehouses(
        {
            "d": lambda sql: write_duckdb(duck, sql),
            "s": lambda sql: write_sqlite(lite, sql),
            "p": lambda sql: postgres_server.execute(sql, database=postgres_database),
        }
    )
    made.create()
    return made


def killed_after(project: Project, seconds: float | None) -> float:
    """Start a tick in a process of its own and kill it after so long; how long it was at it."""
    process = project.process(sys.executable, "-c", CHILD)
    assert process.stdout is not None and process.stdout.readline() == "go\n"
    started = time.monotonic()
    if seconds is not None:
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
    _, complaints = process.communicate(timeout=120)
    assert complaints == ""
    assert process.returncode in ((0,) if seconds is None else (0, -signal.SIGKILL))
    return time.monotonic() - started


def stored(project: Project, run_id: str | None) -> dict[tuple[str, str], float | None]:
    wanted = sa.select(Result.column_name, Result.metric_name, Result.metric_number).where(Result.run_id == run_id)
    with project.storage() as storage, storage.read() as session:
        return {(column, metric): number for column, metric, number in session.execute(wanted)}


def assert_no_lie(left: Left) -> None:
    """Right after a kill: what is there is whole, whatever is missing."""
    runs = [run for runs in left.runs.values() for run in runs]
    good = {run.run_id: run for run in runs if run.status == "success"}
    assert set(left.metrics) == left.summaries == set(good)
    for table, state in left.states.items():
        if state.last_run_id is not None:
            newest = [run for run in left.runs[table] if run.status == "success"][-1]
            assert (state.last_run_id, state.row_count) == (newest.run_id, newest.row_count)
    running = {run.dataset_name for run in runs if run.status == "running"}
    assert running == {table for table, state in left.states.items() if state.claimed_by}


def kills(project: Project, warehouses: Warehouses, times: int, rows: int, seed: int) -> Counter[str]:
    """Kill so many ticks at random moments, each after changes; what was met."""
    chance, met = random.Random(seed), Counter[str]()
    for table in TABLES:
        warehouses.grow(table, rows)
    whole = killed_after(project, None)
    for _ in range(times):
        for table in chance.sample(TABLES, 4):
            warehouses.grow(table, chance.randint(1, rows))
        before = {name: len(runs) for name, runs in project.left().runs.items()}
        killed_after(project, chance.uniform(0, whole))
        left = project.left()
        assert_no_lie(left)
        new = [run.status for name, runs in left.runs.items() for run in runs[before[name] :]]
        met += Counter(new)
        met["kills"] += 1
        met["in mid run"] += "running" in new
        report = project.tick()
        assert not report.failed and all(outcome.status == "success" for outcome in report.outcomes)
        assert_truth(project, warehouses)
    return met


def assert_truth(project: Project, warehouses: Warehouses) -> None:
    left = project.left()
    assert left.is_whole
    for table in TABLES:
        assert left.states[table].row_count == warehouses.rows[table]
        found, truth = stored(project, left.states[table].last_run_id), warehouses.truth(table)
        assert {name: found[name] for name in truth} == truth
    reasons = {decision.reason for decision in project.tick().plan.decisions}
    # A table of a file in which another changed is known by a probe.
    assert reasons <= {Reason.SNAPSHOT_MATCH, Reason.PROBE_MATCH}


def test_three_kills_end_in_the_truth(project: Project, warehouses: Warehouses) -> None:
    kills(project, warehouses, 3, rows=500, seed=1)


@pytest.mark.prove
def test_thirty_kills_end_in_the_truth(project: Project, warehouses: Warehouses) -> None:
    met = kills(project, warehouses, 30, rows=20_000, seed=2)
    sys.stdout.write(
        f"{met['kills']} kills, {met['in mid run']} of them with {met['running']} tables being read; "
        f"{met['success']} tables had been stored before; every next run ended in the truth\n"
    )
    assert met["in mid run"] >= 5
