"""What the first ProfileMesh left becomes ours where it stands, on both databases and from each layout."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask.testing import FlaskClient

from app.extensions import db
from profilemesh.errors import StorageError, StorageOutdated
from profilemesh.storage import Base, open_storage, states
from profilemesh.storage.adoption.values import number_of, postgres_number
from profilemesh.storage.engine import make_engine
from profilemesh.storage.models import EPOCH, Event, Result, Run, TableState
from profilemesh.storage.schema import VERSION_TABLE
from profilemesh.storage.upgrade import upgrade
from tests.engine.storage import phase1
from tests.engine.storage.phase1 import COVER, LAYOUTS, LEFT, VALUES, Layout, contents, event, make, result, run
from tests.web import make_app

SHOP = ("shop", "postgres")
NOON = datetime(2026, 3, 1, 12, 0, 0, 250_000, UTC)


def adopt(url: str) -> None:
    upgrade(url, backup=False, adopted_warehouse=SHOP)


@dataclass(frozen=True)
class Adopted:
    """A database of a layout that was adopted, to be read by any test and written to by none."""

    url: str
    before: dict[str, list[dict[str, Any]]]
    """What it held."""


Adoptions = Callable[[str, str], Adopted]


@pytest.fixture(scope="module")
def adoptions(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Adoptions:
    """Makes one by its database and layout, once."""

    @cache
    def made(database: str, layout: str) -> Adopted:
        url = f"sqlite:///{tmp_path_factory.mktemp('adopted') / 'storage.db'}"
        if database == "postgres":
            server, name = request.getfixturevalue("postgres_server"), f"adopted_{uuid.uuid4().hex[:12]}"
            server.execute(f"CREATE DATABASE {name}")
            url = server.url(name).replace("postgresql://", "postgresql+psycopg2://", 1)
        make(url, LAYOUTS[layout])
        before = contents(url)
        adopt(url)
        return Adopted(url, before)

    return made


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=LAYOUTS)
def adopted(request: pytest.FixtureRequest, database: str, adoptions: Adoptions) -> Adopted:
    """Of each layout in turn."""
    return adoptions(database, request.param)


@pytest.fixture
def later(database: str, adoptions: Adoptions) -> str:
    """The URL of one that had the later layout."""
    return adoptions(database, "later").url


def execute(url: str, *statements: str) -> list[Any]:
    engine = make_engine(url)
    with engine.begin() as connection:
        done = [connection.exec_driver_sql(statement) for statement in statements]
        rows = list(done[-1]) if done[-1].returns_rows else []
    engine.dispose()
    return rows


def all_of(url: str, model: type[Base]) -> list[Any]:
    storage = open_storage(url)
    with storage.read() as session:
        found = list(session.scalars(sa.select(model).order_by(*sa.inspect(model).primary_key)))
    storage.close()
    return found


def state_of(url: str, schema: str, table: str) -> TableState:
    return next(row for row in all_of(url, TableState) if (row.schema_name, row.table_name) == (schema, table))


MEANT: dict[str, dict[str, Any]] = {
    "profilemesh_runs": {"schema_name": "", "environment": "development", "status": "unknown"},
    "profilemesh_results": {"schema_name": ""},
    "profilemesh_events": {"event_type": "unknown"},
    "profilemesh_table_state": {},
}
# What planning must not see, and times that another row or column tells; tests of their own hold them.
TOLD_ELSEWHERE = {
    "profilemesh_runs": ["profiled_at"],
    "profilemesh_results": ["profiled_at"],
    "profilemesh_events": ["timestamp"],
    "profilemesh_table_state": ["snapshot_id", "change_token", "last_profiled_at", "metadata"],
}


def kept(table: str, row: dict[str, Any]) -> dict[str, Any]:
    """The row with what docs/adoption.md says becomes of NULL, its times aware."""
    found = {name: MEANT[table].get(name) if value is None else value for name, value in row.items()}
    is_naive = {name: isinstance(value, datetime) and value.tzinfo is None for name, value in found.items()}
    return {name: value.replace(tzinfo=UTC) if is_naive[name] else value for name, value in found.items()}


def test_every_row_and_value_is_kept(adopted: Adopted) -> None:
    before = adopted.before
    after = contents(adopted.url, {table: list(rows[0]) for table, rows in before.items()})
    # Of a table with runs but without a state there is an empty one now.
    after["profilemesh_table_state"] = [row for row in after["profilemesh_table_state"] if row.get("last_run_id")]
    for table, rows in before.items():
        for row, old in zip(after[table], rows, strict=True):
            names = [name for name in TOLD_ELSEWHERE[table] if old[name] is None or table == "profilemesh_table_state"]
            assert row == {**kept(table, old), **{name: row[name] for name in names}}


def test_a_missing_time_is_told_by_other_rows_or_nobody(later: str) -> None:
    runs = {row.run_id: row.profiled_at for row in all_of(later, Run)}
    assert runs["r-timeless"] == datetime(2026, 2, 1, tzinfo=UTC)
    assert {row.profiled_at for row in all_of(later, Result) if row.run_id == "r-null"} == {NOON}
    assert {row.timestamp for row in all_of(later, Event)} == {NOON}


def test_what_nobody_tells_the_time_of_was_in_1970(database: str, adoptions: Adoptions) -> None:
    alone = adoptions(database, "runs alone").url
    assert {row.run_id for row in all_of(alone, Run) if row.profiled_at == EPOCH} == {"r-timeless"}


def test_the_adopted_schema_is_the_models(adopted: Adopted) -> None:
    engine = make_engine(adopted.url)
    with engine.connect() as connection:
        options = {"version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        differences = compare_metadata(context, Base.metadata)
        key = sa.inspect(connection).get_pk_constraint("profilemesh_runs")["constrained_columns"]
        foreign = sa.inspect(connection).get_foreign_keys("profilemesh_results")
    engine.dispose()
    assert (differences, key, foreign) == ([], ["run_id", "dataset_name"], [])


def test_adopting_twice_changes_nothing_more(adopted: Adopted) -> None:
    before = contents(adopted.url)
    report = upgrade(adopted.url)
    assert (report.changed, contents(adopted.url)) == (False, before)


def test_what_is_not_told_is_unknown_or_of_the_warehouse_that_the_configuration_names(later: str) -> None:
    for model in (Run, Event, TableState):
        assert {row.warehouse for row in all_of(later, model)} == {"shop"}
    assert {row.warehouse_type for row in all_of(later, Run)} == {"postgres"}


def test_without_a_configured_source_the_warehouse_is_unknown(storage_url: str) -> None:
    make(storage_url, LAYOUTS["later"])
    upgrade(storage_url)
    assert {(row.warehouse, row.warehouse_type) for row in all_of(storage_url, Run)} == {("unknown", "unknown")}


def test_a_warehouse_of_any_name_is_taken(storage_url: str) -> None:
    make(storage_url, LAYOUTS["later"])
    upgrade(storage_url, adopted_warehouse=("it's 100% :this", "duckdb"))
    assert {row.warehouse for row in all_of(storage_url, Run)} == {"it's 100% :this"}


def test_metrics_are_numbers_where_their_text_is_one(later: str) -> None:
    found = [row for row in all_of(later, Result) if row.run_id == "run_1a2b3c4d5e6f"]
    assert [(row.metric_value, row.metric_number) for row in found] == [(text, number) for *_, text, number in VALUES]


TEXTS = "0 -0 12 12.0 00.5 01 +1 .5 5. 1e5 1E-5 1e+16 1.5e308 1.8e308 1e999 1e-323 1e-400 0e999 nan inf 0x10 1,5 --1 e5"


def test_both_databases_read_the_same_numbers(postgres_url: str) -> None:
    texts = [*TEXTS.split(), "9" * 300, "9" * 301, "0." + "0" * 299 + "1", "1 ", "1\n", ""]
    rows = [(metric, kind, text) for text in texts for metric in ("mean", "min") for kind in ("INT", "text", None)]
    values = sa.values(*(sa.column(n, sa.String) for n in ("metric_name", "column_type", "metric_value")), name="v")
    engine = make_engine(postgres_url)
    with engine.connect() as connection:
        found = connection.scalars(sa.select(postgres_number()).select_from(values.data(rows))).all()
    engine.dispose()
    assert list(found) == [number_of(*row) for row in rows]


def test_events_are_of_their_runs_schema_or_of_the_only_one(storage_url: str) -> None:
    rows = {
        "profilemesh_runs": [
            run("r1", "orders", "sales"),
            run("r2", "orders", "public"),
            run("r3", "people", "hr"),
            run("r4", "bare", None),
        ],
        "profilemesh_events": [
            event("of its run", run_id="r1"),
            event("of two schemas", run_id=None),
            event("of the only schema", run_id="gone", table_name="people"),
            event("of a run without", run_id="r4", table_name="bare"),
            event("of nothing", run_id=None, table_name=None),
        ],
    }
    make(storage_url, LAYOUTS["later"], rows)
    adopt(storage_url)
    assert {row.event_id: row.schema_name for row in all_of(storage_url, Event)} == {
        "of its run": "sales",
        "of two schemas": "",
        "of the only schema": "hr",
        "of a run without": "",
        "of nothing": "",
    }
    assert {row.run_id: row.has_drift for row in all_of(storage_url, Run)} == {
        "r1": True,
        "r2": False,
        "r3": False,
        "r4": True,
    }


def test_metrics_and_their_run_share_the_schema_that_one_of_them_knows(storage_url: str) -> None:
    rows = {
        "profilemesh_runs": [run("r1", schema=None), run("r2", schema="sales"), run("r3", schema=None)],
        "profilemesh_results": [
            result("r1", "count", "1", schema_name="sales"),
            result("r2", "count", "1", schema_name=None),
            result("r3", "count", "1", schema_name="one"),
            result("r3", "mean", "1", schema_name="two"),
        ],
    }
    make(storage_url, LAYOUTS["later"], rows)
    adopt(storage_url)
    assert {row.run_id: row.schema_name for row in all_of(storage_url, Run)} == {"r1": "sales", "r2": "sales", "r3": ""}
    assert [row.schema_name for row in all_of(storage_url, Result)] == ["sales", "sales", "one", "two"]


def test_tokens_are_kept_out_of_planning_and_nothing_of_them_is_lost(later: str) -> None:
    storage = open_storage(later)
    with storage.read() as session:
        known = states.latest_states(session)
    storage.close()
    assert known == {}
    state = state_of(later, "public", "orders")
    told = json.loads(state.details or "")["phase1"]
    assert (told["snapshot_id"], told["change_token"], told["metadata"]) == ("s", "t", "no {json")
    assert told["last_profiled_at"].startswith("2026-03-01 12:00:00.25")
    assert (state.last_run_id, state.decision, state.staleness_score, state.row_count) == ("r-failed", "full", 7, 2**40)


def test_a_table_with_runs_has_a_state(adopted: Adopted) -> None:
    known = {(row.warehouse, row.schema_name, row.table_name) for row in all_of(adopted.url, TableState)}
    assert known == {(row.warehouse, row.schema_name, row.dataset_name) for row in all_of(adopted.url, Run)}


@pytest.mark.parametrize("moment", ["2", "30", "50", "commit"])
def test_killed_at_any_moment_the_old_database_is_as_it_was(storage_url: str, moment: str, actor: Any) -> None:
    make(storage_url, LAYOUTS["oldest"])
    before = contents(storage_url)
    process = actor("upgrade_and_die", storage_url, moment)
    assert process.ended() == -9
    assert contents(storage_url) == before
    with pytest.raises(StorageOutdated):
        open_storage(storage_url)
    adopt(storage_url)
    assert len(all_of(storage_url, Run)) == len(before["profilemesh_runs"])


class Stop(Exception):
    pass


def adopt_up_to(url: str, statement: int) -> bool:
    """Fail at the given statement that changes something; False if there were not so many."""
    seen = 0

    def stop(connection: Any, cursor: Any, sql: str, *rest: Any) -> None:
        nonlocal seen
        seen += not sql.lstrip().upper().startswith(("SELECT", "PRAGMA", "BEGIN"))
        if seen == statement:
            raise Stop

    sa.event.listen(sa.Engine, "before_cursor_execute", stop)
    try:
        adopt(url)
    except Stop:
        return True
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", stop)
    return False


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.prove), 11])
def test_failed_at_a_statement_the_old_database_is_as_it_was(storage_url: str, step: int) -> None:
    """At each, or at every eleventh."""
    make(storage_url, LAYOUTS["later"])
    before, statement = contents(storage_url), 1
    while adopt_up_to(storage_url, statement):
        assert contents(storage_url) == before
        statement += step
    assert statement > 60
    assert len(all_of(storage_url, Run)) == len(before["profilemesh_runs"])


def test_of_two_adoptions_at_once_one_waits_and_finds_nothing_to_do(storage_url: str, actor: Any) -> None:
    make(storage_url, LAYOUTS["later"])
    processes = [actor("upgrade_when_told", storage_url) for _ in range(2)]
    for process in processes:
        assert process.says() == "ready"
    for process in processes:
        process.go_on()
    assert sorted(process.says() for process in processes) == ["changed", "nothing to do"]
    assert len(all_of(storage_url, Result)) == len(LEFT["profilemesh_results"])


def test_what_others_added_survives(storage_url: str) -> None:
    more = [
        "ALTER TABLE profilemesh_runs ADD COLUMN owner VARCHAR(20) DEFAULT 'it''s us' NOT NULL",
        "CREATE INDEX their_index ON profilemesh_runs (owner)",
        "CREATE VIEW their_view AS SELECT run_id, status FROM profilemesh_runs",
    ]
    make(storage_url, LAYOUTS["later"], more=more)
    adopt(storage_url)
    assert {row.owner for row in execute(storage_url, "SELECT owner FROM profilemesh_runs")} == {"it's us"}
    assert len(execute(storage_url, "SELECT * FROM their_view WHERE run_id = 'r-failed'")) == 1
    engine = make_engine(storage_url)
    assert "their_index" in {index["name"] for index in sa.inspect(engine).get_indexes("profilemesh_runs")}
    engine.dispose()


def test_indexes_and_columns_of_any_kind_survive_on_sqlite(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'p.db'}"
    indexes = {
        "over_an_expression": "CREATE INDEX over_an_expression ON profilemesh_runs (lower(status))",
        "over_some": "CREATE UNIQUE INDEX over_some ON profilemesh_runs (run_id, dataset_name) WHERE status = 'failed'",
    }
    make(url, LAYOUTS["later"], more=["ALTER TABLE profilemesh_runs ADD COLUMN note", *indexes.values()])
    execute(url, "UPDATE profilemesh_runs SET note = x'00'")
    adopt(url)
    assert {row.note for row in execute(url, "SELECT note FROM profilemesh_runs")} == {b"\0"}
    kept = dict(tuple(row) for row in execute(url, "SELECT name, sql FROM sqlite_master WHERE name LIKE 'over_%'"))
    assert kept == indexes


def test_a_trigger_of_others_survives_on_sqlite(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'p.db'}"
    trigger = "CREATE TRIGGER theirs AFTER DELETE ON profilemesh_runs BEGIN INSERT INTO gone VALUES (OLD.run_id); END"
    make(url, LAYOUTS["later"], more=["CREATE TABLE gone (run_id)", trigger])
    adopt(url)
    execute(url, "DELETE FROM profilemesh_runs WHERE run_id = 'r-failed'")
    assert execute(url, "SELECT * FROM gone") == [("r-failed",)]


def test_grants_survive_on_postgres(postgres_url: str) -> None:
    make(postgres_url, LAYOUTS["later"], more=["GRANT SELECT ON profilemesh_results TO pg_monitor"])
    adopt(postgres_url)
    privilege = "SELECT has_table_privilege('pg_monitor', 'profilemesh_results', 'SELECT')"
    assert execute(postgres_url, privilege) == [(True,)]


def test_a_view_in_the_way_is_named_and_nothing_is_changed(postgres_url: str) -> None:
    view = "CREATE VIEW reporting AS SELECT run_id, row_count FROM profilemesh_runs"
    make(postgres_url, LAYOUTS["later"], more=[view])
    before = contents(postgres_url)
    with pytest.raises(StorageError, match="view reporting shows columns of profilemesh_runs .* nothing was changed"):
        upgrade(postgres_url)
    assert contents(postgres_url) == before


def test_a_foreign_key_of_others_in_the_way_is_named(postgres_url: str) -> None:
    theirs = "CREATE TABLE notes (run_id VARCHAR(36) REFERENCES profilemesh_runs (run_id))"
    make(postgres_url, LAYOUTS["oldest"], more=[theirs])
    with pytest.raises(StorageError, match="the foreign key notes_run_id_fkey of notes hangs on the primary key"):
        upgrade(postgres_url)


def test_a_column_with_a_name_of_ours_is_refused(storage_url: str) -> None:
    make(storage_url, LAYOUTS["later"], more=["ALTER TABLE profilemesh_runs ADD COLUMN scope INTEGER"])
    with pytest.raises(StorageError, match="has a column scope that Phase 1 did not make"):
        upgrade(storage_url)


def test_new_rows_are_numbered_after_the_old_ones(storage_url: str) -> None:
    rows = {"profilemesh_runs": [run("r1")], "profilemesh_results": [{"id": 2**31 - 1, **result("r1", "count", "1")}]}
    make(storage_url, LAYOUTS["later"], rows)
    adopt(storage_url)
    storage = open_storage(storage_url)
    with storage.begin() as session:
        new = Result(run_id="r1", dataset_name="orders", column_name="", metric_name="m", profiled_at=NOON)
        session.add(new)
        session.flush()
        assert new.id == 2**31
    storage.close()


ODD = [
    "INSERT INTO profilemesh_runs VALUES (NULL, NULL, NULL, '2026-03-01T12:00:00Z', NULL, NULL, 'abc', 9e999)",
    "INSERT INTO profilemesh_runs VALUES (NULL, NULL, NULL, '2026-03-01 14:00:00+02:00', NULL, NULL, 12.5, '12.0')",
    "INSERT INTO profilemesh_runs VALUES ('r1', NULL, NULL, '2026-03-01', 'e', 's', 1, 1)",
    "INSERT INTO profilemesh_runs VALUES ('r1', NULL, NULL, 'yesterday', 'e', 's', 2, 2)",
    "INSERT INTO profilemesh_table_state (table_name, change_token, last_profiled_at) VALUES ('orders', 'a', '2026')",
    "INSERT INTO profilemesh_table_state (table_name, change_token, last_profiled_at) VALUES ('orders', 'b', '2027')",
    "INSERT INTO profilemesh_table_state (snapshot_id) VALUES ('nameless')",
    "INSERT INTO profilemesh_events (timestamp, metadata, baseline_value) VALUES ('never', '{', 'nan')",
    "INSERT INTO profilemesh_events (timestamp, created_at) VALUES ('never', '20260301T120000Z')",
]  # fmt: skip


@pytest.fixture(scope="module")
def odd_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What only SQLite lets in: keys without a value, texts in numbers and times."""
    url = f"sqlite:///{tmp_path_factory.mktemp('odd') / 'odd.db'}"
    make(url, LAYOUTS["later"], {}, ODD)
    adopt(url)
    return url


