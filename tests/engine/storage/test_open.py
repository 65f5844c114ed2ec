from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from profilemesh.errors import StorageError, StorageOutdated
from profilemesh.storage import Storage, configure_engine, open_storage, runs
from profilemesh.storage.engine import FOR_WRITING
from profilemesh.storage.engine import storage_url as normalised
from profilemesh.storage.models import Result, Run, Tick
from profilemesh.storage.schema import VERSION_TABLE, outdated
from profilemesh.storage.upgrade import upgrade


def new_run(run_id: str = "r1", table: str = "orders") -> Run:
    return Run(run_id=run_id, dataset_name=table, schema_name="main", warehouse="shop", profiled_at=datetime.now(UTC))


def limit(storage: Storage, pragma: str) -> None:
    """Apply a pragma to every connection that the storage opens from here on."""
    storage.engine.dispose()
    event.listen(storage.engine, "connect", lambda connection, record: connection.execute(pragma))


def test_a_missing_file_is_told_with_the_command_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(StorageOutdated, match="does not exist yet: run `profilemesh db upgrade`"):
        open_storage(f"sqlite:///{tmp_path / 'p.db'}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("use", [open_storage, upgrade])
def test_a_missing_folder_is_named(tmp_path: Path, use) -> None:
    with pytest.raises(StorageError, match="the folder .*nowhere does not exist"):
        use(f"sqlite:///{tmp_path}/nowhere/p.db")


def test_an_empty_database_is_told_with_the_command(storage_url: str) -> None:
    open_storage(storage_url, check=False).close()
    if storage_url.startswith("sqlite"):
        Path(sa.make_url(storage_url).database or "").touch()
    with pytest.raises(StorageOutdated, match="is empty: run `profilemesh db upgrade`"):
        open_storage(storage_url)


def test_a_newer_revision_is_refused(storage_url: str) -> None:
    upgrade(storage_url)
    storage = open_storage(storage_url)
    with storage.begin() as session:
        session.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    storage.close()
    for use in (open_storage, upgrade):
        with pytest.raises(StorageOutdated, match="revision 9999, made by a newer ProfileMesh"):
            use(storage_url)


def test_an_older_revision_is_told_with_the_command() -> None:
    assert "is at revision 0001, this version needs 0002: run `profilemesh db upgrade`" in str(
        outdated("SQLite storage p.db", "0001", "0002")
    )


@pytest.mark.parametrize("query", ["", "?password=secret"])
def test_an_unreachable_server_is_told_without_the_password(query: str) -> None:
    with pytest.raises(StorageError, match="PostgreSQL storage 'db' on 127.0.0.1:1: no connection") as caught:
        open_storage(f"postgres://me:secret@127.0.0.1:1/db{query}")
    assert "secret" not in str(caught.value)


def test_a_missing_postgres_database_is_told(postgres_url: str) -> None:
    with pytest.raises(StorageError, match='database "nosuch" does not exist'):
        open_storage(sa.make_url(postgres_url).set(database="nosuch").render_as_string(hide_password=False))


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "p.db").write_text("not a database, but long enough to look at" * 100)
    for use in (open_storage, upgrade):
        with pytest.raises(StorageError, match="this is not a SQLite database"):
            use(f"sqlite:///{tmp_path / 'p.db'}")


def test_a_read_only_server_is_told(postgres_server, postgres_database: str, postgres_url: str) -> None:
    upgrade(postgres_url)
    postgres_server.execute(f"ALTER DATABASE {postgres_database} SET default_transaction_read_only = on")
    storage = open_storage(postgres_url, check=False)
    with pytest.raises(StorageError, match="the server or session is read-only"), storage.begin() as session:
        runs.start_run(session, new_run())
    storage.close()


def test_a_role_without_privileges_is_told(postgres_server, postgres_database: str, postgres_url: str) -> None:
    upgrade(postgres_url)
    postgres_server.execute("CREATE ROLE visitor LOGIN")
    try:
        with pytest.raises(StorageError, match="the role lacks a privilege .*profilemesh_version"):
            open_storage(postgres_server.url(postgres_database, "visitor"))
    finally:
        postgres_server.execute("DROP ROLE visitor")


@pytest.mark.parametrize("url", ["mysql+pymysql://me:secret@h/db", "postgresql+asyncpg://me:secret@h/db"])
def test_other_databases_and_drivers_are_refused(url: str) -> None:
    with pytest.raises(StorageError, match=r"storage must be sqlite:// or postgresql://, not \w+\+\w+://") as caught:
        open_storage(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "secret", "postgresql://me:secret@h:port/db"])
