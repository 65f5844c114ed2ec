"""`profilemesh schedule`: it ticks without the web, and a stop gives everything back."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from profilemesh.storage import leases, ticks
from tests.commands import called
from tests.engine.ticks import SLOW, Project, copied, wait_for

CONFIG = "warehouses: {shop: {type: duckdb, filepath: shop.duckdb}}\nincremental: {enabled: true}\n"


@pytest.fixture
def project(empty_storage: Path, tmp_path: Path) -> Project:
    project = copied(empty_storage, tmp_path)
    project.duckdb("shop", "CREATE TABLE orders AS SELECT 1 AS id")
    (tmp_path / "profilemesh.yml").write_text(CONFIG)
    return project


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ticks_and_a_stop_gives_the_tick_in_hand_and_the_lease_back(project: Project, number: int) -> None:
    project.duckdb("shop", f"CREATE VIEW slow AS {SLOW}")
    process = project.command("schedule")
    try:
        wait_for(lambda: project.left().statuses("slow") == ["running"], 30)
        wait_for(lambda: project.left().statuses("orders") == ["success"], 30)
    finally:
        process.send_signal(number)
        said, complaints = process.communicate(timeout=40)
    assert (process.returncode, "ProfileMesh ticks every 15 minutes" in said) == (0, True), complaints
    assert "stopped; tables and the lease are given back" in complaints and "Traceback" not in complaints
    assert project.left().statuses("slow") == ["failed"] and project.left().is_whole
    with project.storage() as storage, storage.read() as session:
        assert leases.held_by(session, "scheduler") is None
        assert [(tick.asked_by, tick.status) for tick in ticks.latest(session, 5)] == [("schedule", "interrupted")]


@pytest.mark.parametrize(
    ("settings", "cron"),
    [
        ({}, "*/15 * * * *"),
        ({"PROFILEMESH_TICK_MINUTES": "1"}, "* * * * *"),
        ({"PROFILEMESH_TICK_MINUTES": "60"}, "0 * * * *"),
        ({"PROFILEMESH_TICK_MINUTES": "180"}, "0 */3 * * *"),
        ({"PROFILEMESH_TICK_MINUTES": "1440"}, "0 0 * * *"),
        ({"PROFILEMESH_TICK_CRON": " 0 6  * * 1-5"}, "0 6 * * 1-5"),
    ],
)
def test_the_line_for_cron_says_when_the_settings_say(project: Project, settings: dict[str, str], cron: str) -> None:
    told = json.loads(called(project.folder, "schedule", "--print", "--json", env=settings).stdout)
    assert (told["cron"], told["time_zone"]) == (cron, "UTC")
    assert told["command"].endswith(f"-c {project.folder / 'profilemesh.yml'} profile")
    shown = called(project.folder, "schedule", "--print", env=settings).stdout
    assert shown == f"CRON_TZ=UTC\n{cron} {told['command']}\n"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"PROFILEMESH_TICK_MINUTES": "7"}, "cron cannot say every 7 minutes"),
        ({"PROFILEMESH_TICK_MINUTES": "0.5"}, "cron cannot say every 0.5 minutes"),
        ({"PROFILEMESH_TICK_CRON": "often"}, "five fields of cron"),
        ({"PROFILEMESH_CONFIG": "nope.yml"}, "there is no file nope.yml"),
        ({"PROFILEMESH_CONFIG": "."}, "there is no file ."),
    ],
)
def test_what_it_cannot_do_ends_with_2(project: Project, settings: dict[str, str], said: str) -> None:
    done = called(project.folder, "schedule", "--print", env=settings)
    assert (done.code, said in done.stderr) == (2, True), done.output


def test_without_a_storage_it_does_not_start(project: Project) -> None:
    (project.folder / "profilemesh.db").unlink()
    done = called(project.folder, "schedule")
    assert (done.code, "profilemesh db upgrade" in done.stderr) == (2, True)