def test_rows_without_a_key_get_one(odd_url: str) -> None:
    runs = all_of(odd_url, Run)
    assert len(runs) == 4 == len({row.run_id for row in runs})
    assert {row.dataset_name for row in runs} == {"unknown"}
    assert [row.row_count for row in runs if row.run_id == "r1"] == [1]
    assert len({row.event_id for row in all_of(odd_url, Event)}) == 2


def test_a_further_row_of_a_key_keeps_its_old_id_aside(odd_url: str) -> None:
    found = execute(odd_url, "SELECT row_count FROM profilemesh_runs WHERE run_id_phase1 = 'r1' AND run_id <> 'r1'")
    assert found == [(2,)]


def test_times_of_any_form_are_kept_in_one(odd_url: str) -> None:
    found = execute(odd_url, "SELECT profiled_at, profiled_at_phase1 FROM profilemesh_runs ORDER BY 1")
    noon = "2026-03-01 12:00:00.000000"
    assert found == [
        ("1970-01-01 00:00:00.000000", "yesterday"),
        ("2026-03-01 00:00:00.000000", None),
        (noon, None),
        (noon, None),
    ]
    assert sorted(row.timestamp for row in all_of(odd_url, Event)) == [EPOCH, NOON.replace(microsecond=0)]


def test_what_is_no_count_is_unknown_and_kept_aside(odd_url: str) -> None:
    found = execute(
        odd_url, "SELECT row_count, row_count_phase1, column_count FROM profilemesh_runs WHERE status = 'unknown'"
    )
    assert sorted(found, key=str) == [(None, "12.5", 12), (None, "abc", None)]


