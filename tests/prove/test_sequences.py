"""Whatever is done to a table, in any order: its stored profile is its truth, or the change is still pending.

A table is written to, divided anew, altered, dropped and made again; ticks are interrupted by failures, limits, pauses
and by writes between plan and scan. After every tick a plan without limits is asked what it would do: it may call the
table unchanged only if the stored profile equals the truth, which is computed here from the rows.
"""

from __future__ import annotations

import itertools
import tempfile
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from profilemesh.config.model import (
    AdaptiveSchedulingConfig,
    Config,
    CostControlsConfig,
    IncrementalConfig,
    PartialProfilingConfig,
    PartitionRule,
    ProfilingConfig,
    StorageConfig,
    TableRule,
)
from profilemesh.planning import Decision, Reason
from profilemesh.runner import Outcome, Silence, look, opened, run_plan
from profilemesh.storage import Storage, open_storage
from profilemesh.storage.models import Result, Run, TableState
from profilemesh.storage.upgrade import upgrade
from tests.prove.tables import COLUMNS, DAYS, Owner, metrics_of, owner

pytestmark = pytest.mark.prove

START = datetime(2026, 3, 10, tzinfo=UTC)
day, number = st.sampled_from(DAYS), st.integers(-3, 3)
serial = itertools.count()
Write = Callable[[], object]


class Interruption(Silence):
    """Does something the moment a table's turn begins, or once its rows are read, or fails then."""

    def __init__(self, before: Write | None = None, after: Write | None = None, fails: bool = False) -> None:
        self.before, self.after, self.fails = before, after, fails

    def started(self, decision: Decision) -> None:
        if self.before is not None:
            self.before()

    def read(self, table: Any, rows: int) -> None:
        if self.fails:
            raise RuntimeError("injected")
        if self.after is not None:
            self.after()


