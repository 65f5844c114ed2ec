"""Killed at any step, a run in parts leaves the old truth or the new one, and the next tick always ends in the truth.

Before every kill some partitions of every table are written to, dropped and made: so most runs merge what they read
with what they keep. The truth is computed here from the rows.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from profilemesh.config import load_config
from profilemesh.runner import look, opened, utc_now
from profilemesh.storage import Storage, open_storage
from profilemesh.storage.models import Result, Tick
from profilemesh.storage.upgrade import upgrade
from tests.engine.ticks import Left, Project
from tests.prove.tables import Owner, metrics_of, owner

STEPS = (
    "before the scan",
    "rows read, not merged",
    "between scan and save",
    "inside the save",
    "at the commit",
    "after it",
)
COLUMNS = ("id", "day", "v", "name", "stamp")
HOT = 6
"""Partitions with a summary of their own, the oldest and the newest; the days between have one in common."""
APPROXIMATE = 200
"""From so many distinct values on their number is an estimate."""
Truth = dict[tuple[str, str], Any]


@dataclass
class Divided:
    """A table divided by day, whose rows nobody knows but its warehouse."""

    name: str
    owner: Owner
    days: list[str] = field(default_factory=list)
    serial: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    born: Iterator[int] = field(default_factory=itertools.count)

    def create(self) -> None:
        division = " PARTITION BY LIST (day)" if self.owner.has_leaves else ""
        columns = "id BIGINT, day DATE, v INTEGER, name VARCHAR(20), stamp TIMESTAMP"
        self.owner.write(f"CREATE TABLE {self.name} ({columns}){division}")
        for _ in range(9):
            self.add()

    def add(self) -> None:
        n = next(self.born)
        day = f"2026-{1 + n // 28:02}-{1 + n % 28:02}"
        if self.owner.has_leaves:
            leaf = f'"{self.name}_{day}"'
            self.owner.write(f"CREATE TABLE {leaf} PARTITION OF {self.name} FOR VALUES IN ('{day}')")
        self.days.append(day)
        self.insert(day, 40)

    def insert(self, day: str, count: int) -> None:
        rows = (
            f"({i}, '{day}', {'NULL' if i % 10 == 0 else i % 7}, 'n{i % 13}', {self.moment()})"
            for i in itertools.islice(self.serial, count)
        )
        self.owner.write(f"INSERT INTO {self.name} VALUES {', '.join(rows)}")

    def moment(self) -> str:
        return f"TIMESTAMP '2026-01-01' + INTERVAL '{next(self.serial)} seconds'"

    def update(self, day: str) -> None:
        moved = f"v = v * 2 + 1, name = 'late', stamp = {self.moment()}"
        self.owner.write(f"UPDATE {self.name} SET {moved} WHERE day = '{day}' AND id % 3 = 1")

    def delete(self, day: str) -> None:
        self.owner.write(f"DELETE FROM {self.name} WHERE day = '{day}' AND id % 5 = 2")

    def drop(self, day: str) -> None:
        self.days.remove(day)
        leaf, rows = f'DROP TABLE "{self.name}_{day}"', f"DELETE FROM {self.name} WHERE day = '{day}'"
        self.owner.write(leaf if self.owner.has_leaves else rows)

    def change(self, chance: random.Random) -> None:
        """Some of the days that have a summary of their own, one time in eight another."""
        some = chance.sample(self.days[: HOT // 2] + self.days[-HOT // 2 :], 3)
        if chance.random() < 1 / 8:
            some[0] = self.days[len(self.days) // 2]
        self.insert(some[0], chance.randint(1, 20))
        chance.choice((self.update, self.delete))(some[1])
        what = chance.random()
        if what < 1 / 4:
            self.add()
        elif what < 1 / 2 and len(self.days) > HOT + 1:
            self.drop(some[2])

    def truth(self) -> Truth:
        return metrics_of(self.owner.rows(f"SELECT {', '.join(COLUMNS)} FROM {self.name}"), list(COLUMNS))


@dataclass
class Scene:
    """A project of four such tables, whose ticks die in processes of their own."""

    project: Project
    tables: dict[str, Divided]
    forks: subprocess.Popen[str]
    storage: Storage
    seconds: float = 0.0

    @property
    def folder(self) -> Path:
        return self.project.folder

    def tick(self, step: str = "", nth: int = 0, seconds: float = 100.0) -> int:
        """A tick in a process of its own, killed at a step or after so long; how it ended."""
        assert self.forks.stdin is not None and self.forks.stdout is not None
        began = time.monotonic()
        self.forks.stdin.write(json.dumps([step, nth, seconds]) + "\n")
        self.forks.stdin.flush()
        status = int(self.forks.stdout.readline())
        self.seconds = time.monotonic() - began
        assert (self.folder / "complaints").read_text() == ""
        return status

    def reached(self) -> dict[str, str]:
        """The last step that each table passed in the last tick."""
        lines = (self.folder / "steps").read_text().splitlines()
        return dict(line.split(" ", 1) for line in lines)  # type: ignore[misc]

    def profile(self, run_id: str | None) -> Truth:
        same = sa.select(Result.column_name, Result.metric_name, Result.metric_value).where(Result.run_id == run_id)
        with self.storage.read() as session:
            return {(column, metric): value for column, metric, value in session.execute(same)}

    def require_whole(self) -> None:
        """What the next tick must leave: nothing open, every profile true, nothing to do."""
        left = self.project.left()
        assert left.is_whole
        for name, table in self.tables.items():
            require_equal(self.profile(left.states[name].last_run_id), table.truth())
        with self.storage.read() as session:
            assert "running" not in set(session.scalars(sa.select(Tick.status)))
        config = load_config(self.folder / "profilemesh.yml", {})
        with opened(config) as warehouses:
            plan = look(config, self.storage, warehouses, utc_now())
        assert {decision.reason for decision in plan.decisions} <= {"snapshot_match", "probe_match"}


@pytest.fixture
def scene(storage_url: str, tmp_path: Path, postgres_server: Any) -> Iterator[Scene]:
    with ExitStack() as stack:
        owners = {
            kind: stack.enter_context(owner(kind, tmp_path, postgres_server, f"kills_{os.getpid()}"))
            for kind in ("duckdb", "postgres")
        }
        tables = {f"{kind[0]}{n}": Divided(f"{kind[0]}{n}", each) for kind, each in owners.items() for n in (1, 2)}
        for table in tables.values():
            table.create()
        upgrade(storage_url)
        configure(tmp_path, owners, storage_url)
        (tmp_path / "complaints").touch()
        script = str(Path(__file__).with_name("dying.py"))
        environ = {name: value for name, value in os.environ.items() if not name.startswith("PROFILEMESH")}
        forks = stack.enter_context(
            subprocess.Popen(
                [sys.executable, script],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=tmp_path,
                env=environ,
            )
        )
        storage = open_storage(storage_url)
        stack.callback(storage.close)
        yield Scene(Project(tmp_path, postgres_url=storage_url), tables, forks, storage)


def configure(folder: Path, owners: dict[str, Owner], storage_url: str) -> None:
    named = {kind: each.config for kind, each in owners.items()}
    settings = {
        "warehouses": {
            "duckdb": {"type": "duckdb", "filepath": str(named["duckdb"].filepath)},
            "postgres": {
                "type": "postgres",
                "host": named["postgres"].host,
                "database": named["postgres"].database,
                "username": "postgres",
            },
        },
        "storage": {"connection": storage_url},
        "profiling": {"tables": [{"table": "*", "partition": {"key": ["day"]}, "watermark": "stamp"}]},
        "execution": {"max_workers": 2},
        "incremental": {
            "enabled": True,
            "adaptive_scheduling": {"enabled": False},
            "partial_profiling": {"max_partitions_per_run": HOT, "min_rows": 0},
        },
    }
    (folder / "profilemesh.yml").write_text(json.dumps(settings))


def require_equal(profile: Truth, truth: Truth) -> None:
    assert is_equal(profile, truth), [
        (key, profile.get(key), truth[key]) for key in truth if not _same(key, profile, truth)
    ]


def is_equal(profile: Truth, truth: Truth) -> bool:
    return all(_same(key, profile, truth) for key in truth)


def _same(key: tuple[str, str], profile: Truth, truth: Truth) -> bool:
    stored, true = profile.get(key), truth[key]
    if stored is None:
        return False
    if isinstance(true, float):
        return abs(float(stored) - true) <= 1e-9 * max(1.0, abs(true))
    if key[1] == "distinct_count" and true >= APPROXIMATE:
        return abs(int(stored) - true) <= 0.05 * true
    return str(stored) == str(true)


def require_old_or_new(scene: Scene, before: Left, old: dict[str, Truth]) -> None:
    """Right after a kill: every table's profile is its truth before the change, or after it."""
    left = scene.project.left()
    runs = [run for runs in left.runs.values() for run in runs]
    good = {run.run_id for run in runs if run.status == "success"}
    assert set(left.metrics) == left.summaries == good
    running = {run.dataset_name for run in runs if run.status == "running"}
    assert running == {name for name, state in left.states.items() if state.claimed_by}
    for name, table in scene.tables.items():
        state, was = left.states[name], before.states[name]
        moved = state.last_run_id != was.last_run_id
        require_equal(scene.profile(state.last_run_id), table.truth() if moved else old[name])
        assert moved or (state.change_token, state.manifest) == (was.change_token, was.manifest)
        assert (name in running) <= (not moved)


