"""Alerts as the scheduler, a run by hand and the commands deliver them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from apscheduler.triggers.interval import IntervalTrigger

from jobs.deliver_alerts import deliver_alerts
from jobs.scheduler import Scheduler
from jobs.tick import Project
from profilemesh.config import Config, load_config
from profilemesh.storage import Storage, open_storage
from profilemesh.storage.models import AlertDigest
from tests.engine.alerts.made import tell
from tests.engine.ticks import wait_for, write_duckdb
from tests.webhook import ERROR, OK, Receiver, receiving

COMMAND = str(Path(sys.executable).parent / "profilemesh")
CONFIG = """
warehouses: {{shop: {{type: duckdb, filepath: shop.duckdb}}}}
incremental: {{enabled: true}}
alerts:
  dashboard_url: https://mesh.example.com/
  routes:
    - name: team
      to: ${{HOOK}}
    - name: night
      to: ["{url}", "{url}-too"]
      quiet_hours: {{hours: "00:00-24:00", days: [mon, tue, wed, thu, fri, sat], time_zone: Asia/Tokyo}}
      owner: nobody
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def project(empty_storage: Path, tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Project:
    path = Path(shutil.copy(empty_storage, tmp_path / "profilemesh.db"))
    write_duckdb(tmp_path / "shop.duckdb", "CREATE TABLE orders AS SELECT 1 AS id")
    (tmp_path / "profilemesh.yml").write_text(CONFIG.format(url=receiver.address("night")))
    monkeypatch.setenv("HOOK", receiver.address("s3cr3t"))
    return Project(tmp_path / "profilemesh.yml", f"sqlite:///{path}")


@pytest.fixture
def storage(project: Project) -> Iterator[Storage]:
    storage = open_storage(project.storage_url)
    yield storage
    storage.close()


def config(project: Project) -> Config:
    return load_config(project.config_path)


def run(project: Project, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PROFILEMESH")}
    return subprocess.run(
        [COMMAND, *words], cwd=project.config_path.parent, env=environ, capture_output=True, text=True, timeout=60
    )


def test_the_job_delivers_without_a_scheduler(project: Project, storage: Storage, receiver: Receiver) -> None:
    tell(storage, config(project))
    done = deliver_alerts(project)
    assert done is not None and done.sent == {"team": 1}
    assert "https://mesh.example.com/drift/" in receiver.on("s3cr3t")[0].body["message"]


def test_the_job_survives_a_broken_configuration_and_sends_when_it_is_mended(
    project: Project, storage: Storage, receiver: Receiver
) -> None:
    tell(storage, config(project))
    whole = project.config_path.read_text()
    project.config_path.write_text("alerts: {rutes: []}\n")
    assert deliver_alerts(project) is None
    project.config_path.write_text(whole)
    assert deliver_alerts(project) is not None
    assert len(receiver.taken) == 1


def test_the_scheduler_delivers_after_its_tick(project: Project, storage: Storage, receiver: Receiver) -> None:
    tell(storage, config(project))
    scheduler = Scheduler(project, IntervalTrigger(days=4000), timedelta(seconds=6))
    scheduler.start()
    try:
        wait_for(lambda: receiver.on("s3cr3t"), 20)
    finally:
        scheduler.stop()


def test_profile_delivers_what_waits_at_its_end(project: Project, storage: Storage, receiver: Receiver) -> None:
    tell(storage, config(project))
    done = run(project, "profile", "--json")
    assert (done.returncode, json.loads(done.stdout)["alerts"]["sent"]) == (0, {"team": 1})
    assert len(receiver.taken) == 1


def test_deliver_says_what_it_sent_and_what_failed(project: Project, storage: Storage, receiver: Receiver) -> None:
    assert run(project, "alerts", "deliver").stdout == "Nothing to send.\n"
    tell(storage, config(project))
    receiver.behaviour = lambda path: ERROR
    failed = run(project, "alerts", "deliver")
    assert failed.returncode == 1
    assert "error=500.; tried again later" in failed.stdout
    with storage.begin() as session:
        session.execute(sa.update(AlertDigest).values(next_at=None))
    receiver.behaviour = lambda path: OK
    assert (sent := run(project, "alerts", "deliver")).returncode == 0
    assert sent.stdout == "team: 1 message sent\n"


def test_a_test_message_goes_to_every_channel_at_once(project: Project, receiver: Receiver) -> None:
    done = run(project, "alerts", "test", "night")
    assert (done.returncode, done.stdout.count("sent")) == (0, 2)
    assert "Nothing is wrong" in receiver.on("night")[0].body["message"]
    receiver.behaviour = lambda path: ERROR if path == "/night-too" else OK
    broken = run(project, "alerts", "test", "night", "--json")
    assert broken.returncode == 1
    channels = json.loads(broken.stdout)["channels"]
    assert [each["error"] is None for each in channels] == [True, False]


def test_an_unknown_route_is_refused_with_the_one_that_was_meant(project: Project) -> None:
    done = run(project, "alerts", "test", "teem")
    assert done.returncode == 2
    assert "there is no route 'teem' (did you mean 'team'?); routes: team, night" in done.stderr


def test_status_tells_how_every_route_stands_and_no_secret(
    project: Project, storage: Storage, receiver: Receiver
) -> None:
    tell(storage, config(project))
    shown = run(project, "alerts", "status")
    assert "team" in shown.stdout and "waiting" in shown.stdout
    receiver.behaviour = lambda path: ERROR
    deliver_alerts(project)
    failing = run(project, "alerts", "status")
    assert "error=500. (1 tries; again at" in failing.stdout
    rows = json.loads(run(project, "alerts", "status", "--json").stdout)
    assert [(row["route"], row["state"]) for row in rows][0] == ("team", "failing")
    assert "s3cr3t" not in shown.stdout + failing.stdout + json.dumps(rows)
