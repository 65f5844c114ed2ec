"""What the API takes, with 100 runs and with a million, each against a bare hello of the same server in the same run.

Loads 100 runs into one PostgreSQL database and 1 million into another (5 million metrics, 300,000 drift events, spread
over 90 days) and serves both with two workers; 8 clients ask one of them at a time. Every address is asked in two ways:
as a client that polls, which may be answered from memory while nothing changes, and with `Cache-Control: no-cache`,
for which everything is computed anew; the goals are held against both. Then the same while rows are written, and
exports. Figures are medians of interleaved rounds. Exit code 1 if a goal is missed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from _addresses import WAYS, Ask, ready, with_goals, without_goals
from _clients import CONNECTIONS, Pressed, median, press
from _exports import HANG_UPS, Exported, export, hang_ups
from _served import POSTGRES, WORKERS, BadAnswer, Server, postgres, psql, served
from rich.console import Console
from rich.table import Table
from synthetic import MadeUp, load, store

from profilemesh.storage import open_storage
from profilemesh.storage.models import Event, Result, Run
from profilemesh.storage.upgrade import upgrade

FEW, MANY = 100, 1_000_000
TIMES_GOAL, MEDIAN_GOAL_MS = 3.0, 50.0
GROWN_GOAL_MB, ROWS_GOAL, FIRST_BYTE_GOAL_SECONDS = 50.0, 50_000, 1.0
WRITES_PER_SECOND = 20
PARTS = ("goals", "lists", "writes", "exports")
out = Console(width=150, highlight=False)


@dataclass(frozen=True)
class Seen:
    """One address: medians over the rounds, of the hello just before and of each way."""

    hello: Pressed
    ways: Mapping[str, Pressed]

    def share(self, way: str) -> float:
        return self.ways[way].per_second / self.hello.per_second


class Bench:
    """How the servers are asked, and whether all goals were met so far."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.runs, self.only, self.seconds, self.rounds = given.runs, given.only, given.seconds, given.rounds
        self.missed = 0

    def verdict(self, *met: bool) -> str:
        self.missed += not all(met)
        return "ok" if all(met) else "[bold]MISSED[/]"

    def chosen(self, asks: Iterator[Ask]) -> list[Ask]:
        return [ask for ask in asks if ask.path.startswith(self.only)]

    def press(self, *asked: tuple[Server, Ask]) -> list[Seen]:
        """Hello and both ways of each, in turn; what comes in the first second does not count."""
        asked = tuple((server, ready(server, ask)) for server, ask in asked)
        self._round(asked, 1)
        rounds = [self._round(asked, self.seconds) for _ in range(self.rounds)]
        return [
            Seen(median([turn[i][0] for turn in rounds]), {way: median([t[i][1][way] for t in rounds]) for way in WAYS})
            for i in range(len(asked))
        ]

    @staticmethod
    def _round(asked: Sequence[tuple[Server, Ask]], seconds: float) -> list[tuple[Pressed, dict[str, Pressed]]]:
        return [
            (
                press(server.url("/hello"), seconds, {}),
                {way: press(server.url(ask.path), seconds, {**ask.headers, **more}) for way, more in WAYS.items()},
            )
            for server, ask in asked
        ]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", type=int, default=MANY, metavar="N", help="instead of a million")
    options.add_argument("--keep", type=Path, metavar="DIR", help="leave the loaded databases there, and take them up")
    options.add_argument("--only", default="/", metavar="ADDRESS", help="ask for what begins so")
    options.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    options.add_argument("--seconds", type=float, default=3)
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    bench = Bench(given)
    with tempfile.TemporaryDirectory(prefix="profilemesh-bench-") as folder:
        place = given.keep or Path(folder) / "postgres"
        place.mkdir(exist_ok=True)
        with postgres(place.resolve()) as database:
            few, many = (loaded(database(f"runs_{runs}"), runs) for runs in (FEW, given.runs))
            with served(few) as small, served(many) as large:
                measure(bench, small, large, given.parts)
    sys.exit(1 if bench.missed else 0)


def loaded(url: str, runs: int) -> str:
    upgrade(url)
    storage = open_storage(url)
    load(storage, runs, datetime.now(UTC).date(), out)
    storage.close()
    psql(url, "VACUUM ANALYZE")
    psql(url, "CHECKPOINT")
    metrics, events = (psql(url, f"SELECT count(*) FROM profilemesh_{name}")[0][0] for name in ("results", "events"))
    size = psql(url, "SELECT pg_size_pretty(pg_database_size(current_database()))")[0][0]
    out.print(f"{runs:,} runs, {metrics:,} metrics, {events:,} drift events: {size}")
    return url


def measure(bench: Bench, small: Server, large: Server, parts: Sequence[str]) -> None:
    settings = ", ".join(f"{name} {value}" for name, value in POSTGRES.items())
    out.print(f"{WORKERS} workers, {CONNECTIONS} connections, medians of {bench.rounds} rounds of {bench.seconds:g} s")
    out.print(f"PostgreSQL: {settings}, else its defaults")
    if "goals" in parts:
        compare(bench, small, large)
    if "lists" in parts:
        show_others(bench, large)
    if "writes" in parts:
        show_writes(bench, large)
    if "exports" in parts:
        show_exports(bench, large)