class Sequence(RuleBasedStateMachine):
    kind: str
    server: Any
    met: Counter[str]

    def __init__(self) -> None:
        super().__init__()
        self.scratch = tempfile.TemporaryDirectory(prefix="pm-seq-")
        self.folder = Path(self.scratch.name)
        self.context = owner(self.kind, self.folder, self.server, f"seq{next(serial)}")
        self.owner: Owner = self.context.__enter__()
        self.url = f"sqlite:///{self.folder / 'profilemesh.db'}"
        upgrade(self.url)
        self.storage: Storage = open_storage(self.url)
        self.now, self.days, self.extra, self.exists = START, set[str](), 0, False

    def teardown(self) -> None:
        self.now += timedelta(days=2)
        if self.exists:
            self.tick_with()
            self.require_truth()
        self.storage.close()
        self.context.__exit__(None, None, None)
        self.scratch.cleanup()

    # What is done to the table

    @initialize(first=st.lists(day, min_size=4, max_size=8, unique=True))
    def create(self, first: list[str]) -> None:
        self.make(first)

    def make(self, first: list[str]) -> None:
        division = " PARTITION BY LIST (day)" if self.owner.has_leaves else ""
        self.owner.write(f"CREATE TABLE t ({COLUMNS}){division}")
        self.exists, self.extra, self.days = True, 0, set()
        for each in first:
            self.add(each)
            self.put(each, 2, 4)

    def add(self, new: str) -> None:
        if new not in self.days and self.owner.has_leaves:
            self.owner.write(f"CREATE TABLE \"t_{new}\" PARTITION OF t FOR VALUES IN ('{new}')")
        self.days.add(new)
        self.owner.write(
            f"INSERT INTO t (id, day, v, name) VALUES ({next(serial)}, '{new}', 1, 'x'), (NULL, '{new}', NULL, 'y')"
        )

    def has(self, wanted: str) -> bool:
        return self.exists and wanted in self.days

    @rule(at=day, v=number, count=st.integers(1, 4))
    def insert(self, at: str, v: int, count: int) -> None:
        self.put(at, v, count)

    def put(self, at: str, v: int, count: int) -> None:
        if self.has(at):
            rows = ", ".join(f"({next(serial)}, '{at}', {v}, 'n{v}')" for _ in range(count))
            self.owner.write(f"INSERT INTO t (id, day, v, name) VALUES {rows}")

    @rule(at=day, v=number)
    def update(self, at: str, v: int) -> None:
        if self.has(at):
            self.owner.write(f"UPDATE t SET v = {v}, name = 'u{v}' WHERE day = '{at}'")

    @rule(at=day)
    def delete(self, at: str) -> None:
        if self.has(at):
            self.owner.write(f"DELETE FROM t WHERE day = '{at}' AND (v = 1 OR v IS NULL)")

    @rule(old=day, new=day)
    def move(self, old: str, new: str) -> None:
        self.shift(old, new)

    def shift(self, source: str, target: str) -> None:
        if self.has(source) and self.has(target):
            self.owner.write(f"UPDATE t SET day = '{target}' WHERE day = '{source}'")

    @rule(new=day)
    def add_partition(self, new: str) -> None:
        if self.exists:
            self.add(new)

    @rule(old=day)
    def drop_partition(self, old: str) -> None:
        if self.has(old) and len(self.days) > 1:
            self.days.discard(old)
            self.owner.write(f'DROP TABLE "t_{old}"' if self.owner.has_leaves else f"DELETE FROM t WHERE day = '{old}'")

    @precondition(lambda self: self.exists and self.extra < 3)
    @rule()
    def add_column(self) -> None:
        self.extra += 1
        self.owner.write(f"ALTER TABLE t ADD COLUMN c{self.extra} INTEGER DEFAULT 7")

    @rule()
    def tidy(self) -> None:
        self.owner.write({"duckdb": "CHECKPOINT", "sqlite": "VACUUM", "postgres": "VACUUM FULL"}[self.kind])

    @precondition(lambda self: self.exists)
    @rule()
    def drop(self) -> None:
        self.owner.write("DROP TABLE t")
        self.exists, self.days = False, set()

    @precondition(lambda self: not self.exists)
    @rule(first=st.lists(day, min_size=1, max_size=3, unique=True))
    def make_again(self, first: list[str]) -> None:
        self.make(first)

    @rule(minutes=st.sampled_from([1, 30, 90, 1500]))
    def wait(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule()
    def restart(self) -> None:
        self.storage.close()
        self.storage = open_storage(self.url)

    # Ticks

    @rule()
    def tick(self) -> None:
        self.tick_with()

    @rule(at=day, v=number)
    def tick_while_a_row_comes(self, at: str, v: int) -> None:
        self.tick_with(listener=Interruption(lambda: self.put(at, v, 1)))

    @rule(at=day, to=day)
    def tick_while_rows_move(self, at: str, to: str) -> None:
        self.tick_with(listener=Interruption(lambda: self.shift(at, to)))

    @precondition(lambda self: self.kind == "postgres")
    @rule(at=day, v=number)
    def tick_while_a_row_comes_after_the_reading(self, at: str, v: int) -> None:
        """A file is locked then, or holds its writers up."""
        self.tick_with(listener=Interruption(after=lambda: self.put(at, v, 1)), steady=False)

    @rule(at=day, v=number, to=day)
    def tick_between_two_changes(self, at: str, v: int, to: str) -> None:
        """One that a probe sees and, just before it, one in place that it cannot see."""
        self.tick_with()
        if self.has(at) and self.has(to):
            self.owner.write(f"UPDATE t SET v = {v}, name = 'q{v}' WHERE day = '{at}'")
            self.put(to, v, 1)
        self.tick_with()

    @rule()
    def tick_that_fails(self) -> None:
        self.tick_with(listener=Interruption(fails=True))

    @rule(strategy=st.sampled_from(["defer", "sample"]))
    def tick_over_its_limit(self, strategy: Any) -> None:
        # Too few rows for a sample are put off, so that only what was put off before is sampled.
        costs = CostControlsConfig(max_rows_scanned=1, fallback_strategy=strategy, max_deferral_minutes=0)
        self.tick_with(cost_controls=costs)

    @rule()
    def tick_with_intervals(self) -> None:
        self.tick_with(adaptive_scheduling=AdaptiveSchedulingConfig())

    @rule()
    def tick_while_paused(self) -> None:
        self.tick_with(paused=True)

    def config(self, paused: bool = False, **sections: Any) -> Config:
        planner = {
            "adaptive_scheduling": AdaptiveSchedulingConfig(enabled=False),
            "partial_profiling": PartialProfilingConfig(max_partitions_per_run=7, min_rows=0),
        }
        rule_of_t = TableRule("t", partition=PartitionRule(key=("day",)), paused=paused)
        return Config(
            None,
            {"w": self.owner.config},
            StorageConfig(self.url),
            profiling=ProfilingConfig(tables=(rule_of_t,)),
            incremental=IncrementalConfig(enabled=True, **{**planner, **sections}),
        )

    def tick_with(self, listener: Any = None, paused: bool = False, steady: bool = True, **sections: Any) -> None:
        """`steady`: nobody writes once the rows are being read, so what is stored is the truth right away."""
        before = self.memory()
        config = self.config(paused, **sections)
        with opened(config) as warehouses:
            plan = look(config, self.storage, warehouses, self.now)
            report = run_plan(plan, config, self.storage, warehouses, clock=lambda: self.now, listener=listener)
        ran = [o for o in report.outcomes if o.status == "success" and o.action in ("full", "partial")]
        for outcome in report.outcomes:
            self.met[f"{outcome.action or ''} {outcome.status}".strip()] += 1
        if not ran:
            assert self.memory() == before, "a tick that profiled nothing moved what is remembered"
        elif steady and (ran[0].action == "full" or self.owner.has_leaves):
            assert self.is_true(), "what was stored is not the table's truth"
        self.require_nothing_lost(report.outcomes)

    # What must hold

    def memory(self) -> Any:
        with self.storage.read() as session:
            return session.execute(
                sa.select(TableState.snapshot_id, TableState.probe_token, TableState.last_profiled_at).where(
                    TableState.last_profiled_at.is_not(None)
                )
            ).all()

    def stored(self) -> dict[tuple[str, str], Any] | None:
        """The metrics of the last profile of all of the table."""
        with self.storage.read() as session:
            run_id = session.scalar(sa.select(TableState.last_run_id).where(TableState.table_name == "t"))
            rows = session.execute(sa.select(Result).where(Result.run_id == run_id)).scalars().all() if run_id else []
            if run_id is None:
                return None
            assert session.scalar(sa.select(Run.scope).where(Run.run_id == run_id)) in ("full", "merged")
            return {(row.column_name, row.metric_name): row.metric_value for row in rows}

    def is_true(self) -> bool:
        stored = self.stored()
        names = ["id", "day", "v", "name", *(f"c{n}" for n in range(1, self.extra + 1))]
        truth = metrics_of(self.owner.rows(f"SELECT {', '.join(names)} FROM t"), names)
        return stored is not None and all(_is_equal(stored.get(key), value) for key, value in truth.items())

    def unlimited(self) -> Decision | None:
        config = self.config()
        with opened(config) as warehouses:
            plan = look(config, self.storage, warehouses, self.now)
        return next((decision for decision in plan.decisions if decision.table.name == "t"), None)

    def require_nothing_lost(self, outcomes: tuple[Outcome, ...]) -> None:
        if not self.exists:
            return
        decision = self.unlimited()
        assert decision is not None
        if decision.action.reads or self.is_true():
            return
        assert decision.reason is Reason.PROBE_MATCH, f"a change was lost: {decision.reason}"
        assert self.kind != "postgres"
        assert self.now < datetime.fromisoformat(decision.evidence["trusted_until"])

    def require_truth(self) -> None:
        assert self.is_true()


def _is_equal(stored: str | None, truth: Any) -> bool:
    if isinstance(truth, float):
        return stored is not None and abs(float(stored) - truth) <= 1e-9 * max(1, abs(truth))
    return stored == str(truth)


@pytest.mark.parametrize("kind", ["postgres", "duckdb", "sqlite"])
def test_no_sequence_loses_a_change(kind: str, postgres_server: Any) -> None:
    met: Counter[str] = Counter()
    machine = type(f"{kind.title()}Sequence", (Sequence,), {"kind": kind, "server": postgres_server, "met": met})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=30,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
    print(f"{kind}: {', '.join(f'{count} {what}' for what, count in sorted(met.items()))}")  # noqa: T201
    assert met["partial success"] >= 5 and met["full success"] >= 10