def test_states_of_one_table_become_one(odd_url: str) -> None:
    told = json.loads(state_of(odd_url, "", "orders").details or "")["phase1"]
    assert told["change_token"] == "b"
    assert [other["change_token"] for other in told["others"]] == ["a"]


def test_metrics_without_numbers_of_their_own_keep_their_order(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'p.db'}"
    make(url, Layout(results=False), {}, [phase1.RESULTS.format(serial="SERIAL PRIMARY KEY", key="")])
    execute(url, *(f"INSERT INTO profilemesh_results (run_id, column_name) VALUES ('r', 'c{n}')" for n in range(3)))
    adopt(url)
    assert [(row.id, row.column_name) for row in all_of(url, Result)] == [(1, "c0"), (2, "c1"), (3, "c2")]


def test_rows_told_twice_by_a_table_without_a_key_stay_two(postgres_url: str) -> None:
    make(postgres_url, LAYOUTS["later"], more=["ALTER TABLE profilemesh_runs DROP CONSTRAINT profilemesh_runs_pkey"])
    execute(postgres_url, "INSERT INTO profilemesh_runs SELECT * FROM profilemesh_runs WHERE run_id = 'r-failed'")
    adopt(postgres_url)
    assert execute(postgres_url, "SELECT count(*) FROM profilemesh_runs WHERE status = 'failed'") == [(2,)]


