from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from profilemesh.errors import StorageError
from profilemesh.storage import Base, open_storage, states
from profilemesh.storage.engine import FOR_WRITING, make_engine
from profilemesh.storage.models import StoredFinding
from profilemesh.storage.schema import (
    MIGRATIONS,
    VERSION_TABLE,
    current_revision,
    has_our_tables,
    known_revisions,
    needed_revision,
)
from profilemesh.storage.upgrade import dump_command, upgrade

PHASE1 = """
CREATE TABLE profilemesh_runs (run_id VARCHAR(36) PRIMARY KEY, dataset_name VARCHAR(255), schema_name VARCHAR(255),
 profiled_at TIMESTAMP, environment VARCHAR(50), status VARCHAR(20), row_count INTEGER, column_count INTEGER)
"""


def execute(url: str, *statements: str) -> None:
    engine = make_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


def standing(url: str) -> tuple[bool, str | None]:
    engine = make_engine(url)
    with engine.connect() as connection:
        found = has_our_tables(connection), current_revision(connection)
    engine.dispose()
    return found


Rows = dict[str, list[dict[str, object]]]


def filled(url: str, revision: str, content: Rows) -> None:
    """A storage of an earlier version."""
    engine = make_engine(url)
    with engine.execution_options(**FOR_WRITING).begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(MIGRATIONS))
        command.upgrade(config, revision)
        for table, rows in content.items():
            connection.execute(sa.insert(sa.table(table, *map(sa.column, rows[0]))), rows)
    engine.dispose()


def first_schema(url: str) -> None:
    """With a table that was profiled and one that never was."""
    filled(url, "0001", FILLED)


AT = "2026-03-01 12:00:00.000000"
STATE = {"warehouse": "shop", "schema_name": "main", "last_verified_at": AT, "columns": "[]", "claimed_by": "x"}
FILLED: Rows = {
    "profilemesh_runs": [
        {"run_id": "r1", "dataset_name": "orders", "schema_name": "main", "warehouse": "shop", "status": "success",
         "warehouse_type": "duckdb", "environment": "e", "profiled_at": AT, "has_drift": False}
    ],
    "profilemesh_results": [
        {"run_id": "r1", "dataset_name": "orders", "schema_name": "main", "column_name": "id", "metric_name": "min",
         "profiled_at": AT}
    ],
    "profilemesh_events": [
        {"event_id": "e1", "event_type": "t", "warehouse": "shop", "schema_name": "main", "timestamp": AT}
    ],
    "profilemesh_table_state": [
        STATE | {"table_name": "orders", "change_token": "t", "last_profiled_at": AT, "row_count": 2**40},
        STATE | {"table_name": "never", "change_token": None, "last_profiled_at": None, "row_count": None},
    ],
    "profilemesh_summaries": [{"run_id": "r1", "partition_key": "", "as_of": AT, "payload": b"\0\xff"}],
}  # fmt: skip


FOUND = {
    "warehouse": "shop", "schema_name": "main", "table_name": "orders", "column_name": "id", "metric_name": "min",
    "kind": "metric", "state": "open", "severity": "low", "sentence": "s", "opened_at": AT, "last_seen_at": AT,
    "occurrences": 1, "quiet_runs": 0,
}  # fmt: skip


def contents(url: str) -> Rows:
    """What the columns of the first version hold, by table."""
    engine = make_engine(url)
    with engine.connect() as connection:
        found = {
            table: [
                dict(row._mapping)
                for row in connection.execute(sa.select(*map(sa.column, rows[0])).select_from(sa.table(table)))
            ]
            for table, rows in FILLED.items()
        }
    engine.dispose()
    return found


def test_a_storage_of_the_first_version_keeps_all_it_holds(storage_url: str) -> None:
    first_schema(storage_url)
    before = contents(storage_url)
    report = upgrade(storage_url)
    assert (report.from_revision, report.to_revision) == ("0001", needed_revision())
    assert contents(storage_url) == before
    assert not upgrade(storage_url).changed
    storage = open_storage(storage_url)
    with storage.read() as session:
        never, orders = session.scalars(states.listing())
        known = states.latest_states(session)
    storage.close()
    assert orders.last_full_at == orders.first_profiled_at == orders.last_profiled_at
    assert (never.last_full_at, never.paused_at, never.decision_id) == (None, None, None)
    assert [(state.table.name, state.confidence) for state in known.values()] == [
        ("orders", "exact"),
        ("never", "exact"),
    ]


def test_a_storage_of_the_first_version_survives_an_upgrade_killed_anywhere(storage_url: str, actor) -> None:
    first_schema(storage_url)
    before = contents(storage_url)
    for statement in ("16", "25"):
        process = actor("upgrade_and_die", storage_url, statement)
        assert process.ended() == -9
        assert (standing(storage_url), contents(storage_url)) == ((True, "0001"), before)
    assert upgrade(storage_url).changed
    assert contents(storage_url) == before


