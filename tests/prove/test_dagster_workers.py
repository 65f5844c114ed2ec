"""Four workers of Dagster over 200 tables, some of which is always changing, while one after another is killed.

Each change writes its number, so that a profile tells which changes it has seen. Whether a table was ever scanned twice
at once is told by PostgreSQL's log, which has the beginning and the end of every statement.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from profilemesh.storage import Storage, open_storage
from profilemesh.storage.models import Result, Run, TableState
from profilemesh.storage.upgrade import upgrade
from tests.conftest import PostgresServer, own_postgres
from tests.engine.ticks import wait_for
from tests.prove.test_schedulers import thread

pytestmark = pytest.mark.prove

TABLES, LARGE, WORKERS, KILLS = 200, 8, 4, 20
BETWEEN = 10
"""Runs that are stored between two kills."""
ROWS, MANY_ROWS = 1_000, 200_000
LOG = {
    "log_line_prefix": "%n|%p|%a|",
    "log_statement": "all",
    "log_duration": "on",
    "log_disconnections": "on",
    "log_min_messages": "log",
}
LINE = re.compile(r"(\d+\.\d+)\|(\d+)\|profilemesh warehouse\.public\.(t\d+)\|(.*)")


@dataclass
class Scene:
    folder: Path
    server: PostgresServer
    storage: Storage
    stack: ExitStack
    changes: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    workers: list[subprocess.Popen[str]] = field(default_factory=list)
    started: int = 0

    def create(self) -> None:
        for i in range(TABLES):
            rows = MANY_ROWS if i < LARGE else ROWS
            self.server.execute(
                f"CREATE TABLE t{i} (v INTEGER, name TEXT)",
                f"INSERT INTO t{i} SELECT NULL, 'n' || n FROM generate_series(1, {rows}) n",
                database="warehouse",
            )
            self.change(f"t{i}")

    def change(self, table: str) -> None:
        self.server.execute(f"INSERT INTO {table} VALUES ({self.changes[table] + 1}, 'x')", database="warehouse")
        self.changes[table] += 1

    def start(self) -> None:
        self.started += 1
        folder = self.folder / f"worker{self.started}"
        folder.mkdir()
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("PROFILEMESH", "DAGSTER"))}
        complaints = self.stack.enter_context((folder / "complaints").open("w"))
        process = subprocess.Popen(
            [
                sys.executable,
                str(Path(__file__).with_name("dagster_worker.py")),
                str(self.folder / "profilemesh.yml"),
                str(folder),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=complaints,
            text=True,
            env=environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        )
        self.workers.append(process)
        self.stack.callback(end, process)

    def kill(self, process: subprocess.Popen[str]) -> bool:
        """With SIGKILL; whether it was working on a table."""
        was_busy = process in self.busy()
        process.kill()
        process.communicate()
        self.workers.remove(process)
        return was_busy

    def busy(self) -> list[subprocess.Popen[str]]:
        """The workers that hold a claim."""
        claims = self.all(sa.select(TableState.claimed_by).where(TableState.claimed_by.is_not(None)))
        held = {holder.rsplit(":", 3)[1] for holder in claims}
        return [process for process in self.workers if str(process.pid) in held]

    def all(self, statement: Any) -> list[Any]:
        with self.storage.read() as session:
            return list(session.scalars(statement))

    def stored(self) -> int:
        """How many good runs there are."""
        with self.storage.read() as session:
            return session.scalar(sa.select(sa.func.count()).where(Run.status == "success")) or 0

    def seen(self) -> dict[str, int]:
        """The highest number that each run has seen."""
        highest = sa.select(Result).where(Result.column_name == "v", Result.metric_name == "max")
        return {each.run_id: int(float(each.metric_value)) for each in self.all(highest) if each.metric_value}

    def is_caught_up(self) -> bool:
        last = {state.table_name: state.last_run_id for state in self.all(sa.select(TableState))}
        seen = self.seen()
        return {table: seen.get(last.get(table)) for table in self.changes} == self.changes


def end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        try:
            process.communicate("", timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with ExitStack() as stack:
        server = stack.enter_context(own_postgres())
        server.execute(*(f"ALTER SYSTEM SET {name} = '{value}'" for name, value in LOG.items()))
        server.execute("CREATE DATABASE warehouse", "CREATE DATABASE storage", "SELECT pg_reload_conf()")
        url = server.url("storage").replace("postgresql://", "postgresql+psycopg2://", 1)
        upgrade(url)
        storage = open_storage(url)
        stack.callback(storage.close)
        warehouse = {"type": "postgres", "host": server.socket_dir, "database": "warehouse", "username": "postgres"}
        settings = {
            "warehouses": {"warehouse": warehouse},
            "storage": {"connection": url},
            "incremental": {"enabled": True, "adaptive_scheduling": {"enabled": False}},
        }
        (tmp_path / "profilemesh.yml").write_text(json.dumps(settings))
        made = Scene(tmp_path, server, storage, stack)
        made.create()
        yield made


@contextmanager
def writing(scene: Scene, seed: int) -> Iterator[None]:
    """All the while some table is changed, half of the time a large one."""
    ended, chance = threading.Event(), random.Random(seed)

    def write() -> None:
        while not ended.wait(chance.uniform(0.02, 0.2)):
            scene.change(f"t{chance.randrange(LARGE if chance.random() < 0.5 else TABLES)}")

    with thread(write, ended):
        yield


def test_no_change_is_lost_and_no_table_scanned_twice_at_once_whoever_is_killed(scene: Scene) -> None:
    chance, amid, began = random.Random(7), 0, time.monotonic()
    for _ in range(WORKERS):
        scene.start()
    wait_for(lambda: scene.stored() >= TABLES, 900)
    with writing(scene, 3):
        for kill in range(KILLS):
            stored = scene.stored()
            wait_for(lambda: scene.stored() >= stored + BETWEEN, 300)  # noqa: B023 - asked at once
            if kill % 2:
                # Idle workers, those that look, and those that are just starting.
                process = chance.choice(scene.workers)
            else:
                wait_for(scene.busy, 240)
                time.sleep(chance.uniform(0, 0.3))
                process = chance.choice(scene.busy() or scene.workers)
            amid += scene.kill(process)
            scene.start()
    wait_for(scene.is_caught_up, 900)
    for process in list(scene.workers):
        end(process)
    seconds = time.monotonic() - began
    require_nothing_open(scene)
    require_nothing_forgotten(scene)
    scans = scans_of(scene.server)
    require_one_at_a_time(scans)
    good = scene.all(sa.select(Run).where(Run.status == "success"))
    failed = scene.all(sa.select(Run.error).where(Run.status == "failed"))
    assert all(error.startswith("interrupted") for error in failed), failed
    assert {run.dataset_name for run in good} == scans.keys() == scene.changes.keys()
    sys.stdout.write(
        f"{KILLS} kills, {amid} of them amid a table's turn; {sum(scene.changes.values())} changes of {TABLES} tables, "
        f"{len(good)} runs stored, {len(failed)} closed as interrupted; {sum(map(len, scans.values()))} scans in the "
        f"server's log, never two of a table at once; {seconds:.0f} s\n"
    )


def require_nothing_open(scene: Scene) -> None:
    assert not scene.all(sa.select(Run.run_id).where(Run.status == "running"))
    assert not scene.all(sa.select(TableState.table_name).where(TableState.claimed_by.is_not(None)))


def require_nothing_forgotten(scene: Scene) -> None:
    """No later profile has seen less than an earlier one."""
    seen, latest = scene.seen(), defaultdict(int)
    for run in scene.all(sa.select(Run).where(Run.status == "success").order_by(Run.started_at)):
        assert seen[run.run_id] >= latest[run.dataset_name], f"a change of {run.dataset_name} was forgotten"
        latest[run.dataset_name] = seen[run.run_id]


Scan = tuple[float, float]


def scans_of(server: PostgresServer) -> dict[str, list[Scan]]:
    """When each table was read, by the server's log: from a COPY to the end of it, or of its session."""
    found: dict[str, list[Scan]] = defaultdict(list)
    open_: dict[str, tuple[str, float]] = {}
    for line in (Path(server.package.pgdata) / "log").read_text(errors="replace").splitlines():
        matched = LINE.match(line)
        if matched is None:
            continue
        at, process, table, message = float(matched[1]), matched[2], matched[3], matched[4]
        if re.search(r"(statement|execute [^:]*): COPY", message):
            open_[process] = table, at
        elif process in open_ and re.search(r"LOG:  (duration|disconnection)", message):
            begun_of, begun = open_.pop(process)
            found[begun_of].append((begun, at))
    assert not open_, "a scan without an end"
    return found


def require_one_at_a_time(scans: dict[str, list[Scan]]) -> None:
    for table, spans in scans.items():
        spans.sort()
        for one, other in zip(spans, spans[1:], strict=False):
            assert one[1] <= other[0], f"two scans of {table} at once: {one}, {other}"
