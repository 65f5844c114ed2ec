"""What it costs to compare every table of a tick with its history: one line per claim, with its goal.

10,000 tables of 20 columns, each with 30 earlier runs in the storage; in every hundredth the mean of a column moves.
Per table: its history and the summary of the run it is compared with are read, drift is computed, and the run, its
numbers, findings and events are written in a transaction of their own, as a turn does. Once by one process, as a tick
does it beside its scans, and once by two. Exit code 1 if a goal is missed. `--tables` for less of it.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import sqlalchemy as sa
from _arrays import Population, Values, summary_of

from profilemesh import comparing
from profilemesh.comparing import Reading
from profilemesh.config.model import Config, StorageConfig
from profilemesh.drift import Profile, profile_of
from profilemesh.drift.profiles import Metrics
from profilemesh.parts import undivided
from profilemesh.profiling import Profile as Profiled
from profilemesh.profiling.summary import TableSummary
from profilemesh.storage import Storage, open_storage, profiles
from profilemesh.storage.models import Event, ProfileNumbers, Run, StoredFinding, Summary
from profilemesh.storage.upgrade import upgrade
from profilemesh.tables import Column

TABLES, RUNS, LIBRARY, ROWS = 10_000, 30, 8, 20_000
WORKERS = 2
SECONDS_GOAL, GROWTH_GOAL_MB = 90.0, 30.0
START = datetime(2026, 1, 5, 5, tzinfo=UTC)
DAY = timedelta(days=1)
NOW = START + RUNS * DAY
KEPT_SUMMARIES = (1, 7)
"""How many days back the runs are whose summaries are kept: the one before, and that of the same weekday, which
tables without oddities are compared with. All of them would take ten gigabytes."""
MOVED = 100
"""In every so many tables a column moves."""


class Shelf:
    """A few tables made up, which all others are copies of."""

    def __init__(self) -> None:
        made = [wide_table(seed) for seed in range(LIBRARY)]
        self.before = [before for before, _ in made]
        self.now = [now for _, now in made]
        self.payloads = [before.to_bytes() for before in self.before]
        self.columns = [columns_of(before) for before in self.before]
        whole = [profile_of(b, run_id="", at=START, columns=c) for b, c in zip(self.before, self.columns, strict=True)]
        self.numbers = [[profiles.packed(jittered(each, run)) for run in range(RUNS)] for each in whole]
        self.moved = [with_mean_moved(each) for each in self.now]
        self._metrics = {id(each): profile_of(each, run_id="", at=START).metrics for each in (*self.now, *self.moved)}

    def metrics(self, summary: TableSummary) -> Metrics:
        """They are read off for the run's results in any case."""
        return self._metrics[id(summary)]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--tables", type=int, default=TABLES)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="profilemesh-bench-") as folder:
        url = f"sqlite:///{Path(folder) / 'storage.db'}"
        upgrade(url)
        began = time.monotonic()
        with closing(open_storage(url)) as storage:
            load(storage, given.tables)
        print(
            f"{given.tables:,} tables with {RUNS} runs each were made in {time.monotonic() - began:.0f} s", flush=True
        )
        good = [*one_tick(url, given.tables, 1, 0), *one_tick(url, given.tables, WORKERS, 1)]
    sys.exit(0 if all(good) else 1)


def one_tick(url: str, tables: int, workers: int, day: int) -> Iterator[bool]:
    with ProcessPoolExecutor(workers) as pool:
        list(pool.map(warm_up, range(workers)))
        began = time.monotonic()
        done = list(
            pool.map(
                compare_all, [url] * workers, [tables] * workers, range(workers), [workers] * workers, [day] * workers
            )
        )
        seconds = time.monotonic() - began
    what = f"{tables:,} tables of 20 columns, {RUNS} earlier runs, {workers} process{'es' if workers > 1 else ''}"
    goal = SECONDS_GOAL * tables / TABLES
    yield claim(what, seconds, "s", goal)
    yield claim(f"{what}: memory grown by", max(grown for grown, _ in done), "MB", GROWTH_GOAL_MB)
    parts = [sum(spent[part] for _, spent in done) for part in range(2)]
    print(f"    of it reading and comparing {parts[0]:.1f} s, writing {parts[1]:.1f} s; {found_in(url)}", flush=True)


_shelf: Shelf | None = None


def warm_up(worker: int) -> None:
    global _shelf
    _shelf = _shelf or Shelf()