def test_findings_learn_the_environment_of_the_run_that_saw_them_last(storage_url: str) -> None:
    runs = ("r1", "nobody's")
    found = [FOUND | {"finding_id": run, "fingerprint": run, "last_run_id": run} for run in runs]
    filled(storage_url, "0006", {"profilemesh_runs": FILLED["profilemesh_runs"], "profilemesh_findings": found})
    upgrade(storage_url)
    storage = open_storage(storage_url)
    with storage.read() as session:
        told = {each.finding_id: each.environment for each in session.scalars(sa.select(StoredFinding))}
    storage.close()
    assert told == {"r1": "e", "nobody's": None}


def test_the_migrated_schema_is_the_models(storage_url: str) -> None:
    upgrade(storage_url)
    engine = make_engine(storage_url)
    with engine.connect() as connection:
        options = {"version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata) == []
    engine.dispose()


def test_upgrade_is_idempotent(storage_url: str) -> None:
    assert upgrade(storage_url).from_revision is None
    again = upgrade(storage_url)
    assert (again.changed, again.backup, again.command) == (False, None, None)
    open_storage(storage_url).close()


def test_an_empty_database_needs_no_backup(storage_url: str) -> None:
    report = upgrade(storage_url)
    assert (report.backup, report.command, report.to_revision) == (None, None, needed_revision())


def test_a_file_with_tables_is_copied_first_and_as_private(tmp_path: Path) -> None:
    path = tmp_path / "100% real.db"
    execute(f"sqlite:///{path}", "CREATE TABLE theirs (x)", "INSERT INTO theirs VALUES (42)")
    path.chmod(0o600)
    backup = upgrade(f"sqlite:///{path}").backup
    assert backup is not None and backup.name.startswith("100% real.db.backup-20")
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    with closing(sqlite3.connect(backup)) as copy:
        assert copy.execute("SELECT x FROM theirs").fetchall() == [(42,)]
        assert copy.execute("SELECT count(*) FROM sqlite_master").fetchone() == (1,)


def test_backups_of_one_second_do_not_overwrite_each_other(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'p.db'}"
    execute(url, "CREATE TABLE theirs (x)")
    made = set()
    for _ in range(3):
        made.add(upgrade(url).backup)
        execute(url, *(f"DROP TABLE {table}" for table in (*Base.metadata.tables, VERSION_TABLE)))
    assert len(made) == 3


def test_no_backup_if_not_wanted(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'p.db'}"
    execute(url, "CREATE TABLE theirs (x)")
    assert upgrade(url, backup=False).backup is None
    assert not list(tmp_path.glob("*.backup-*"))


def test_postgres_with_tables_gets_the_dump_command(postgres_url: str) -> None:
    execute(postgres_url, "CREATE TABLE theirs (x integer)")
    command = upgrade(postgres_url).command
    assert command is not None and command.startswith("pg_dump --format=custom --file=profilemesh-20")


def test_the_dump_command_has_no_password() -> None:
    command = dump_command(sa.make_url("postgresql+psycopg2://me:secret@db:5433/pm?password=secret&sslmode=require"))
    assert command.endswith("'--dbname=postgresql://me@db:5433/pm?sslmode=require'")


def test_a_phase1_table_beside_ours_is_refused(storage_url: str) -> None:
    upgrade(storage_url)
    execute(storage_url, "DROP TABLE profilemesh_runs", PHASE1, f"UPDATE {VERSION_TABLE} SET version_num = '0001'")
    with pytest.raises(StorageError, match="beside it stands profilemesh_runs of ProfileMesh Phase 1"):
        upgrade(storage_url)


def test_our_tables_without_a_revision_are_refused(storage_url: str) -> None:
    upgrade(storage_url)
    execute(storage_url, f"DROP TABLE {VERSION_TABLE}")
    with pytest.raises(StorageError, match="of no known revision; nothing was changed"):
        upgrade(storage_url)


def test_an_upgrade_killed_at_any_statement_leaves_nothing_and_the_next_one_ends_well(storage_url: str, actor) -> None:
    for statement in ("2", "7", "13", "14"):
        process = actor("upgrade_and_die", storage_url, statement)
        assert process.ended() == -9
        assert standing(storage_url) == (False, None)
    assert upgrade(storage_url).changed
    assert standing(storage_url) == (True, needed_revision())


def test_the_names_of_the_files_are_the_revisions() -> None:
    scripts = ScriptDirectory(str(MIGRATIONS))
    assert known_revisions() == {script.revision for script in scripts.walk_revisions()}
    assert needed_revision() == scripts.get_current_head()


def test_of_two_upgrades_at_once_one_waits_and_finds_nothing_to_do(storage_url: str, actor) -> None:
    processes = [actor("upgrade_when_told", storage_url) for _ in range(2)]
    for process in processes:
        assert process.says() == "ready"
    for process in processes:
        process.go_on()
    assert sorted(process.says() for process in processes) == ["changed", "nothing to do"]


def test_a_failed_backup_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / ("p" * 225 + ".db")
    execute(f"sqlite:///{path}", "CREATE TABLE theirs (x)")
    with pytest.raises(StorageError, match="no backup could be written .* nothing was changed"):
        upgrade(f"sqlite:///{path}")
    assert standing(f"sqlite:///{path}") == (False, None)
    assert not [name for name in os.listdir(tmp_path) if "unfinished" in name]
