"""Ticks on real warehouses and a real storage, and what they left there."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import sqlalchemy as sa

from profilemesh.config.model import (
    AdaptiveSchedulingConfig,
    Config,
    DriftConfig,
    ExecutionConfig,
    IncrementalConfig,
    ProfilingConfig,
    RetryConfig,
    StorageConfig,
    WarehouseConfig,
)
from profilemesh.runner import Clock, Listener, Outcome, Report, look, opened, run_plan, utc_now
from profilemesh.storage import Storage, open_storage
from profilemesh.storage.models import Event, Result, Run, Summary, TableState
from tests.commands import COMMAND, called, clean

NO_INTERVALS = AdaptiveSchedulingConfig(enabled=False)
SLOW = "SELECT count(*) AS n FROM range(100000000000) r(i) WHERE hash(i) % 7 = 1"
"""A DuckDB view that takes minutes."""
SLOW_STEP = "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 1e11) SELECT max(i) AS n FROM r"
"""A SQLite view that takes hours, in one step, which that driver cannot interrupt."""


def write_duckdb(path: Path, *statements: str) -> None:
    with duckdb.connect(str(path)) as connection:
        for statement in statements:
            connection.execute(statement)


def write_sqlite(path: Path, *statements: str) -> None:
    # By another process: two SQLite libraries in one must not have one file open.
    code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.executescript(sys.stdin.read()); c.close()"
    subprocess.run([sys.executable, "-c", code, str(path)], input=";\n".join(statements), text=True, check=True)


@contextmanager
def locked_by_writer(kind: str, path: Path) -> Iterator[None]:
    """Another process holds the file for writing."""
    code = {
        "duckdb": "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('locked', flush=True); sys.stdin.read()",
        "sqlite": "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('BEGIN EXCLUSIVE'); "
        "print('locked', flush=True); sys.stdin.read()",
    }[kind]
    writer = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert writer.stdout is not None and writer.stdout.readline() == "locked\n"
        yield
    finally:
        writer.communicate("")


@dataclass(frozen=True)
class Left:
    """What storage holds: runs by table, oldest first, and everything that depends on them."""

    runs: dict[str, list[Run]]
    states: dict[str, TableState]
    metrics: dict[str, int]
    summaries: set[str]
    events: list[tuple[str, str | None]]

    def statuses(self, table: str) -> list[str]:
        return [run.status for run in self.runs.get(table, [])]

    @property
    def is_whole(self) -> bool:
        """Nothing is half-written: only successes have metrics and a summary, nothing runs, nothing is claimed."""
        runs = [run for runs in self.runs.values() for run in runs]
        good = {run.run_id for run in runs if run.status == "success"}
        remembered = {state.last_run_id for state in self.states.values() if state.last_run_id}
        return (
            {run.status for run in runs} <= {"success", "failed"}
            and set(self.metrics) == self.summaries == good
            and remembered <= good
            and not any(state.claimed_by for state in self.states.values())
        )


@dataclass
class Project:
    """A storage and the warehouses that are profiled into it."""

    folder: Path
    warehouses: dict[str, WarehouseConfig] = field(default_factory=dict)
    execution: dict[str, Any] = field(default_factory=dict)
    profiling: dict[str, Any] = field(default_factory=dict)
    retry: RetryConfig = field(default_factory=lambda: RetryConfig(enabled=False))
    incremental: dict[str, Any] = field(default_factory=dict)
    drift: dict[str, Any] = field(default_factory=dict)

    postgres_url: str | None = None
    opened: dict[str, Storage] = field(default_factory=dict, repr=False)

    @property
    def url(self) -> str:
        return self.postgres_url or f"sqlite:///{self.folder / 'profilemesh.db'}"

    @property
    def config(self) -> Config:
        return Config(
            None,
            self.warehouses,
            StorageConfig(self.url),
            profiling=ProfilingConfig(**self.profiling),
            execution=ExecutionConfig(**self.execution),
            incremental=IncrementalConfig(enabled=True, **{"adaptive_scheduling": NO_INTERVALS} | self.incremental),
            retry=self.retry,
            drift_detection=DriftConfig(**self.drift),
        )

    def duckdb(self, name: str, *statements: str) -> Path:
        """Add a DuckDB warehouse, or write to it."""
        path = self.folder / f"{name}.duckdb"
        write_duckdb(path, *statements)
        self.warehouses.setdefault(name, WarehouseConfig(name, "duckdb", filepath=path))
        return path

    def sqlite(self, name: str, *statements: str, **extra: Any) -> Path:
        path = self.folder / f"{name}.sqlite"
        write_sqlite(path, *statements)
        self.warehouses.setdefault(name, WarehouseConfig(name, "sqlite", filepath=path, extra_params=extra))
        return path

    @contextmanager
    def storage(self) -> Iterator[Storage]:
        """The same for all ticks, so that statements are compiled once; no connection stays open."""
        if self.url not in self.opened:
            self.opened[self.url] = open_storage(self.url)
        try:
            yield self.opened[self.url]
        finally:
            self.opened[self.url].close()

    def tick(self, *, listener: Listener | None = None, clock: Clock = utc_now, **asked: Any) -> Report:
        with self.storage() as storage, opened(self.config) as warehouses:
            plan = look(self.config, storage, warehouses, clock(), **asked)
            return run_plan(plan, self.config, storage, warehouses, clock=clock, listener=listener)

    def command(self, *words: str, **more: Any) -> subprocess.Popen[str]:
        """The command, started as a process of its own with this project's configuration."""
        return self.process(COMMAND, *words, **more)

    def process(self, *arguments: str, **more: Any) -> subprocess.Popen[str]:
        self.configure()
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | more
        return subprocess.Popen(arguments, cwd=self.folder, env=clean(), **pipes)

    def configure(self) -> None:
        """Write the configuration that a command finds."""
        settings = {
            "warehouses": {name: _settings(each) for name, each in self.warehouses.items()},
            "execution": self.execution,
            "profiling": self.profiling,
            "retry": {"enabled": False},
            "incremental": {"enabled": True, "adaptive_scheduling": {"enabled": False}},
        }
        (self.folder / "profilemesh.yml").write_text(json.dumps(settings))

    def ran(self, *words: str) -> tuple[int, str]:
        """The exit code of a command, and all that it said."""
        self.configure()
        done = called(self.folder, *words)
        return done.code, done.output

    def left(self) -> Left:
        with self.storage() as storage, storage.read() as session:
            runs: dict[str, list[Run]] = {}
            for run in session.scalars(sa.select(Run).order_by(Run.started_at)):
                runs.setdefault(run.dataset_name, []).append(run)
            metrics = session.execute(sa.select(Result.run_id, sa.func.count()).group_by(Result.run_id))
            return Left(
                runs,
                {state.table_name: state for state in session.scalars(sa.select(TableState))},
                {run_id: count for run_id, count in metrics},
                set(session.scalars(sa.select(Summary.run_id))),
                [(type_, table) for type_, table in session.execute(sa.select(Event.event_type, Event.table_name))],
            )


def _settings(warehouse: WarehouseConfig) -> dict[str, Any]:
    names = ("type", "host", "port", "database", "username", "password", "filepath")
    found = {name: getattr(warehouse, name) for name in names if getattr(warehouse, name) is not None}
    return found | {"filepath": str(found["filepath"])} if "filepath" in found else found


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def copied(template: Path, folder: Path) -> Project:
    """A project whose storage is a copy: migrating one takes longer than most tests."""
    shutil.copy(template, folder / "profilemesh.db")
    return Project(folder)


def outcomes(report: Report) -> dict[str, Outcome]:
    return {outcome.table.name: outcome for outcome in report.outcomes}
