"""The first schema: runs, results, events, table states, summaries; each made, or adopted from Phase 1."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

from profilemesh.storage.adoption import UNKNOWN_WAREHOUSE, adopt
from profilemesh.storage.schema import phase1_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


FIRST = sa.MetaData()

RUNS = sa.Table(
    "profilemesh_runs",
    FIRST,
    sa.Column("run_id", sa.String(36), primary_key=True),
    sa.Column("dataset_name", sa.String, primary_key=True),
    sa.Column("schema_name", sa.String, nullable=False),
    sa.Column("warehouse", sa.String, nullable=False),
    sa.Column("warehouse_type", sa.String(50), nullable=False),
    sa.Column("environment", sa.String, nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("profiled_at", TIME, nullable=False),
    sa.Column("started_at", TIME),
    sa.Column("as_of", TIME),
    sa.Column("duration_seconds", sa.Double),
    sa.Column("row_count", sa.BigInteger),
    sa.Column("column_count", sa.BigInteger),
    sa.Column("rows_scanned", sa.BigInteger),
    sa.Column("bytes_scanned", sa.BigInteger),
    sa.Column("action", sa.String(20)),
    sa.Column("reason", sa.String(50)),
    sa.Column("scope", sa.String(20)),
    sa.Column("scope_detail", sa.JSON),
    sa.Column("strategy", sa.String(20)),
    sa.Column("hash_family", sa.String(100)),
    sa.Column("statements", sa.JSON),
    sa.Column("column_errors", sa.JSON),
    sa.Column("plan_id", sa.String(36)),
    sa.Column("error", sa.String),
    sa.Column("error_trace", sa.String),
    sa.Column("has_drift", sa.Boolean, nullable=False),
    sa.Index("ix_profilemesh_runs_newest", "profiled_at", "run_id", "dataset_name"),
    sa.Index("ix_profilemesh_runs_table", "warehouse", "schema_name", "dataset_name", "profiled_at", "run_id"),
    sa.Index("ix_profilemesh_runs_status", "status", "profiled_at"),
)
RESULTS = sa.Table(
    "profilemesh_results",
    FIRST,
    sa.Column("id", BIG_ID, primary_key=True, autoincrement=True),
    sa.Column("run_id", sa.String(36), nullable=False),
    sa.Column("dataset_name", sa.String, nullable=False),
    sa.Column("schema_name", sa.String, nullable=False),
    sa.Column("column_name", sa.String, nullable=False),
    sa.Column("column_type", sa.String),
    sa.Column("metric_name", sa.String(100), nullable=False),
    sa.Column("metric_value", sa.String),
    sa.Column("metric_number", sa.Double),
    sa.Column("profiled_at", TIME, nullable=False),
    sa.Index("ix_profilemesh_results_run", "run_id", "dataset_name"),
)
EVENTS = sa.Table(
    "profilemesh_events",
    FIRST,
    sa.Column("event_id", sa.String(36), primary_key=True),
    sa.Column("event_type", sa.String(100), nullable=False),
    sa.Column("run_id", sa.String(36)),
    sa.Column("warehouse", sa.String, nullable=False),
    sa.Column("schema_name", sa.String, nullable=False),
    sa.Column("table_name", sa.String),
    sa.Column("column_name", sa.String),
    sa.Column("metric_name", sa.String(100)),
    sa.Column("baseline_value", sa.Double),
    sa.Column("current_value", sa.Double),
    sa.Column("change_percent", sa.Double),
    sa.Column("drift_severity", sa.String(20)),
    sa.Column("timestamp", TIME, nullable=False),
    sa.Column("metadata", sa.String),
    sa.Column("created_at", TIME),
    sa.Index("ix_profilemesh_events_newest", "event_type", "timestamp", "event_id"),
    sa.Index("ix_profilemesh_events_table", "warehouse", "schema_name", "table_name", "timestamp"),
    sa.Index("ix_profilemesh_events_run", "run_id"),
)
TABLE_STATE = sa.Table(
    "profilemesh_table_state",
    FIRST,
    sa.Column("warehouse", sa.String, primary_key=True),
    sa.Column("schema_name", sa.String, primary_key=True),
    sa.Column("table_name", sa.String, primary_key=True),
    sa.Column("last_run_id", sa.String(36)),
    sa.Column("snapshot_id", sa.String(255)),
    sa.Column("change_token", sa.String),
    sa.Column("confidence", sa.String(20)),
    sa.Column("columns", sa.JSON),
    sa.Column("profile_key", sa.String),
    sa.Column("decision", sa.String(20)),
    sa.Column("decision_reason", sa.String(50)),
    sa.Column("evidence", sa.JSON),
    sa.Column("decided_at", TIME),
    sa.Column("last_profiled_at", TIME),
    sa.Column("last_verified_at", TIME),
    sa.Column("last_changed_at", TIME),
    sa.Column("staleness_score", sa.BigInteger),
    sa.Column("row_count", sa.BigInteger),
    sa.Column("bytes_scanned", sa.BigInteger),
    sa.Column("claimed_by", sa.String),
    sa.Column("claimed_until", TIME),
    sa.Column("metadata", sa.String),
)
SUMMARIES = sa.Table(
    "profilemesh_summaries",
    FIRST,
    sa.Column("run_id", sa.String(36), primary_key=True),
    sa.Column("partition_key", sa.String, primary_key=True),
    sa.Column("as_of", TIME, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
)


def upgrade() -> None:
    connection = op.get_bind()
    tables = list(FIRST.tables.values())
    standing = phase1_tables(connection)
    for table in tables:
        if table.name not in standing:
            table.create(connection)
    if standing:
        adopt(connection, tables, standing, context.config.attributes.get("adopted_warehouse", UNKNOWN_WAREHOUSE))
