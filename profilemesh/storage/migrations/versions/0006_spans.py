"""Pages of ten thousand tables: spans of runs, names of columns, and what pages ask for by one index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from profilemesh.storage import column_names, spans

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    create_spans()
    create_names()
    create_indexes()
    for kept in (spans, column_names):
        kept.install(op.get_bind())
    spans.respan(op.get_bind())
    column_names.rename(op.get_bind())


def create_spans() -> None:
    op.create_table(
        spans.SPANS,
        *(sa.Column(name, sa.String(), primary_key=True) for name in spans.KEY),
        sa.Column("part", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("first_at", TIME, nullable=False),
        sa.Column("last_at", TIME, nullable=False),
        sa.Column("longest_gap", sa.Double, nullable=False),
        sa.Column("last_failed_at", TIME),
        sa.Column("last_good_at", TIME),
        sqlite_with_rowid=False,
    )
    may_fail = sa.text(spans.MAY_FAIL)
    op.create_index(
        "ix_profilemesh_run_spans_failing",
        spans.SPANS,
        ["warehouse", "schema_name", "table_name"],
        postgresql_where=may_fail,
        sqlite_where=may_fail,
    )


def create_names() -> None:
    op.create_table(
        column_names.NAMES,
        *(sa.Column(name, sa.String(), primary_key=True) for name in column_names.KEY),
        sa.Column("place", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("lowered", sa.String(), nullable=False),
        sa.Column("type", sa.String()),
    )
    op.create_index("ix_profilemesh_column_names_lowered", column_names.NAMES, ["lowered"])


def create_indexes() -> None:
    findings, runs, states = "profilemesh_findings", "profilemesh_runs", "profilemesh_table_state"
    key = ["warehouse", "schema_name", "table_name"]
    told = ["state", "severity", "last_seen_at", "snoozed_until", *key, "opened_at", "finding_id"]
    op.create_index("ix_profilemesh_findings_told", findings, told)
    is_unresolved = sa.text("state != 'resolved'")
    op.create_index(
        "ix_profilemesh_findings_owners",
        findings,
        ["owner", "assignee"],
        postgresql_where=is_unresolved,
        sqlite_where=is_unresolved,
    )
    decisions = "profilemesh_decisions"
    op.create_index("ix_profilemesh_decisions_reason", decisions, ["reason", "last_at", "id"])
    op.drop_index("ix_profilemesh_decisions_newest", decisions)
    op.create_index("ix_profilemesh_decisions_newest", decisions, ["last_at", "id", "action", "reason", "warehouse"])
    standing = ["decision_reason", "warehouse", "vanished_at", "paused_at", "deferred_since", "due_at"]
    op.create_index("ix_profilemesh_table_state_standing", states, standing)
    sorted_by = ["duration_seconds", "rows_scanned", "row_count", "action", "scope", "has_drift", "status"]
    op.drop_index("ix_profilemesh_runs_newest", runs)
    op.create_index("ix_profilemesh_runs_newest", runs, ["profiled_at", "run_id", "dataset_name", *sorted_by])
    is_failed, is_unknown = sa.text("status = 'failed'"), sa.text("columns IS NULL")
    op.create_index(
        "ix_profilemesh_runs_failed",
        runs,
        ["status", "warehouse", "schema_name", "dataset_name", "profiled_at"],
        postgresql_where=is_failed,
        sqlite_where=is_failed,
    )
    op.create_index(
        "ix_profilemesh_table_state_unlisted", states, key, postgresql_where=is_unknown, sqlite_where=is_unknown
    )
