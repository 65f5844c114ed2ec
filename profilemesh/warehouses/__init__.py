"""The door to the warehouses: open one by its type, read the catalogue of all."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import import_module
from typing import TypeVar

from profilemesh.config.model import Config, ExecutionConfig, RetryConfig, WarehouseConfig
from profilemesh.errors import WarehouseBusy, WarehouseError, WarehouseUnreachable
from profilemesh.planning.snapshots import Catalogue, Probe, Probed, Snapshot, Trouble
from profilemesh.tables import TableRef
from profilemesh.warehouses.base import Misconfigured, Warehouse
from profilemesh.warehouses.unbuilt import UnbuiltWarehouse

__all__ = ["connected", "open_warehouse", "probed", "read_catalogue"]

log = logging.getLogger(__name__)

T = TypeVar("T")

_TYPES = {
    "duckdb": ("profilemesh.warehouses.duckdb", "DuckDBWarehouse"),
    "sqlite": ("profilemesh.warehouses.sqlite", "SQLiteWarehouse"),
    "postgres": ("profilemesh.warehouses.postgres", "PostgresWarehouse"),
    "postgresql": ("profilemesh.warehouses.postgres", "PostgresWarehouse"),
}
_PLANNED = ("mysql", "snowflake", "bigquery", "redshift", "trino", "spark")


def open_warehouse(config: WarehouseConfig, execution: ExecutionConfig | None = None) -> Warehouse:
    """The warehouse of this type; nothing is connected yet. Raises `Misconfigured` for a type nobody knows."""
    kind, execution = config.type.lower(), execution or ExecutionConfig()
    if kind in _PLANNED:
        return UnbuiltWarehouse(
            config, execution, f"type {kind!r} is not built yet; there are duckdb, postgres, sqlite"
        )
    if kind not in _TYPES:
        raise Misconfigured(f"warehouse {config.name}: type {config.type!r} is unknown")
    module, name = _TYPES[kind]
    opened: Warehouse = getattr(import_module(module), name)(config, execution)
    if opened.strategy != opened.default_strategy:
        why = f"strategy {opened.strategy!r} is not built for {kind} yet; leave it out: {opened.default_strategy}"
        return UnbuiltWarehouse(config, execution, why)
    return opened


def read_catalogue(config: Config, open_warehouses: Mapping[str, Warehouse]) -> Catalogue:
    """All tables of all these warehouses, read side by side. One warehouse's trouble is recorded, never raised."""
    if not open_warehouses:
        return Catalogue({}, {})
    pool = ThreadPoolExecutor(max_workers=len(open_warehouses), thread_name_prefix="catalogue")
    try:
        found_in = pool.map(lambda warehouse: _look(warehouse, config.retry), open_warehouses.values())
        answers = dict(zip(open_warehouses, found_in, strict=True))
    finally:
        # Ctrl-C does not wait for a server that does not answer.
        pool.shutdown(wait=False, cancel_futures=True)
    snapshots = {
        snapshot.table: snapshot for found in answers.values() if not isinstance(found, Trouble) for snapshot in found
    }
    return Catalogue(
        snapshots=snapshots,
        warehouse_types={name: warehouse.config.type for name, warehouse in open_warehouses.items()},
        troubles={name: found for name, found in answers.items() if isinstance(found, Trouble)},
        hash_families={name: warehouse.hash_family for name, warehouse in open_warehouses.items()},
    )


def probed(
    catalogue: Catalogue, wanted: Mapping[TableRef, Probe], open_warehouses: Mapping[str, Warehouse]
) -> Catalogue:
    """The catalogue with the answers to these probes; a warehouse that cannot be asked any more is in trouble."""
    snapshots, troubles = dict(catalogue.snapshots), dict(catalogue.troubles)
    for name in sorted({table.warehouse for table in wanted}):
        own = {table: probe for table, probe in wanted.items() if table.warehouse == name}
        found = _asked(open_warehouses[name], own)
        if isinstance(found, Trouble):
            troubles[name] = found
            snapshots = {table: each for table, each in snapshots.items() if table.warehouse != name}
        else:
            snapshots |= {table: replace(snapshots[table], probed=answer) for table, answer in found.items()}
    return replace(catalogue, snapshots=snapshots, troubles=troubles)


def _asked(warehouse: Warehouse, wanted: Mapping[TableRef, Probe]) -> Mapping[TableRef, Probed] | Trouble:
    try:
        return warehouse.probe(wanted)
    except WarehouseError as error:
        return _trouble(error)


def connected(connect: Callable[[], T], retry: RetryConfig, pause: Callable[[float], object] = time.sleep) -> T:
    """What `connect` returns; a warehouse that cannot be reached is tried again, as often as `retry` says.

    Never tried again: a file locked by a writer (the next tick comes to it) and a wrong setting.
    """
    pauses = _pauses(retry)
    while True:
        try:
            return connect()
        except WarehouseUnreachable as error:
            seconds = None if isinstance(error, Misconfigured) else next(pauses, None)
            if seconds is None:
                raise
        pause(seconds)


def _look(warehouse: Warehouse, retry: RetryConfig) -> tuple[Snapshot, ...] | Trouble:
    try:
        return connected(warehouse.catalogue, retry)
    except WarehouseError as error:
        return _trouble(error)
    except Exception as error:  # noqa: BLE001 - one warehouse's oddity, a bug of ours included, never stops the others
        log.exception("warehouse %s could not be looked at", warehouse.name)
        return Trouble("warehouse_unreachable", f"warehouse {warehouse.name}: {type(error).__name__}: {error}")


def _trouble(error: WarehouseError) -> Trouble:
    return Trouble("warehouse_busy" if isinstance(error, WarehouseBusy) else "warehouse_unreachable", str(error))


def _pauses(retry: RetryConfig) -> Iterator[float]:
    """Seconds to wait after the first, second ... failed connection."""
    for attempt in range(retry.retries if retry.enabled else 0):
        factor = 2**attempt if retry.backoff_strategy == "exponential" else 1
        yield min(retry.min_backoff * factor, retry.max_backoff)
