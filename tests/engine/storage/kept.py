"""What a storage keeps, as tests look at it."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from profilemesh.storage.models import Saving
from profilemesh.storage.savings import Spared


def kept_savings(session: Session) -> list[Spared]:
    """The newest first; within a day by warehouse and action."""
    newest_first = (Saving.day.desc(), Saving.warehouse, Saving.action)
    rows = session.execute(sa.select(Saving.__table__).order_by(*newest_first))
    return [Spared(**row) for row in rows.mappings()]
