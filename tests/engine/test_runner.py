"""Carrying out a plan: side by side within bounds, each table claimed, and all of a run or nothing of it stored."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from profilemesh import runner
from profilemesh.config.model import ColumnRule, RetryConfig, TableRule, WarehouseConfig
from profilemesh.errors import WarehouseBusy, WarehouseUnreachable
from profilemesh.planning import Decision
from profilemesh.runner import STOP_SECONDS, Outcome, Silence, look, opened, run_plan, utc_now
from profilemesh.storage import runs, states
from profilemesh.storage.claims import new_holder
from profilemesh.storage.models import Run
from profilemesh.tables import TableRef
from profilemesh.warehouses import connected
from profilemesh.warehouses.base import Misconfigured
from profilemesh.warehouses.duckdb import DuckDBScan
from tests.engine.ticks import SLOW, Project, locked_by_writer, outcomes, wait_for, write_sqlite

NUMBERS = "AS SELECT i AS id, i % 7 AS qty FROM range(1000) r(i)"
MEMORY = ("snapshot_id", "change_token", "last_profiled_at", "last_run_id", "row_count")


def on_storage(project: Project, *statements: str) -> None:
    with closing(sqlite3.connect(project.folder / "profilemesh.db")) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def memory(project: Project, table: str) -> tuple[object, ...]:
    state = project.left().states[table]
    return tuple(getattr(state, name) for name in MEMORY)


class Crowd(Silence):
    """Counts the tables that are worked on at once. In `together` each reader waits until all of them are there."""

    def __init__(self, together: int = 1) -> None:
        self.lock, self.now, self.most = threading.Lock(), Counter[str](), Counter[str]()
        self.barrier = threading.Barrier(together)

    def started(self, decision: Decision) -> None:
        self._count(decision.table.warehouse, 1)

    def read(self, table: TableRef, rows: int) -> None:
        self.barrier.wait(30)

    def ended(self, outcome: Outcome) -> None:
        self._count(outcome.table.warehouse, -1)

    def _count(self, warehouse: str, change: int) -> None:
        with self.lock:
            for name in (warehouse, "all"):
                self.now[name] += change
                self.most[name] = max(self.most[name], self.now[name])


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_as_many_tables_at_once_as_there_are_workers_and_no_more(project: Project, workers: int) -> None:
    project.duckdb("shop", *(f"CREATE TABLE t{n} {NUMBERS}" for n in range(4)))
    project.execution["max_workers"] = workers
    crowd = Crowd(together=workers)
    report = project.tick(listener=crowd)
    assert [outcome.status for outcome in report.outcomes] == ["success"] * 4
    assert crowd.most["all"] == workers


@pytest.mark.parametrize("limited", ["a", "duckdb"])
def test_a_limit_holds_by_name_and_by_type_and_keeps_no_worker_from_others(project: Project, limited: str) -> None:
    project.duckdb("a", *(f"CREATE TABLE a{n} {NUMBERS}" for n in range(3)))
    project.sqlite("b", "CREATE TABLE b1 (id int)", "CREATE TABLE b2 (id int)", "CREATE TABLE b3 (id int)")
    project.execution |= {"max_workers": 2, "warehouse_limits": {limited: 1}}
    # Each table of `a` meets one of `b`: were both workers to wait for `a`, the barrier would break.
    crowd = Crowd(together=2)
    report = project.tick(listener=crowd)
    assert [outcome.error for outcome in report.outcomes] == [None] * 6
    assert (crowd.most["a"], crowd.most["all"]) == (1, 2)


def test_outcomes_come_in_the_order_of_names(project: Project) -> None:
    project.execution["max_workers"] = 3
    project.duckdb("shop", *(f"CREATE TABLE t{n} {NUMBERS}" for n in range(6)))
    assert [outcome.table.name for outcome in project.tick().outcomes] == [f"t{n}" for n in range(6)]


@pytest.mark.parametrize("last", ["profilemesh_events", "profilemesh_summaries", "profilemesh_table_state"])
def test_a_failure_in_the_transaction_of_a_run_leaves_nothing_of_it(project: Project, last: str) -> None:
    project.duckdb("shop", f"CREATE TABLE bad {NUMBERS}", f"CREATE TABLE good {NUMBERS}")
    project.tick(only="bad")
    before = memory(project, "bad")
    project.duckdb("shop", "INSERT INTO bad VALUES (-1, -1)")
    conditions = {
        "profilemesh_events": ("INSERT", "NEW.event_type = 'ProfilingCompleted' AND NEW.table_name = 'bad'"),
        "profilemesh_summaries": (
            "INSERT",
            "(SELECT dataset_name FROM profilemesh_runs WHERE run_id = NEW.run_id) = 'bad'",
        ),
        "profilemesh_table_state": ("UPDATE", "NEW.row_count = 1001"),
    }
    when, condition = conditions[last]
    on_storage(
        project, f"CREATE TRIGGER t BEFORE {when} ON {last} WHEN {condition} BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    report = project.tick()
    assert {name: o.status for name, o in outcomes(report).items()} == {"bad": "failed", "good": "success"}
    left = project.left()
    assert left.is_whole
    assert left.statuses("bad") == ["success", "failed"]
    assert memory(project, "bad") == before
    on_storage(project, "DROP TRIGGER t")
    assert outcomes(project.tick())["bad"].rows == 1001


def test_a_failure_that_cannot_even_be_stored_stops_no_other_table(project: Project) -> None:
    project.duckdb("shop", f"CREATE TABLE bad {NUMBERS}", f"CREATE TABLE good {NUMBERS}")
    on_storage(
        project,
        "CREATE TRIGGER t BEFORE UPDATE ON profilemesh_runs WHEN NEW.dataset_name = 'bad' "
        "BEGIN SELECT RAISE(ABORT, 'no'); END",
    )
    found = outcomes(project.tick())
    assert (found["bad"].status, found["good"].status) == ("failed", "success")
    assert "could not be stored" in (found["bad"].error or "")


def test_a_skip_and_a_failure_leave_the_memory_as_it_was(project: Project) -> None:
    path = project.duckdb("shop", f"CREATE TABLE t {NUMBERS}")
    project.tick()
    before = memory(project, "t")
    assert project.tick().outcomes == ()
    assert memory(project, "t") == before
    project.duckdb("shop", "ALTER TABLE t RENAME TO base", f"CREATE VIEW t AS {SLOW}")
    project.execution["statement_timeout_seconds"] = 0.2
    assert "longer than 0.2 s" in (outcomes(project.tick())["t"].error or "")
    assert memory(project, "t") == before
    path.unlink()
    assert project.tick().is_trouble
    assert memory(project, "t") == before


def test_a_verified_table_says_when(project: Project) -> None:
    project.duckdb("shop", f"CREATE TABLE t {NUMBERS}")
    project.tick()
    first = project.left().states["t"].last_verified_at
    project.tick()
    second = project.left().states["t"].last_verified_at
    assert first is not None and second is not None and first < second


class During(Silence):
    """Does something once, while a table is being read."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.acts = [act]

    def read(self, table: TableRef, rows: int) -> None:
        if self.acts:
            self.acts.pop()()


