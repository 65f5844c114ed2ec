"""Which revision a storage database is at, and which one this version needs."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from profilemesh.errors import StorageOutdated
from profilemesh.storage.engine import place
from profilemesh.storage.models import Base

MIGRATIONS = Path(__file__).parent / "migrations"

# A name of our own: the database may be shared with another application that uses Alembic.
VERSION_TABLE = "profilemesh_version"

UPGRADE = "run `profilemesh db upgrade`"

# A column that only our layout has, per table of Phase 1.
_OURS = {
    "profilemesh_runs": "warehouse",
    "profilemesh_results": "metric_number",
    "profilemesh_events": "warehouse",
    "profilemesh_table_state": "warehouse",
}


def needed_revision() -> str:
    """The newest revision this version knows."""
    return max(known_revisions())


@cache
def known_revisions() -> frozenset[str]:
    """Every revision this version can upgrade from."""
    # A migration's file begins with its revision. Alembic would import all of them, whenever a storage is opened.
    return frozenset(path.name.partition("_")[0] for path in MIGRATIONS.glob("versions/[0-9]*_*.py"))


def current_revision(connection: Connection) -> str | None:
    """The revision the database is at; None if it was never upgraded."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    version = sa.table(VERSION_TABLE, sa.column("version_num", sa.String))
    return connection.scalar(sa.select(version.c.version_num))


def phase1_tables(connection: Connection) -> frozenset[str]:
    """The tables of ProfileMesh Phase 1 in the database that were not adopted yet."""
    inspector = sa.inspect(connection)
    present = set(_OURS) & set(inspector.get_table_names())
    columns = {table: {column["name"] for column in inspector.get_columns(table)} for table in present}
    return frozenset(table for table in present if _OURS[table] not in columns[table])


def our_tables(connection: Connection) -> frozenset[str]:
    """The tables in the database that have names of ours, whatever their layout."""
    return frozenset(set(Base.metadata.tables) & set(sa.inspect(connection).get_table_names()))


def has_our_tables(connection: Connection) -> bool:
    """True if a table of ours stands in the database, whatever its layout."""
    return bool(our_tables(connection))


def require_current(connection: Connection) -> None:
    """Raise `StorageOutdated`, with the command to run, unless the schema is exactly the one this version needs."""
    current, needed = current_revision(connection), needed_revision()
    if current == needed:
        return
    where = place(connection.engine.url)
    if current is None and not has_our_tables(connection):
        raise StorageOutdated(f"{where} is empty: {UPGRADE}")
    if current is None:
        raise StorageOutdated(f"{where} has an older schema than revision {needed} which this version needs: {UPGRADE}")
    raise outdated(where, current, needed)


def outdated(where: str, current: str, needed: str) -> StorageOutdated:
    """The error for a database at another revision than the needed one."""
    if current in known_revisions():
        return StorageOutdated(f"{where} is at revision {current}, this version needs {needed}: {UPGRADE}")
    return StorageOutdated(
        f"{where} is at revision {current}, made by a newer ProfileMesh; this version knows up to {needed}: "
        "install the newer version, for instance with `pip install --upgrade profilemesh`"
    )
