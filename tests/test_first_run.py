"""The README's promise: in a clean clone `make run` alone leads to the dashboard of a profiled warehouse."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PATIENCE_SECONDS = 420
DAYS = 6
"""Of the demo's history. All thirty are built, and looked at, by test_demo_drift.py."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def fetched(url: str, accept: str) -> str:
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": accept}), timeout=10) as answer:
        return str(answer.read().decode())


@pytest.mark.timeout(PATIENCE_SECONDS + 60)
def test_make_run_in_a_clean_clone_serves_the_seeded_dashboard(tmp_path: Path) -> None:
    clone, port = tmp_path / "clone", free_port()
    subprocess.run(["git", "clone", "-q", "--no-hardlinks", str(ROOT), str(clone)], check=True)
    mine = ("PROFILEMESH", "API_", "VIRTUAL_ENV", "SECRET_KEY", "MAKE", "PYTEST")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(mine)}
    log = (tmp_path / "make.log").open("w+")
    started = time.monotonic()
    make = subprocess.Popen(
        ["make", "run", f"DAYS={DAYS}"],
        cwd=clone,
        # Else pip compiles ten times as many modules as are ever imported.
        env=environ | {"API_PORT": str(port), "PIP_NO_COMPILE": "1"},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        page = wait_for(make, f"http://127.0.0.1:{port}/", Path(log.name))
        runs = json.loads(fetched(f"http://127.0.0.1:{port}/api/runs?limit=1000", "application/json"))
    finally:
        os.killpg(make.pid, signal.SIGTERM)
        make.wait(30)
        log.close()
    print(f"make run in a clean clone: {time.monotonic() - started:.0f} s until the dashboard")  # noqa: T201
    assert "orders" in page
    # Five tables and a view are loaded every day; the desk rests at weekends.
    assert len(runs) >= DAYS * 5
    assert {run["dataset_name"] for run in runs} >= {"orders", "customers", "products", "tickets"}
    # The server ticks once it is up, which may be now.
    assert {run["status"] for run in runs} <= {"success", "failed", "running"}


def wait_for(make: subprocess.Popen[bytes], url: str, log: Path) -> str:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if make.poll() is not None:
            raise AssertionError(f"make run ended with {make.returncode}:\n{log.read_text()[-4000:]}")
        try:
            return fetched(url, "text/html")
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.5)
    raise AssertionError(f"no dashboard after {PATIENCE_SECONDS} s:\n{log.read_text()[-4000:]}")
