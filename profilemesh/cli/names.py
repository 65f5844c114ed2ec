"""Tables by the names that people give them."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import Any

from sqlalchemy.orm import Session

from profilemesh.config.model import Config
from profilemesh.errors import ConfigError
from profilemesh.planning import is_asked_for
from profilemesh.storage import Storage, runs, states
from profilemesh.storage.models import Run
from profilemesh.tables import TableRef


def known_tables(config: Config, storage: Storage, name: str) -> list[TableRef]:
    """The tables of this name: those that storage remembers, else those of the warehouses."""
    with storage.read() as session:
        known: Collection[TableRef] = states.known(session)
    found = [table for table in known if is_asked_for(table, name)]
    if not found:
        # Warehouses have drivers, and to import these takes longer than all the rest.
        from profilemesh.runner import opened
        from profilemesh.warehouses import read_catalogue

        with opened(config) as warehouses:
            catalogue = read_catalogue(config, warehouses).snapshots.keys()
        found = [table for table in catalogue if is_asked_for(table, name)]
        known = {*known, *catalogue}
    if not found:
        raise ConfigError(f"{name!r} matches no table{_near(name, known)}")
    return sorted(found)


def _near(name: str, known: Collection[TableRef]) -> str:
    names = {shown: table for table in known for shown in (table.name, f"{table.schema}.{table.name}", str(table))}
    near = dict.fromkeys(str(names[each]) for each in difflib.get_close_matches(name, names, n=5))
    return f"; did you mean {' or '.join(list(near)[:3])}?" if near else "; `profilemesh plan` lists them all"


def table_json(table: TableRef) -> dict[str, Any]:
    return {"warehouse": table.warehouse, "schema": table.schema, "table": table.name}


def one_table(config: Config, storage: Storage, name: str) -> TableRef:
    """The one table of this name."""
    found = known_tables(config, storage, name)
    if len(found) > 1:
        shown = ", ".join(map(str, found[:5])) + (", ..." if len(found) > 5 else "")
        raise ConfigError(f"{name!r} means {len(found)} tables; name one: {shown}")
    return found[0]


def run_of(session: Session, table: TableRef, start: str) -> Run:
    """The run of this table whose id begins so."""
    found = [run for run in runs.beginning(session, start, 50) if runs.table_of(run) == table]
    if len(found) != 1:
        raise ConfigError(_not_one(start, f"run of {table}", [run.run_id for run in found]))
    return found[0]


def one_run(session: Session, start: str) -> Run:
    """The run whose id begins so."""
    found = runs.beginning(session, start)
    if len(found) != 1:
        raise ConfigError(_not_one(start, "run", [run.run_id for run in found]))
    return found[0]


def _not_one(start: str, what: str, found: list[str]) -> str:
    if not found:
        return f"no {what} begins with {start!r}; `profilemesh export runs` lists them"
    return f"{len(found)} runs begin with {start!r}: {', '.join(found[:5])}"
