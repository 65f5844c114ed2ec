"""Whatever fails: a clear message, the others profiled, nothing half-written, and the next run repairs it."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from profilemesh.config.model import TableRule, WarehouseConfig
from profilemesh.errors import StorageError
from profilemesh.planning import Decision
from profilemesh.runner import Report, Silence, look, opened, run_plan, utc_now
from profilemesh.storage import Storage, open_storage
from profilemesh.storage.runs import INTERRUPTED
from tests.engine.ticks import SLOW, SLOW_STEP, Project, locked_by_writer, outcomes, wait_for

NUMBERS = "AS SELECT i AS id, i % 7 AS qty FROM range(1000) r(i)"


@pytest.fixture
def pg(postgres_server, postgres_database: str, project: Project) -> Iterator[str]:
    """A PostgreSQL warehouse `pg` that is read by a role with few rights; the role's name."""
    role = f"reader_{postgres_database}"
    postgres_server.execute(
        "CREATE TABLE open_table AS SELECT generate_series(1, 5) AS id",
        "CREATE TABLE closed_table AS SELECT generate_series(1, 5) AS id",
        f"CREATE ROLE {role} LOGIN PASSWORD 'right'",
        f"GRANT SELECT ON open_table TO {role}",
        database=postgres_database,
    )
    project.warehouses["pg"] = WarehouseConfig(
        "pg", "postgres", host=postgres_server.socket_dir, database=postgres_database, username=role
    )
    yield role
    postgres_server.execute(f"DROP OWNED BY {role}", f"DROP ROLE {role}", database=postgres_database)


def asks_for_a_password(postgres_server, role: str) -> None:
    """The test server trusts everyone; from now on not this role."""
    [(hba,)] = postgres_server.execute("SHOW hba_file")
    path = Path(hba)
    path.write_text(f"local all {role} scram-sha-256\n{path.read_text()}")
    postgres_server.execute("SELECT pg_reload_conf()")


class Before(Silence):
    """Does something before the first table is opened: between plan and scan."""

    def __init__(self, *acts) -> None:
        self.acts = list(acts)

    def started(self, decision: Decision) -> None:
        while self.acts:
            self.acts.pop()()


def test_every_kind_of_trouble_at_once_is_told_and_the_rest_is_profiled(project: Project, pg: str) -> None:
    project.duckdb("shop", f"CREATE TABLE orders {NUMBERS}")
    project.sqlite("team", "CREATE TABLE tickets (id int)", "INSERT INTO tickets VALUES (1)")
    project.warehouses["ghost"] = WarehouseConfig("ghost", "duckdb", filepath=project.folder / "ghost.duckdb")
    project.warehouses["down"] = WarehouseConfig("down", "postgres", host="127.0.0.1", port=1, password="s3cr3t")
    project.profiling["tables"] = [{"table": "*"}, {"table": "tickest", "warehouse": "team"}]
    code, said = project.ran("profile")
    assert code == 1
    for words in (
        "warehouse_unreachable ghost: warehouse ghost: there is no file",
        "warehouse_unreachable down: warehouse down: no connection",
        "missing team.*.tickest is configured, but no warehouse has it; did you mean team.main.tickets?",
        "failed pg.public.closed_table",
        "grant SELECT on it",
        "success pg.public.open_table  5 rows",
        "success shop.main.orders  1,000 rows",
        "success team.main.tickets  1 rows",
        "3 tables profiled, 1 table failed; 1,006 rows read.",
    ):
        assert words in said
    assert "s3cr3t" not in said
    assert project.left().is_whole


def test_a_file_of_names_that_are_no_text_stops_no_other_warehouse(project: Project) -> None:
    path = project.sqlite("team", "CREATE TABLE zz_zz (id int)", "CREATE TABLE fine (id int)")
    path.write_bytes(path.read_bytes().replace(b"zz_zz", b"z\xff\xfezz"))
    project.duckdb("shop", f"CREATE TABLE orders {NUMBERS}")
    report = project.tick()
    assert "not valid UTF-8" in report.plan.troubles["team"].message
    assert outcomes(report)["orders"].status == "success"


def test_a_warehouse_type_without_a_driver_stops_no_other(project: Project) -> None:
    project.warehouses["crm"] = WarehouseConfig("crm", "mysql", host="127.0.0.1", database="crm", username="u")
    project.duckdb("shop", f"CREATE TABLE orders {NUMBERS}")
    report = project.tick()
    assert "'mysql' is not built yet" in report.plan.troubles["crm"].message
    assert (report.is_trouble, outcomes(report)["orders"].status) == (True, "success")


def test_a_plan_with_trouble_ends_with_1_and_a_busy_file_with_0(project: Project) -> None:
    path = project.duckdb("shop", f"CREATE TABLE orders {NUMBERS}")
    with locked_by_writer("duckdb", path):
        code, said = project.ran("profile", "--table", "orders")
    assert (code, "being written by another process" in said) == (0, True)
    path.unlink()
    code, said = project.ran("plan", "--table", "orders")
    assert code == 1
    assert "there is no file" in said and "matches no table" not in said