def test_two_hundred_thousand_metrics_take_seconds(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'large.db'}"
    runs = [run(f"run_{n:012}", f"table_{n % 50}") for n in range(20_000)]
    metrics = [result(r["run_id"], "mean", str(n / 7), dataset_name=r["dataset_name"]) for r in runs for n in range(10)]
    make(url, LAYOUTS["oldest"], {"profilemesh_runs": runs, "profilemesh_results": metrics})
    began = time.monotonic()
    upgrade(url)
    assert time.monotonic() - began < 30
    found = "SELECT count(*), sum(metric_number) FROM profilemesh_results"
    assert execute(url, found) == [(200_000, pytest.approx(20_000 * 45 / 7))]


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def client(request: pytest.FixtureRequest, adoptions: Adoptions) -> Iterator[FlaskClient]:
    app = make_app(adoptions(request.param, "later").url)
    yield app.test_client()
    with app.app_context():
        db.engine.dispose()


@pytest.mark.parametrize(
    "path", ["/", "/runs?days=3650", "/tables", "/tables/orders", "/runs/run_1a2b3c4d5e6f", "/plan"]
)
def test_every_page_shows_adopted_rows(client: FlaskClient, path: str) -> None:
    answer = client.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == 200
    assert path in ("/", "/plan") or "orders" in answer.text


