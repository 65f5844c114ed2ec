"""`profilemesh serve` as a process of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from click.testing import CliRunner

from app.cli import serve
from profilemesh.storage import leases, ticks
from tests.engine.ticks import SLOW, copied, wait_for
from tests.web import NO_CONFIG

# Named, so that the runner takes away what the command puts there for its workers.
UNSET = {"SECRET_KEY": ""}
ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answer_of(url: str, seconds: float = 20) -> dict[str, str]:
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                found: dict[str, str] = json.load(answer)
                return found
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def test_serve_answers_until_it_is_stopped(empty_storage: Path) -> None:
    port = free_port()
    environ = {**os.environ, "PROFILEMESH_DB_URL": f"sqlite:///{empty_storage}", "PROFILEMESH_CONFIG": NO_CONFIG}
    command = [sys.executable, "-c", "from app.cli import serve; serve()", "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert answer_of(f"http://127.0.0.1:{port}/")["status"] == "healthy"
        finally:
            process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=20)
    assert f"http://127.0.0.1:{port}" in said
    assert process.returncode == 0


def test_serve_refuses_a_bad_setting_with_its_name() -> None:
    environ = {"API_PORT": "http", "PROFILEMESH_CONFIG": NO_CONFIG, **UNSET}
    refused = CliRunner().invoke(serve, [], env=environ)
    assert refused.exit_code == 2 and "API_PORT" in refused.output


def test_serve_refuses_to_start_without_a_configuration() -> None:
    refused = CliRunner().invoke(
        serve, ["-c", NO_CONFIG], env={"PROFILEMESH_DB_URL": "", "PROFILEMESH_CONFIG": "", **UNSET}
    )
    assert refused.exit_code == 2 and NO_CONFIG in refused.output


def test_serve_refuses_a_port_that_is_taken(empty_storage: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        environ = {"PROFILEMESH_DB_URL": f"sqlite:///{empty_storage}", "PROFILEMESH_CONFIG": NO_CONFIG, **UNSET}
        refused = CliRunner().invoke(serve, ["--port", str(taken.getsockname()[1])], env=environ)
    assert refused.exit_code == 2 and "choose another --port" in refused.output


def test_serve_refuses_a_host_that_is_none_of_ours(empty_storage: Path) -> None:
    environ = {"PROFILEMESH_DB_URL": f"sqlite:///{empty_storage}", "PROFILEMESH_CONFIG": NO_CONFIG, **UNSET}
    refused = CliRunner().invoke(serve, ["--host", "192.0.2.1", "--port", "8133"], env=environ)
    assert refused.exit_code == 2 and "choose another --host" in refused.output


def test_a_stopped_server_leaves_no_claim_no_lease_and_no_run(empty_storage: Path, tmp_path: Path) -> None:
    project = copied(empty_storage, tmp_path)
    project.duckdb("shop", f"CREATE VIEW slow AS {SLOW}")
    server = project.command("serve", "--port", str(free_port()), "--workers", "2")
    try:
        wait_for(lambda: "slow" in project.left().runs, 30)
    finally:
        server.send_signal(signal.SIGTERM)
        said, complaints = server.communicate(timeout=30)
    assert (server.returncode, project.left().statuses("slow"), project.left().is_whole) == (0, ["failed"], True)
    assert "Traceback" not in complaints
    with project.storage() as storage, storage.read() as session:
        assert leases.held_by(session, "scheduler") is None
        assert [tick.status for tick in ticks.latest(session, 5)] == ["interrupted"]


def test_a_killed_worker_is_replaced_and_the_server_ticks_on(empty_storage: Path, tmp_path: Path) -> None:
    project = copied(empty_storage, tmp_path)
    project.duckdb("shop", f"CREATE VIEW slow AS {SLOW}")
    server = project.command("serve", "--port", str(free_port()), "--workers", "2")
    try:
        wait_for(lambda: "slow" in project.left().runs, 30)
        with project.storage() as storage, storage.read() as session:
            holder, _ = leases.held_by(session, "scheduler") or ("", None)
        os.kill(int(holder.rsplit(":", 3)[1]), signal.SIGKILL)
        wait_for(lambda: project.left().statuses("slow") == ["failed", "running"], 20)
        assert server.poll() is None
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=30)
    assert project.left().is_whole