def test_a_wrong_password_is_told_as_such(project: Project, pg: str, postgres_server) -> None:
    asks_for_a_password(postgres_server, pg)
    project.duckdb("shop", f"CREATE TABLE orders {NUMBERS}")
    right = project.warehouses["pg"]
    project.warehouses["pg"] = WarehouseConfig(
        "pg", "postgres", host=right.host, database=right.database, username=pg, password="wr0ng"
    )
    report = project.tick()
    assert "check user, password and database" in report.plan.troubles["pg"].message
    assert "wr0ng" not in report.plan.troubles["pg"].message
    assert report.is_trouble
    assert outcomes(report)["orders"].status == "success"


def test_a_table_dropped_between_plan_and_scan_fails_alone_and_is_gone_next_time(
    project: Project, pg: str, postgres_server
) -> None:
    duck = project.duckdb("shop", f"CREATE TABLE kept {NUMBERS}", f"CREATE TABLE dropped {NUMBERS}")
    lite = project.sqlite("team", "CREATE TABLE stays (id int)", "CREATE TABLE leaves (id int)")
    drop = "DROP TABLE open_table, closed_table"
    report = project.tick(
        listener=Before(
            lambda: project.duckdb("shop", "DROP TABLE dropped"),
            lambda: project.sqlite("team", "DROP TABLE leaves"),
            lambda: postgres_server.execute(drop, database=project.warehouses["pg"].database),
        )
    )
    found = outcomes(report)
    for name in ("dropped", "leaves", "open_table"):
        assert found[name].status == "failed"
        assert "not there any more" in (found[name].error or "")
    assert (found["kept"].status, found["stays"].status) == ("success", "success")
    assert project.left().is_whole
    again = {decision.table.name: decision.reason for decision in project.tick().plan.decisions}
    assert {again["dropped"], again["leaves"], again["open_table"]} == {"vanished"}
    assert duck.exists() and lite.exists()


def test_a_column_dropped_between_plan_and_scan_is_known_to_the_next_tick(project: Project) -> None:
    project.duckdb("shop", f"CREATE TABLE t {NUMBERS}")
    first = project.tick(listener=Before(lambda: project.duckdb("shop", "ALTER TABLE t DROP COLUMN qty")))
    assert "qty" in outcomes(first)["t"].column_errors
    assert [decision.reason for decision in project.tick().plan.decisions] == ["schema_changed"]
    run = project.left().runs["t"][-1]
    assert (run.column_count, run.column_errors) == (1, None)


@pytest.mark.parametrize("kind", ["duckdb", "postgres"])
def test_a_statement_that_takes_too_long_fails_its_table_alone(project: Project, kind: str, request) -> None:
    project.duckdb("shop", f"CREATE TABLE quick {NUMBERS}")
    if kind == "duckdb":
        project.duckdb("shop", f"CREATE VIEW slow AS {SLOW}")
    else:
        request.getfixturevalue("pg")
        server, database = request.getfixturevalue("postgres_server"), project.warehouses["pg"].database
        server.execute("CREATE VIEW slow AS SELECT pg_sleep(60)::text AS n", database=database)
        server.execute(f"GRANT SELECT ON slow TO {project.warehouses['pg'].username}", database=database)
    project.execution["statement_timeout_seconds"] = 1
    found = outcomes(project.tick())
    assert "longer than 1 s; raise execution.statement_timeout_seconds" in (found["slow"].error or "")
    assert found["quick"].status == "success"
    assert project.left().is_whole


@pytest.mark.parametrize("word", ["SSL", "timeout expired", "statement timeout", "FATAL does not exist"])
def test_a_cell_that_speaks_like_a_lost_connection_costs_its_column_alone(
    project: Project, pg: str, postgres_server, word: str
) -> None:
    database = project.warehouses["pg"].database
    postgres_server.execute(
        "CREATE TABLE cells AS SELECT n AS id, CASE WHEN n = 90000 THEN '" + word + "' ELSE '1' END AS text_number "
        "FROM generate_series(1, 90000) AS r(n)",
        "CREATE VIEW odd AS SELECT id, text_number::int AS number FROM cells",
        f"GRANT SELECT ON odd TO {pg}",
        database=database,
    )
    outcome = outcomes(project.tick(only="odd"))["odd"]
    assert (outcome.error, outcome.rows) == (None, 90000)
    assert word in outcome.column_errors["number"]


