"""What the incremental planner remembers: partitions, probes, steering, the decision log, savings, leases, ticks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    extend_table_state()
    create_decisions()
    create_savings()
    create_leases()
    create_ticks()


def extend_table_state() -> None:
    table = "profilemesh_table_state"
    for name in (
        "first_profiled_at",
        "last_full_at",
        "sampled_at",
        "deferred_since",
        "vanished_at",
        "paused_at",
        "cancel_requested_at",
        "due_at",
    ):
        op.add_column(table, sa.Column(name, TIME))
    op.add_column(table, sa.Column("probe_token", sa.String))
    op.add_column(table, sa.Column("manifest", sa.JSON))
    op.add_column(table, sa.Column("sampled_token", sa.String))
    op.add_column(table, sa.Column("change_gap_minutes", sa.Double))
    op.add_column(table, sa.Column("decision_id", sa.BigInteger))
    op.create_index("ix_profilemesh_table_state_claim", table, ["claimed_by"])
    op.create_index("ix_profilemesh_table_state_decision", table, ["decision_id"])
    # Until now every profile read the whole table.
    state = sa.table(table, *(sa.column(name) for name in ("first_profiled_at", "last_full_at", "last_profiled_at")))
    op.execute(
        sa.update(state).values(first_profiled_at=state.c.last_profiled_at, last_full_at=state.c.last_profiled_at)
    )


def create_decisions() -> None:
    op.create_table(
        "profilemesh_decisions",
        sa.Column("id", BIG_ID, primary_key=True, autoincrement=True),
        sa.Column("warehouse", sa.String, nullable=False),
        sa.Column("schema_name", sa.String, nullable=False),
        sa.Column("table_name", sa.String, nullable=False),
        sa.Column("plan_id", sa.String(36), nullable=False),
        sa.Column("decided_at", TIME, nullable=False),
        sa.Column("last_at", TIME, nullable=False),
        sa.Column("ticks", sa.BigInteger, nullable=False),
        sa.Column("action", sa.String(20), nullable=False),
        sa.Column("reason", sa.String(50), nullable=False),
        sa.Column("evidence", sa.JSON),
        sa.Column("staleness_score", sa.BigInteger),
        sa.Column("rows_estimated", sa.BigInteger),
        sa.Column("bytes_estimated", sa.BigInteger),
        sa.Column("rows_naive", sa.BigInteger),
        sa.Column("bytes_naive", sa.BigInteger),
        sa.Column("is_naive_measured", sa.Boolean, nullable=False),
        sa.Column("outcome", sa.String(20)),
        sa.Column("run_id", sa.String(36)),
        sa.Column("rows_actual", sa.BigInteger),
        sa.Column("bytes_actual", sa.BigInteger),
        sa.Column("seconds_actual", sa.Double),
    )
    op.create_index("ix_profilemesh_decisions_newest", "profilemesh_decisions", ["last_at", "id"])
    op.create_index(
        "ix_profilemesh_decisions_table",
        "profilemesh_decisions",
        ["warehouse", "schema_name", "table_name", "last_at", "id"],
    )
    op.create_index("ix_profilemesh_decisions_plan", "profilemesh_decisions", ["plan_id"])


def create_savings() -> None:
    counts = (
        "decisions",
        "unpriced",
        "rows_measured",
        "rows_estimated",
        "bytes_measured",
        "bytes_estimated",
        "rows_read",
        "bytes_read",
    )
    op.create_table(
        "profilemesh_savings",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("warehouse", sa.String, primary_key=True),
        sa.Column("action", sa.String(20), primary_key=True),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in counts),
    )


def create_leases() -> None:
    op.create_table(
        "profilemesh_leases",
        sa.Column("name", sa.String(50), primary_key=True),
        sa.Column("holder", sa.String),
        sa.Column("taken_at", TIME),
        sa.Column("until", TIME),
    )


def create_ticks() -> None:
    counts = ("tables_known", "tables_to_read", "tables_done", "tables_failed", "rows_read")
    op.create_table(
        "profilemesh_ticks",
        sa.Column("tick_id", sa.String(36), primary_key=True),
        sa.Column("plan_id", sa.String(36), nullable=False),
        sa.Column("asked_by", sa.String(20), nullable=False),
        sa.Column("holder", sa.String, nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("ended_at", TIME),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in counts),
        sa.Column("current", sa.JSON),
        sa.Column("error", sa.String),
    )
    op.create_index("ix_profilemesh_ticks_newest", "profilemesh_ticks", ["started_at", "tick_id"])
