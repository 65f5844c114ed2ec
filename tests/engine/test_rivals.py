"""Two processes on one storage, and a storage that goes away: nothing is read twice, nothing stays open."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from profilemesh import runner
from profilemesh.config.model import CostControlsConfig, WarehouseConfig
from profilemesh.planning import Decision
from profilemesh.runner import Silence, utc_now
from profilemesh.storage import runs, states
from profilemesh.storage.claims import new_holder
from profilemesh.storage.models import LoggedDecision, Run, Tick
from profilemesh.storage.upgrade import upgrade
from profilemesh.tables import TableRef
from tests.engine.ticks import Project, outcomes

T = TableRef("shop", "main", "t")


class Meanwhile(Silence):
    """Does something once, when the first table's turn begins."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.acts = [act]

    def started(self, decision: Decision) -> None:
        if self.acts:
            self.acts.pop()()


def log(project: Project) -> list[tuple[str, str | None]]:
    with project.storage() as storage, storage.read() as session:
        rows = session.scalars(sa.select(LoggedDecision).order_by(LoggedDecision.id))
        return [(row.action, row.outcome) for row in rows]


def tick_statuses(project: Project) -> list[str]:
    with project.storage() as storage, storage.read() as session:
        return list(session.scalars(sa.select(Tick.status).order_by(Tick.started_at)))


def test_what_another_profiled_since_the_look_is_not_read_again(
    project: Project, postgres_server: Any, postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = postgres_server.socket_dir
    config = WarehouseConfig("pg", "postgres", host=host, database=postgres_database, username="postgres")
    project.warehouses["pg"] = config
    postgres_server.execute("CREATE TABLE t AS SELECT 1 AS id", database=postgres_database)
    look_at, changes = runner.read_catalogue, ["INSERT INTO t VALUES (2)"]

    def looked(*arguments: Any) -> Any:
        found = look_at(*arguments)
        if changes:
            postgres_server.execute(changes.pop(), database=postgres_database)
            project.tick()
        return found

    monkeypatch.setattr(runner, "read_catalogue", looked)
    assert outcomes(project.tick())["t"].status == "deferred"
    assert project.left().statuses("t") == ["success"]
    assert [decision.reason for decision in project.tick().plan.decisions] == ["snapshot_match"]


def test_a_decision_that_another_made_needless_is_closed(project: Project) -> None:
    project.duckdb("shop", "CREATE TABLE t AS SELECT 1 AS id")
    assert outcomes(project.tick(listener=Meanwhile(project.tick)))["t"].status == "deferred"
    assert log(project) == [("full", "deferred"), ("full", "success")]


def test_what_another_has_sampled_is_not_sampled_again(project: Project) -> None:
    project.duckdb("shop", "CREATE TABLE t AS SELECT i AS id FROM range(10000) r(i)")
    costs = CostControlsConfig(max_rows_scanned=10, fallback_strategy="sample", sample_fraction=0.5)
    project.incremental["cost_controls"] = costs
    assert outcomes(project.tick(listener=Meanwhile(project.tick)))["t"].status == "deferred"
    assert log(project) == [("sample", "deferred"), ("sample", "success")]


def test_a_claim_is_told_by_the_clock_that_all_share(project_on_both: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project = project_on_both
    project.duckdb("shop", "CREATE TABLE t AS SELECT 1 AS id")
    elsewhere = new_holder().replace(":", "-elsewhere:", 1)
    with project.storage() as storage, storage.begin() as session:
        assert states.claim(session, T, elsewhere, utc_now(), timedelta(seconds=60))
    monkeypatch.setattr(runner, "utc_now", lambda: utc_now() + timedelta(hours=1))
    assert outcomes(project.tick())["t"].status == "deferred"


def test_the_decision_of_a_dead_process_is_closed_with_its_run(project: Project) -> None:
    project.duckdb("shop", "CREATE TABLE t AS SELECT 1 AS id")
    host, process, _, name = new_holder().rsplit(":", 3)

    def die() -> None:
        with project.storage() as storage, storage.begin() as session:
            plan = session.scalars(sa.select(LoggedDecision.plan_id)).one()
            assert states.claim(session, T, f"{host}:{process}:1:{name}", utc_now(), timedelta(hours=1))
            fields = {"warehouse": "shop", "schema_name": "main", "dataset_name": "t", "plan_id": plan}
            runs.start_run(session, Run(run_id="dead", profiled_at=utc_now(), **fields))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        project.tick(listener=Meanwhile(die))
    project.tick()
    assert log(project) == [("full", "failed"), ("full", "success")]


def test_a_tick_whose_end_could_not_be_stored_does_not_say_running_for_ever(
    project: Project, postgres_server: Any, postgres_database: str
) -> None:
    project.postgres_url = postgres_server.url(postgres_database)
    upgrade(project.url)
    project.duckdb("shop", "CREATE TABLE t AS SELECT 1 AS id")
    open_to = f"ALTER DATABASE {postgres_database} ALLOW_CONNECTIONS"
    ended = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{postgres_database}'"
    away = Meanwhile(lambda: postgres_server.execute(f"{open_to} false", ended))
    assert outcomes(project.tick(listener=away))["t"].status == "failed"
    postgres_server.execute(f"{open_to} true")
    assert outcomes(project.tick())["t"].status == "success"
    assert tick_statuses(project) == ["interrupted", "done"]
    assert project.left().is_whole