def kills(scene: Scene, times: int, chance: random.Random) -> tuple[Counter[str], Counter[str]]:
    """How many of so many kills hit each step, every other one at a random moment; and what the ticks did."""
    assert scene.tick() == 0
    scene.require_whole()
    hit: Counter[str] = Counter()
    usual = scene.seconds / 2
    for n in range(times):
        before, old = scene.project.left(), {name: table.truth() for name, table in scene.tables.items()}
        for table in scene.tables.values():
            table.change(chance)
        if n % 2:
            step = STEPS[n // 2 % len(STEPS)]
            nth = chance.randint(1, 12 if step == "inside the save" else 3)
            assert scene.tick(step, nth) == -signal.SIGKILL, scene.reached()
            hit[step] += 1
        else:
            scene.tick(seconds=chance.uniform(0, usual))
            hit.update(set(scene.reached().values()) or {"while planning"})
        require_old_or_new(scene, before, old)
        assert scene.tick() == 0
        usual = max(0.1, scene.seconds)
        scene.require_whole()
    runs = [run for runs in scene.project.left().runs.values() for run in runs]
    return hit, Counter(f"{run.action} {run.status}" for run in runs)


@pytest.mark.parametrize("storage_url", ["sqlite"], indirect=True)
def test_two_kills_of_partial_runs_end_in_the_truth(scene: Scene) -> None:
    kills(scene, 2, random.Random(1))


@pytest.mark.prove
def test_fifty_kills_of_partial_runs_end_in_the_truth(scene: Scene) -> None:
    hit, did = kills(scene, 50, random.Random(3))
    told = [f"{name} {count}" for name, count in (hit + Counter()).items()]
    sys.stdout.write(f"{scene.storage.engine.dialect.name}: 50 kills hit tables {', '.join(told)}; runs: {dict(did)}\n")
    assert all(hit[step] >= 4 for step in STEPS)
    assert did["partial success"] > 2 * did["full success"]
