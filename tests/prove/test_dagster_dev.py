"""`dagster dev` on the example: webserver, daemon and code location as they are run, nothing of them replaced.

The storage is PostgreSQL, the warehouses are a day of the demo. All the while every connection that any of the
processes has is looked at: none goes anywhere but to this machine.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import psutil
import pytest
import sqlalchemy as sa

from bench._demo import Shop, Support
from profilemesh.storage import open_storage
from profilemesh.storage.models import Run
from profilemesh.storage.upgrade import upgrade

pytestmark = pytest.mark.prove

ROOT = Path(__file__).parents[2]
END = date(2026, 3, 12)
JOB, SENSOR = "profilemesh_profile_all", "profilemesh_profile_all_plan_sensor"
LOOPBACK = ("127.", "::1", "::ffff:127.")

RUNS = "{ runsOrError { ... on Runs { results { runId status assetSelection { path } tags { key value } } } } }"
LOCATION = """{ workspaceOrError { ... on Workspace { locationEntries { name locationOrLoadError {
  __typename ... on PythonError { message } ... on RepositoryLocation { name repositories { name } } } } } } }"""
ASSETS = "{ assetNodes { assetKey { path } isMaterializable } }"
TICKS = """query($selector: InstigationSelector!) { instigationStateOrError(instigationSelector: $selector) {
  ... on InstigationState { status ticks(limit: 5) { status runIds skipReason error { message } } } } }"""
LAUNCH = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""


@dataclass
class Dagster:
    """The processes, asked as the page asks them."""

    port: int
    process: psutil.Process
    outside: set[str] = field(default_factory=set)

    def ask(self, query: str, **variables: Any) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        address = f"http://127.0.0.1:{self.port}/graphql"
        request = urllib.request.Request(address, body, {"Content-Type": "application/json"})  # noqa: S310
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            found = json.load(answer)
        assert "errors" not in found, found
        return found["data"]

    @property
    def location(self) -> dict[str, str] | None:
        """The names that address the code location, once it is loaded."""
        with suppress(OSError):
            [entry] = self.ask(LOCATION)["workspaceOrError"]["locationEntries"]
            loaded = entry["locationOrLoadError"]
            assert not loaded or loaded["__typename"] == "RepositoryLocation", loaded
            if loaded:
                [repository] = loaded["repositories"]
                return {"repositoryName": repository["name"], "repositoryLocationName": loaded["name"]}
        return None

    def runs(self) -> list[dict[str, Any]]:
        return list(self.ask(RUNS)["runsOrError"]["results"])

    def ticks(self) -> list[dict[str, Any]]:
        found = self.ask(TICKS, selector={**(self.location or {}), "name": SENSOR})["instigationStateOrError"]
        assert found["status"] == "RUNNING"
        return list(found["ticks"])

    def family(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            return [self.process, *self.process.children(recursive=True)]
        return []

    def watch(self) -> None:
        for each in self.family():
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                for connection in each.net_connections("inet"):
                    if connection.raddr and not connection.raddr.ip.startswith(LOOPBACK):
                        self.outside.add(f"{each.name()} {connection.raddr}")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def booted(folder: Path, environ: dict[str, str]) -> Iterator[Dagster]:
    """`dagster dev`, ended as Ctrl-C ends it; what does not end so, by its process's number."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("dagster")), "dev", "-f", "definitions.py"]
    with (folder / "said").open("w") as said:
        process = subprocess.Popen(
            [*command, "-h", "127.0.0.1", "-p", str(port)], cwd=folder, env=environ, stdout=said, stderr=said
        )
        dagster, ended = Dagster(port, psutil.Process(process.pid)), threading.Event()
        watcher = threading.Thread(target=lambda: [dagster.watch() for _ in iter(lambda: ended.wait(0.1), True)])
        watcher.start()
        try:
            yield dagster
        finally:
            ended.set()
            watcher.join()
            family = dagster.family()
            process.send_signal(signal.SIGINT)
            _, alive = psutil.wait_procs(family, timeout=40)
            for each in alive:
                each.kill()
            process.wait()


