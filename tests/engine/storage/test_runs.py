from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy import event

from profilemesh.config.model import Config, IncrementalConfig, StorageConfig
from profilemesh.errors import StorageError
from profilemesh.planning import make_plan, profile_key
from profilemesh.planning.selection import settings_for
from profilemesh.planning.snapshots import Catalogue, Confidence, KeptManifest, KeptPart, Manifest, Part, Snapshot
from profilemesh.storage import Storage, runs, states, summaries
from profilemesh.storage.models import Result, Run, Summary, TableState
from profilemesh.storage.runs import INTERRUPTED, Metric
from profilemesh.tables import TableRef

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def new_run(run_id: str = "r1", table: str = "orders", warehouse: str = "shop", **values: object) -> Run:
    known = {"schema_name": "main", "profiled_at": NOW, "warehouse_type": "duckdb"} | values
    return Run(run_id=run_id, dataset_name=table, warehouse=warehouse, **known)


def start(storage: Storage, *new: Run) -> None:
    with storage.begin() as session:
        for run in new:
            runs.start_run(session, run)


def statements(storage: Storage, work: Callable[[], None]) -> int:
    sent: list[str] = []

    def note(connection: object, cursor: object, sql: str, *rest: object) -> None:
        if not sql.startswith(("BEGIN", "PRAGMA")):
            sent.append(sql)

    event.listen(storage.engine, "before_cursor_execute", note)
    work()
    event.remove(storage.engine, "before_cursor_execute", note)
    return len(sent)


def test_a_run_goes_from_running_to_success_with_all_it_holds(storage: Storage) -> None:
    run = new_run()
    start(storage, run)
    run.row_count, run.statements = np.int64(2**62), [{"sql": "SELECT '\0'", "seconds": float("nan"), "rows": 1}]
    with storage.begin() as session:
        runs.finish_run(session, run)
    with storage.read() as session:
        kept = session.scalars(sa.select(Run)).one()
    assert (kept.status, kept.row_count, kept.profiled_at, kept.error) == ("success", 2**62, NOW, None)
    assert kept.statements == [{"sql": "SELECT '\u2400'", "seconds": None, "rows": 1}]


def test_a_run_can_end_in_the_session_that_started_it(storage: Storage) -> None:
    run = new_run()
    with storage.begin() as session:
        runs.start_run(session, run)
        runs.finish_run(session, run)
    with storage.read() as session:
        assert session.scalars(sa.select(Run.status)).all() == ["success"]


def test_a_failed_run_keeps_its_error_and_no_success_follows(storage: Storage) -> None:
    run = new_run()
    start(storage, run)
    with storage.begin() as session:
        runs.fail_run(session, run, "no such table", "Traceback ...")
    with pytest.raises(StorageError, match="run r1 of shop.main.orders is not running any more"):
        with storage.begin() as session:
            runs.finish_run(session, run)
    with storage.read() as session:
        kept = session.scalars(sa.select(Run)).one()
        assert (kept.status, kept.error, kept.error_trace) == ("failed", "no such table", "Traceback ...")


def test_orphaned_runs_of_one_table_are_marked_interrupted(storage: Storage) -> None:
    start(storage, new_run("r1"), new_run("r2", "items"), new_run("r3", warehouse="other"))
    with storage.begin() as session:
        assert runs.interrupted(session, TableRef("shop", "main", "orders")) == 1
        assert runs.interrupted(session, TableRef("shop", "main", "orders")) == 0
    with storage.read() as session:
        told = session.execute(sa.select(Run.run_id, Run.status, Run.error).order_by(Run.run_id)).all()
    assert told == [("r1", "failed", INTERRUPTED), ("r2", "running", None), ("r3", "running", None)]


def test_a_thousand_metrics_are_one_executemany(storage: Storage) -> None:
    run = new_run()
    start(storage, run)
    metrics = [Metric("id", f"metric_{n}", str(n), n, "BIGINT") for n in range(1000)]
    with storage.begin() as session:
        sent = statements(storage, lambda: runs.save_results(session, run, metrics))
    with storage.read() as session:
        assert session.scalar(sa.select(sa.func.sum(Result.metric_number))) == sum(range(1000))
    assert sent <= 2  # psycopg2 sends 1,000 rows a statement, SQLite all in one executemany


