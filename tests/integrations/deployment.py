"""A deployment of Dagster in one process: a small shop in DuckDB, a help desk in SQLite, and whoever ticks and runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as sa

from profilemesh.integrations.dagster import build_profilemesh_definitions
from profilemesh.integrations.dagster.names import asset_key, op_name
from profilemesh.storage import Storage, open_storage
from profilemesh.tables import TableRef
from tests.engine.ticks import write_duckdb, write_sqlite

JOB = "profilemesh_profile_all"
SENSOR = f"{JOB}_plan_sensor"
ORDERS = TableRef("shop", "main", "orders")
CUSTOMERS = TableRef("shop", "main", "customers")
TICKETS = TableRef("desk", "main", "tickets")
ALL = {ORDERS, CUSTOMERS, TICKETS}
SHOP = (
    "CREATE TABLE orders AS SELECT i AS id, i % 7 AS v, DATE '2026-03-01' + (i % 5)::INT AS day FROM range(1000) r(i)",
    "CREATE TABLE customers AS SELECT i AS id, 'n' || i AS name FROM range(300) r(i)",
)
DESK = ("CREATE TABLE tickets (id INTEGER, state TEXT)", "INSERT INTO tickets VALUES (1, 'open'), (2, 'closed')")
EVERY_TICK = {"enabled": True, "adaptive_scheduling": {"enabled": False}}


@dataclass
class Tick:
    """What the sensor said."""

    requests: list[dg.RunRequest]
    skipped: str | None
    cursor: str | None
    told: list[dg.AssetMaterialization]
    asked: set[TableRef]

    @property
    def ops(self) -> dict[str, Any]:
        """What each op was asked, by the name of its table."""
        return {
            name.split("__")[-1]: op["config"]["asked"]
            for request in self.requests
            for name, op in request.run_config["ops"].items()
        }


@dataclass
class Deployment:
    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    cursor: str | None = None

    @property
    def config_path(self) -> str:
        return str(self.folder / "profilemesh.yml")

    def configure(self, **sections: Any) -> None:
        """Write the configuration with these sections instead of those it has."""
        warehouses = {
            "shop": {"type": "duckdb", "filepath": "shop.duckdb"},
            "desk": {"type": "sqlite", "filepath": "desk.sqlite"},
        }
        unasked = {"warehouses": warehouses, "incremental": EVERY_TICK, "retry": {"enabled": False}}
        self.settings = unasked | self.settings | sections
        (self.folder / "profilemesh.yml").write_text(json.dumps(self.settings))
        self.__dict__.pop("definitions", None)

    def shop(self, *statements: str) -> None:
        write_duckdb(self.folder / "shop.duckdb", *statements)

    def desk(self, *statements: str) -> None:
        write_sqlite(self.folder / "desk.sqlite", *statements)

    @cached_property
    def definitions(self) -> dg.Definitions:
        return build_profilemesh_definitions(self.config_path)

    @cached_property
    def instance(self) -> dg.DagsterInstance:
        return dg.DagsterInstance.ephemeral(str(self.folder))

    def tick(self, name: str = SENSOR, *, keep: bool = True) -> Tick:
        """Evaluate the sensor as the daemon does. With `keep` its cursor is there at the next tick."""
        repository = self.definitions.get_repository_def()
        context = dg.build_sensor_context(self.instance, self.cursor, repository_def=repository, sensor_name=name)
        with context:
            found = repository.get_sensor_def(name).evaluate_tick(context)
        if keep:
            self.cursor = found.cursor
        requests = list(found.run_requests or [])
        return Tick(requests, found.skip_message, found.cursor, list(found.asset_events), self.tables_of(requests))

    def tables_of(self, requests: list[dg.RunRequest]) -> set[TableRef]:
        """Of tables with plain names, the only ones here."""
        return {TableRef(*key.path[1:]) for request in requests for key in request.asset_selection or ()}

    def launch(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """Carry out a run as the daemon would have launched it."""
        return self.definitions.resolve_job_def(JOB).execute_in_process(
            run_config=request.run_config,
            instance=self.instance,
            asset_selection=list(request.asset_selection or ()),
            tags={**request.tags, "dagster/run_key": str(request.run_key)},
            raise_on_error=False,
        )

    def settle(self) -> Tick:
        """A tick, and all the runs that it asks for."""
        tick = self.tick()
        for request in tick.requests:
            assert self.launch(request).success
        return tick

    def materialize(self, *tables: TableRef, config: Mapping[str, Any] | None = None) -> dg.ExecuteInProcessResult:
        """As a person asks for them on the page."""
        keys = [asset_key(table) for table in tables]
        ops = {op_name(key.path): {"config": dict(config)} for key in keys} if config else {}
        return self.definitions.resolve_job_def(JOB).execute_in_process(
            run_config={"ops": ops}, instance=self.instance, asset_selection=keys or None, raise_on_error=False
        )

    @contextmanager
    def storage(self) -> Iterator[Storage]:
        with closing(open_storage(f"sqlite:///{self.folder / 'profilemesh.db'}")) as storage:
            yield storage

    def rows(self, statement: Any) -> list[Any]:
        with self.storage() as storage, storage.read() as session:
            return list(session.scalars(statement))

    def count(self, model: Any, *where: Any) -> int:
        with self.storage() as storage, storage.read() as session:
            return session.scalar(sa.select(sa.func.count()).select_from(model).where(*where)) or 0


def metadata(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, Any]]:
    """What each materialisation told, by the last part of its key."""
    return {
        event.materialization.asset_key.path[-1]: {
            name: getattr(value, "value", value) for name, value in event.materialization.metadata.items()
        }
        for event in result.all_events
        if event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION
    }


def checks(result: dg.ExecuteInProcessResult) -> dict[str, tuple[bool, str]]:
    """Each check's outcome and severity."""
    found = (
        event.asset_check_evaluation_data
        for event in result.all_events
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION
    )
    return {each.check_name: (each.passed, each.severity.value) for each in found}


def deployed(template: Path, folder: Path) -> Deployment:
    """A copy of a deployment's storage and warehouses."""
    for file in template.iterdir():
        if file.suffix in (".db", ".duckdb", ".sqlite"):
            shutil.copy(file, folder)
    made = Deployment(folder)
    made.configure()
    return made
