"""Schedulers of real processes on a real storage."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from apscheduler.triggers.interval import IntervalTrigger
from flask import Flask

import jobs
from jobs import Jobs
from jobs.scheduler import MIDNIGHT, Scheduler, trigger_of
from jobs.tick import Project as Place
from jobs.tick import tick
from profilemesh.storage import leases, ticks
from profilemesh.storage.models import Lease, Tick
from profilemesh.storage.upgrade import upgrade
from tests.engine.ticks import SLOW, Project, copied, wait_for
from tests.web import make_app

FAST = IntervalTrigger(seconds=1, start_date=MIDNIGHT, timezone=UTC)
NEVER = IntervalTrigger(days=4000, start_date=MIDNIGHT, timezone=UTC)


@pytest.fixture
def project(empty_storage: Path, tmp_path: Path) -> Project:
    """A warehouse of one table, a configuration of it, and an empty storage."""
    return filled(copied(empty_storage, tmp_path))


@pytest.fixture
def either(fresh_url: str, tmp_path: Path) -> Project:
    """The same, on both storages in turn."""
    return filled(Project(tmp_path, postgres_url=fresh_url))


def filled(project: Project) -> Project:
    project.duckdb("shop", "CREATE TABLE orders AS SELECT i AS id FROM range(10) r(i)")
    configure(project)
    return project


def configure(project: Project, more: str = "") -> None:
    text = "warehouses: {shop: {type: duckdb, filepath: shop.duckdb}}\nincremental: {enabled: true}\n"
    (project.folder / "profilemesh.yml").write_text(text + more)


def place(project: Project) -> Place:
    return Place(project.folder / "profilemesh.yml", project.url)


def app_of(project: Project, **settings: str) -> Flask:
    return make_app(project.url, PROFILEMESH_CONFIG=str(project.folder / "profilemesh.yml"), **settings)


@contextmanager
def scheduler(project: Project, trigger: IntervalTrigger = NEVER, seconds: float = 1.5) -> Iterator[Scheduler]:
    found = Scheduler(place(project), trigger, timedelta(seconds=seconds))
    found.start()
    try:
        yield found
    finally:
        found.stop()


@contextmanager
def started(app: Flask) -> Iterator[Jobs]:
    found = jobs.start(app)
    try:
        yield found
    finally:
        found.stop()


def recorded(project: Project) -> list[Tick]:
    with project.storage() as storage, storage.read() as session:
        return list(reversed(ticks.latest(session, 100)))


def holder(project: Project) -> str | None:
    with project.storage() as storage, storage.read() as session:
        found = leases.held_by(session, "scheduler")
    return found[0] if found else None


def has_ticked(project: Project) -> Callable[[], bool]:
    return lambda: any(each.status == "done" for each in recorded(project))


def test_a_started_scheduler_profiles_at_once_what_was_never_profiled(project: Project) -> None:
    with started(app_of(project)):
        wait_for(has_ticked(project), 15)
    assert project.left().statuses("orders") == ["success"]
    assert [each.asked_by for each in recorded(project)] == ["schedule"]
    assert holder(project) is None


def test_off_by_setting_nothing_ticks_and_run_now_works(project: Project) -> None:
    app = app_of(project, PROFILEMESH_SCHEDULER="off")
    with started(app) as running:
        assert running.scheduler is None
        assert app.extensions["run_now"]("shop.main.orders") is None
        wait_for(has_ticked(project), 15)
    assert [(each.asked_by, each.tables_done) for each in recorded(project)] == [("hand", 1)]


def test_without_a_configuration_file_there_is_no_scheduler(project: Project) -> None:
    with started(make_app(project.url)) as running:
        assert running.scheduler is None


def test_only_the_holder_of_the_lease_ticks(project: Project) -> None:
    with scheduler(project, FAST) as first:
        wait_for(lambda: first.lease.is_held)
        with scheduler(project, FAST) as second:
            wait_for(lambda: len(recorded(project)) >= 3)
            assert (first.lease.is_held, second.lease.is_held) == (True, False)
            assert holder(project) == first.lease.holder
            first.stop()
            wait_for(lambda: second.lease.is_held, 5)


def test_the_lease_is_held_beyond_its_term(project: Project) -> None:
    with scheduler(project, seconds=0.6) as found:
        wait_for(lambda: found.lease.is_held)
        time.sleep(1.5)
        assert holder(project) == found.lease.holder


def test_a_lost_lease_stops_the_tick_in_hand(project: Project) -> None:
    project.duckdb("shop", f"CREATE VIEW slow AS {SLOW}")
    with scheduler(project, seconds=1.5) as found:
        wait_for(lambda: "slow" in project.left().runs, 15)
        with project.storage() as storage, storage.begin() as session:
            session.execute(sa.update(Lease).values(holder="another", until=datetime.now(UTC) + timedelta(hours=1)))
        wait_for(lambda: project.left().statuses("slow") == ["failed"], 10)
        assert not found.lease.is_held
    assert holder(project) == "another"
    assert project.left().is_whole


def test_a_killed_holder_is_replaced_within_the_term_and_its_tick_made_up_for(either: Project) -> None:
    either.duckdb("shop", f"CREATE VIEW slow AS {SLOW}")
    code = """
