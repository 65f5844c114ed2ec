"""`profilemesh serve` as a process of its own, and what a client on this machine sees of it."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.web import NO_CONFIG, ORIGIN

ROOT = Path(__file__).parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes
    asked_at: float
    seconds: float


@dataclass(frozen=True)
class Server:
    """A running server on the loopback."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def workers(self) -> set[int]:
        """The processes that answer."""
        return {child.pid for child in psutil.Process(self.process.pid).children(recursive=True)}

    def get(self, path: str, seconds: float = 10, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        began = time.monotonic()
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        return Answer(answer.status, answer.headers, body, began, time.monotonic() - began)

    def is_up(self) -> bool:
        assert self.process.poll() is None, "the server ended"
        try:
            return self.get("/").status == 200
        except (OSError, http.client.HTTPException):
            return False


@contextmanager
def running(url: str, *, workers: int = 1, folder: Path = ROOT, **settings: str) -> Iterator[Server]:
    """A server over the storage at `url`, without a scheduler; stopped at the end."""
    given = {"PROFILEMESH_DB_URL": url, "PROFILEMESH_CONFIG": NO_CONFIG, "CORS_ORIGINS": ORIGIN, **settings}
    port = free_port()
    words = ["-c", "from app.cli import serve; serve()", "--port", str(port), "--workers", str(workers)]
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environ = {**os.environ, "PROFILEMESH_SCHEDULER": "off", "PYTHONPATH": path, **given}
    process = subprocess.Popen([sys.executable, *words], cwd=folder, env=environ, stdout=subprocess.DEVNULL)
    server = Server(port, process)
    try:
        deadline = time.monotonic() + 30
        while not server.is_up():
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.1)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(40)
