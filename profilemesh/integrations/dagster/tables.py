"""The tables that become assets: those the configuration selects, as the warehouses and the storage know them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

from profilemesh.config import Config
from profilemesh.errors import ConfigError, StorageError
from profilemesh.planning.selection import TableSettings, settings_for
from profilemesh.planning.snapshots import Snapshot
from profilemesh.runner import opened
from profilemesh.storage import open_storage, states
from profilemesh.tables import TableRef
from profilemesh.warehouses import read_catalogue

log = logging.getLogger(__name__)

_SPANS = ("daily", "hourly")


@dataclass(frozen=True)
class Division:
    """How a table's partitions map to Dagster's: a `span` of daily or hourly, from `start` on."""

    span: str
    start: datetime


@dataclass(frozen=True)
class KnownTable:
    """A table that becomes an asset. `division` is None unless its tags ask for one."""

    table: TableRef
    warehouse_type: str
    owner: str | None = None
    tags: tuple[str, ...] = ()
    division: Division | None = None


def known_tables(config: Config) -> tuple[KnownTable, ...]:
    """Every selected table, by name. Of a warehouse that does not answer those that the storage remembers, so that a
    code location loads all the same. Raises ConfigError for a tag that maps partitions and cannot."""
    found = []
    for table, snapshot in _snapshots(config).items():
        settings = settings_for(config, snapshot)
        if settings is not None:
            found.append(_known(config, table, settings))
    return tuple(sorted(found, key=lambda each: each.table))


def _snapshots(config: Config) -> Mapping[TableRef, Snapshot]:
    with opened(config) as warehouses:
        catalogue = read_catalogue(config, warehouses)
    if not catalogue.troubles:
        return catalogue.snapshots
    for name, trouble in catalogue.troubles.items():
        log.warning("%s: its tables are those that the storage remembers: %s", name, trouble.message)
    remembered = {table: Snapshot(table, ()) for table in _remembered(config) if table.warehouse in catalogue.troubles}
    return {**remembered, **catalogue.snapshots}


def _remembered(config: Config) -> list[TableRef]:
    try:
        with closing(open_storage(config.storage.url)) as storage, storage.read() as session:
            return [table for table, state in states.latest_states(session).items() if state.vanished_at is None]
    except StorageError as error:
        log.warning("nothing is remembered: %s", error)
        return []


def _known(config: Config, table: TableRef, settings: TableSettings) -> KnownTable:
    warehouse_type = config.warehouses[table.warehouse].type
    return KnownTable(table, warehouse_type, settings.owner, settings.tags, _division(table, settings))


def _division(table: TableRef, settings: TableSettings) -> Division | None:
    asked = list(_asked_divisions(table, settings.tags))
    if not asked:
        return None
    if len(asked) > 1:
        raise ConfigError(f"table {table}: only one of its tags may map its partitions to Dagster's")
    if len(settings.partition_key) != 1:
        raise ConfigError(f"table {table}: tag dagster-{asked[0].span} needs a `partition.key` of one column")
    return asked[0]


def _asked_divisions(table: TableRef, tags: tuple[str, ...]) -> Iterator[Division]:
    for tag in tags:
        name, _, start = tag.partition("=")
        span = name.removeprefix("dagster-")
        if name == span or span not in _SPANS:
            continue
        try:
            yield Division(span, datetime.fromisoformat(start).replace(tzinfo=None))
        except ValueError:
            raise ConfigError(f"table {table}: tag {tag!r} names no day; write dagster-{span}=2026-01-31") from None