def test_the_api_lists_adopted_runs_as_they_are(client: FlaskClient) -> None:
    answer = client.get("/api/runs?days=3650")
    assert answer.status_code == 200
    found = {(row["run_id"], row["dataset_name"]): row for row in answer.json}
    wanted = {
        "schema_name": "public",
        "warehouse_type": "postgres",
        "profiled_at": "2026-03-01T12:00:00.250000+00:00",
        "environment": "production",
        "status": "success",
        "row_count": 12,
        "has_drift": True,
    }
    assert {name: found["run_1a2b3c4d5e6f", "orders"][name] for name in wanted} == wanted
    assert found["r-null", "orders"]["schema_name"] is None
    assert {table for run_id, table in found if run_id == COVER} == {"customers", "orders"}


def test_the_api_shows_an_adopted_run_with_its_profile(client: FlaskClient) -> None:
    detail = client.get("/api/runs/run_1a2b3c4d5e6f").json
    columns = {column["column_name"]: column for column in detail["columns"]}
    assert len(columns) == len(VALUES)
    assert columns["c1"]["mean"] == 12.0
    assert columns["c4"]["null_percent"] is None
    assert columns["c9"]["min_value"] == "00123"
    assert columns["c18"]["histogram"] == json.loads(phase1.HISTOGRAM)
    assert client.get("/api/runs/r-null").json["columns"][0]["metrics"] == {"count": 12}
