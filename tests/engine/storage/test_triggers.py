"""What the database keeps right by itself, held against the rows themselves."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import threading
import uuid
from collections import defaultdict
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from profilemesh.storage import Storage
from profilemesh.storage.column_names import rename
from profilemesh.storage.models import ColumnName, DriftCount, Event, Result, Run, RunCount, RunSpan, TableState
from profilemesh.storage.recount import recount as recount_all
from profilemesh.storage.spans import respan
from profilemesh.storage.triggers import recount

NOW = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)
OLD_RUN = (
    "INSERT INTO profilemesh_runs (run_id, dataset_name, schema_name, profiled_at, environment, status, row_count) "
    "VALUES ('run_1a2b', 'orders', NULL, '2026-03-10 11:59:59', 'production', 'completed', 12)"
)
OLD_EVENT = (
    "INSERT INTO profilemesh_events (event_id, event_type, run_id, table_name, drift_severity, timestamp) "
    "VALUES ('e1', 'DataDriftDetected', 'r1', 'orders', NULL, '2026-03-10 11:59:59')"
)
# SQLite has one writer at a time, which adds to the rows that stand.
ON_POSTGRES = pytest.mark.parametrize("migrated_url", ["postgres"], indirect=True)
Sums = dict[tuple[Any, ...], tuple[float, ...]]


def a_run(dice: random.Random, **more: Any) -> dict[str, Any]:
    return {
        "run_id": str(uuid.UUID(int=dice.getrandbits(128))),
        "dataset_name": dice.choice(["orders", "items"]),
        "schema_name": "main",
        "warehouse": dice.choice(["shop", "lake"]),
        "warehouse_type": dice.choice(["duckdb", "postgres"]),
        "environment": dice.choice(["production", "test"]),
        "status": dice.choice(["running", "success", "failed"]),
        "scope": dice.choice([None, "full", "merged"]),
        "profiled_at": NOW - timedelta(minutes=dice.randrange(4000)),
        "row_count": dice.choice([None, 0, 7, 10**12]),
        "rows_scanned": dice.choice([None, 5]),
    } | more


def an_event(dice: random.Random, run_id: str | None = None) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "event_id": str(uuid.UUID(int=dice.getrandbits(128))),
        "event_type": dice.choice(["DataDriftDetected", "SchemaChangeDetected", "ProfilingStarted"]),
        "warehouse": dice.choice(["shop", "lake"]),
        "schema_name": "main",
        "table_name": "orders",
        "drift_severity": dice.choice([None, "low", "HIGH", "medium", "severe"]),
        "timestamp": NOW - timedelta(minutes=dice.randrange(4000)),
    }


def slots(at: datetime) -> list[tuple[str, datetime]]:
    hour = at.replace(minute=0, second=0, microsecond=0)
    return [("hour", hour), ("day", hour.replace(hour=0))]


def runs_by_hand(session: Session) -> Sums:
    found: Sums = defaultdict(lambda: (0.0,) * 4)
    for run in session.scalars(sa.select(Run)):
        more = (1, run.rows_scanned or 0, run.row_count or 0, run.row_count is not None)
        for slot in slots(run.profiled_at):
            key = (*slot, run.warehouse, run.warehouse_type, run.environment, run.status, run.scope or "")
            found[key] = tuple(float(a + b) for a, b in zip(found[key], more, strict=True))
    return dict(found)


def runs_as_counted(session: Session) -> Sums:
    c = RunCount
    key = (c.span, c.at, c.warehouse, c.warehouse_type, c.environment, c.status, c.scope)
    sums = map(sa.func.sum, (c.runs, c.rows_scanned, c.rows_sum, c.rows_counted))
    rows = session.execute(sa.select(*key, *sums).group_by(*key)).all()
    return {tuple(row[:7]): tuple(map(float, row[7:])) for row in rows if any(row[7:])}


def drift_by_hand(session: Session) -> Sums:
    found: Sums = defaultdict(lambda: (0.0,))
    environments = {(run.run_id, run.dataset_name): run.environment for run in session.scalars(sa.select(Run))}
    for event in session.scalars(sa.select(Event).where(Event.event_type != "ProfilingStarted")):
        severity = {"HIGH": "high", "medium": "medium"}.get(event.drift_severity or "", "low")
        # Of a run that is gone the event alone remembers it.
        environment = environments.get((event.run_id or "", event.table_name or ""), event.environment) or ""
        for slot in slots(event.timestamp):
            key = (*slot, event.warehouse, environment, severity)
            found[key] = (found[key][0] + 1,)
    return dict(found)


def drift_as_counted(session: Session) -> Sums:
    key = (DriftCount.span, DriftCount.at, DriftCount.warehouse, DriftCount.environment, DriftCount.severity)
    rows = session.execute(sa.select(*key, sa.func.sum(DriftCount.events)).group_by(*key)).all()
    return {tuple(row[:5]): (float(row[5]),) for row in rows if row[5]}


Table = tuple[str, str, str]


def times_by_hand(session: Session) -> dict[Table, list[datetime]]:
    found: dict[Table, list[datetime]] = defaultdict(list)
    for run in session.scalars(sa.select(Run).order_by(Run.profiled_at)):
        found[run.warehouse, run.schema_name, run.dataset_name].append(run.profiled_at)
    return dict(found)


def gaps(times: list[datetime]) -> list[float]:
    return [(b - a).total_seconds() for a, b in pairwise(times)]


def spans_as_kept(session: Session) -> dict[Table, tuple[datetime, datetime, float]]:
    """First, last and the longest gap, each table's rows joined."""
    rows: dict[Table, list[RunSpan]] = defaultdict(list)
    for span in session.scalars(sa.select(RunSpan).order_by(RunSpan.first_at)):
        rows[span.warehouse, span.schema_name, span.table_name].append(span)
    found = {}
    for table, spans in rows.items():
        reached, longest = spans[0].last_at, 0.0
        for span in spans:
            longest = max(longest, span.longest_gap, (span.first_at - reached).total_seconds())
            reached = max(reached, span.last_at)
        found[table] = (spans[0].first_at, reached, longest)
    return found


