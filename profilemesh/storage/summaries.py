"""The mergeable summaries behind the runs, as bytes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from profilemesh.storage.models import Run, Summary, TableState, clean_text
from profilemesh.storage.states import is_state_of
from profilemesh.storage.writes import chunks
from profilemesh.tables import TableRef

_PARTITIONS_PER_STATEMENT = 500


def save(session: Session, run_id: str, partition_key: str, as_of: datetime, payload: bytes) -> None:
    """Store a run's summary of one partition, or of all rows with an empty `partition_key`."""
    session.add(Summary(run_id=run_id, partition_key=partition_key, as_of=as_of, payload=payload))
    session.flush()


def latest(session: Session, table: TableRef) -> bytes | None:
    """The summary of all rows from the table's last stored profile; None if there is none."""
    statement = (
        sa.select(Summary.payload)
        .join(TableState, TableState.last_run_id == Summary.run_id)
        .where(is_state_of(table), Summary.partition_key == "")
    )
    return session.scalar(statement)


def whole(session: Session, run_id: str) -> bytes | None:
    """A run's summary of all rows; None if it is not kept."""
    payload: bytes | None = session.scalar(_WHOLE, {"run": run_id})
    return payload


_SUMMARY: Any = Summary.__table__.c
_WHOLE = sa.select(_SUMMARY.payload).where(_SUMMARY.run_id == sa.bindparam("run"), _SUMMARY.partition_key == "")


def wholes(session: Session, run_ids: Collection[str]) -> dict[str, bytes]:
    """The summaries of all rows of these runs; what is not kept is absent."""
    same = (Summary.run_id.in_(sorted(run_ids)), Summary.partition_key == "")
    rows = session.execute(sa.select(Summary.run_id, Summary.payload).where(*same))
    return {run_id: payload for run_id, payload in rows}


def of_partitions(session: Session, wanted: Mapping[str, str]) -> dict[str, bytes]:
    """The summaries of partitions, each from the run that `wanted` names for its key; what is not kept is absent."""
    named = {(run_id, clean_text(key)): key for key, run_id in wanted.items()}
    found: dict[str, bytes] = {}
    for pairs in chunks(named, _PARTITIONS_PER_STATEMENT):
        same = sa.tuple_(Summary.run_id, Summary.partition_key).in_(pairs)
        rows = session.execute(sa.select(Summary.run_id, Summary.partition_key, Summary.payload).where(same))
        found |= {named[row.run_id, row.partition_key]: row.payload for row in rows}
    return found


@dataclass(frozen=True)
class PartOf:
    """Where the summary of a partition is: it is of `as_of`, and stored with this run."""

    key: str
    run_id: str
    as_of: datetime


def parts_until(session: Session, table: TableRef, until: datetime) -> list[PartOf]:
    """Every summary of a partition of the table that is stored with a run up to that time, oldest first."""
    of_table = (Run.warehouse == table.warehouse, Run.schema_name == table.schema, Run.dataset_name == table.name)
    parts = (
        sa.select(Summary.partition_key, Summary.run_id, Summary.as_of)
        .join(Run, Run.run_id == Summary.run_id)
        .where(*of_table, Summary.partition_key != "", Run.profiled_at <= until)
        .order_by(Run.profiled_at, Summary.partition_key)
    )
    return [PartOf(*row) for row in session.execute(parts)]