def test_no_metrics_are_no_statement(storage: Storage) -> None:
    run = new_run()
    start(storage, run)
    with storage.begin() as session:
        assert statements(storage, lambda: runs.save_results(session, run, [])) == 0


def test_latest_runs_gives_one_per_table_even_where_runs_share_an_id(storage: Storage) -> None:
    start(
        storage,
        new_run("r9", profiled_at=NOW - timedelta(days=1)),
        new_run("r1"),
        new_run("r1", "items"),
        new_run("r2", "items", warehouse="other"),
    )
    orders, items = TableRef("shop", "main", "orders"), TableRef("shop", "main", "items")
    with storage.begin() as session:
        for table in (orders, items, TableRef("shop", "main", "never")):
            states.claim(session, table, "x:1:1:1", NOW, timedelta(minutes=1))
    with storage.read() as session:
        latest = runs.latest_runs(session)
    assert {table: (run.run_id, run.dataset_name) for table, run in latest.items()} == {
        orders: ("r1", "orders"),
        items: ("r1", "items"),
        TableRef("other", "main", "items"): ("r2", "items"),
    }


def test_a_process_killed_before_its_commit_leaves_the_old_truth(storage: Storage, migrated_url: str, actor) -> None:
    start(storage, new_run())
    process = actor("stop_before_commit", migrated_url)
    assert process.says() == "written"
    process.kill()
    with storage.begin() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Result)) == 0
        assert session.execute(sa.select(Run.status, Run.row_count)).all() == [("running", None)]
        assert runs.interrupted(session, TableRef("shop", "main", "orders")) == 1


def test_forgotten_values_take_the_summaries_of_partitions_and_their_manifest(storage: Storage) -> None:
    orders, items = TableRef("shop", "main", "orders"), TableRef("shop", "main", "items")
    start(storage, new_run("r1"), new_run("r2", "items"))
    part = KeptManifest("frame", {"p": KeptPart("t", "p", NOW, 1, "r1")}, "r1").to_json()
    with storage.begin() as session:
        for run_id, table in (("r1", orders), ("r2", items)):
            session.merge(TableState(**states.key_of(table), manifest=part, change_token="t"))
            for key in ("", "p"):
                summaries.save(session, run_id, key, NOW, b"values")
        runs.forget_values(session, orders, ["email"], ["min"])
    with storage.read() as session:
        known = states.with_manifests(session, states.latest_states(session), [orders, items])
        assert (known[orders].manifest, known[items].manifest) == (None, KeptManifest.from_json(part))
        assert known[orders].token == "t"
        assert session.scalars(sa.select(Summary.run_id)).all() == ["r2", "r2"]


def test_a_change_after_values_were_forgotten_is_read_in_full(storage: Storage) -> None:
    orders, run = TableRef("shop", "main", "orders"), new_run("r1")
    config = Config(None, {}, StorageConfig("sqlite://"), incremental=IncrementalConfig(enabled=True))
    kept = KeptManifest("frame", {"p1": KeptPart("t1", "p1", NOW, 1, "r1"), "p2": KeptPart("t2", "p2", NOW, 1, "r1")})
    after = Manifest("frame", {"p1": Part("new", "p1", 1), "p2": Part("t2", "p2", 1)})
    snapshot = Snapshot(orders, (), "b", Confidence.EXACT, manifest=after)
    settings = settings_for(config, snapshot)
    assert settings is not None
    start(storage, run)
    actions = []
    with storage.begin() as session:
        states.claim(session, orders, "x:1:1:1", NOW, timedelta(minutes=1))
        before = Snapshot(orders, (), "a", Confidence.EXACT)
        key = profile_key(config, settings, "xx")
        states.advance(session, orders, "x:1:1:1", before, run, profile_key=key, manifest=kept)
        for _ in range(2):
            known = states.with_manifests(session, states.latest_states(session), [orders])
            catalogue = Catalogue({orders: snapshot}, {}, {}, {"shop": "xx"})
            actions.append(make_plan(config, catalogue, known, NOW + timedelta(days=2)).decisions[0].action)
            runs.forget_values(session, orders, ["id"], ["min"])
    assert actions == ["partial", "full"]
