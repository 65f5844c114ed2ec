"""A client that hangs up in the middle of a long export holds nothing: no connection to the storage, no thread."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest

from profilemesh.storage.upgrade import upgrade
from tests.conftest import PostgresServer
from tests.engine.ticks import wait_for
from tests.servers import Server, running

ROWS = 150_000
TIMES = 25
"""More than there are threads to answer, or connections to the storage."""
FILL = f"""
INSERT INTO profilemesh_runs
    (run_id, dataset_name, schema_name, warehouse, warehouse_type, environment, status, profiled_at, has_drift)
SELECT 'r' || n, 'table' || n % 50, 'main', 'shop', 'duckdb', 'production', 'success', now() - n * interval '1 s', false
FROM generate_series(1, {ROWS}) n
"""
BUSY = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = 'hangup' AND application_name = 'profilemesh' AND state <> 'idle'
"""
FORMATS = ("csv", "json", "jsonl")


@pytest.fixture(scope="module")
def server(postgres_server: PostgresServer) -> Iterator[Server]:
    postgres_server.execute("DROP DATABASE IF EXISTS hangup", "CREATE DATABASE hangup")
    upgrade(postgres_server.url("hangup"))
    # Without the triggers, which make it take a minute.
    postgres_server.execute(f"SET session_replication_role = replica; {FILL}", "ANALYZE", database="hangup")
    with running(postgres_server.url("hangup")) as server:
        yield server
    postgres_server.execute("DROP DATABASE hangup WITH (FORCE)")


def begun(server: Server, format_: str) -> socket.socket:
    """A client that has read the beginning, and no more."""
    client = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    client.sendall(f"GET /api/export/runs?format={format_} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert client.recv(20).startswith(b"HTTP/1.1 200")
    return client


def hang_up(client: socket.socket, rudely: bool) -> None:
    if rudely:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@pytest.mark.parametrize("rudely", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("format_", FORMATS)
def test_a_client_that_hangs_up_frees_its_connection(
    server: Server, postgres_server: PostgresServer, format_: str, rudely: bool
) -> None:
    client = begun(server, format_)
    wait_for(lambda: postgres_server.execute(BUSY)[0][0] == 1, 5)
    hang_up(client, rudely)
    wait_for(lambda: postgres_server.execute(BUSY)[0][0] == 0, 5)
    assert server.get("/api/runs?limit=1").status == 200


def test_however_many_hang_up_the_server_goes_on(server: Server, postgres_server: PostgresServer) -> None:
    workers = server.workers()
    for number in range(TIMES):
        hang_up(begun(server, FORMATS[number % 3]), rudely=bool(number % 2))
    assert server.get("/api/runs?limit=1", seconds=10).status == 200
    wait_for(lambda: postgres_server.execute(BUSY)[0][0] == 0, 10)
    answer = server.get("/api/export/runs?format=csv", seconds=60)
    assert answer.status == 200 and answer.body.count(b"\n") == ROWS + 1
    assert server.workers() == workers


def test_who_asks_while_others_do_not_read_is_answered(server: Server, postgres_server: PostgresServer) -> None:
    """Some read slowly, or not at all: not one of the last threads may be theirs for ever."""
    clients = [begun(server, "csv") for _ in range(4)]
    try:
        assert server.get("/api/runs?limit=1", seconds=10).status == 200
    finally:
        for client in clients:
            client.close()
    wait_for(lambda: postgres_server.execute(BUSY)[0][0] == 0, 10)
