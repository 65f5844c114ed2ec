"""What the pages take: server time, statements and bytes, at a million runs on PostgreSQL and 200,000 on SQLite.

Each storage has 10,000 tables of twenty columns, 110,000 findings (10,000 not resolved), 100,000 decisions. A page is
asked for in this process through the whole application, compressed, as a browser without a cache asks; shown are the
median and the 90th percentile of so many rounds, all pages in turn, and the median of this process's own CPU time,
which a busy machine spoils less (PostgreSQL's is not in it). Exit code 1 if a goal is missed.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from _around_runs import run_elsewhere, surround
from _served import postgres, psql
from flask import Flask
from flask.testing import FlaskClient
from rich.console import Console
from rich.table import Table
from synthetic import load

from app import create_app
from app.extensions import db
from profilemesh.storage import open_storage
from profilemesh.storage.models import Run, StoredFinding
from profilemesh.storage.upgrade import upgrade

ON_POSTGRES, ON_SQLITE, TABLES = 1_000_000, 200_000, 10_000
MEDIAN_GOAL_MS, STATEMENTS_GOAL, PAGE_GOAL, ASSETS_GOAL = 60.0, 12, 60_000, 150_000
ASKED = {"Accept": "text/html", "Accept-Encoding": "gzip"}
HTMX = {**ASKED, "HX-Request": "true"}
PAGES = (
    "/",
    "/?days=1",
    "/?days=7",
    "/?days=90",
    "/?warehouse={warehouse}",
    "/?environment=synthetic",
    "/?environment=staging",
    "/tables",
    "/tables?q=ord",
    "/tables?warehouse={warehouse}",
    "/tables?sort=-rows",
    "/tables?sort=-last_profiled",
    "/tables?sort=-staleness",
    "/tables?sort=-drift",
    "/tables?state=failing",
    "/tables?state=drifting",
    "/tables?page=150",
    "/tables/{table}",
    "/tables/{table}/columns/amount",
    "/runs",
    "/runs?warehouse={warehouse}",
    "/runs?status=failed",
    "/runs?sort=-took",
    "/runs?sort=-took&days=90",
    "/runs?drift=true",
    "/runs?action=sample",
    "/runs?days=90&page=100",
    "/runs/{run}",
    "/compare?run={run}",
    "/drift",
    "/drift?severity=high",
    "/drift?state=all",
    "/drift?state=resolved&days=30",
    "/drift?q=ord",
    "/drift?environment=synthetic",
    "/drift?environment=staging",
    "/drift/{finding}",
    "/drift/replay",
    "/plan",
    "/plan?reason=cost_cap",
    "/search?q=ord",
    "/search?q=attribute_1",
    "/search?q=nothing",
    "/warehouses",
    "/help",
)
PARTS = ("/search?q=am", "/tables?q=or", "/drift?q=or", "/runs?q=or")
"""Asked for by htmx as somebody types."""


@dataclass
class Seen:
    status: int = 0
    seconds: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    statements: int = 0
    size: int = 0

    @property
    def median_ms(self) -> float:
        return 1000 * statistics.median(self.seconds)

    @property
    def ninetieth_ms(self) -> float:
        return 1000 * sorted(self.seconds)[int(0.9 * (len(self.seconds) - 1))]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument(
        "--runs", type=int, default=ON_POSTGRES, metavar="N", help="on PostgreSQL, instead of a million"
    )
    options.add_argument("--sqlite-runs", type=int, default=ON_SQLITE, metavar="N")
    options.add_argument("--tables", type=int, default=TABLES, metavar="N")
    options.add_argument("--keep", type=Path, metavar="DIR", help="leave the loaded databases there, and take them up")
    options.add_argument("--only", default="/", metavar="ADDRESS", help="ask for what begins so")
    options.add_argument("--on", nargs="+", choices=("postgresql", "sqlite"), default=("postgresql", "sqlite"))
    options.add_argument("--rounds", type=int, default=15)
    given, missed = options.parse_args(), 0
    out = Console(width=120, highlight=False)
    with tempfile.TemporaryDirectory(prefix="profilemesh-bench-") as folder:
        place = (given.keep or Path(folder)).resolve()
        place.mkdir(exist_ok=True)
        if "sqlite" in given.on:
            url = f"sqlite:///{place / 'runs.db'}"
            loaded(url, given.sqlite_runs, given.tables, out)
            missed += show(url, f"SQLite, {given.sqlite_runs:,} runs", given, out)
        if "postgresql" in given.on:
            (place / "pg").mkdir(exist_ok=True)
            with postgres(place / "pg") as database:
                url = database("runs")
                loaded(url, given.runs, given.tables, out)
                psql(url, "VACUUM ANALYZE")
                missed += show(url, f"PostgreSQL, {given.runs:,} runs", given, out)
    sys.exit(1 if missed else 0)


def loaded(url: str, runs: int, tables: int, out: Console) -> None:
    upgrade(url, backup=False)
    storage = open_storage(url)
    load(storage, runs, datetime.now(UTC).date(), out, tables=tables)
    surround(storage, datetime.now(UTC))
    run_elsewhere(storage, datetime.now(UTC))
    storage.close()


def show(url: str, title: str, given: argparse.Namespace, out: Console) -> int:
    app = create_app({"PROFILEMESH_DB_URL": url, "PROFILEMESH_CONFIG": "/nowhere/profilemesh.yml"})
    client = app.test_client()
    names = _names(app)
    asked = [(path.format(**names), ASKED) for path in PAGES if path.startswith(given.only)]
    asked += [(path, HTMX) for path in PARTS if path.startswith(given.only)]
    found = measure(app, client, asked, given.rounds)
    table = Table(title=f"{title}, {given.tables:,} tables; goals {MEDIAN_GOAL_MS:g} ms, {STATEMENTS_GOAL} statements")
    for head in ("page", "ms", "p90", "CPU", "statements", "kB", ""):
        table.add_column(head, justify="left" if head == "page" else "right")
    missed = 0
    for (path, headers), seen in zip(asked, found, strict=True):
        is_met = (
            seen.status == 200
            and seen.median_ms <= MEDIAN_GOAL_MS
            and seen.statements <= STATEMENTS_GOAL
            and seen.size <= PAGE_GOAL
        )
        missed += not is_met
        verdict = "ok" if is_met else f"[bold]{'MISSED' if seen.status == 200 else seen.status}[/]"
        name = f"{path[:70]}{' (typing)' if headers is HTMX else ''}"
        own = 1000 * statistics.median(seen.own)
        times = f"{seen.median_ms:.1f}", f"{seen.ninetieth_ms:.1f}", f"{own:.1f}"
        figures = *times, str(seen.statements), f"{seen.size / 1000:.1f}"
        table.add_row(name, *figures, verdict)
    out.print(table)
    assets = sum(_assets(client, {path for path, headers in asked if headers is ASKED}))
    out.print(f"All assets together: {assets / 1000:.1f} kB compressed (goal {ASSETS_GOAL / 1000:g})")
    with app.app_context():
        db.engine.dispose()
    return missed + (assets > ASSETS_GOAL)


def _names(app: Flask) -> dict[str, str]:
    """A run with metrics and a finding that is open, to be looked at."""
    with app.app_context():
        good = sa.select(Run.run_id, Run.dataset_name, Run.warehouse).where(Run.status == "success")
        run, table, warehouse = db.session.execute(good.order_by(Run.profiled_at.desc()).limit(1)).one()
        finding = db.session.scalar(sa.select(StoredFinding.finding_id).where(StoredFinding.state == "open").limit(1))
    return {"run": run, "table": table, "warehouse": warehouse, "finding": str(finding)}


def measure(app: Flask, client: FlaskClient, asked: list[tuple[str, dict[str, str]]], rounds: int) -> list[Seen]:
    found = [Seen() for _ in asked]
    for turn in range(rounds + 1):
        for (path, headers), seen in zip(asked, found, strict=True):
            with counted(app) as sent:
                began, own = time.perf_counter(), time.process_time()
                answer = client.get(path, headers=headers)
                took, used = time.perf_counter() - began, time.process_time() - own
            seen.status, seen.statements, seen.size = answer.status_code, len(sent), len(answer.data)
            # The first time templates are read and caches filled.
            if turn:
                seen.seconds.append(took)
                seen.own.append(used)
    return found


@contextmanager
def counted(app: Flask) -> Iterator[list[str]]:
    sent: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if not statement.startswith(("PRAGMA", "BEGIN")):
            sent.append(statement)

    with app.app_context():
        engine = db.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)


def _assets(client: FlaskClient, pages: set[str]) -> Iterator[int]:
    """The compressed size of every file that these pages name."""
    named: set[str] = set()
    for page in sorted(pages):
        named.update(
            re.findall(r'(?:href|src)="(/static/[^"]+)"', client.get(page, headers={"Accept": "text/html"}).text)
        )
    for path in sorted(named):
        with client.get(path, headers=ASKED) as answer:
            yield len(answer.data)


if __name__ == "__main__":
    main()