def test_of_two_at_once_one_reads_the_table_and_the_other_leaves_it(project_on_both: Project) -> None:
    project = project_on_both
    project.duckdb("shop", f"CREATE TABLE t {NUMBERS}")
    seen: list[Outcome] = []
    report = project.tick(listener=During(lambda: seen.extend(project.tick().outcomes)))
    assert [(outcome.status, outcome.error) for outcome in seen] == [
        ("deferred", "another process is working on this table")
    ]
    assert not report.is_trouble
    assert project.left().statuses("t") == ["success"]


def test_a_plan_that_another_process_was_faster_to_carry_out_reads_nothing_again(project_on_both: Project) -> None:
    project = project_on_both
    project.duckdb("shop", f"CREATE TABLE t {NUMBERS}")
    with project.storage() as storage, opened(project.config) as warehouses:
        stale = look(project.config, storage, warehouses, utc_now())
        project.tick()
        [outcome] = run_plan(stale, project.config, storage, warehouses).outcomes
    assert outcome.status == "deferred"
    assert "since the plan was made" in (outcome.error or "")
    assert project.left().statuses("t") == ["success"]
    assert project.left().is_whole


def test_a_change_during_the_scan_is_seen_by_the_next_tick(project: Project) -> None:
    path = project.sqlite(
        "team", "PRAGMA journal_mode = WAL", "CREATE TABLE t (id int)", "INSERT INTO t VALUES (1), (2)"
    )
    listener = During(lambda: write_sqlite(path, "INSERT INTO t VALUES (3)"))
    assert outcomes(project.tick(listener=listener))["t"].rows == 2
    assert outcomes(project.tick())["t"].rows == 3


