"""Where things are: warehouses' files and the storage's URL, relative to the configuration file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError

from profilemesh.config.model import WarehouseConfig
from profilemesh.config.schemas import EMBEDDED

STORAGE_ALLOWED = "a URL such as sqlite:///profilemesh.db or postgresql://user:password@host:5432/database"


class BadAddress(ValueError):
    """What is allowed instead; never the address itself."""


def normalised_url(url: str) -> str:
    """The URL with the psycopg2 driver where it leaves PostgreSQL's driver open; others as they are.

    SQLAlchemy 2.1 reads a bare `postgresql://` as psycopg 3, and refuses `postgres://`.
    """
    scheme, separator, rest = url.strip().partition("://")
    if separator and scheme.lower() in ("postgres", "postgresql"):
        return f"postgresql+psycopg2://{rest}"
    return url.strip()


def absolute(path: str, folder: Path) -> Path:
    """The path seen from the folder, `..` resolved and links kept."""
    return Path(os.path.abspath(folder / os.path.expanduser(path)))


def sqlite_url(path: Path) -> str:
    return sa.URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


def resolved_url(url: str, folder: Path) -> str:
    """The storage's URL, normalised, a relative SQLite file seen from the folder. Raises `BadAddress`."""
    try:
        parsed = sa.make_url(normalised_url(url))
        backend = parsed.get_backend_name()
    except (ArgumentError, ValueError):
        raise BadAddress(STORAGE_ALLOWED) from None
    if backend not in ("sqlite", "postgresql"):
        raise BadAddress(STORAGE_ALLOWED)
    database = parsed.database
    if backend == "sqlite" and database and database != ":memory:" and not database.startswith("file:"):
        parsed = parsed.set(database=str(absolute(database, folder)))
    return parsed.render_as_string(hide_password=False)


def connection_url(connection: Mapping[str, Any], folder: Path) -> str:
    """The storage's URL from a mapping of Phase 1. Raises `BadAddress`."""
    if connection["type"] == "sqlite":
        return sqlite_url(absolute(connection.get("filepath") or connection["database"], folder))
    if connection["type"] not in ("postgres", "postgresql"):
        raise BadAddress("sqlite or postgres: profiles are kept in no other database")
    query = {key: str(value) for key, value in connection.get("extra_params", {}).items()}
    if connection.get("schema"):
        escaped = connection["schema"].replace("\\", r"\\").replace(" ", r"\ ")
        query["options"] = f"{query.get('options', '')} -csearch_path={escaped}".strip()
    url = sa.URL.create(
        "postgresql+psycopg2",
        username=connection.get("username"),
        password=connection.get("password"),
        host=connection.get("host"),
        port=connection.get("port"),
        database=connection.get("database"),
        query=query,
    )
    return url.render_as_string(hide_password=False)


def warehouse_config(name: str, connection: Mapping[str, Any], folder: Path) -> WarehouseConfig:
    """The connection as a value: one name for PostgreSQL, one place for an embedded file."""
    values = dict(connection, name=name)
    values["type"] = "postgres" if connection["type"] == "postgresql" else connection["type"]
    path = connection.get("filepath")
    if values["type"] in EMBEDDED:
        path = path or connection["database"]
    values["filepath"] = absolute(path, folder) if path else None
    return WarehouseConfig(**values)


def storage_file(url: str) -> Path | None:
    """The file behind a resolved storage URL, None for a server or for memory."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        return None
    return Path(parsed.database)


def is_same_file(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file, through links of either kind, also while it does not exist."""
    try:
        return one.samefile(other)
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)
