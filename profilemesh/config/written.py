"""A configuration to begin with, from a connection URL and what the database holds: commented, and without a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
import yaml
from sqlalchemy.exc import ArgumentError

from profilemesh.config.addresses import absolute
from profilemesh.config.model import WarehouseConfig
from profilemesh.errors import ConfigError
from profilemesh.planning.snapshots import Snapshot

_TYPES = {"duckdb": "duckdb", "sqlite": "sqlite", "postgres": "postgres", "postgresql": "postgres"}
ALLOWED = "duckdb:///FILE, sqlite:///FILE or postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
LISTED = 40
"""Tables that are named in the file; what a warehouse has beyond is selected all the same."""


@dataclass(frozen=True)
class Connection:
    """A warehouse as a URL tells it. `variable` is the environment's name for its password, None where it has none."""

    config: WarehouseConfig
    variable: str | None = None
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        return self.config.name


def connection_of(url: str, name: str | None, folder: Path, environ: Mapping[str, str]) -> Connection:
    """What the URL says; a relative file is seen from the folder. Raises ConfigError, which never quotes the URL."""
    try:
        parsed = sa.make_url(url.strip())
        kind = _TYPES[parsed.drivername.split("+")[0]]
    except (ArgumentError, ValueError, KeyError):
        raise ConfigError(f"the URL cannot be read; it looks like {ALLOWED}") from None
    if not parsed.database or parsed.database == ":memory:":
        raise ConfigError(f"the URL names no {'database' if kind == 'postgres' else 'file'}; it looks like {ALLOWED}")
    if kind != "postgres":
        path = absolute(parsed.database, folder)
        return Connection(WarehouseConfig(_name(name or path.stem), kind, filepath=path))
    called = _name(name or parsed.database)
    variable = f"{re.sub(r'[^A-Z0-9]+', '_', called.upper())}_PASSWORD"
    password = parsed.password or environ.get(variable)
    host = parsed.host or parsed.query.get("host")
    config = WarehouseConfig(
        called,
        kind,
        host=host if isinstance(host, str) else None,
        port=parsed.port,
        database=parsed.database,
        username=parsed.username,
        password=password,
    )
    return Connection(config, variable if password else None, {variable: password} if password else {})


def _name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_-") or "warehouse"


def written(connection: Connection, found: Sequence[Snapshot], folder: Path) -> str:
    """The file's text; paths are relative to its folder where they are below it."""
    return _TEXT.format(
        connection=_indented(_dumped({connection.name: _settings(connection, folder)}), 2),
        tables=_tables(connection, found),
        count=len(found),
        name=connection.name,
    )


def _settings(connection: Connection, folder: Path) -> dict[str, object]:
    config = connection.config
    told: dict[str, object] = {"type": config.type}
    if config.filepath is not None:
        is_below = config.filepath.is_relative_to(folder)
        return told | {"filepath": _plain(str(config.filepath.relative_to(folder) if is_below else config.filepath))}
    for key in ("host", "port", "database", "username"):
        value = getattr(config, key)
        told |= {} if value is None else {key: _plain(value) if isinstance(value, str) else value}
    return told | ({"password": f"${{{connection.variable}}}"} if connection.variable else {})


def _tables(connection: Connection, found: Sequence[Snapshot]) -> str:
    lines = []
    for snapshot in found[:LISTED]:
        entry = {
            "warehouse": connection.name,
            "schema": _exact(snapshot.table.schema),
            "table": _exact(snapshot.table.name),
        }
        size = f"{snapshot.rows_estimate:,} rows, " if snapshot.rows_estimate is not None else ""
        what = f"{size}{len(snapshot.columns)} columns{', a view' if snapshot.is_view else ''}"
        lines.append(f"    # {what}\n{_indented(_dumped([entry]), 4)}")
    rest = {"warehouse": connection.name, "table": "*"}
    lines.append(f"    # Everything else, and what comes later.\n{_indented(_dumped([rest]), 4)}")
    return "\n".join(lines)


def _exact(name: str) -> str:
    """A name that is no glob, whatever stands in it."""
    return _plain(re.sub(r"([*?\[])", r"[\1]", name))


def _plain(text: str) -> str:
    """A text that names no variable."""
    return text.replace("${", "$${")


def _dumped(value: object) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=10_000).rstrip("\n")


def _indented(text: str, by: int) -> str:
    return "\n".join(" " * by + line for line in text.split("\n"))


_TEXT = """\
# ProfileMesh: what to look at, how often, and where to keep what was found. docs/config.md has every key.
# Paths are relative to this file. ${{NAME}} takes a value from the environment: passwords belong there.

# A label that is stored with every run.
environment: production

# The databases to profile. ProfileMesh only reads: give it a role that may only SELECT.
warehouses:
{connection}

# Where profiles are kept. A team's server is best served by PostgreSQL: postgresql://user:password@host:5432/profilemesh
storage:
  connection: sqlite:///profilemesh.db

profiling:
  # {count} were found. An entry may say more of its table: `owner`, `tags`, `partition`, `window`, `paused`, and in
  # `columns` which are `sensitive`: of these only counts are kept, no values. Take an entry away, and the last decides.
  tables:
{tables}

# Read only what is not proved unchanged.
incremental:
  enabled: true
"""
