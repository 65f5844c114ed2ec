from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import chdir, closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result
from rich.console import Console

import seed
from bench import synthetic
from bench._demo import INCIDENTS, Shop
from profilemesh.config import load_config
from profilemesh.storage import Storage, open_storage
from profilemesh.storage.models import Event, Run, TableState
from profilemesh.storage.models import Result as Metric
from profilemesh.storage.upgrade import upgrade
from tests.engine.storage.test_upgrade import first_schema
from tests.factories import add_run

ROOT = Path(seed.__file__).parent
END = date(2026, 3, 12)
"""A Thursday: of the five days up to it, the second to the fifth are workdays."""
SHOP_TABLES = ("customers", "products", "orders", "order_lines", "web_events", "recent_orders")
SUPPORT_TABLES = ("tickets", "agents")
QUIET = Console(quiet=True)


def folder(path: Path) -> Path:
    path.mkdir(exist_ok=True)
    shutil.copy(ROOT / "profilemesh.yml", path)
    return path


def run(path: Path, *arguments: str) -> Result:
    """seed.py in this folder, whatever the developer's own settings are."""
    with chdir(path):
        return CliRunner().invoke(seed.main, arguments, env={"PROFILEMESH_DB_URL": None, "PROFILEMESH_CONFIG": None})


def built(path: Path, *arguments: str) -> str:
    done = run(path, *arguments)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = folder(tmp_path_factory.mktemp("seed") / "demo")
    built(path, "--days", "5", "--end", str(END))
    return path


@pytest.fixture(scope="module")
def two_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = folder(tmp_path_factory.mktemp("seed") / "two")
    built(path, "--days", "2", "--end", "2026-03-11")
    return path


@pytest.fixture
def copied(two_days: Path, tmp_path: Path) -> Path:
    return shutil.copytree(two_days, tmp_path / "copied")


@pytest.fixture
def storage(fresh_url: str) -> Iterator[Storage]:
    with closing(open_storage(fresh_url)) as opened:
        yield opened


def sqlite(path: Path) -> Storage:
    url = f"sqlite:///{path / 'profilemesh.db'}"
    upgrade(url)
    return open_storage(url)


def query(path: Path, statement: str) -> list[tuple[Any, ...]]:
    """Rows of the profiles' storage."""
    with closing(sqlite3.connect(path / "profilemesh.db")) as connection:
        return connection.execute(statement).fetchall()


def shop(path: Path, statement: str) -> Any:
    with duckdb.connect(str(path / "demo" / "shop.duckdb"), read_only=True) as connection:
        return connection.execute(statement).fetchall()


def content(path: Path) -> dict[str, Any]:
    """What the warehouses hold, row by row, and what the engine made of it."""
    found: dict[str, Any] = {name: shop(path, f"SELECT * FROM {name} ORDER BY ALL") for name in SHOP_TABLES}
    with closing(sqlite3.connect(path / "demo" / "support.sqlite")) as desk:
        found |= {name: desk.execute(f"SELECT * FROM {name}").fetchall() for name in SUPPORT_TABLES}
    runs = "SELECT dataset_name, date(profiled_at), status, row_count, reason FROM profilemesh_runs ORDER BY 1, 2, 5"
    metrics = (
        "SELECT dataset_name, date(profiled_at), column_name, metric_name, metric_value FROM profilemesh_results "
        "WHERE metric_name IN ('null_count', 'max', 'distinct_count') ORDER BY 1, id"
    )
    events = "SELECT table_name, event_type, count(*) FROM profilemesh_events GROUP BY 1, 2 ORDER BY 1, 2"
    return found | {"runs": query(path, runs), "metrics": sorted(query(path, metrics)), "events": query(path, events)}


def test_stored_row_counts_are_those_of_the_warehouses(demo: Path) -> None:
    stored = dict(query(demo, "SELECT table_name, row_count FROM profilemesh_table_state"))
    counted = {name: len(rows) for name, rows in content(demo).items() if name in SHOP_TABLES + SUPPORT_TABLES}
    assert stored == counted
    assert sum(stored.values()) > 50_000