def test_a_claim_of_a_live_process_elsewhere_is_respected_until_its_term_ends(project: Project) -> None:
    project.duckdb("shop", f"CREATE TABLE t {NUMBERS}")
    elsewhere = new_holder().replace(":", "-elsewhere:", 1)
    for term, status in ((timedelta(seconds=60), "deferred"), (timedelta(seconds=-1), "success")):
        with project.storage() as storage, storage.begin() as session:
            assert states.claim(session, TableRef("shop", "main", "t"), elsewhere, utc_now(), term)
        assert outcomes(project.tick())["t"].status == status


def test_what_a_dead_process_left_is_closed_on_both_storages(project_on_both: Project) -> None:
    project = project_on_both
    project.duckdb("shop", f"CREATE TABLE t {NUMBERS}")
    project.tick()
    dead = new_holder().split(":")
    dead[2] = "1"
    table = TableRef("shop", "main", "t")
    with project.storage() as storage, storage.begin() as session:
        assert states.claim(session, table, ":".join(dead), utc_now(), timedelta(hours=1))
        fields = {"warehouse": "shop", "schema_name": "main", "dataset_name": "t"}
        runs.start_run(session, Run(run_id="dead", profiled_at=utc_now(), **fields))
    assert [decision.reason for decision in project.tick().plan.decisions] == ["snapshot_match"]
    left = project.left()
    assert left.is_whole
    assert sorted(left.statuses("t")) == ["failed", "success"]


def test_a_run_whose_claim_was_lost_stores_nothing(project: Project) -> None:
    project.duckdb("shop", f"CREATE TABLE t {NUMBERS}")
    thief = "UPDATE profilemesh_table_state SET claimed_by = 'thief', claimed_until = '2999-01-01'"
    outcome = outcomes(project.tick(listener=During(lambda: on_storage(project, thief))))["t"]
    assert outcome.status == "failed"
    assert "another process took" in (outcome.error or "")
    left = project.left()
    assert left.metrics == {}
    assert left.states["t"].last_profiled_at is None
    assert left.states["t"].claimed_by == "thief"


def test_a_claim_outlasts_its_term_while_the_table_is_read(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "CLAIM_TERM", timedelta(seconds=1.2))
    project.duckdb("shop", f"CREATE TABLE t {NUMBERS}")
    won: list[bool] = []

    def try_to_take_over() -> None:
        time.sleep(2.5)
        with project.storage() as storage, storage.begin() as session:
            won.append(states.claim(session, TableRef("shop", "main", "t"), "elsewhere", utc_now(), timedelta(1)))

    assert outcomes(project.tick(listener=During(try_to_take_over)))["t"].status == "success"
    assert won == [False]


def test_a_scan_whose_claim_is_lost_is_stopped(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "CLAIM_TERM", timedelta(seconds=0.6))
    project.duckdb("shop", f"CREATE VIEW t AS {SLOW}")

    def steal() -> None:
        wait_for(lambda: "running" in project.left().statuses("t"))
        on_storage(project, "UPDATE profilemesh_table_state SET claimed_by = 'thief', claimed_until = '2999-01-01'")

    thief = threading.Thread(target=steal)
    thief.start()
    outcome = outcomes(project.tick())["t"]
    thief.join()
    assert (outcome.status, "stopped" in (outcome.error or "")) == ("failed", True)
    assert project.left().states["t"].claimed_by == "thief"


