"""What is stored of a table, for scripts and notebooks."""

from __future__ import annotations

from profilemesh.profiling.summary import TableSummary
from profilemesh.storage import Storage, summaries
from profilemesh.tables import TableRef


def latest_profile(storage: Storage, table: TableRef) -> TableSummary | None:
    """The summary of all rows of a table as they were last read, whole or merged; None if it has none.

    It shows itself in a notebook. Of a sensitive column it holds counts alone. Raises StorageError if the storage
    cannot be read, SummariesIncompatible if another version wrote it.
    """
    with storage.read() as session:
        payload = summaries.latest(session, table)
    return TableSummary.from_bytes(payload) if payload is not None else None