def ends_by_hand(session: Session) -> dict[Table, tuple[datetime | None, datetime | None]]:
    """When a run last failed, and last ended otherwise."""
    found: dict[Table, tuple[datetime | None, datetime | None]] = defaultdict(lambda: (None, None))
    for run in session.scalars(sa.select(Run).order_by(Run.profiled_at)):
        table = run.warehouse, run.schema_name, run.dataset_name
        failed, good = found[table]
        is_good = run.status not in ("failed", "running")
        found[table] = (run.profiled_at if run.status == "failed" else failed, run.profiled_at if is_good else good)
    return dict(found)


def ends_as_kept(session: Session) -> dict[Table, tuple[datetime | None, datetime | None]]:
    key = RunSpan.warehouse, RunSpan.schema_name, RunSpan.table_name
    ends = (sa.func.max(end, type_=end.type) for end in (RunSpan.last_failed_at, RunSpan.last_good_at))
    return {tuple(row[:3]): tuple(row[3:]) for row in session.execute(sa.select(*key, *ends).group_by(*key))}


def assert_spanned(session: Session) -> None:
    assert ends_as_kept(session) == ends_by_hand(session)
    times, spans = times_by_hand(session), spans_as_kept(session)
    assert {table: span[:2] for table, span in spans.items()} == {t: (all_[0], all_[-1]) for t, all_ in times.items()}
    for table, all_ in times.items():
        assert spans[table][2] + 0.01 >= max(gaps(all_), default=0)


def assert_counted(storage: Storage) -> None:
    with storage.read() as session:
        assert_spanned(session)
        assert runs_as_counted(session) == runs_by_hand(session)
        assert drift_as_counted(session) == drift_by_hand(session)


