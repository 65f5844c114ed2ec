"""Lists and charts of a million runs: counts by hour and day, indexes, and defaults for older writers beside us."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from profilemesh.storage import triggers

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
NAMELESS, UNKNOWN = sa.text("''"), sa.text("'unknown'")
DEFAULTS: dict[str, dict[str, Any]] = {
    "profilemesh_runs": {
        "schema_name": NAMELESS,
        "warehouse": UNKNOWN,
        "warehouse_type": UNKNOWN,
        "environment": sa.text("'development'"),
        "has_drift": sa.false(),
    },
    "profilemesh_results": {"schema_name": NAMELESS},
    "profilemesh_events": {"schema_name": NAMELESS, "warehouse": UNKNOWN},
}


def upgrade() -> None:
    for table, defaults in DEFAULTS.items():
        give_defaults(table, defaults)
    create_indexes()
    place_events()
    register_tables()
    create_counts()
    triggers.install(op.get_bind())
    triggers.recount(op.get_bind())


def give_defaults(table: str, defaults: dict[str, Any]) -> None:
    if op.get_bind().dialect.name == "postgresql":
        for name, default in defaults.items():
            op.alter_column(table, name, server_default=default)
        return
    # SQLite changes no column of a table that stands. Only there a NULL can turn into the default by itself.
    old = sa.Table(table, sa.MetaData(), autoload_with=op.get_bind())
    columns = [moved(column, defaults) for column in old.columns]
    new = f"{table}_new"
    op.create_table(new, *columns)
    names = [column.name for column in old.columns]
    op.execute(sa.insert(sa.table(new, *map(sa.column, names))).from_select(names, sa.select(*old.columns)))
    op.drop_table(table)
    op.rename_table(new, table)
    for index in old.indexes:
        op.create_index(index.name, table, [column.name for column in index.columns])


def moved(column: sa.Column[Any], defaults: dict[str, Any]) -> sa.Column[Any]:
    default = defaults.get(column.name)
    replaced: dict[str, Any] = {"sqlite_on_conflict_not_null": "REPLACE"} if isinstance(default, sa.TextClause) else {}
    kept = column.server_default if default is None else default
    return sa.Column(
        column.name,
        column.type,
        primary_key=column.primary_key,
        nullable=column.nullable,
        server_default=kept,
        **replaced,
    )


def create_indexes() -> None:
    runs, results, events = DEFAULTS
    for name, table, columns in (
        ("runs_status", runs, ["status", "profiled_at", "run_id", "dataset_name"]),
        ("results_run", results, ["run_id", "dataset_name", "metric_name", "column_name"]),
    ):
        op.drop_index(f"ix_profilemesh_{name}", table)
        op.create_index(f"ix_profilemesh_{name}", table, columns)
    begins = {"run_id": "varchar_pattern_ops"}
    op.create_index("ix_profilemesh_runs_begins", runs, ["run_id"], postgresql_ops=begins)
    op.create_index("ix_profilemesh_runs_dataset", runs, ["dataset_name", "profiled_at", "run_id"])
    op.create_index("ix_profilemesh_runs_warehouse", runs, ["warehouse", "profiled_at", "run_id", "dataset_name"])
    op.create_index("ix_profilemesh_runs_schema", runs, ["schema_name", "profiled_at", "run_id", "dataset_name"])
    of_drift = sa.text(triggers.IS_DRIFT)
    for name, columns in (
        ("newest", ["timestamp", "event_id"]),
        ("table", ["table_name", "timestamp", "event_id"]),
        ("warehouse", ["warehouse", "timestamp", "event_id"]),
    ):
        op.create_index(
            f"ix_profilemesh_drift_{name}", events, columns, postgresql_where=of_drift, sqlite_where=of_drift
        )


def place_events() -> None:
    """Every event knows the environment of its run."""
    events = "profilemesh_events"
    op.add_column(events, sa.Column("environment", sa.String()))
    op.execute(
        f"UPDATE {events} SET environment = (SELECT r.environment FROM profilemesh_runs r "
        f"WHERE r.run_id = {events}.run_id AND r.dataset_name = {events}.table_name) WHERE run_id IS NOT NULL"
    )


def register_tables() -> None:
    """Every table with a run has a state."""
    state = "profilemesh_table_state"
    op.add_column(state, sa.Column("warehouse_type", sa.String(50)))
    op.create_index("ix_profilemesh_table_state_name", state, ["table_name", "schema_name", "warehouse"])
    op.execute(
        f"INSERT INTO {state} (warehouse, schema_name, table_name) SELECT DISTINCT warehouse, schema_name, "
        "dataset_name FROM profilemesh_runs WHERE true ON CONFLICT DO NOTHING"
    )
    op.execute(
        f"UPDATE {state} SET warehouse_type = (SELECT r.warehouse_type FROM profilemesh_runs r "
        f"WHERE r.warehouse = {state}.warehouse AND r.schema_name = {state}.schema_name "
        f"AND r.dataset_name = {state}.table_name ORDER BY r.profiled_at DESC, r.run_id DESC LIMIT 1)"
    )


def create_counts() -> None:
    op.create_table(
        "profilemesh_run_counts",
        *slot(),
        *(
            sa.Column(name, sa.String(), primary_key=True)
            for name in ("warehouse", "warehouse_type", "environment", "status", "scope")
        ),
        sa.Column("part", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("runs", sa.BigInteger, nullable=False),
        sa.Column("rows_scanned", sa.Double, nullable=False),
        sa.Column("rows_sum", sa.Double, nullable=False),
        sa.Column("rows_counted", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "profilemesh_drift_counts",
        *slot(),
        *(sa.Column(name, sa.String(), primary_key=True) for name in ("warehouse", "environment", "severity")),
        sa.Column("part", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("events", sa.BigInteger, nullable=False),
    )


def slot() -> tuple[sa.Column[str], sa.Column[Any]]:
    return sa.Column("span", sa.String(4), primary_key=True), sa.Column("at", TIME, primary_key=True)