def test_tables_that_did_not_change_were_skipped(demo: Path) -> None:
    runs = dict(query(demo, "SELECT dataset_name, count(*) FROM profilemesh_runs WHERE status = 'success' GROUP BY 1"))
    # Five mornings and three workdays' noons; the support desk also had its first profile on the first morning.
    [[ticks]] = query(demo, "SELECT count(DISTINCT plan_id) FROM profilemesh_runs")
    assert ticks == 8
    assert {runs[name] for name in SHOP_TABLES if name != "recent_orders"} == {5}
    # The desk's tickets change on three workdays, its people never: a probe says so although their file changes.
    assert [runs[name] for name in SUPPORT_TABLES] == [4, 1]
    skipped = dict(query(demo, "SELECT table_name, decision_reason FROM profilemesh_table_state WHERE decision='skip'"))
    assert (skipped["tickets"], skipped["agents"]) == ("snapshot_match", "probe_match")
    events = query(demo, "SELECT DISTINCT action, scope FROM profilemesh_runs WHERE dataset_name = 'web_events'")
    assert sorted(events) == [("full", "full"), ("partial", "merged")]


def test_only_the_announced_table_fails_and_only_on_its_day(demo: Path) -> None:
    failed = query(
        demo, "SELECT dataset_name, date(profiled_at), error FROM profilemesh_runs WHERE status <> 'success'"
    )
    assert {(name, day) for name, day, _ in failed} == {("recent_orders", str(END - timedelta(3)))}
    assert all("channel" in error for *_, error in failed)


def test_every_column_of_the_demo_is_profiled(demo: Path) -> None:
    assert (
        query(demo, "SELECT DISTINCT dataset_name, column_errors FROM profilemesh_runs WHERE column_errors > ''") == []
    )


def test_every_histogram_and_listing_counts_the_values_and_no_nulls(demo: Path) -> None:
    shapes = query(
        demo,
        "SELECT r.dataset_name, r.column_name, r.metric_name, r.metric_value, c.metric_number - n.metric_number "
        "FROM profilemesh_results r "
        "JOIN profilemesh_results c USING (run_id, column_name) JOIN profilemesh_results n USING (run_id, column_name) "
        "WHERE r.metric_name IN ('histogram', 'date_histogram', 'top_values') AND c.metric_name = 'count' "
        "AND n.metric_name = 'null_count'",
    )
    counted = {(*name, sum(each["count"] for each in json.loads(shape)), values) for *name, shape, values in shapes}
    assert len(counted) > 100
    assert {each for each in counted if each[3] != each[4]} == set()


def test_the_engine_saw_each_incident_on_its_day(demo: Path) -> None:
    median = dict(
        query(
            demo,
            "SELECT date(profiled_at), metric_number FROM profilemesh_results WHERE dataset_name = 'web_events' "
            "AND column_name = 'duration_ms' AND metric_name = 'median'",
        )
    )
    assert median[str(END - timedelta(1))] < 0.95 * median[str(END - timedelta(2))]
    retyped = query(demo, "SELECT date(profiled_at) FROM profilemesh_runs WHERE reason = 'schema_changed' ORDER BY 1")
    assert retyped == [(str(END - timedelta(3)),), (str(END - timedelta(2)),)]


def test_no_time_of_the_history_lies_outside_its_days(demo: Path) -> None:
    [[first, last]] = query(demo, "SELECT min(profiled_at), max(profiled_at) FROM profilemesh_runs")
    assert first[:10] == str(END - timedelta(4))
    assert last[:10] == str(END)
    newest = shop(demo, "SELECT max(order_date), CAST(max(ordered_at) AS DATE) FROM orders")
    assert newest == [(END - timedelta(1), END - timedelta(1))]


SYMPTOMS = {
    (21, "customers", "email"): "SELECT count(*) FILTER (email IS NULL) > 0.15 * count(*) FROM customers",
    (16, "web_events", None): "SELECT max(hour(occurred_at)) < 12 FROM web_events WHERE event_date = DATE '{day}' - 1",
    (11, "products", "weight_kg"): "SELECT any_value(typeof(weight_kg)) = 'VARCHAR' FROM products",
    (7, "products", "price"): "SELECT avg(price) > 38 FROM products",
    (3, "orders", "channel"): "SELECT count(*) = 0 FROM duckdb_columns() WHERE table_name = 'orders' "
    "AND column_name = 'channel'",
    (3, "recent_orders", None): "SELECT count(*) = 0 FROM duckdb_columns() WHERE table_name = 'orders' "
    "AND column_name = 'channel'",
    (
        1,
        "web_events",
        "duration_ms",
    ): "SELECT median(duration_ms) < 100 FROM web_events WHERE event_date = DATE '{day}' - 1",
}


