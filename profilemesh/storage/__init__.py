"""Where profiles are kept: one SQLite file or PostgreSQL database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from profilemesh.errors import StorageError, StorageOutdated
from profilemesh.storage.engine import (
    FOR_READING,
    FOR_WRITING,
    configure_engine,
    make_engine,
    place,
    require_folder,
    sqlite_path,
    storage_errors,
)
from profilemesh.storage.models import Base
from profilemesh.storage.schema import UPGRADE, require_current

__all__ = ["Base", "Storage", "configure_engine", "open_storage"]


@dataclass(frozen=True)
class Storage:
    """An open storage. Threads share it; each `begin` and `read` takes a connection of its own."""

    engine: Engine

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """A transaction that may write: committed at the end, rolled back by any exception."""
        with storage_errors(self.engine.url), Session(self._engine(FOR_WRITING), expire_on_commit=False) as session:
            with session.begin():
                yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that only reads and never blocks a writer; the database refuses a write in it."""
        with storage_errors(self.engine.url), Session(self._engine(FOR_READING), expire_on_commit=False) as session:
            yield session

    def close(self) -> None:
        self.engine.dispose()

    def _engine(self, options: Mapping[str, Any]) -> Engine:
        return self.engine.execution_options(**options)


def open_storage(url: str, *, check: bool = True) -> Storage:
    """Open the storage at a SQLAlchemy URL.

    Raises StorageOutdated, whose message has the command to run, if `check` finds the schema empty, older or newer
    than this version's, and StorageError if the database cannot be used.
    """
    engine = make_engine(url)
    require_folder(engine.url)
    storage = Storage(engine)
    if check:
        _check(storage)
    return storage


def _check(storage: Storage) -> None:
    path = sqlite_path(storage.engine.url)
    # Connecting would make the file.
    if path is not None and not path.exists():
        raise StorageOutdated(f"{place(storage.engine.url)} does not exist yet: {UPGRADE}")
    try:
        with storage.read() as session:
            require_current(session.connection())
    except StorageError:
        storage.close()
        raise
