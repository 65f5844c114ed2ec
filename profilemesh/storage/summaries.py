"""The mergeable summaries behind the runs, as bytes."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from profilemesh.storage.models import Summary, TableState
from profilemesh.tables import TableRef


def save(session: Session, run_id: str, partition_key: str, as_of: datetime, payload: bytes) -> None:
    """Store a run's summary of one partition, or of all rows with an empty `partition_key`."""
    session.add(Summary(run_id=run_id, partition_key=partition_key, as_of=as_of, payload=payload))
    session.flush()


def latest(session: Session, table: TableRef) -> bytes | None:
    """The summary of all rows from the table's last stored profile; None if there is none."""
    same_table = sa.and_(
        TableState.warehouse == table.warehouse,
        TableState.schema_name == table.schema,
        TableState.table_name == table.name,
    )
    statement = (
        sa.select(Summary.payload)
        .join(TableState, TableState.last_run_id == Summary.run_id)
        .where(same_table, Summary.partition_key == "")
    )
    return session.scalar(statement)