def compare_all(url: str, tables: int, worker: int, workers: int, day: int) -> tuple[float, tuple[float, float]]:
    """Megabytes that the process grew by after its first hundred tables, and the seconds of either part."""
    assert _shelf is not None
    config = Config(None, {}, StorageConfig(url))
    spent = [0.0, 0.0]
    start = 0.0
    with closing(open_storage(url)) as storage:
        for done, number in enumerate(range(worker, tables, workers)):
            run = run_of(number, NOW + day * DAY)
            kind = number % LIBRARY
            summary = _shelf.moved[kind] if number % MOVED == 0 else _shelf.now[kind]
            reading = Reading(
                undivided(Profiled(summary, {}, None)), _shelf.columns[kind], metrics=_shelf.metrics(summary)
            )
            began = time.perf_counter()
            this = comparing.compared(config, storage, run, reading)
            read = time.perf_counter()
            with storage.begin() as session:
                comparing.keep(session, config, run, this, has_moved=True)
                session.add(run)
            spent[0] += read - began
            spent[1] += time.perf_counter() - read
            if this.trouble:
                raise SystemExit(this.trouble)
            if done == min(100, tables // (2 * workers)):
                start = peak_mb()
    return peak_mb() - start, (spent[0], spent[1])


def found_in(url: str) -> str:
    with closing(open_storage(url)) as storage, storage.read() as session:
        counts = [session.scalar(sa.select(sa.func.count()).select_from(each)) for each in (StoredFinding, Event)]
    return f"{counts[0]:,} findings, {counts[1]:,} events"


def load(storage: Storage, tables: int) -> None:
    shelf = Shelf()
    for first in range(0, tables, 200):
        with storage.begin() as session:
            runs, numbers, kept = [], [], []
            for number in range(first, min(first + 200, tables)):
                for day in range(RUNS):
                    run = run_of(number, START + day * DAY)
                    runs.append({c.key: getattr(run, c.key) for c in sa.inspect(Run).column_attrs})
                    numbers.append({"run_id": run.run_id, "payload": shelf.numbers[number % LIBRARY][day]})
                    # A second tick, a day later, is compared with the run a day later.
                    if RUNS - day in KEPT_SUMMARIES or RUNS - day + 1 in KEPT_SUMMARIES:
                        payload = shelf.payloads[number % LIBRARY]
                        kept.append({"run_id": run.run_id, "partition_key": "", "as_of": NOW, "payload": payload})
            session.execute(sa.insert(Run), runs)
            session.execute(sa.insert(ProfileNumbers), numbers)
            session.execute(sa.insert(Summary), kept)


def run_of(number: int, at: datetime) -> Run:
    return Run(
        run_id=str(uuid.uuid4()),
        warehouse="bench",
        warehouse_type="duckdb",
        schema_name="main",
        dataset_name=f"t{number:05}",
        environment="bench",
        status="success",
        profiled_at=at,
        row_count=ROWS,
        scope="full",
        has_drift=False,
        is_expected=False,
    )


def wide_table(seed: int) -> tuple[TableSummary, TableSummary]:
    """Twenty columns on two days."""
    random = np.random.default_rng(40_000_000 + seed)
    sides: tuple[dict[str, Values], dict[str, Values]] = ({}, {})
    for part in range(3):
        population = Population.drawn(random)
        for side in sides:
            some = list(population.rows(random, ROWS).items())[: 7 if part < 2 else 6]
            side.update({f"{name}_{part}": values for name, values in some})
    before, now = (summary_of(side) for side in sides)
    return before, now


def columns_of(summary: TableSummary) -> tuple[Column, ...]:
    return tuple(Column(name, each.type, each.kind, True) for name, each in summary.columns.items())


def jittered(profile: Profile, run: int) -> Profile:
    jitter = 1.0 + 0.001 * ((run * 7919) % 13 - 6) / 6
    metrics = {
        column: {name: value * jitter if isinstance(value, float) else value for name, value in some.items()}
        for column, some in profile.metrics.items()
    }
    return replace(profile, metrics=metrics)


def with_mean_moved(summary: TableSummary) -> TableSummary:
    """A column of numbers half a standard deviation further up."""
    name, column = next((n, c) for n, c in summary.columns.items() if n.startswith("measure"))
    assert column.moments is not None and column.moments.stddev is not None
    moments = replace(column.moments, offset=column.moments.offset + 0.5 * column.moments.stddev)
    return replace(summary, columns={**summary.columns, name: replace(column, moments=moments)})


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def claim(name: str, found: float, unit: str, goal: float) -> bool:
    verdict = "ok" if found <= goal else "MISSED"
    print(f"{name:72} {found:7.2f} {unit}  goal <= {goal:g}  {verdict}", flush=True)
    return found <= goal


if __name__ == "__main__":
    main()
