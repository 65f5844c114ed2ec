"""Findings know the environment of the run that saw them last; runs are sorted by what was measured; on SQLite what
takes from a count looks for nothing but that."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from profilemesh.storage import triggers

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

FINDINGS, RUNS = "profilemesh_findings", "profilemesh_runs"
KEY = ("warehouse", "schema_name", "table_name")
TOLD = ("state", "severity", "last_seen_at", "snoozed_until", *KEY, "opened_at", "finding_id", "environment")
OF_LAST_RUN = (
    f"UPDATE {FINDINGS} SET environment = (SELECT r.environment FROM {RUNS} r "
    f"WHERE r.run_id = {FINDINGS}.last_run_id AND r.dataset_name = {FINDINGS}.table_name)"
)


def upgrade() -> None:
    op.add_column(FINDINGS, sa.Column("environment", sa.String))
    op.execute(OF_LAST_RUN)
    name = "ix_profilemesh_findings_"
    op.drop_index(f"{name}told", FINDINGS)
    op.create_index(f"{name}told", FINDINGS, [*TOLD])
    op.create_index(f"{name}environment", FINDINGS, ["environment", "last_seen_at", "finding_id"])
    counted = ["state", "warehouse", "environment", "severity", "snoozed_until"]
    op.create_index(f"{name}counted", FINDINGS, counted)
    op.create_index("ix_profilemesh_runs_environment", RUNS, ["environment", "profiled_at", "run_id", "dataset_name"])
    triggers.install(op.get_bind())
    for column in ("duration_seconds", "rows_scanned", "row_count"):
        op.create_index(f"ix_profilemesh_runs_{column}", RUNS, [column, "profiled_at", "run_id", "dataset_name"])
