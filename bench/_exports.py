"""An export from the outside: how fast, how much memory, and what is left when the client hangs up."""

from __future__ import annotations

import http.client
import re
import socket
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from _served import BadAnswer, Server, psql

CHUNK = 1 << 20
HANG_UPS = 40
"""More than all threads and all pooled connections of two workers."""
FREED_SECONDS = 20
_BUSY = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'profilemesh' AND state <> 'idle'
"""


@dataclass(frozen=True)
class Exported:
    rows: int
    seconds: float
    first_byte_seconds: float
    grown_mb: float

    @property
    def rows_per_second(self) -> float:
        return self.rows / self.seconds


def export(server: Server, path: str, row: bytes) -> Exported:
    """The whole of it, read as fast as it comes; `row` is what there is once in every row."""
    before = {pid: _memory_kb(pid, "VmRSS") for pid in server.workers()}
    for pid in before:
        # The high-water mark starts afresh.
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    rows, began = 0, time.perf_counter()
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        if response.status != 200:
            raise BadAnswer(f"GET {path} answers {response.status}: {response.read(300).decode(errors='replace')}")
        chunk = response.read1(1)
        first, rest = time.perf_counter() - began, b""
        while chunk:
            # What was cut in two by the end of a chunk is counted with the next one.
            chunk = rest + chunk
            rows += chunk.count(row)
            rest = chunk[max(0, len(chunk) - len(row) + 1) :]
            chunk = response.read1(CHUNK)
    seconds = time.perf_counter() - began
    grown = max(_memory_kb(pid, "VmHWM") - start for pid, start in before.items())
    return Exported(rows, seconds, first, grown / 1024)


def hang_ups(server: Server, path: str, times: int = HANG_UPS) -> float:
    """Seconds from the last of many clients hanging up in the middle till no connection to the storage is in use.

    Raises BadAnswer if that takes too long.
    """
    for _ in range(times):
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
            with suppress(TimeoutError):
                client.recv(CHUNK)
    began = time.perf_counter()
    while time.perf_counter() - began < FREED_SECONDS:
        if psql(server.storage_url, _BUSY) == [(0,)]:
            server.get("/api/runs?limit=1")
            return time.perf_counter() - began
        time.sleep(0.05)
    raise BadAnswer(
        f"{psql(server.storage_url, _BUSY)[0][0]} connections are still in use {FREED_SECONDS} s after a hang-up"
    )


def _memory_kb(pid: int, what: str) -> int:
    found = re.search(rf"^{what}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])
