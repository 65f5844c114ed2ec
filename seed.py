"""Builds the demo: two small warehouses, and a history that the real engine made by profiling them day after day.

In time order: every morning the shop gets the load of the day before, and the engine ticks; on weekdays the support
desk works until noon, and the engine ticks again. What did not change in between is really skipped. On a few days
something goes wrong: see INCIDENTS. A marker beside the warehouses says what was built, or that a build was cut short.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import click
import duckdb
import sqlalchemy as sa
from dotenv import load_dotenv
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench import synthetic
from bench._demo import INCIDENTS, Shop, Support, incidents, is_workday
from profilemesh.config import Config, find_config, load_config
from profilemesh.errors import ConfigError, ProfileMeshError, StorageOutdated
from profilemesh.runner import Report, look, opened, run_plan, utc_now
from profilemesh.storage import Storage, open_storage
from profilemesh.storage.models import (
    Event,
    FindingOccurrence,
    LoggedDecision,
    ProfileNumbers,
    Result,
    Run,
    Saving,
    StoredFinding,
    Summary,
    TableState,
    Tick,
    TriageEntry,
)
from profilemesh.storage.schema import current_revision, has_our_tables
from profilemesh.storage.upgrade import upgrade

__all__ = ["INCIDENTS", "Demo", "main"]

WAREHOUSES = {"shop": "duckdb", "support": "sqlite"}
MORNING, NOON = timedelta(hours=5, minutes=10), timedelta(hours=12, minutes=40)
"""When the engine ticks, UTC."""


class SeedError(ProfileMeshError):
    """The demo cannot be built; nothing that was not made by this program was touched."""


@dataclass(frozen=True)
class Marker:
    """What is being or was built. `runs` is None until it is finished."""

    end: str
    days: int
    runs: int | None = None

    @classmethod
    def read(cls, path: Path) -> Marker | None:
        try:
            return cls(**json.loads(path.read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise SeedError(f"{path} is not what seed.py wrote: {error}; move the folder away") from error

    def write(self, path: Path) -> None:
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(asdict(self), indent=2) + "\n")
        os.replace(unfinished, path)


class Demo:
    """The demo of one configuration: where its files are, and the storage its history goes to."""

    def __init__(self, config: Config, storage: Storage) -> None:
        self.config = replace(config, warehouses={name: config.warehouses[name] for name in WAREHOUSES})
        self.storage = storage
        self.shop, self.support = (_file(config, name) for name in WAREHOUSES)
        self.marker = self.shop.with_name("seed.json")

    def build(self, plan: Marker, out: Console) -> None:
        """Write the warehouses and replay the days up to `plan.end`."""
        end = date.fromisoformat(plan.end)
        days = [end - timedelta(back) for back in range(plan.days - 1, -1, -1)]
        plan.write(self.marker)
        self.support.parent.mkdir(parents=True, exist_ok=True)
        shop, support = Shop(self.shop, days[0], end), Support(self.support)
        shop.create()
        support.create(days[0])
        with _progress(out) as progress:
            for day in progress.track(days, description="Days"):
                self._live_through(day, end, shop, support)
        with self.storage.read() as session:
            runs = session.scalar(sa.select(sa.func.count()).where(_is_ours(Run)))
        replace(plan, runs=runs).write(self.marker)

    def _live_through(self, day: date, end: date, shop: Shop, support: Support) -> None:
        midnight = datetime.fromisoformat(f"{day}T00:00:00+00:00")
        expected = {each.table for each in incidents(end, day) if each.fails}
        shop.load(day)
        # The history may end today, and must not end in the future.
        _require_success(self._tick(min(midnight + MORNING + _minutes(day, 25), utc_now())), expected)
        if is_workday(day) and day < end:
            support.work(day)
            _require_success(self._tick(midnight + NOON + _minutes(day, 40)), expected)

    def _tick(self, moment: datetime) -> Report:
        """What `profilemesh profile` does, at another time."""
        began = time.monotonic()

        def clock() -> datetime:
            return moment + timedelta(seconds=time.monotonic() - began)

        with opened(self.config) as warehouses:
            plan = look(self.config, self.storage, warehouses, moment)
            return run_plan(plan, self.config, self.storage, warehouses, clock=clock)

    @property
    def files(self) -> list[Path]:
        return [path for path in (self.shop, self.support) if path.exists()]

    def has_runs(self) -> bool:
        """Whether the storage holds runs of the demo's warehouses; raises SeedError if others bear their names."""
        with self.storage.read() as session:
            found = session.execute(sa.select(Run.warehouse, Run.warehouse_type).where(_is_ours(Run)).distinct()).all()
        for name, kind in found:
            if kind != WAREHOUSES[name]:
                raise SeedError(f"the storage holds runs of another warehouse {name} ({kind}); choose another storage")
        return bool(found)

    def clear(self) -> None:
        """Delete the demo's files and all that the storage holds of its warehouses. Other warehouses' rows stay."""
        for path in (self.shop, self.support):
            for suffix in ("", ".wal", "-wal", "-shm", "-journal"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
        runs = sa.select(Run.run_id).where(_is_ours(Run))
        # An adopted run_id may cover tables of several warehouses.
        same = sa.exists().where(Run.run_id == Result.run_id, Run.dataset_name == Result.dataset_name, _is_ours(Run))
        with self.storage.begin() as session:
            session.execute(sa.delete(Result).where(same), execution_options={"synchronize_session": False})
            for of_run in (Summary, ProfileNumbers):
                session.execute(sa.delete(of_run).where(of_run.run_id.in_(runs)))
            found = sa.select(StoredFinding.finding_id).where(_is_ours(StoredFinding))
            for of_finding in (FindingOccurrence, TriageEntry):
                session.execute(sa.delete(of_finding).where(of_finding.finding_id.in_(found)))
            # A tick may have read other warehouses as well: only those are ours that read nothing else.
            plans = sa.select(LoggedDecision.plan_id)
            ours, others = plans.where(_is_ours(LoggedDecision)), plans.where(~_is_ours(LoggedDecision))
            session.execute(sa.delete(Tick).where(Tick.plan_id.in_(ours), Tick.plan_id.not_in(others)))
            for table in (Event, TableState, Run, LoggedDecision, Saving, StoredFinding):
                session.execute(sa.delete(table).where(_is_ours(table)))
        self.marker.unlink(missing_ok=True)


def _file(config: Config, name: str) -> Path:
    path = config.warehouses[name].filepath
    if path is None:
        raise SeedError(f"{config.path}: warehouse {name} names no file; set its `filepath`")
    return path


Ours = Run | Event | TableState | LoggedDecision | Saving | StoredFinding


def _is_ours(table: type[Ours]) -> sa.ColumnElement[bool]:
    return table.warehouse.in_(WAREHOUSES)


def _minutes(day: date, limit: int) -> timedelta:
    """Nobody's scheduler is exact to the minute."""
    return timedelta(minutes=day.toordinal() * 7 % limit)


def _require_success(report: Report, expected: set[str]) -> None:
    """Only the tables of which an incident says so may fail."""
    if report.plan.troubles:
        raise SeedError("; ".join(trouble.message for trouble in report.plan.troubles.values()))
    for outcome in report.outcomes:
        if outcome.status != "success" and outcome.table.name not in expected:
            raise SeedError(f"{report.plan.made_at:%Y-%m-%d}: {outcome.table} {outcome.status}: {outcome.error}")


def _progress(out: Console) -> Progress:
    bars = (TextColumn("{task.description}"), BarColumn(bar_width=32), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*bars, console=out, transient=True, disable=not out.is_terminal)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Two builds in one folder at once would write the same files."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SeedError(f"another seed.py is at work in {folder}; let it finish") from error
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _storage(url: str, out: Console, reset: bool) -> Iterator[Storage]:
    """The storage, made first if there is none. An outdated one is left to `profilemesh db upgrade`, unless the demo in
    it starts over anyway."""
    if _is_empty(url):
        upgrade(url)
    elif reset:
        done = upgrade(url)
        if done.backup:
            out.print(f"The storage was of an older version: copied to {escape(str(done.backup))}, then upgraded.")
    with closing(open_storage(url)) as storage:
        yield storage


def _is_empty(url: str) -> bool:
    try:
        open_storage(url).close()
        return False
    except StorageOutdated:
        with closing(open_storage(url, check=False)) as storage, storage.read() as session:
            connection = session.connection()
            return current_revision(connection) is None and not has_our_tables(connection)


def seed(config: Config, storage: Storage, out: Console, end: date | None, days: int | None, reset: bool) -> None:
    """Build the demo unless it stands already."""
    demo = Demo(config, storage)
    with alone(demo.marker.parent):
        plan = prepare(demo, out, end, days, reset)
        if plan is None:
            return
        began = time.monotonic()
        demo.build(plan, out)
        out.print(f"Built the demo: {_told(demo.marker)}, in {time.monotonic() - began:.0f} s.")


def prepare(demo: Demo, out: Console, end: date | None, days: int | None, reset: bool) -> Marker | None:
    """What to build, on cleared ground; None if it stands already. Refuses to touch what it did not make."""
    before = Marker.read(demo.marker)
    has_runs = demo.has_runs()
    if before is None and demo.files:
        raise SeedError(f"{demo.files[0]} was not made by seed.py; move it away, or name another file")
    if before is None and has_runs and not reset:
        raise SeedError("the storage holds runs of the demo, but its files are gone; --reset deletes those runs")
    if before is not None and before.runs is not None and has_runs and len(demo.files) == 2 and not reset:
        _require_same(before, end, days)
        out.print(f"The demo is there already: {_told(demo.marker)}. Nothing to do; --reset starts over.")
        return None
    if before is not None and not reset:
        out.print("The demo is incomplete: starting over.")
        end, days = end or date.fromisoformat(before.end), days or before.days
    today = utc_now().date()
    if end and end > today:
        raise SeedError(f"--end {end} lies in the future; a history ends today or earlier")
    demo.clear()
    plan = Marker(str(end or today), days or 30)
    out.print(f"Building the demo: {plan.days} days up to {plan.end}, each profiled by the engine.")
    return plan


def _require_same(before: Marker, end: date | None, days: int | None) -> None:
    if str(end or before.end) != before.end or (days or before.days) != before.days:
        raise SeedError(f"the demo has {before.days} days up to {before.end}; --reset builds another")


def _told(marker: Path) -> str:
    built = Marker.read(marker)
    assert built is not None
    return f"{built.runs} runs over {built.days} days up to {built.end}, warehouses in {marker.parent}"


def _is_demo(config: Config) -> bool:
    types = {name: warehouse.type for name, warehouse in config.warehouses.items()}
    return all(types.get(name) == kind for name, kind in WAREHOUSES.items())


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-c", "--config", "path", metavar="FILE", help="Configuration; else PROFILEMESH_CONFIG or profilemesh.yml."
)
@click.option("--end", type=click.DateTime(["%Y-%m-%d"]), help="Last day of the history. [default: today]")
@click.option("--days", type=click.IntRange(2, 365), help="Days to replay. [default: 30]")
@click.option("--reset", is_flag=True, help="Delete what this program made, and start over.")
@click.option(
    "--synthetic", "runs", type=click.IntRange(1), metavar="N", help="Load N made-up runs instead, for load tests."
)
def main(path: str | None, end: datetime | None, days: int | None, reset: bool, runs: int | None) -> None:
    """Build the demo: two small warehouses and thirty days of their history. Running it again changes nothing."""
    load_dotenv(Path.cwd() / ".env")
    out = Console(highlight=False, soft_wrap=True)
    try:
        config = load_config(find_config(path))
        if runs is None and not _is_demo(config):
            out.print(f"{config.path} has no demo warehouses (a duckdb `shop`, a sqlite `support`): nothing to seed.")
            return
        with _storage(config.storage.url, out, reset) as storage:
            if runs is None:
                seed(config, storage, out, end.date() if end else None, days, reset)
            else:
                synthetic.load(storage, runs, (end or datetime.now(UTC)).date(), out, reset=reset)
        out.print("`profilemesh serve` shows it, and so does `make run`.")
    except (ProfileMeshError, OSError, duckdb.Error, sqlite3.Error) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2 if isinstance(error, (ConfigError, StorageOutdated)) else 1)


def _run() -> None:
    """Out without tearing the interpreter down: DuckDB's binding would print a page of "leaked" objects."""
    code: object = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
    with suppress(BrokenPipeError):
        sys.stdout.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    _run()