def test_a_url_that_cannot_be_read_is_told_without_quoting_it(url: str) -> None:
    with pytest.raises(StorageError, match="the storage URL cannot be read") as caught:
        open_storage(url)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_replaced_is_read_at_once_and_one_that_is_gone_is_told(tmp_path: Path) -> None:
    files = {name: tmp_path / f"{name}.db" for name in ("p", "restored", "aside")}
    for name in ("p", "restored"):
        upgrade(f"sqlite:///{files[name]}")
    storage = open_storage(f"sqlite:///{files['p']}")
    with storage.begin() as session:
        runs.start_run(session, new_run())
    for ending in ("", "-wal", "-shm"):
        Path(f"{files['p']}{ending}").rename(f"{files['aside']}{ending}")
    for use in (storage.read, storage.begin):
        with pytest.raises(StorageOutdated, match="is gone; put it back"), use() as session:
            session.scalars(sa.select(Run.run_id)).all()
    assert not files["p"].exists(), "no other is made in its place"
    files["restored"].rename(files["p"])
    with storage.begin() as session:
        assert session.scalars(sa.select(Run.run_id)).all() == []
        runs.start_run(session, new_run("r2"))
    storage.close()
    with closing(sqlite3.connect(files["p"])) as connection:
        assert connection.execute("SELECT run_id FROM profilemesh_runs").fetchall() == [("r2",)]


def test_an_option_that_libpq_does_not_know_is_told() -> None:
    with pytest.raises(StorageError, match='the URL is not understood .*"bogus"'):
        open_storage("postgresql://me:secret@127.0.0.1/db?bogus=1")


def test_a_storage_that_lost_a_table_is_told(fresh_url: str) -> None:
    storage = open_storage(fresh_url)
    with storage.begin() as session:
        session.execute(sa.text("DROP TABLE profilemesh_ticks"))
    with pytest.raises(StorageError, match="a table of ours is gone.*profilemesh_ticks"), storage.read() as session:
        session.execute(sa.select(sa.func.count()).select_from(Tick))
    storage.close()


def test_begin_commits_and_an_exception_rolls_back(storage: Storage) -> None:
    with storage.begin() as session:
        runs.start_run(session, new_run())
    with pytest.raises(ZeroDivisionError), storage.begin() as session:
        runs.start_run(session, new_run("r2"))
        raise ZeroDivisionError
    with storage.read() as session:
        assert session.scalars(sa.select(Run.run_id)).all() == ["r1"]


def test_a_reading_session_cannot_write_and_leaves_no_trace_on_the_connection(storage: Storage) -> None:
    with pytest.raises(StorageError, match="read-only"), storage.read() as session:
        runs.start_run(session, new_run())
    with storage.begin() as session:
        runs.start_run(session, new_run())


def test_a_reader_keeps_no_writer_waiting(storage: Storage) -> None:
    with storage.read() as reader:
        assert reader.scalars(sa.select(Run)).all() == []
        with storage.begin() as session:
            runs.start_run(session, new_run())


def test_two_writers_on_sqlite_never_fail_half_way(storage: Storage) -> None:
    """Both read before they write: with a deferred transaction the second would fail at its first write."""
    if storage.engine.dialect.name == "sqlite":
        limit(storage, "PRAGMA busy_timeout = 50")
        with storage.begin() as first:
            first.scalars(sa.select(Run)).all()
            with pytest.raises(StorageError, match="locked by another process"), storage.begin() as second:
                second.scalars(sa.select(Run)).all()
            runs.start_run(first, new_run())


def test_a_full_disk_is_told_and_nothing_is_stored(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'p.db'}"
    upgrade(url)
    storage = open_storage(url)
    limit(storage, "PRAGMA max_page_count = 60")
    with pytest.raises(StorageError, match="the disk is full; nothing of this was stored"), storage.begin() as session:
        run = new_run()
        runs.start_run(session, run)
        runs.save_results(session, run, [runs.Metric("c", "min", "x" * 1000) for _ in range(1000)])
    with storage.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Run)) == 0
        assert session.scalar(sa.select(sa.func.count()).select_from(Result)) == 0
    storage.close()


def test_a_read_only_file_can_be_read_and_says_so_when_written(tmp_path: Path) -> None:
    upgrade(f"sqlite:///{tmp_path / 'p.db'}")
    storage = open_storage(f"sqlite:///file:{tmp_path / 'p.db'}?mode=ro&uri=true")
    with pytest.raises(StorageError, match="the file or its folder is read-only"), storage.begin() as session:
        runs.start_run(session, new_run())
    storage.close()


def test_an_engine_made_elsewhere_gets_the_same_pragmas(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'p.db'}")
    configure_engine(engine)
    with engine.connect() as connection:
        asked = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "foreign_keys")
        }
        assert asked == {"journal_mode": "wal", "foreign_keys": 1}
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 10_000
    with engine.execution_options(**FOR_WRITING).begin(), closing(sqlite3.connect(tmp_path / "p.db", 0)) as other:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
    engine.dispose()


@pytest.mark.parametrize("given", ["postgres://h/d", "postgresql://h/d", "postgresql+psycopg2://h/d"])
def test_postgres_urls_mean_psycopg2(given: str) -> None:
    assert normalised(given).drivername == "postgresql+psycopg2"


def test_postgres_sessions_tell_who_they_are(postgres_url: str) -> None:
    storage = open_storage(postgres_url, check=False)
    with storage.read() as session:
        assert session.scalar(sa.text("SHOW application_name")) == "profilemesh"
    storage.close()
