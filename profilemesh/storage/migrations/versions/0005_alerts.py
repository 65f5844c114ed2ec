"""Alerts: what is to be told on which route, and the messages made of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    create_items()
    create_digests()


def create_items() -> None:
    items = "profilemesh_alert_items"
    op.create_table(
        items,
        sa.Column("id", BIG_ID, primary_key=True, autoincrement=True),
        sa.Column("route", sa.String(40), nullable=False),
        sa.Column("plan_id", sa.String(36), nullable=False),
        sa.Column("finding_id", sa.String(36), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("told", sa.JSON, nullable=False),
        sa.Column("digest_id", sa.BigInteger),
    )
    op.create_index("ix_profilemesh_alert_items_digest", items, ["digest_id", "route", "plan_id"])
    op.create_index("ix_profilemesh_alert_items_finding", items, ["finding_id"])


def create_digests() -> None:
    digests = "profilemesh_alert_digests"
    op.create_table(
        digests,
        sa.Column("id", BIG_ID, primary_key=True, autoincrement=True),
        sa.Column("key", sa.String(36), nullable=False, unique=True),
        sa.Column("route", sa.String(40), nullable=False),
        sa.Column("plan_id", sa.String(36), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("content", sa.JSON, nullable=False),
        sa.Column("made_at", TIME, nullable=False),
        sa.Column("not_before", TIME),
        sa.Column("next_at", TIME),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        sa.Column("last_error", sa.String),
        sa.Column("delivered", sa.JSON),
        sa.Column("ended_at", TIME),
    )
    op.create_index("ix_profilemesh_alert_digests_route", digests, ["route", "status", "id"])
    op.create_index("ix_profilemesh_alert_digests_ended", digests, ["status", "ended_at"])
