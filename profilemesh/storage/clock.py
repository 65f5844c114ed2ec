"""The time on which all processes that share a storage agree."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from profilemesh.storage.writes import is_postgres


def storage_now(session: Session) -> datetime:
    """PostgreSQL's clock, because machines differ; on SQLite, which one machine uses, that machine's."""
    if not is_postgres(session):
        return datetime.now(UTC)
    now = session.execute(sa.select(sa.func.clock_timestamp(type_=sa.DateTime(timezone=True)))).scalar_one()
    return now.astimezone(UTC)
