"""Clients that ask for one address as fast as they are answered: wrk, or where it cannot be had a plain one of ours.

Run as a program it is ours.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from urllib.parse import urlsplit

from _served import BadAnswer

CONNECTIONS = 8
_REPORT = """
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format('\\n{"requests": %d, "seconds": %f, "median_ms": %f, "p99_ms": %f, "bytes": %d, "bad": %d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    summary.bytes, e.status + e.connect + e.read + e.write + e.timeout))
end
"""


@dataclass(frozen=True)
class Pressed:
    """What `CONNECTIONS` clients at once saw in a few seconds."""

    per_second: float
    median_ms: float
    p99_ms: float
    bytes_each: float


def median(found: Sequence[Pressed]) -> Pressed:
    """Of each figure by itself."""
    return Pressed(*(statistics.median(figures) for figures in zip(*map(astuple, found), strict=True)))


@functools.cache
def wrk() -> str | None:
    """The path of wrk, installed if that is possible."""
    if not shutil.which("wrk") and shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["apt-get", "update", "-qq"], check=False, stdout=subprocess.DEVNULL)
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "wrk"]
        subprocess.run(install, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return shutil.which("wrk")


def press(url: str, seconds: float, headers: Mapping[str, str]) -> Pressed:
    """Raises BadAnswer if anything but 2xx or 3xx came, or nothing."""
    command = [
        *_command(seconds),
        url,
        *(word for name, value in headers.items() for word in ("-H", f"{name}: {value}")),
    ]
    ran = subprocess.run(command, input=_REPORT, capture_output=True, text=True, check=True, timeout=seconds + 60)
    found = json.loads(ran.stdout.strip().splitlines()[-1])
    if not found["requests"]:
        raise BadAnswer(f"{url}: no answer in {seconds:g} s")
    if found["bad"]:
        raise BadAnswer(f"{url}: {found['bad']} of {found['requests']} requests failed")
    each = found["bytes"] / found["requests"]
    return Pressed(found["requests"] / found["seconds"], found["median_ms"], found["p99_ms"], each)


def _command(seconds: float) -> list[str]:
    path = wrk()
    if path is None:
        return [sys.executable, __file__, "--seconds", str(seconds)]
    # It knows whole seconds only.
    return [path, "-t1", f"-c{CONNECTIONS}", f"-d{math.ceil(seconds)}s", "--timeout", "30s", "-s", "/dev/stdin"]


async def _ask(url: str, headers: list[str], until: float, times: list[float], counts: dict[str, int]) -> None:
    parts = urlsplit(url)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    request = "\r\n".join([f"GET {path} HTTP/1.1", f"Host: {parts.netloc}", *headers, "", ""]).encode()
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    while time.perf_counter() < until:
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
        await reader.readexactly(length)
        times.append(time.perf_counter() - began)
        counts["bytes"] += len(head) + length
        counts["bad"] += lines[0].split()[1][:1] not in (b"2", b"3")
    writer.close()


async def _press(url: str, seconds: float, headers: list[str]) -> dict[str, float]:
    times: list[float] = []
    counts = {"bytes": 0, "bad": 0}
    began = time.perf_counter()
    await asyncio.gather(*(_ask(url, headers, began + seconds, times, counts) for _ in range(CONNECTIONS)))
    taken, times = time.perf_counter() - began, sorted(times)
    median, p99 = (1000 * times[int(len(times) * share)] for share in (0.5, 0.99))
    return {"requests": len(times), "seconds": taken, "median_ms": median, "p99_ms": p99, **counts}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("url")
    options.add_argument("--seconds", type=float, default=3)
    options.add_argument("-H", dest="headers", action="append", default=[])
    given = options.parse_args()
    print(json.dumps(asyncio.run(_press(given.url, given.seconds, given.headers))))


if __name__ == "__main__":
    main()