@contextmanager
def with_room(project: Project, pages: int) -> Iterator[Storage]:
    """The storage, on a disk with room for so many pages more than it has now."""
    with closing(open_storage(project.url)) as storage:
        with storage.read() as session:
            most = (session.scalar(sa.text("PRAGMA page_count")) or 0) + pages
        storage.engine.dispose()
        sa.event.listen(storage.engine, "connect", lambda c, record: c.execute(f"PRAGMA max_page_count = {most}"))
        yield storage


def test_a_full_disk_is_told_and_leaves_the_old_truth(project: Project) -> None:
    project.duckdb("shop", f"CREATE TABLE t {NUMBERS}")
    project.tick()
    full = 0
    for rows, pages in enumerate(range(0, 40, 5), 1001):
        project.duckdb("shop", f"INSERT INTO t VALUES ({pages}, NULL)")
        before = project.left().states["t"]
        try:
            report = tick_with_room(project, pages)
            messages = [outcome.error or "" for outcome in report.failed]
        except StorageError as error:
            messages = [str(error)]
        if messages:
            full += 1
            assert "the disk is full" in messages[0]
            after = project.left().states["t"]
            assert (after.change_token, after.last_run_id) == (before.change_token, before.last_run_id)
        assert outcomes(project.tick(force=True))["t"].rows == rows
        assert project.left().is_whole
    assert 2 <= full < 8


def tick_with_room(project: Project, pages: int) -> Report:
    with with_room(project, pages) as storage, opened(project.config) as warehouses:
        plan = look(project.config, storage, warehouses, utc_now())
        return run_plan(plan, project.config, storage, warehouses)


def killed_while_reading(project: Project, *words: str) -> None:
    process = project.command("profile", *words)
    wait_for(lambda: "running" in project.left().statuses("t"))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not project.left().is_whole


def test_after_a_kill_the_next_run_closes_the_dead_one_and_reads_the_table(project: Project) -> None:
    project.duckdb("shop", f"CREATE VIEW t AS {SLOW}")
    killed_while_reading(project)
    project.duckdb("shop", "DROP VIEW t", f"CREATE TABLE t {NUMBERS}")
    assert outcomes(project.tick())["t"].rows == 1000
    left = project.left()
    assert left.is_whole
    assert left.statuses("t") == ["failed", "success"]
    assert left.runs["t"][0].error == INTERRUPTED
    assert left.events.count(("ProfilingFailed", "t")) == 1


def test_after_a_kill_a_table_that_is_not_read_next_is_closed_too(project: Project) -> None:
    project.duckdb("shop", f"CREATE VIEW t AS {SLOW}")
    killed_while_reading(project)
    project.profiling["tables"] = (TableRule(paused=True),)
    assert [decision.reason for decision in project.tick().plan.decisions] == ["paused"]
    left = project.left()
    assert left.is_whole
    assert left.statuses("t") == ["failed"]


def test_a_step_that_cannot_be_cancelled_does_not_hold_up_a_stop(project: Project) -> None:
    project.sqlite("team", f"CREATE VIEW t AS {SLOW_STEP}")
    process = project.command("profile")
    wait_for(lambda: "running" in project.left().statuses("t"))
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    _, said = process.communicate(timeout=30)
    assert time.monotonic() - started < 15
    assert process.returncode == 130
    assert "stopped" in said
    left = project.left()
    assert left.is_whole
    assert left.statuses("t") == ["failed"]


def test_a_reader_that_goes_away_stops_no_work_and_changes_no_exit_code(project: Project) -> None:
    project.duckdb("shop", f"CREATE TABLE a {NUMBERS}", f"CREATE TABLE b {NUMBERS}")
    reading, writing = os.pipe()
    os.close(reading)
    process = project.command("profile", stdout=writing)
    os.close(writing)
    _, complaints = process.communicate(timeout=60)
    assert (process.returncode, complaints) == (0, "")
    assert project.left().statuses("a") == project.left().statuses("b") == ["success"]


def test_two_ticks_at_once_share_the_work_and_read_no_table_twice(project: Project) -> None:
    names = [f"t{n}" for n in range(8)]
    project.duckdb("shop", *(f"CREATE TABLE {name} {NUMBERS}" for name in names))
    both = [project.command("profile") for _ in range(2)]
    said = "".join(process.communicate(timeout=60)[0] for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert "failed" not in said
    left = project.left()
    assert left.is_whole
    assert {name: left.statuses(name) for name in names} == {name: ["success"] for name in names}


def test_json_of_a_tick_with_trouble_is_json_and_names_it(project: Project) -> None:
    project.duckdb("shop", f"CREATE TABLE t {NUMBERS}")
    project.warehouses["ghost"] = WarehouseConfig("ghost", "duckdb", filepath=project.folder / "ghost.duckdb")
    code, said = project.ran("profile", "--json")
    found = json.loads(said)
    assert code == 1
    assert found["troubles"]["ghost"]["reason"] == "warehouse_unreachable"
    assert [outcome["status"] for outcome in found["outcomes"]] == ["success"]