class Interrupt(Silence):
    """Sends Ctrl-C to this process as soon as a run of `table` has begun."""

    def __init__(self, project: Project, table: str) -> None:
        self.project, self.table, self.sent_at = project, table, 0.0

    def started(self, decision: Decision) -> None:
        if decision.table.name == self.table:
            threading.Thread(target=self._wait_and_send).start()

    def _wait_and_send(self) -> None:
        while "running" not in self.project.left().statuses(self.table):
            time.sleep(0.05)
        self.sent_at = time.monotonic()
        os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupt_fails_what_is_read_and_leaves_alone_what_has_not_begun(project_on_both: Project) -> None:
    project = project_on_both
    project.duckdb("shop", f"CREATE VIEW a AS {SLOW}", f"CREATE TABLE b {NUMBERS}", f"CREATE TABLE c {NUMBERS}")
    project.execution |= {"max_workers": 2, "warehouse_limits": {"shop": 1}}
    interrupt = Interrupt(project, "a")
    with pytest.raises(KeyboardInterrupt):
        project.tick(listener=interrupt)
    assert time.monotonic() - interrupt.sent_at < STOP_SECONDS - 1
    left = project.left()
    assert left.is_whole
    assert {name: [run.status for run in found] for name, found in left.runs.items()} == {"a": ["failed"]}
    assert "stopped" in (left.runs["a"][0].error or "")