def change(session: Session, dice: random.Random) -> None:
    ids = list(session.scalars(sa.select(Run.run_id).order_by(Run.run_id)))
    some = Run.run_id.in_(dice.sample(ids, min(len(ids), dice.randrange(1, 4))))
    step = dice.randrange(7)
    if step < 2 or not ids:
        session.execute(sa.insert(Run), [a_run(dice) for _ in range(dice.randrange(1, 6))])
    elif step == 2:
        # Some before their run, and some of none.
        coming = a_run(dice, dataset_name="orders")
        run_ids = [None, coming["run_id"], *ids[:3]]
        session.execute(sa.insert(Event), [an_event(dice, dice.choice(run_ids)) for _ in range(dice.randrange(1, 6))])
        session.execute(sa.insert(Run), [coming])
    elif step == 3:
        session.execute(sa.update(Run).where(some).values(status="success", scope="full", row_count=9))
    elif step == 4:
        moved = NOW - timedelta(days=dice.randrange(3))
        there = {"warehouse": "shop", "environment": dice.choice(["production", "test"])}
        session.execute(sa.update(Run).where(some).values(profiled_at=moved, has_drift=True, **there))
    elif step == 5:
        session.execute(sa.delete(Run).where(some))
    else:
        session.execute(sa.delete(Event).where(Event.drift_severity == dice.choice(["low", "HIGH"])))