import pathlib, sys
from datetime import timedelta
from apscheduler.triggers.interval import IntervalTrigger
from jobs.scheduler import Scheduler
from jobs.tick import Project
Scheduler(Project(pathlib.Path(sys.argv[1]), sys.argv[2]), IntervalTrigger(days=1), timedelta(seconds=6)).start()
sys.stdin.read()
"""
    process = either.process(sys.executable, "-c", code, str(place(either).config_path), either.url, stdin=-1)
    wait_for(lambda: "slow" in either.left().runs, 15)
    configure(either, "profiling: {tables: [{table: orders}]}\n")
    with scheduler(either, seconds=6) as successor:
        assert not successor.lease.is_held
        process.send_signal(signal.SIGKILL)
        process.communicate()
        wait_for(lambda: successor.lease.is_held, 6)
        wait_for(has_ticked(either), 15)
    assert either.left().is_whole
    assert [each.status for each in recorded(either)] == ["interrupted", "done"]


def test_after_a_restart_a_tick_that_is_not_due_is_not_made_up_for(project: Project) -> None:
    with scheduler(project):
        wait_for(has_ticked(project), 15)
    with scheduler(project) as again:
        wait_for(lambda: again.lease.is_held)
        time.sleep(0.5)
    assert len(recorded(project)) == 1


def test_misfires_coalesce_and_ticks_never_overlap(project: Project) -> None:
    found = Scheduler(place(project), FAST)
    found.clock.start(paused=True)
    try:
        job = found.clock.get_job("tick")
        assert (job.coalesce, job.max_instances, job.misfire_grace_time) == (True, 1, None)
        assert found.in_hand.acquire(blocking=False)
        found.tick()
        found.in_hand.release()
    finally:
        found.clock.shutdown(wait=False)
    assert recorded(project) == []


def test_a_changed_configuration_takes_effect_and_a_broken_one_is_a_failed_tick(project: Project) -> None:
    path = place(project).config_path
    whole = path.read_text()
    with scheduler(project, FAST):
        wait_for(has_ticked(project), 15)
        path.write_text("warehouses: {shop: {type: duckdb, filepth: x}}\n")
        wait_for(lambda: any(each.status == "failed" for each in recorded(project)))
        path.write_text(whole.replace("shop:", "store:"))
        wait_for(lambda: "store" in {run.warehouse for run in project.left().runs["orders"]})
    assert "filepth" in next(each.error for each in recorded(project) if each.status == "failed")


def test_a_storage_that_is_away_fails_a_tick_and_no_more(project: Project, tmp_path: Path) -> None:
    away = Place(place(project).config_path, f"sqlite:///{tmp_path / 'away.db'}")
    assert tick(away) is None
    found = Scheduler(away, NEVER, timedelta(seconds=0.6))
    found.start()
    try:
        time.sleep(0.5)
        upgrade(away.storage_url)
        wait_for(lambda: found.lease.is_held, 5)
    finally:
        found.stop()


def test_a_stop_interrupts_the_tick_in_hand(either: Project) -> None:
    either.duckdb("shop", f"CREATE VIEW slow AS {SLOW}")
    with scheduler(either):
        wait_for(lambda: "slow" in either.left().runs, 15)
        began = time.monotonic()
    assert time.monotonic() - began < 8
    assert either.left().statuses("slow") == ["failed"]
    assert either.left().is_whole
    assert [each.status for each in recorded(either)] == ["interrupted"]
    assert holder(either) is None


def test_the_same_is_not_asked_for_twice_by_hand(project: Project) -> None:
    project.duckdb("shop", f"CREATE VIEW slow AS {SLOW}")
    app = app_of(project, PROFILEMESH_SCHEDULER="off")
    with started(app) as running:
        assert running.run_now("slow") is None
        assert "slow, asked for at" in (running.run_now("slow") or "")
        wait_for(lambda: "slow" in project.left().runs, 15)
    assert project.left().is_whole
    assert running.run_now("slow") == "this server is being stopped"


def test_ticks_are_due_at_the_same_moments_in_every_process(project: Project) -> None:
    now = datetime(2026, 11, 23, 8, 1, tzinfo=UTC)
    by_minutes, by_cron = (
        trigger_of(app_of(project, **settings).config)
        for settings in ({"PROFILEMESH_TICK_MINUTES": "15"}, {"PROFILEMESH_TICK_CRON": "30 6 * * 0"})
    )
    assert by_minutes.get_next_fire_time(None, now) == datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
    assert by_cron.get_next_fire_time(None, now) == datetime(2026, 11, 29, 6, 30, tzinfo=UTC)