def test_each_incident_is_in_the_data_on_its_day_and_not_before(tmp_path: Path) -> None:
    assert {(each.days_before_end, each.table, each.column) for each in INCIDENTS} == SYMPTOMS.keys()
    # On the other days the shop stays closed.
    wanted = sorted({when + before for when, *_ in SYMPTOMS for before in (0, 1)}, reverse=True)
    warehouse = Shop(tmp_path / "shop.duckdb", END - timedelta(wanted[0]), END)
    warehouse.create()
    for back in wanted:
        day = END - timedelta(back)
        warehouse.load(day)
        with duckdb.connect(str(warehouse.path), read_only=True) as connection:
            for (when, *_), symptom in SYMPTOMS.items():
                if when in (back, back - 1):
                    [present] = connection.execute(symptom.format(day=day)).fetchone() or [None]
                    assert present is (when == back), (back, symptom)


@pytest.mark.parametrize("back", sorted({each.days_before_end for each in INCIDENTS}))
def test_a_history_may_begin_on_the_day_after_an_incident(tmp_path: Path, back: int) -> None:
    first = END - timedelta(back - 1)
    warehouse = Shop(tmp_path / "shop.duckdb", first, END)
    warehouse.create()
    warehouse.load(first)
    with duckdb.connect(str(warehouse.path), read_only=True) as connection:
        assert connection.execute("SELECT count(*) > 1000 FROM recent_orders").fetchone() == (True,)


def test_seeding_twice_changes_nothing(demo: Path) -> None:
    files = {path: path.read_bytes() for path in (demo / "demo").iterdir()}
    before = content(demo)
    assert "Nothing to do" in built(demo)
    assert {path: path.read_bytes() for path in (demo / "demo").iterdir()} == files
    assert content(demo) == before


