"""How the storage database is reached: pragmas and transactions, and what its failures are called.

On SQLite the driver's own transaction handling is switched off: it begins only before the first INSERT, UPDATE or
DELETE, so that DDL and reads stand outside. A transaction starts with BEGIN, for writers with BEGIN IMMEDIATE: a reader
that turns writer half-way fails at once when another wrote in between, whatever the busy timeout.
"""

from __future__ import annotations

import select
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, TimeoutError
from sqlalchemy.pool import ConnectionPoolEntry

from profilemesh.errors import StorageError, StorageOutdated

BUSY_SECONDS = 10
CONNECT_SECONDS = 10

FOR_WRITING: Mapping[str, Any] = MappingProxyType({"profilemesh_writes": True})
FOR_READING: Mapping[str, Any] = MappingProxyType({"profilemesh_reads": True, "postgresql_readonly": True})

_DRIVERS = {
    "sqlite": "sqlite+pysqlite",
    "sqlite+pysqlite": "sqlite+pysqlite",
    "postgres": "postgresql+psycopg2",
    "postgresql": "postgresql+psycopg2",
    "postgresql+psycopg2": "postgresql+psycopg2",
}


def storage_url(url: str | URL) -> URL:
    """The URL with its driver named: `postgres://` and `postgresql://` mean psycopg2."""
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError):
        # The message of either may quote the URL, and with it a password.
        raise StorageError("the storage URL cannot be read; it looks like sqlite:///FILE or postgresql://...") from None
    driver = _DRIVERS.get(parsed.drivername)
    if driver is None:
        raise StorageError(f"storage must be sqlite:// or postgresql://, not {parsed.drivername}://")
    return parsed.set(drivername=driver)


def make_engine(url: str | URL, **options: Any) -> Engine:
    """An engine for the storage, `options` being those of `create_engine`; nothing is opened yet."""
    parsed = storage_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = sa.create_engine(parsed, connect_args={"timeout": BUSY_SECONDS}, **options)
    else:
        wanted = {"application_name": "profilemesh", "connect_timeout": CONNECT_SECONDS}
        given = {name: value for name, value in wanted.items() if name not in parsed.query}
        engine = sa.create_engine(parsed, connect_args=given, **options)
    configure_engine(engine)
    return engine


def configure_engine(engine: Engine) -> None:
    """Give an engine made elsewhere the same pragmas and transactions. Do it once, before its first connection.

    Transactions read unless begun with the execution options `FOR_WRITING`.
    """
    if engine.dialect.name == "postgresql":
        event.listen(engine, "checkout", _refuse_closed)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        _stay_with_file(engine)


def _refuse_closed(connection: Any, record: object, proxy: object) -> None:
    """The pool replaces a connection that the server closed while it was idle. A server that has said something to a
    client that asked nothing has closed it, or is about to; to look costs no round trip."""
    if connection.closed or select.select([connection], [], [], 0)[0]:
        raise DisconnectionError("the server closed the connection")


def _prepare_sqlite(connection: sqlite3.Connection, record: object) -> None:
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    connection.execute("PRAGMA foreign_keys = ON")
    _use_wal(connection)


