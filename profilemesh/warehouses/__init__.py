"""The door to the warehouses: open one by its type, read the catalogue of all."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

from profilemesh.config.model import Config, ExecutionConfig, RetryConfig, WarehouseConfig
from profilemesh.errors import WarehouseBusy, WarehouseError, WarehouseUnreachable
from profilemesh.planning.snapshots import Catalogue, Snapshot, Trouble
from profilemesh.warehouses.base import Misconfigured, Warehouse

__all__ = ["open_warehouse", "read_catalogue"]

_TYPES = {
    "duckdb": ("profilemesh.warehouses.duckdb", "DuckDBWarehouse"),
    "sqlite": ("profilemesh.warehouses.sqlite", "SQLiteWarehouse"),
    "postgres": ("profilemesh.warehouses.postgres", "PostgresWarehouse"),
    "postgresql": ("profilemesh.warehouses.postgres", "PostgresWarehouse"),
}
_PLANNED = ("mysql", "snowflake", "bigquery", "redshift", "trino", "spark")


def open_warehouse(config: WarehouseConfig, execution: ExecutionConfig | None = None) -> Warehouse:
    """The warehouse of this type; nothing is connected yet. Raises `WarehouseError` for a type without a driver."""
    kind = config.type.lower()
    if kind not in _TYPES:
        what = "is not built yet" if kind in _PLANNED else "is unknown"
        raise WarehouseError(
            f"warehouse {config.name}: type {config.type!r} {what}; this version has duckdb, postgres and sqlite"
        )
    module, name = _TYPES[kind]
    opened: Warehouse = getattr(import_module(module), name)(config, execution or ExecutionConfig())
    return opened


def read_catalogue(config: Config, open_warehouses: Mapping[str, Warehouse]) -> Catalogue:
    """All tables of all these warehouses, read side by side. One warehouse's trouble is recorded, never raised."""
    if not open_warehouses:
        return Catalogue({}, {})
    with ThreadPoolExecutor(max_workers=len(open_warehouses), thread_name_prefix="catalogue") as pool:
        answers = dict(
            zip(
                open_warehouses,
                pool.map(lambda warehouse: _look(warehouse, config.retry), open_warehouses.values()),
                strict=True,
            )
        )
    snapshots = {
        snapshot.table: snapshot for found in answers.values() if not isinstance(found, Trouble) for snapshot in found
    }
    return Catalogue(
        snapshots=snapshots,
        warehouse_types={name: warehouse.type for name, warehouse in open_warehouses.items()},
        troubles={name: found for name, found in answers.items() if isinstance(found, Trouble)},
        hash_families={name: warehouse.hash_family for name, warehouse in open_warehouses.items()},
    )


def _look(warehouse: Warehouse, retry: RetryConfig) -> tuple[Snapshot, ...] | Trouble:
    pauses = _pauses(retry)
    while True:
        try:
            return warehouse.catalogue()
        except WarehouseBusy as error:
            return Trouble("warehouse_busy", str(error))
        except WarehouseError as error:
            again = isinstance(error, WarehouseUnreachable) and not isinstance(error, Misconfigured)
            pause = next(pauses, None) if again else None
            if pause is None:
                return Trouble("warehouse_unreachable", str(error))
        time.sleep(pause)


def _pauses(retry: RetryConfig) -> Iterator[float]:
    """Seconds to wait after the first, second ... failed connection."""
    for attempt in range(retry.retries if retry.enabled else 0):
        factor = 2**attempt if retry.backoff_strategy == "exponential" else 1
        yield min(retry.min_backoff * factor, retry.max_backoff)