def test_an_interrupt_between_two_statements_is_heard(
    project_on_both: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    unheard: list[DuckDBScan] = []
    cancel = DuckDBScan.cancel
    monkeypatch.setattr(DuckDBScan, "cancel", lambda scan: cancel(scan) if scan in unheard else unheard.append(scan))
    project = project_on_both
    project.duckdb("shop", f"CREATE VIEW a AS {SLOW}")
    interrupt = Interrupt(project, "a")
    with pytest.raises(KeyboardInterrupt):
        project.tick(listener=interrupt)
    assert time.monotonic() - interrupt.sent_at < STOP_SECONDS - 1
    assert project.left().statuses("a") == ["failed"]


class LockedAtStart(Silence):
    """Lets another process lock the file when its table's turn begins: after the plan was made."""

    def __init__(self, path: Path) -> None:
        self.lock = locked_by_writer("sqlite", path)

    def started(self, decision: Decision) -> None:
        self.lock.__enter__()


def test_a_file_that_is_locked_between_plan_and_scan_is_put_off_without_a_trace(project_on_both: Project) -> None:
    project = project_on_both
    path = project.sqlite("team", "CREATE TABLE t (id int)", "INSERT INTO t VALUES (1)", busy_timeout_ms=50)
    listener = LockedAtStart(path)
    report = project.tick(listener=listener)
    listener.lock.__exit__(None, None, None)
    assert [(outcome.status, report.is_trouble) for outcome in report.outcomes] == [("deferred", False)]
    left = project.left()
    assert left.is_whole
    assert (left.runs, left.events) == ({}, [])
    assert left.states["t"].decision_reason == "warehouse_busy"
    assert outcomes(project.tick())["t"].rows == 1


def test_only_a_failed_connection_is_tried_again_and_ever_less_often() -> None:
    def outcome_of(error: Exception, retry: RetryConfig) -> list[float]:
        pauses: list[float] = []

        def fail() -> None:
            raise error

        with pytest.raises(type(error)):
            connected(fail, retry, pauses.append)
        return pauses

    gone = WarehouseUnreachable("gone")
    assert outcome_of(gone, RetryConfig()) == [0.5, 1.0, 2.0]
    assert outcome_of(gone, RetryConfig(retries=6, max_backoff=3)) == [0.5, 1.0, 2.0, 3, 3, 3]
    assert outcome_of(gone, RetryConfig(backoff_strategy="fixed")) == [0.5] * 3
    for error, retry in (
        (gone, RetryConfig(enabled=False)),
        (gone, RetryConfig(retries=0)),
        (Misconfigured("wrong password"), RetryConfig()),
        (WarehouseBusy("locked"), RetryConfig()),
    ):
        assert outcome_of(error, retry) == []


@pytest.fixture
def server(postgres_server, postgres_database: str, project: Project) -> Iterator[Path]:
    """A PostgreSQL warehouse `pg` of three tables that is reached by a link, and so can go away and come back."""
    tables = [f"CREATE TABLE {name} AS SELECT generate_series(1, 10) AS id" for name in ("p1", "p2", "p3")]
    postgres_server.execute(*tables, database=postgres_database)
    folder = Path(tempfile.mkdtemp(prefix="pm-"))
    link = folder / "s"
    link.symlink_to(postgres_server.socket_dir)
    project.warehouses["pg"] = WarehouseConfig(
        "pg", "postgres", host=str(link), database=postgres_database, username="postgres"
    )
    yield link
    shutil.rmtree(folder)


class Outage(Silence):
    """Takes the server away before its first table is read; it comes back after `seconds`, if given."""

    def __init__(self, link: Path, seconds: float | None = None) -> None:
        self.link, self.seconds, self.target = link, seconds, link.readlink()

    def started(self, decision: Decision) -> None:
        if decision.table.name == "p1":
            self.link.unlink()
            if self.seconds is not None:
                threading.Timer(self.seconds, self.link.symlink_to, [self.target]).start()


def test_a_short_outage_is_waited_out(project: Project, server: Path) -> None:
    project.retry = RetryConfig(retries=20, backoff_strategy="fixed", min_backoff=0.1)
    report = project.tick(listener=Outage(server, 0.3))
    assert [outcome.rows for outcome in report.outcomes] == [10, 10, 10]


def test_a_long_outage_fails_one_table_puts_off_its_neighbours_and_stops_no_one_else(
    project: Project, server: Path
) -> None:
    project.duckdb("shop", f"CREATE TABLE t {NUMBERS}")
    report = project.tick(listener=Outage(server))
    assert {name: outcome.status for name, outcome in outcomes(report).items()} == {
        "p1": "failed",
        "p2": "deferred",
        "p3": "deferred",
        "t": "success",
    }
    assert report.is_trouble
    left = project.left()
    assert left.is_whole
    assert left.states["p2"].decision_reason == "warehouse_unreachable"
    assert left.statuses("p2") == []


def test_a_stop_does_not_wait_for_a_server_that_does_not_answer(project: Project, server: Path) -> None:
    project.retry = RetryConfig(retries=20, backoff_strategy="fixed", min_backoff=60, max_backoff=60)
    threading.Timer(1.5, os.kill, [os.getpid(), signal.SIGINT]).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        project.tick(listener=Outage(server))
    assert time.monotonic() - started < 10
    assert project.left().runs == {}


def test_a_stop_while_looking_does_not_wait_either(project: Project, server: Path) -> None:
    server.unlink()
    project.retry = RetryConfig(retries=1, min_backoff=4)
    threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGINT]).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        project.tick()
    assert time.monotonic() - started < 3


def test_a_table_whose_columns_are_all_excluded_has_a_count_alone(project: Project) -> None:
    project.duckdb("shop", f"CREATE TABLE t {NUMBERS}")
    project.sqlite("team", "CREATE TABLE u (id int)", "INSERT INTO u VALUES (1), (2)")
    project.profiling["tables"] = (TableRule(columns=ColumnRule(exclude=("*",))),)
    found = outcomes(project.tick())
    assert (found["t"].rows, found["u"].rows) == (1000, 2)


def test_a_damaged_summary_of_before_fails_no_run(project: Project) -> None:
    project.duckdb("shop", f"CREATE TABLE t {NUMBERS}")
    project.tick()
    on_storage(project, "UPDATE profilemesh_summaries SET payload = x'00'")
    assert outcomes(project.tick(force=True))["t"].status == "success"