def compare(bench: Bench, small: Server, large: Server) -> None:
    table = Table(title=f"{FEW} runs and {bench.runs:,}; ms are medians and 99th percentiles")
    heads = (
        f"address|asked|hello/s|{FEW}: req/s|share|goal|ms|p99|many: req/s|share|ms|p99|times (goal {TIMES_GOAL:g})|"
    )
    add_columns(table, heads)
    for mine, theirs in zip(bench.chosen(with_goals(small)), bench.chosen(with_goals(large)), strict=True):
        try:
            few, many = bench.press((small, mine), (large, theirs))
        except BadAnswer as error:
            table.add_row(mine.name, bench.verdict(False))
            out.print(str(error), markup=False)
            continue
        for way in WAYS:
            times = many.ways[way].median_ms / few.ways[way].median_ms
            goal = mine.goal or 0
            met = bench.verdict(few.share(way) >= goal, times <= TIMES_GOAL, many.ways[way].median_ms <= MEDIAN_GOAL_MS)
            name = mine.name if way == "polled" else ""
            left, right = (cells(seen, way) for seen in (few, many))
            left.insert(2, f"{goal:.2f}")
            table.add_row(name, way, f"{few.hello.per_second:,.0f}", *left, *right, f"{times:.2f}", met)
    out.print(table)


def show_others(bench: Bench, server: Server) -> None:
    show(bench, server, bench.chosen(without_goals(server, bench.runs)), f"{bench.runs:,} runs")


def show(bench: Bench, server: Server, asks: list[Ask], title: str) -> None:
    table = Table(title=f"{title}; ms are medians and 99th percentiles, goal {MEDIAN_GOAL_MS:g}")
    add_columns(table, "address|asked|bytes|hello/s|req/s|share|ms|p99|")
    for ask in asks:
        try:
            [seen] = bench.press((server, ask))
        except BadAnswer as error:
            table.add_row(ask.name, bench.verdict(False))
            out.print(str(error), markup=False)
            continue
        for way, found in seen.ways.items():
            name, size = (ask.name, f"{found.bytes_each:,.0f}") if way == "polled" else ("", "")
            met = bench.verdict(found.median_ms <= MEDIAN_GOAL_MS)
            table.add_row(name, way, size, f"{seen.hello.per_second:,.0f}", *cells(seen, way), met)
    out.print(table)


def cells(seen: Seen, way: str) -> list[str]:
    found = seen.ways[way]
    return [f"{found.per_second:,.0f}", f"{seen.share(way):.3f}", f"{found.median_ms:.1f}", f"{found.p99_ms:.1f}"]


def add_columns(table: Table, heads: str) -> None:
    for place, head in enumerate(heads.split("|")):
        table.add_column(head, justify="left" if place < 2 else "right")


def show_writes(bench: Bench, server: Server) -> None:
    asks = bench.chosen(iter([ask for ask in with_goals(server) if not ask.is_unchanged]))
    with writing(server.storage_url, bench.runs) as commits:
        show(bench, server, asks, f"{bench.runs:,} runs while others are written")
    took = statistics.median(commits)
    out.print(
        f"{len(commits):,} runs were written, {WRITES_PER_SECOND} a second; median of a commit {1000 * took:.1f} ms"
    )


class Now(MadeUp):
    """A run of this moment, with its metrics."""

    age = 0.0


@contextmanager
def writing(url: str, first: int) -> Iterator[list[float]]:
    """Another process's runs come in; gives the seconds that each took to store. In the end they are taken back."""
    storage, stopping, took = open_storage(url), threading.Event(), list[float]()

    def write() -> None:
        while not stopping.wait(max(0.0, 1 / WRITES_PER_SECOND - (took[-1] if took else 0.0))):
            began = time.perf_counter()
            with storage.begin() as session:
                store(session, [Now(first + len(took), datetime.now(UTC))])
            took.append(time.perf_counter() - began)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield took
    finally:
        stopping.set()
        writer.join()
        written = [Now(first + number, datetime.now(UTC)).run_id for number in range(len(took))]
        with storage.begin() as session:
            for model in (Result, Event, Run):
                session.execute(sa.delete(model).where(model.run_id.in_(written)))
        storage.close()


def show_exports(bench: Bench, server: Server) -> None:
    table = Table(title="Exports")
    add_columns(table, "address||rows|s|rows/s|first byte, s|grown, MB|")
    for path, row in (
        ("/api/export/runs?format=csv&days=3650", b"\n"),
        ("/api/export/runs?format=json&days=3650", b'"run_id"'),
        ("/api/export/drift?format=csv&days=3650", b"\n"),
    ):
        found = [export(server, path, row) for _ in range(bench.rounds)]
        table.add_row(path, "", *export_cells(found), exported_verdict(bench, found))
    out.print(table)
    seconds = hang_ups(server, "/api/export/runs?format=csv&days=3650")
    out.print(f"{HANG_UPS} clients that hung up in the middle: all connections free after {seconds:.2f} s")


def export_cells(found: list[Exported]) -> list[str]:
    middle = sorted(found, key=lambda each: each.seconds)[len(found) // 2]
    first, grown = max(each.first_byte_seconds for each in found), max(each.grown_mb for each in found)
    return [
        f"{middle.rows:,}",
        f"{middle.seconds:.1f}",
        f"{middle.rows_per_second:,.0f}",
        f"{first:.2f}",
        f"{grown:.0f}",
    ]


def exported_verdict(bench: Bench, found: list[Exported]) -> str:
    return bench.verdict(
        statistics.median(each.rows_per_second for each in found) >= ROWS_GOAL,
        max(each.first_byte_seconds for each in found) <= FIRST_BYTE_GOAL_SECONDS,
        max(each.grown_mb for each in found) < GROWN_GOAL_MB,
    )


if __name__ == "__main__":
    main()
