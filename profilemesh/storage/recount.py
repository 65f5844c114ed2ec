"""All that triggers keep beside runs, events and states, told anew from those themselves.

The triggers see every write that the database tells them of. SQLite does not tell of the row that an
`INSERT OR REPLACE` of another program takes away, and a restored part of a database may bring anything.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from profilemesh.storage import Storage, column_names, spans, triggers
from profilemesh.storage.models import DriftCount, RunCount

_LOCKED = "LOCK TABLE profilemesh_runs, profilemesh_events, profilemesh_table_state IN SHARE MODE"


@dataclass(frozen=True)
class Recounted:
    """How many runs and drift events were counted until now, and how many there are."""

    runs_before: int
    runs: int
    drift_before: int
    drift: int

    @property
    def changed(self) -> bool:
        return (self.runs_before, self.drift_before) != (self.runs, self.drift)


def recount(storage: Storage) -> Recounted:
    """Count everything anew, in one transaction; whoever writes meanwhile waits for it."""
    with storage.begin() as session:
        connection = session.connection()
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(_LOCKED)
        runs_before, drift_before = _counted(session)
        triggers.recount(connection)
        spans.respan(connection)
        column_names.rename(connection)
        runs, drift = _counted(session)
    return Recounted(runs_before, runs, drift_before, drift)


def _counted(session: Session) -> tuple[int, int]:
    sums = ((RunCount, RunCount.runs), (DriftCount, DriftCount.events))
    runs, drift = (session.scalar(sa.select(sa.func.sum(each)).where(of.span == "day")) for of, each in sums)
    return int(runs or 0), int(drift or 0)
