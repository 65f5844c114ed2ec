"""What adopted rows say of each other: the schema of events, the drift of runs, the register of tables."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.engine import Connection

DRIFT_EVENTS = ("DataDriftDetected", "SchemaChangeDetected")


def link(connection: Connection, tables: Mapping[str, sa.Table]) -> None:
    runs, events, states = (tables[f"profilemesh_{noun}"] for noun in ("runs", "events", "table_state"))
    place_events(connection, runs, events)
    mark_drift(connection, runs, events)
    register_tables(connection, runs, states)


def place_events(connection: Connection, runs: sa.Table, events: sa.Table) -> None:
    """An event is of its run's schema; without a run, of the only one under which its table has runs."""
    is_run = sa.and_(runs.c.run_id == events.c.run_id, runs.c.dataset_name == events.c.table_name)
    connection.execute(sa.update(events).where(is_run, runs.c.schema_name != "").values(schema_name=runs.c.schema_name))
    first, last = sa.func.min(runs.c.schema_name), sa.func.max(runs.c.schema_name)
    only = (
        sa.select(runs.c.dataset_name, first.label("schema_name"))
        .group_by(runs.c.dataset_name)
        .having(first == last)
        .subquery("only")
    )
    is_table = only.c.dataset_name == events.c.table_name
    runless = ~sa.exists().where(is_run)
    connection.execute(
        sa.update(events).where(is_table, runless, only.c.schema_name != "").values(schema_name=only.c.schema_name)
    )


def mark_drift(connection: Connection, runs: sa.Table, events: sa.Table) -> None:
    is_of_run = sa.and_(events.c.run_id == runs.c.run_id, events.c.table_name == runs.c.dataset_name)
    found = sa.exists().where(is_of_run, events.c.event_type.in_(DRIFT_EVENTS))
    connection.execute(sa.update(runs).where(found).values(has_drift=True))


def register_tables(connection: Connection, runs: sa.Table, states: sa.Table) -> None:
    """Every table that has a run has a state, be it an empty one."""
    names = (runs.c.warehouse, runs.c.schema_name, runs.c.dataset_name)
    is_known = sa.exists().where(
        states.c.warehouse == names[0], states.c.schema_name == names[1], states.c.table_name == names[2]
    )
    unknown = sa.select(*names).distinct().where(~is_known)
    connection.execute(sa.insert(states).from_select(["warehouse", "schema_name", "table_name"], unknown))
