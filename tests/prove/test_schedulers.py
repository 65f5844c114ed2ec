"""Two processes tick on one storage: no change is lost, none profiled twice, no table read by both at once.

Four tables in two warehouses are written to all the while; each change writes its number, so that a profile tells
which changes it has seen. Who scans what is asked of the storage, and of PostgreSQL itself.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import psycopg2
import pytest
import sqlalchemy as sa

from profilemesh.events import EventType
from profilemesh.storage import Storage, leases, open_storage
from profilemesh.storage.models import Event, Lease, LoggedDecision, Result, Run, TableState, Tick
from profilemesh.storage.ticks import DONE, INTERRUPTED, RUNNING
from profilemesh.storage.upgrade import upgrade
from tests.engine.ticks import SLOW, wait_for
from tests.prove.tables import Owner, owner
from tests.prove.test_partial_kills import configure

pytestmark = pytest.mark.prove

TABLES = {"d1": "duckdb", "d2": "duckdb", "p1": "postgres", "p2": "postgres"}
ENDS = (EventType.PROFILING_COMPLETED, EventType.PROFILING_FAILED)
TERM = 6.0
ROWS = 30_000
"""Without a number, in each table of PostgreSQL: its scans are long enough to be seen."""


@dataclass
class Scene:
    """The tables, who writes to them, and the processes that tick."""

    folder: Path
    owners: dict[str, Owner]
    url: str
    storage: Storage
    server: Any
    stack: ExitStack
    changes: dict[str, list[tuple[datetime, datetime]]] = field(default_factory=lambda: defaultdict(list))

    def create(self) -> None:
        for table, kind in TABLES.items():
            division = " PARTITION BY LIST (day)" if table == "p1" else ""
            self.owners[kind].write(f"CREATE TABLE {table} (day DATE, v INTEGER, stamp TIMESTAMP){division}")
            for day in (1, 2, 3) if table == "p1" else ():
                self.owners[kind].write(f"CREATE TABLE p1_{day} PARTITION OF p1 FOR VALUES IN ('2026-03-0{day}')")
            if kind == "postgres":
                rows = f"SELECT '2026-03-01'::date + n % 3, NULL, NULL FROM generate_series(1, {ROWS}) n"
                self.owners[kind].write(f"INSERT INTO {table} {rows}")

    def change(self, table: str, day: int) -> None:
        """The next change of a table; when it began and when everybody could see it is kept."""
        number = len(self.changes[table]) + 1
        row = f"('2026-03-0{day}', {number}, TIMESTAMP '2026-01-01' + INTERVAL '{number} seconds')"
        began = datetime.now(UTC)
        wait_for(lambda: self.has_written(TABLES[table], f"INSERT INTO {table} VALUES {row}"))
        self.changes[table].append((began, datetime.now(UTC)))

    def has_written(self, kind: str, statement: str) -> bool:
        try:
            self.owners[kind].write(statement)
        except duckdb.IOException:
            # A scan has the file open.
            return False
        return True

    def start(self, mode: str, host: str = "", term: float = TERM) -> subprocess.Popen[str]:
        arguments = [str(self.folder / "profilemesh.yml"), self.url, str(term), mode, *([host] if host else [])]
        environ = {name: value for name, value in os.environ.items() if not name.startswith("PROFILEMESH")}
        root = Path(__file__).parents[2]
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("ticking.py")), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self.stack.enter_context((self.folder / "complaints").open("a")),
            text=True,
            cwd=self.folder,
            env=environ | {"PYTHONPATH": str(root)},
        )
        self.stack.callback(end, process)
        return process

    def all(self, statement: Any) -> list[Any]:
        with self.storage.read() as session:
            return list(session.scalars(statement))

    def ticks(self, *statuses: str) -> list[Tick]:
        wanted = sa.select(Tick).where(Tick.status.in_(statuses)) if statuses else sa.select(Tick)
        return self.all(wanted.order_by(Tick.started_at))

    def holder(self) -> str | None:
        with self.storage.read() as session:
            found = leases.held_by(session, "scheduler")
        return found[0] if found else None

    def is_caught_up(self) -> bool:
        """Every table's last profile has seen every change."""
        last = {state.table_name: state.last_run_id for state in self.all(sa.select(TableState))}
        runs = {run.run_id: run for run in self.all(sa.select(Run))}
        seen = versions(self)
        wanted = {table: len(self.changes[table]) for table in TABLES}
        found = {table: seen.get(last.get(table)) for table in TABLES}
        more = {"duckdb": 0, "postgres": ROWS}
        return found == wanted and all(
            runs[last[table]].row_count == wanted[table] + more[kind] for table, kind in TABLES.items()
        )


