"""Brings a storage database to the schema this version needs, in one transaction, so that it can stop anywhere.

In time order: take the write lock (SQLite: BEGIN IMMEDIATE, PostgreSQL: an advisory lock), so that a second upgrade
waits and then finds nothing to do; look where the database stands; back it up; migrate and stamp; commit. The first
migration adopts a database of ProfileMesh Phase 1.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection
from sqlalchemy.schema import DropIndex

from profilemesh.errors import StorageError
from profilemesh.storage.adoption import UNKNOWN_WAREHOUSE
from profilemesh.storage.engine import FOR_WRITING, make_engine, place, require_folder, sqlite_path, storage_errors
from profilemesh.storage.models import Base
from profilemesh.storage.schema import (
    MIGRATIONS,
    current_revision,
    known_revisions,
    needed_revision,
    our_tables,
    outdated,
    phase1_tables,
)

_LOCK = 0x50_4D_55_50


@dataclass(frozen=True)
class UpgradeReport:
    """What an upgrade did. `backup` is the copy of a SQLite file, `command` makes one of a PostgreSQL database.

    `adopted` names the tables of Phase 1 that became ours.
    """

    from_revision: str | None
    to_revision: str
    backup: Path | None = None
    command: str | None = None
    adopted: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        return self.from_revision != self.to_revision


def upgrade(url: str, *, backup: bool = True, adopted_warehouse: tuple[str, str] = UNKNOWN_WAREHOUSE) -> UpgradeReport:
    """Bring the storage at `url` to this version's schema; does nothing if it is there already.

    `adopted_warehouse` is the name and type of the warehouse whose tables a Phase-1 database describes.

    Raises StorageOutdated if a newer version made it, StorageError if it cannot be upgraded.
    """
    engine = make_engine(url)
    require_folder(engine.url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _let_tables_be_replaced)
    try:
        with storage_errors(engine.url), engine.execution_options(**FOR_WRITING).begin() as connection:
            return _upgrade(connection, adopted_warehouse, backup=backup)
    finally:
        engine.dispose()


def _let_tables_be_replaced(connection: sqlite3.Connection, record: object) -> None:
    """A table that is made anew under its old name keeps the keys and views that name it."""
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("PRAGMA legacy_alter_table = ON")


def _upgrade(connection: Connection, adopted_warehouse: tuple[str, str], *, backup: bool) -> UpgradeReport:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    current, needed = current_revision(connection), needed_revision()
    if current == needed:
        return UpgradeReport(current, needed)
    _refuse_what_cannot_be_upgraded(connection, current, needed)
    url, old = connection.engine.url, tuple(sorted(phase1_tables(connection)))
    keep = backup and bool(sa.inspect(connection).get_table_names())
    copy = _copy_sqlite(sqlite_path(url)) if keep else None
    pg_dump = dump_command(url) if keep and connection.dialect.name == "postgresql" else None
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    config.attributes["adopted_warehouse"] = adopted_warehouse
    with _others_kept(connection):
        command.upgrade(config, "head")
    return UpgradeReport(current, needed, copy, pg_dump, old)


@contextmanager
def _others_kept(connection: Connection) -> Iterator[None]:
    """Indexes and triggers that somebody else put on our tables would go with a SQLite table that is made anew: indexes
    are taken off first, and what is gone afterwards is put back."""
    before = _others_on_sqlite(connection)
    for name, (kind, _) in before.items():
        if kind == "index":
            connection.execute(DropIndex(sa.Index(name)))
    yield
    for name in before.keys() - _others_on_sqlite(connection).keys():
        connection.exec_driver_sql(before[name][1])


_OUR_NAMES = ("profilemesh_", "ix_profilemesh_")


def _others_on_sqlite(connection: Connection) -> dict[str, tuple[str, str]]:
    """The kind and the statement of each, by name."""
    if connection.dialect.name != "sqlite":
        return {}
    columns = ("name", "type", "sql", "tbl_name")
    name, kind, statement, table = (sa.column(column, sa.String) for column in columns)
    found = sa.select(name, kind, statement).select_from(sa.table("sqlite_master"))
    of_ours = found.where(kind.in_(("index", "trigger")), statement.is_not(None), table.in_(Base.metadata.tables))
    return {row.name: (row.type, row.sql) for row in connection.execute(of_ours) if not row.name.startswith(_OUR_NAMES)}


def _refuse_what_cannot_be_upgraded(connection: Connection, current: str | None, needed: str) -> None:
    where = place(connection.engine.url)
    if current is not None and current not in known_revisions():
        raise outdated(where, current, needed)
    old = phase1_tables(connection)
    if current is not None and old:
        raise StorageError(
            f"{where} is at revision {current}, and beside it stands {min(old)} of ProfileMesh Phase 1; rename or drop "
            "that table; nothing was changed"
        )
    if current is None and our_tables(connection) - old:
        raise StorageError(f"{where} holds ProfileMesh tables of no known revision; nothing was changed")


def _copy_sqlite(path: Path | None) -> Path | None:
    """A consistent copy, under its final name only when whole; the write lock the caller holds keeps it still."""
    if path is None:
        return None
    target = _free_name(path.with_name(f"{path.name}.backup-{datetime.now(UTC):%Y%m%d-%H%M%S}"))
    unfinished = target.with_name(f"{target.name}.unfinished")
    try:
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(unfinished)) as copy:
            # As private as the original before there is anything in it.
            shutil.copymode(path, unfinished)
            source.backup(copy)
        os.replace(unfinished, target)
    except (OSError, sqlite3.Error) as error:
        with suppress(OSError):
            unfinished.unlink()
        raise StorageError(f"no backup could be written to {target}: {error}; nothing was changed") from error
    return target


def _free_name(wanted: Path) -> Path:
    candidate, number = wanted, 1
    while candidate.exists():
        number += 1
        candidate = wanted.with_name(f"{wanted.name}-{number}")
    return candidate


def dump_command(url: URL) -> str:
    """The pg_dump command that backs the database up; the password is left to the prompt or ~/.pgpass."""
    # `URL.set` cannot take a password away.
    bare = URL.create("postgresql", url.username, None, url.host, url.port, url.database, url.query)
    bare = bare.difference_update_query(["password", "sslpassword"])
    target = f"profilemesh-{datetime.now(UTC):%Y%m%d-%H%M%S}.dump"
    return shlex.join(["pg_dump", "--format=custom", f"--file={target}", f"--dbname={bare.render_as_string()}"])