def test_a_killed_seed_starts_over_and_ends_like_an_uninterrupted_one(two_days: Path, tmp_path: Path) -> None:
    path = folder(tmp_path / "killed")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PROFILEMESH_")}
    command = [sys.executable, str(ROOT / "seed.py"), "--days", "2", "--end", "2026-03-11"]
    process = subprocess.Popen(command, cwd=path, env=environment, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not (path / "profilemesh.db").exists() or not _has_runs(path):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert "starting over" in built(path)
    assert content(path) == content(two_days)


def _has_runs(path: Path) -> bool:
    try:
        return query(path, "SELECT count(*) > 2 FROM profilemesh_runs") == [(1,)]
    except sqlite3.OperationalError:
        return False


def test_reset_deletes_only_what_the_demo_made(copied: Path) -> None:
    with closing(sqlite(copied)) as storage, storage.begin() as session:
        add_run(session, "postings", warehouse="ledger", warehouse_type="postgres", run_id="other")
    built(copied, "--days", "2", "--end", "2026-03-10", "--reset")
    days = query(copied, "SELECT DISTINCT date(profiled_at) FROM profilemesh_runs WHERE warehouse = 'shop' ORDER BY 1")
    assert days == [("2026-03-09",), ("2026-03-10",)]
    assert query(copied, "SELECT count(*) > 5 FROM profilemesh_results WHERE run_id = 'other'") == [(1,)]
    assert query(
        copied,
        "SELECT count(*) FROM profilemesh_triage WHERE finding_id NOT IN (SELECT finding_id FROM profilemesh_findings)",
    ) == [(0,)]
    for table in ("results", "events", "summaries", "profile_numbers", "occurrences"):
        orphans = f"SELECT count(*) FROM profilemesh_{table} WHERE run_id NOT IN (SELECT run_id FROM profilemesh_runs)"
        assert query(copied, orphans) == [(0,)]


def test_another_history_needs_a_reset(copied: Path) -> None:
    done = run(copied, "--days", "3")
    assert (done.exit_code, "2 days up to 2026-03-11; --reset builds another" in done.output) == (1, True)


def test_a_demo_without_its_history_or_a_file_is_built_again(copied: Path) -> None:
    for lost in ("profilemesh.db", "demo/support.sqlite"):
        (copied / lost).unlink()
        with closing(sqlite(copied)) as storage, chdir(copied):
            plan = seed.prepare(seed.Demo(load_config("profilemesh.yml"), storage), QUIET, None, None, reset=False)
        assert plan == seed.Marker("2026-03-11", 2)
        assert list((copied / "demo").iterdir()) == []
        plan.write(copied / "demo" / "seed.json")
        (copied / "demo" / "support.sqlite").touch()


def test_a_storage_of_an_older_version_is_upgraded_only_for_a_reset(tmp_path: Path) -> None:
    path = folder(tmp_path / "older")
    url = f"sqlite:///{path / 'profilemesh.db'}"
    first_schema(url)
    refused = run(path)
    assert (refused.exit_code, "profilemesh db upgrade" in refused.output) == (2, True)
    with seed._storage(url, QUIET, reset=True):
        assert not upgrade(url).changed
    assert len(list(path.glob("profilemesh.db.backup-*"))) == 1


def test_runs_without_their_files_are_deleted_on_request_only(copied: Path) -> None:
    shutil.rmtree(copied / "demo")
    done = run(copied)
    assert (done.exit_code, "--reset deletes those runs" in done.output) == (1, True)
    assert query(copied, "SELECT count(*) > 10 FROM profilemesh_runs") == [(1,)]


def test_two_seeds_do_not_write_at_once(copied: Path) -> None:
    with seed.alone(copied / "demo"):
        done = run(copied, "--reset")
    assert (done.exit_code, "another seed.py is at work" in done.output) == (1, True)


def test_a_warehouse_of_somebody_else_is_never_touched(tmp_path: Path) -> None:
    path = folder(tmp_path)
    (path / "demo").mkdir()
    (path / "demo" / "shop.duckdb").write_bytes(b"precious")
    for arguments in ([], ["--reset"]):
        done = run(path, *arguments)
        assert (done.exit_code, "not made by seed.py" in done.output) == (1, True)
    assert (path / "demo" / "shop.duckdb").read_bytes() == b"precious"


def test_runs_of_another_warehouse_of_that_name_stop_the_seed(tmp_path: Path) -> None:
    path = folder(tmp_path)
    with closing(sqlite(path)) as storage, storage.begin() as session:
        add_run(session, warehouse="shop", warehouse_type="postgres", columns={})
    done = run(path, "--reset")
    assert (done.exit_code, "another warehouse shop (postgres)" in done.output) == (1, True)
    assert query(path, "SELECT count(*) FROM profilemesh_runs") == [(1,)]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = folder(tmp_path)
    (path / "demo").write_text("a file where the folder should be")
    done = run(path)
    assert done.exit_code == 1
    assert str(path / "demo") in done.output


def test_an_end_in_the_future_is_refused(tmp_path: Path) -> None:
    done = run(folder(tmp_path), "--end", "2999-01-01")
    assert (done.exit_code, "lies in the future" in done.output) == (1, True)


def test_a_configuration_without_the_demo_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "profilemesh.yml").write_text("source: {type: sqlite, filepath: mine.sqlite}\n")
    assert "nothing to seed" in built(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["profilemesh.yml"]


def load(storage: Storage, runs: int, reset: bool = False) -> None:
    synthetic.load(storage, runs, datetime.now(UTC).date(), QUIET, reset=reset)


def count(storage: Storage, *tables: type[Any]) -> list[int]:
    with storage.read() as session:
        return [session.scalar(sa.select(sa.func.count()).select_from(table)) or 0 for table in tables]


def test_synthetic_runs_are_loaded_once_and_added_to(storage: Storage) -> None:
    load(storage, 400)
    before = count(storage, Run, Metric, Event, TableState)
    load(storage, 400)
    assert count(storage, Run, Metric, Event, TableState) == before
    load(storage, 1000)
    assert count(storage, Run) == [1000]
    with storage.begin() as session:
        add_run(session, "orders", columns={})
    load(storage, 50, reset=True)
    assert count(storage, Run) == [51]


def test_synthetic_rows_are_well_formed(storage: Storage) -> None:
    load(storage, 2000)
    with storage.read() as session:
        runs = {run.run_id: run for run in session.scalars(sa.select(Run))}
        events = session.scalars(sa.select(Event)).all()
        metrics = session.scalars(sa.select(Metric)).all()
        states = session.scalars(sa.select(TableState)).all()
    now = datetime.now(UTC)
    assert {run.environment for run in runs.values()} == {"synthetic"}
    assert {run.warehouse for run in runs.values()} == {f"synthetic-{kind}" for kind in synthetic.TYPES}
    assert all(now - timedelta(days=91) < run.profiled_at <= now for run in runs.values())
    assert all((run.row_count is None) == (run.status == "failed") == bool(run.error) for run in runs.values())
    assert {run_id for run_id, run in runs.items() if run.has_drift} == {event.run_id for event in events}
    assert 450 < len(events) < 750
    ladder = {"low": (5, 15), "medium": (15, 30), "high": (30, 66)}
    for event in events:
        low, high = ladder[event.drift_severity or ""]
        assert low <= abs(event.change_percent or 0) < high
        assert event.table_name == runs[event.run_id or ""].dataset_name
    profiled = {metric.run_id for metric in metrics}
    assert len(metrics) == 25 * len(profiled)
    assert min(runs[run_id].profiled_at for run_id in profiled) > now - timedelta(days=18, minutes=1)
    assert 300 < len(profiled) < 480
    assert all(runs[state.last_run_id or ""].profiled_at == state.last_profiled_at for state in states)