def end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        try:
            process.communicate("", timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def versions(scene: Scene) -> dict[str, int]:
    """The highest number that each run has seen."""
    highest = sa.select(Result).where(Result.column_name == "v", Result.metric_name == "max")
    return {each.run_id: int(float(each.metric_value)) for each in scene.all(highest) if each.metric_value is not None}


@pytest.fixture
def scene(storage_url: str, tmp_path: Path, postgres_server: Any) -> Iterator[Scene]:
    with ExitStack() as stack:
        kinds = ("duckdb", "postgres")
        name = f"ticks_{os.getpid()}"
        owners = {kind: stack.enter_context(owner(kind, tmp_path, postgres_server, name)) for kind in kinds}
        upgrade(storage_url)
        configure(tmp_path, owners, storage_url)
        storage = open_storage(storage_url)
        stack.callback(storage.close)
        made = Scene(tmp_path, owners, storage_url, storage, postgres_server, stack)
        made.create()
        for table in TABLES:
            made.change(table, 1)
        yield made


@contextmanager
def writing(scene: Scene, seed: int) -> Iterator[None]:
    """All the while some table is changed by somebody else."""
    ended, chance = threading.Event(), random.Random(seed)

    def write() -> None:
        while not ended.wait(chance.uniform(0.1, 0.9)):
            scene.change(chance.choice(list(TABLES)), chance.randint(1, 3))

    with thread(write, ended):
        yield


@contextmanager
def watching(scene: Scene) -> Iterator[Counter[tuple[str, int]]]:
    """How often PostgreSQL was seen to carry out so many scans of one table at once."""
    ended, seen = threading.Event(), Counter[tuple[str, int]]()
    scans = (
        "SELECT application_name, count(*) FROM pg_stat_activity "
        "WHERE state = 'active' AND query LIKE 'COPY%' AND application_name LIKE 'profilemesh postgres.public.%' "
        "GROUP BY 1"
    )
    connection = psycopg2.connect(scene.server.url("postgres"))
    connection.autocommit = True

    def watch() -> None:
        with connection.cursor() as cursor:
            while not ended.wait(0.02):
                cursor.execute(scans)
                seen.update(cursor.fetchall())

    with thread(watch, ended):
        yield seen
    connection.close()


@contextmanager
def thread(work: Callable[[], None], ended: threading.Event) -> Iterator[None]:
    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again where the test sees it
            failures.append(error)

    worker = threading.Thread(target=guarded)
    worker.start()
    try:
        yield
    finally:
        ended.set()
        worker.join()
    assert not failures, failures


def require_one_at_a_time(scene: Scene) -> None:
    """No table has two runs between whose beginning and end the other's lies."""
    began, ended = {}, {}
    for event in scene.all(sa.select(Event).where(Event.run_id.is_not(None))):
        if event.event_type == EventType.PROFILING_STARTED:
            began[event.run_id] = event.timestamp
        elif event.event_type in ENDS:
            ended[event.run_id] = event.timestamp
    spans = defaultdict(list)
    for run in scene.all(sa.select(Run)):
        spans[run.dataset_name].append((began[run.run_id], ended[run.run_id]))
    for table, found in spans.items():
        found.sort()
        for (_, end_of_one), (start_of_next, _) in zip(found, found[1:], strict=False):
            assert end_of_one <= start_of_next, f"two runs of {table} at once"


def require_none_twice(scene: Scene) -> tuple[int, int]:
    """No run has seen what another had, but for changes that came between its plan and its end; how many runs there
    are, and how many of those."""
    seen, again = versions(scene), 0
    planned = {each.run_id: each.decided_at for each in scene.all(sa.select(LoggedDecision)) if each.run_id}
    good = scene.all(sa.select(Run).where(Run.status == "success").order_by(Run.started_at))
    for table in TABLES:
        runs = [run for run in good if run.dataset_name == table]
        for one, other in zip(runs, runs[1:], strict=False):
            assert seen[one.run_id] <= seen[other.run_id], f"a change of {table} was forgotten"
            if seen[one.run_id] < seen[other.run_id]:
                continue
            again += 1
            since, until = scene.changes[table][seen[one.run_id] - 1]
            over = one.started_at + timedelta(seconds=one.duration_seconds)
            assert since <= over and planned[one.run_id] <= until, (
                f"{table} profiled twice: {one.reason}, {other.reason}"
            )
    return len(good), again


def require_nothing_open(scene: Scene) -> None:
    assert not [run.run_id for run in scene.all(sa.select(Run).where(Run.status == RUNNING))]
    assert not [state.table_name for state in scene.all(sa.select(TableState)) if state.claimed_by]
    assert not scene.ticks(RUNNING)


def process_of(holder: str | None) -> int:
    assert holder is not None
    return int(holder.rsplit(":", 3)[1])


def test_of_two_schedulers_one_ticks_and_every_change_is_profiled_once(scene: Scene) -> None:
    first, second = scene.start("lease", term=30), scene.start("lease", term=30)
    with watching(scene) as scans, writing(scene, 1):
        wait_for(lambda: sum(ticks_by_process(scene).values()) >= 200, 400)
    wait_for(scene.is_caught_up)
    [lease] = scene.all(sa.select(Lease))
    assert {process_of(tick.holder) for tick in scene.ticks()} == {process_of(lease.holder)} <= {first.pid, second.pid}
    end(first)
    end(second)
    told(scene, scans)


def test_two_that_ask_nobody_share_the_tables_by_their_claims(scene: Scene) -> None:
    first, second = scene.start("alone"), scene.start("alone")
    with watching(scene) as scans, writing(scene, 2):
        wait_for(lambda: min(ticks_by_process(scene)[each.pid] for each in (first, second)) >= 25, 200)
    wait_for(scene.is_caught_up)
    end(first)
    end(second)
    told(scene, scans)


def ticks_by_process(scene: Scene) -> Counter[int]:
    """How many each has done."""
    return Counter(process_of(holder) for holder in scene.all(sa.select(Tick.holder).where(Tick.status == DONE)))


def told(scene: Scene, scans: Counter[tuple[str, int]]) -> None:
    require_nothing_open(scene)
    require_one_at_a_time(scene)
    assert scans and {count for _, count in scans} == {1}
    runs, again = require_none_twice(scene)
    changes = sum(len(each) for each in scene.changes.values())
    sys.stdout.write(
        f"{scene.storage.engine.dialect.name}: {len(scene.ticks(DONE))} ticks, {changes} changes, {runs} runs, "
        f"{again} of them again because of a change between plan and end; {scans.total()} looks at scans\n"
    )


@pytest.mark.parametrize("host", ["", "elsewhere"])
def test_a_killed_holder_is_replaced_within_its_term_and_its_runs_are_closed(scene: Scene, host: str) -> None:
    """From another host nothing is known of a process but that it does not renew what it holds."""
    first = scene.start("lease", host)
    wait_for(scene.is_caught_up)
    second = scene.start("lease")
    scene.change("p1", 2)
    wait_for(lambda: scene.has_written("duckdb", f"CREATE VIEW slow AS {SLOW}"))
    wait_for(lambda: "slow" in {run.dataset_name for run in scene.all(sa.select(Run).where(Run.status == RUNNING))})
    assert process_of(scene.holder()) == first.pid
    first.send_signal(signal.SIGKILL)
    killed_at = datetime.now(UTC)
    first.communicate()
    [until] = scene.all(sa.select(Lease.until))
    for table in ("p1", "p2", "d1"):
        scene.change(table, 3)
    wait_for(lambda: scene.has_written("duckdb", "DROP VIEW slow"))
    wait_for(lambda: (holder := scene.holder()) is not None and process_of(holder) == second.pid, 3 * TERM)
    [taken_at] = scene.all(sa.select(Lease.taken_at))
    wait_for(lambda: scene.is_caught_up() and is_closed(scene))
    ticked = {process_of(tick.holder): tick.status for tick in scene.ticks() if tick.status != RUNNING}
    assert ticked == {first.pid: INTERRUPTED, second.pid: DONE}
    end(second)
    require_nothing_open(scene)
    require_one_at_a_time(scene)
    require_none_twice(scene)
    assert scene.holder() is None
    told = f"replaced {(taken_at - killed_at).total_seconds():.1f} s after its death, of a term of {TERM:g} s"
    sys.stdout.write(f"{scene.storage.engine.dialect.name}, {host or 'this host'}: {told}\n")
    assert taken_at - until <= timedelta(seconds=0.5)
    assert (taken_at >= until) == bool(host)


def is_closed(scene: Scene) -> bool:
    """Nothing is running that the dead one left, and nothing of what it left to do."""
    return not scene.ticks(RUNNING) and not scene.all(sa.select(Run).where(Run.status == RUNNING))