@pytest.mark.parametrize("seed", range(3))
def test_counts_are_the_rows_whatever_is_done_to_them(storage: Storage, seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(25):
        with storage.begin() as session:
            for _ in range(dice.randrange(1, 4)):
                change(session, dice)
        assert_counted(storage)


def test_what_is_taken_back_was_never_counted(storage: Storage) -> None:
    with pytest.raises(ZeroDivisionError), storage.begin() as session:
        session.execute(sa.insert(Run), [a_run(random.Random(1))])
        raise ZeroDivisionError
    assert_counted(storage)


def test_counting_anew_changes_nothing(storage: Storage) -> None:
    dice = random.Random(5)
    with storage.begin() as session:
        session.execute(sa.insert(Run), [a_run(dice) for _ in range(50)])
        session.execute(sa.insert(Event), [an_event(dice) for _ in range(50)])
    with storage.begin() as session:
        recount(session.connection())
    assert_counted(storage)


def test_everything_is_told_anew_at_once(storage: Storage) -> None:
    dice = random.Random(7)
    with storage.begin() as session:
        session.execute(sa.insert(Run), [a_run(dice) for _ in range(50)])
        session.execute(sa.insert(Event), [an_event(dice) for _ in range(50)])
        session.add(
            TableState(warehouse="shop", schema_name="main", table_name="t", columns=[{"name": "a", "type": None}])
        )
    assert not recount_all(storage).changed
    with storage.begin() as session:
        for kept in (RunCount, DriftCount, RunSpan, ColumnName):
            session.execute(sa.delete(kept))
    done = recount_all(storage)
    assert (done.runs_before, done.runs, done.drift_before, done.changed) == (0, 50, 0, True)
    assert done.drift > 0
    assert_counted(storage)
    with storage.read() as session:
        assert names_as_kept(session) == names_by_hand(session)
        assert {row.table_name for row in session.scalars(sa.select(RunSpan))} == set(
            session.scalars(sa.select(Run.dataset_name))
        )


@ON_POSTGRES
def test_who_writes_while_all_is_counted_anew_is_counted_once(storage: Storage) -> None:
    dice, stop = random.Random(8), threading.Event()

    def write() -> None:
        while not stop.is_set():
            with storage.begin() as session:
                session.execute(sa.insert(Run), [a_run(dice) for _ in range(5)])

    writer = threading.Thread(target=write)
    writer.start()
    for _ in range(20):
        recount_all(storage)
    stop.set()
    writer.join()
    assert_counted(storage)


def test_spans_made_anew_tell_the_longest_gap_itself(storage: Storage) -> None:
    dice = random.Random(6)
    with storage.begin() as session:
        session.execute(sa.insert(Run), [a_run(dice) for _ in range(60)])
        session.execute(sa.delete(Run).where(Run.profiled_at < NOW - timedelta(days=2)))
        same = {"warehouse_type": "duckdb", "environment": "test"}
        session.execute(sa.update(Run).values(**same))
    with storage.begin() as session:
        respan(session.connection())
    with storage.read() as session:
        spans = spans_as_kept(session)
        for table, times in times_by_hand(session).items():
            assert spans[table][2] == pytest.approx(max(gaps(times), default=0), abs=0.01)


@ON_POSTGRES
def test_counts_stay_few_and_right_when_they_are_folded(storage: Storage) -> None:
    dice = random.Random(7)
    for _ in range(20):
        with storage.begin() as session:
            session.execute(sa.insert(Run), [a_run(dice, profiled_at=NOW) for _ in range(10)])
    with storage.begin() as session:
        session.execute(sa.select(sa.func.profilemesh_fold()))
        session.execute(sa.select(sa.func.profilemesh_fold_spans()))
    with storage.read() as session:
        assert session.scalar(sa.select(sa.func.count()).where(RunSpan.part > 0)) == 0
        assert session.scalar(sa.select(sa.func.count()).where(RunCount.part > 0)) == 0
    assert_counted(storage)


@ON_POSTGRES
def test_two_writers_of_one_hour_do_not_wait_for_each_other(storage: Storage) -> None:
    dice, same = random.Random(9), {"profiled_at": NOW, "dataset_name": "orders", "warehouse_type": "duckdb"}
    known = [a_run(dice, warehouse=warehouse, **same) for warehouse in ("shop", "lake")]
    with storage.begin() as session:
        session.execute(sa.insert(Run), known)
    with storage.begin() as first, storage.begin() as second:
        second.execute(sa.text("SET LOCAL lock_timeout = '2s'"))
        for session in (first, second):
            session.execute(sa.insert(Run), [a_run(dice, **same) for _ in range(20)])
    assert_counted(storage)


def test_an_older_writer_needs_to_know_nothing_of_the_new_columns(storage: Storage) -> None:
    with storage.begin() as session:
        session.execute(sa.text(OLD_RUN))
        session.execute(
            sa.text(
                "INSERT INTO profilemesh_results (run_id, dataset_name, schema_name, column_name, metric_name, "
                "metric_value, profiled_at) VALUES ('run_1a2b', 'orders', NULL, 'id', 'count', '12', '2026-03-10')"
            )
        )
    with storage.read() as session:
        run = session.scalars(sa.select(Run)).one()
        assert (run.schema_name, run.warehouse, run.warehouse_type, run.has_drift) == ("", "unknown", "unknown", False)
        assert session.scalars(sa.select(Result.schema_name)).one() == ""
    assert_counted(storage)


def test_every_table_with_a_run_has_a_state(storage: Storage) -> None:
    run = a_run(random.Random(1), dataset_name="orders", warehouse="shop", warehouse_type="duckdb")
    with storage.begin() as session:
        session.execute(sa.insert(Run), [run, run | {"run_id": "r2"}])
        session.execute(sa.insert(Run), [run | {"run_id": "r3", "warehouse_type": "postgres"}])
    with storage.read() as session:
        state = session.scalars(sa.select(TableState)).one()
        assert (state.warehouse, state.schema_name, state.table_name) == ("shop", "main", "orders")
        assert state.warehouse_type == "postgres"


def test_drift_of_an_older_writer_belongs_to_its_run(storage: Storage) -> None:
    run = a_run(random.Random(1), run_id="r1", dataset_name="orders", warehouse="shop")
    with storage.begin() as session:
        session.execute(sa.insert(Run), [run, run | {"run_id": "r2"}])
        session.execute(sa.text(OLD_EVENT))
    with storage.read() as session:
        event = session.scalars(sa.select(Event)).one()
        assert (event.warehouse, event.schema_name) == ("shop", "main")
        drifted = session.execute(sa.select(Run.run_id, Run.has_drift).order_by(Run.run_id)).all()
        assert [tuple(row) for row in drifted] == [("r1", True), ("r2", False)]
    assert_counted(storage)


def names_as_kept(session: Session) -> list[tuple[Any, ...]]:
    c = ColumnName
    told = sa.select(c.warehouse, c.schema_name, c.table_name, c.place, c.name, c.lowered, c.type)
    return [tuple(row) for row in session.execute(told.order_by(c.table_name, c.place))]


def names_by_hand(session: Session) -> list[tuple[Any, ...]]:
    states = session.scalars(sa.select(TableState).order_by(TableState.table_name))
    return [
        (state.warehouse, state.schema_name, state.table_name, place, each["name"], each["name"].lower(), each["type"])
        for state in states
        for place, each in enumerate(state.columns or (), 1)
    ]


def test_names_of_columns_are_those_that_the_states_list(storage: Storage) -> None:
    dice = random.Random(2)

    def listed() -> list[dict[str, Any]] | None:
        some = dice.sample(["id", "Email", "total %", "a'b", "naïve", "\u202egro"], dice.randrange(5))
        return dice.choice([None, [{"name": name, "type": dice.choice(["INT", None])} for name in some]])

    for _ in range(30):
        with storage.begin() as session:
            table = dice.choice("abc")
            state = session.get(TableState, ("shop", "main", table))
            if state is None:
                session.add(TableState(warehouse="shop", schema_name="main", table_name=table, columns=listed()))
            elif dice.random() < 0.2:
                session.delete(state)
            else:
                state.columns, state.row_count = dice.choice([state.columns, listed()]), dice.randrange(9)
        with storage.read() as session:
            assert names_as_kept(session) == names_by_hand(session)
    with storage.begin() as session:
        rename(session.connection())
        assert names_as_kept(session) == names_by_hand(session)


def test_an_older_writers_list_of_columns_may_be_anything(storage: Storage) -> None:
    with storage.begin() as session:
        for place, told in enumerate(("{}", "[1, null]", '[{"type": "INT"}]', '[{"name": "id"}]')):
            state = TableState(warehouse="shop", schema_name="", table_name=f"t{place}", columns=json.loads(told))
            session.add(state)
    with storage.read() as session:
        assert [row[2:5] for row in names_as_kept(session)] == [("t3", 1, "id")]


WRITES = (
    "INSERT INTO profilemesh_runs (run_id, dataset_name, status, profiled_at) VALUES ('x', 'orders', 'running', {now})",
    "INSERT INTO profilemesh_events (event_id, event_type, run_id, table_name, timestamp) "
    "VALUES ('e', 'DataDriftDetected', 'x', 'orders', {now})",
    "UPDATE profilemesh_runs SET status = 'success' WHERE run_id = 'x'",
    "DELETE FROM profilemesh_events WHERE event_id = 'e'",
    "DELETE FROM profilemesh_runs WHERE run_id = 'x'",
)


def steps_of_writes(connection: sqlite3.Connection) -> list[int]:
    """How many instructions of SQLite's machine each takes, triggers and all."""
    found = []
    for statement in WRITES:
        steps = 0

        def step() -> int:
            nonlocal steps
            steps += 1
            return 0

        connection.set_progress_handler(step, 1)
        connection.execute(statement.format(now="'2026-03-10 12:00:00.000000'"))
        connection.set_progress_handler(None, 0)
        found.append(steps)
    return found


def test_on_sqlite_a_write_takes_as_much_however_much_is_counted(empty_storage: Path, tmp_path: Path) -> None:
    path = shutil.copy(empty_storage, tmp_path / "storage.db")
    with closing(sqlite3.connect(path)) as connection:
        few = steps_of_writes(connection)
        hours = [(f"r{n}", f"{NOW - timedelta(hours=n):%Y-%m-%d %H:%M:%S.000000}") for n in range(3000)]
        row = (
            "INSERT INTO profilemesh_runs (run_id, dataset_name, status, profiled_at) VALUES (?, 'items', 'success', ?)"
        )
        connection.executemany(row, hours)
        event = (
            "INSERT INTO profilemesh_events (event_id, event_type, run_id, table_name, timestamp) "
            "VALUES (?1, 'DataDriftDetected', ?1, 'items', ?2)"
        )
        connection.executemany(event, hours)
        many = steps_of_writes(connection)
    for was, now in zip(few, many, strict=True):
        assert now < 1.2 * was + 100
