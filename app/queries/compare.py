"""The runs of two ids that can be put side by side."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.queries import runs
from profilemesh.storage.models import Run


def same_table(
    session: Session, run_id: str, other: str, table: str | None, schema: str | None
) -> tuple[list[Run], list[Run]]:
    """The runs of both ids, of the tables that they have in common, in one order."""
    one, two = (runs.find_run(session, each, table, schema) for each in (run_id, other))
    both = {_key(run) for run in one} & {_key(run) for run in two}
    return sorted((r for r in one if _key(r) in both), key=_key), sorted((r for r in two if _key(r) in both), key=_key)


def _key(run: Run) -> tuple[str, str, str]:
    return run.warehouse, run.schema_name, run.dataset_name