def wait_for(what: Callable[[], Any], seconds: float = 240) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(1)
    return found


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The example as it stands in the repository, with a day of the demo."""
    folder = tmp_path / "example"
    shutil.copytree(ROOT / "examples" / "dagster", folder)
    shop, support = Shop(folder / "shop.duckdb", END, END), Support(folder / "support.sqlite")
    shop.create()
    shop.load(END)
    support.create(END)
    return folder


def test_dagster_dev_boots_ticks_and_runs(example: Path, postgres_url: str) -> None:
    url = postgres_url.replace("postgresql://", "postgresql+psycopg2://", 1)
    upgrade(url)
    unwanted = ("PROFILEMESH", "DAGSTER", "PYTEST")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    environ |= {"DAGSTER_HOME": str(example), "PROFILEMESH_DB_URL": url}
    environ |= {"SHOP_FILE": "shop.duckdb", "SUPPORT_FILE": "support.sqlite"}
    began = time.monotonic()
    with booted(example, environ) as dagster:
        location = wait_for(lambda: dagster.location)
        loaded = time.monotonic() - began
        assets = {tuple(each["assetKey"]["path"]) for each in dagster.ask(ASSETS)["assetNodes"]}
        tables = {path[1:] for path in assets if len(path) == 4}
        assert ("profilemesh", "summary") in assets
        assert ("profilemesh", "shop", "main", "web_events", "days") in assets
        assert {("shop", "main", "orders"), ("support", "main", "tickets")} <= tables

        asked = wait_for(lambda: [tick for tick in dagster.ticks() if tick["runIds"]])
        assert [tick["status"] for tick in asked] == ["SUCCESS"]
        wait_for(lambda: all(run["status"] == "SUCCESS" for run in require_none_failed(dagster.runs())))
        ticked = time.monotonic() - began
        selected = {tuple(key["path"][1:]) for run in dagster.runs() for key in run["assetSelection"]}
        assert selected == tables == profiled(url)

        job = {**location, "pipelineName": JOB, "assetSelection": [{"path": ["profilemesh", "shop", "main", "orders"]}]}
        force = {"ops": {"profilemesh__shop__main__orders": {"config": {"force": True}}}}
        launched = dagster.ask(LAUNCH, params={"selector": job, "mode": "default", "runConfigData": force})["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        run_id = launched["run"]["runId"]
        wait_for(lambda: status(require_none_failed(dagster.runs()), run_id) == "SUCCESS")
        assert good_runs(url, "orders") == 2
        count = len(dagster.family())
    sys.stdout.write(
        f"loaded after {loaded:.0f} s, {len(tables)} tables asked for, read and told after {ticked:.0f} s by "
        f"{count} processes; a run launched by hand read its table again\n"
    )
    assert dagster.outside == set()
    assert "Traceback" not in (example / "said").read_text()


def require_none_failed(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    assert runs
    assert not [run for run in runs if run["status"] in ("FAILURE", "CANCELED")], runs
    return runs


def status(runs: list[dict[str, Any]], run_id: str) -> str:
    return next((str(run["status"]) for run in runs if run["runId"] == run_id), "")


def profiled(url: str) -> set[tuple[str, ...]]:
    storage = open_storage(url)
    with storage.read() as session:
        good = sa.select(Run.warehouse, Run.schema_name, Run.dataset_name).where(Run.status == "success")
        found = {tuple(row) for row in session.execute(good)}
    storage.close()
    return found


def good_runs(url: str, table: str) -> int:
    """How many good runs there are of the table."""
    storage = open_storage(url)
    with storage.read() as session:
        good = sa.and_(Run.dataset_name == table, Run.status == "success")
        found = session.scalar(sa.select(sa.func.count()).select_from(Run).where(good)) or 0
    storage.close()
    return found