def _stay_with_file(engine: Engine) -> None:
    """A file that was taken away is read and written on by whoever has it open, and all of that is lost: connections
    are to the file that has the name now, a restored backup for instance, and to none where there is none."""
    path = sqlite_path(engine.url)
    if path is None:
        return

    seen = False

    def refuse_to_make(*_: object) -> None:
        if seen and not path.exists():
            raise StorageOutdated(f"{place(engine.url)} is gone; put it back, or run `profilemesh db upgrade`")

    def remember(connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
        nonlocal seen
        record.info["file"], seen = _file_at(path), True

    def compare(connection: sqlite3.Connection, record: ConnectionPoolEntry, proxy: object) -> None:
        if _file_at(path) != record.info["file"]:
            raise DisconnectionError("another file has its name now, or none")

    event.listen(engine, "do_connect", refuse_to_make)
    event.listen(engine, "connect", remember)
    event.listen(engine, "checkout", compare)


def _file_at(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _use_wal(connection: sqlite3.Connection) -> None:
    """Turning WAL on needs the file alone and does not wait for it: two processes that open a new file collide."""
    deadline = time.monotonic() + BUSY_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone()[0] == "delete":
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            code = error.sqlite_errorcode & 0xFF
            if code == sqlite3.SQLITE_READONLY:
                return
            if code != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    reads = int(options.get("profilemesh_reads", False))
    connection.exec_driver_sql(f"PRAGMA query_only = {reads}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("profilemesh_writes") else "BEGIN")


def place(url: URL) -> str:
    """Where the storage is, in words, without a password."""
    if url.get_backend_name() == "sqlite":
        return f"SQLite storage {url.database or ':memory:'}"
    host = url.host or url.query.get("host") or "the local socket"
    return f"PostgreSQL storage {url.database or ''!r} on {host}" + (f":{url.port}" if url.port else "")


def require_folder(url: URL) -> None:
    """SQLite makes a file, never the folder it is in; its own message names neither."""
    path = sqlite_path(url)
    if path is not None and not path.parent.is_dir():
        raise StorageError(f"SQLite storage {path}: the folder {path.parent} does not exist; create it first")


def sqlite_path(url: URL) -> Path | None:
    """The storage's file, or None on PostgreSQL, in memory and for `file:` URIs."""
    if url.get_backend_name() != "sqlite" or not url.database or url.database.startswith((":memory:", "file:")):
        return None
    return Path(url.database)


@contextmanager
def storage_errors(url: URL) -> Iterator[None]:
    """Failures of the database itself leave as `StorageError`; mistakes in a statement or its values as they are."""
    try:
        yield
    except DBAPIError as error:
        cause = storage_trouble(error)
        if cause is None:
            raise
        raise StorageError(f"{place(url)}: {cause}") from error
    except TimeoutError as error:
        raise StorageError(f"{place(url)}: all connections are in use; try again") from error


def storage_trouble(error: DBAPIError) -> str | None:
    """What is wrong with the database, in words; None if the statement is at fault, not the database."""
    if isinstance(error.orig, sqlite3.Error):
        return _sqlite_trouble(error.orig)
    return _postgres_trouble(error.orig)


_MUTILATED = "a table of ours is gone, which only other hands can have taken; restore a backup"
_SQLITE_TROUBLES = {
    sqlite3.SQLITE_FULL: "the disk is full; nothing of this was stored; free some space and try again",
    sqlite3.SQLITE_READONLY: "the file or its folder is read-only; allow writing, or choose another file",
    sqlite3.SQLITE_BUSY: f"locked by another process for more than {BUSY_SECONDS} s; try again when it is done",
    sqlite3.SQLITE_LOCKED: "locked by another connection of this process",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened; check that it is a file this user may read and write",
    sqlite3.SQLITE_PERM: "this user may not open the file",
    sqlite3.SQLITE_NOTADB: "this is not a SQLite database",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; restore a backup",
    sqlite3.SQLITE_IOERR: "the disk cannot be read or written",
}


def _sqlite_trouble(error: sqlite3.Error) -> str | None:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code == sqlite3.SQLITE_ERROR and str(error).startswith("no such table: profilemesh_"):
        return f"{_MUTILATED} ({error})"
    return _SQLITE_TROUBLES.get(code)


_POSTGRES_TROUBLES = {
    "25006": "the server or session is read-only; connect to the primary",
    "28000": "the sign-in was refused",
    "28P01": "wrong user name or password",
    "3D000": "the database does not exist; create it first",
    "42501": "the role lacks a privilege",
    "42P01": _MUTILATED,
    "53100": "the server's disk is full; nothing of this was stored; free some space and try again",
    "53200": "the server is out of memory",
    "53300": "the server has no connection left",
    "55P03": "locked by another session; try again when it is done",
    "40P01": "a deadlock with another session; try again",
    "57014": "the statement was cancelled or timed out",
    "57P01": "the server is shutting down",
    "57P02": "the server crashed and is recovering",
    "57P03": "the server is starting up",
}


def _postgres_trouble(error: BaseException | None) -> str | None:
    code = getattr(error, "pgcode", None)
    said = str(error).strip().splitlines()
    detail = said[0] if said else type(error).__name__
    if code in _POSTGRES_TROUBLES:
        return f"{_POSTGRES_TROUBLES[code]} ({detail})"
    if code is None and detail.startswith("invalid dsn"):
        return f"the URL is not understood ({detail})"
    # psycopg2 gives no code where no connection was made, or where it was lost.
    is_connection = type(error).__name__ in ("OperationalError", "InterfaceError")
    return f"no connection ({detail})" if is_connection and code is None else None
