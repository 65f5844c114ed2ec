"""What drift finds: findings, their occurrences and triage, and the numbers that runs are compared by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
UNRESOLVED = sa.text("state != 'resolved'")


def upgrade() -> None:
    op.add_column("profilemesh_runs", sa.Column("is_expected", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("profilemesh_runs", sa.Column("expected_note", sa.String))
    op.create_table(
        "profilemesh_profile_numbers",
        sa.Column("run_id", sa.String(36), primary_key=True),
        sa.Column("payload", sa.LargeBinary, nullable=False),
    )
    create_findings()
    create_occurrences()
    create_triage()


def create_findings() -> None:
    findings = "profilemesh_findings"
    op.create_table(
        findings,
        sa.Column("finding_id", sa.String(36), primary_key=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("warehouse", sa.String, nullable=False),
        sa.Column("schema_name", sa.String, nullable=False),
        sa.Column("table_name", sa.String, nullable=False),
        sa.Column("column_name", sa.String, nullable=False),
        sa.Column("metric_name", sa.String(100), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("severity", sa.String(20), nullable=False),
        sa.Column("sentence", sa.String, nullable=False),
        sa.Column("owner", sa.String),
        sa.Column("assignee", sa.String),
        sa.Column("snoozed_until", TIME),
        sa.Column("opened_at", TIME, nullable=False),
        sa.Column("last_seen_at", TIME, nullable=False),
        sa.Column("resolved_at", TIME),
        sa.Column("first_run_id", sa.String(36)),
        sa.Column("last_run_id", sa.String(36)),
        sa.Column("occurrences", sa.BigInteger, nullable=False),
        sa.Column("quiet_runs", sa.BigInteger, nullable=False),
    )
    name = "ix_profilemesh_findings_"
    op.create_index(
        f"{name}unresolved",
        findings,
        ["fingerprint"],
        unique=True,
        postgresql_where=UNRESOLVED,
        sqlite_where=UNRESOLVED,
    )
    op.create_index(f"{name}fingerprint", findings, ["fingerprint", "resolved_at"])
    op.create_index(f"{name}newest", findings, ["last_seen_at", "finding_id"])
    op.create_index(f"{name}state", findings, ["state", "last_seen_at", "finding_id"])
    op.create_index(f"{name}table", findings, ["warehouse", "schema_name", "table_name", "last_seen_at"])


def create_occurrences() -> None:
    op.create_table(
        "profilemesh_occurrences",
        sa.Column("finding_id", sa.String(36), primary_key=True),
        sa.Column("run_id", sa.String(36), primary_key=True),
        sa.Column("at", TIME, nullable=False),
        sa.Column("event_id", sa.String(36)),
        sa.Column("severity", sa.String(20), nullable=False),
        sa.Column("sentence", sa.String, nullable=False),
        sa.Column("baseline_value", sa.Double),
        sa.Column("current_value", sa.Double),
        sa.Column("change_percent", sa.Double),
        sa.Column("details", sa.JSON),
    )
    op.create_index("ix_profilemesh_occurrences_run", "profilemesh_occurrences", ["run_id"])


def create_triage() -> None:
    op.create_table(
        "profilemesh_triage",
        sa.Column("id", BIG_ID, primary_key=True, autoincrement=True),
        sa.Column("finding_id", sa.String(36), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("who", sa.String, nullable=False),
        sa.Column("action", sa.String(20), nullable=False),
        sa.Column("text", sa.String),
    )
    op.create_index("ix_profilemesh_triage_finding", "profilemesh_triage", ["finding_id", "id"])
