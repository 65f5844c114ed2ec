"""Tables that could not be read last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from app.queries.columns import RUN, RUN_SPAN, RUNS, STATE, STATES
from app.queries.tables import KEY, LONG_AGO, STATE_KEY
from profilemesh.storage.spans import MAY_FAIL

IS_FAILED: Any = sa.literal_column("status = 'failed'")
"""As the index of failures has it."""
IS_SUSPECT: Any = sa.literal_column(f"({MAY_FAIL})")
"""As the index of spans has it."""


def failing(*conditions: sa.ColumnElement[bool]) -> sa.Select[*tuple[Any, ...]]:
    """warehouse, schema_name, dataset_name and the time `at` of the run, of tables whose newest finished run failed.

    Not those proved unchanged since: their last profile is the truth, whatever became of the run. `conditions` are of
    runs. The spans of runs have an index of the tables that may fail, by which the failures of few are looked at.
    """
    place = RUN_SPAN.warehouse, RUN_SPAN.schema_name, RUN_SPAN.table_name.label("dataset_name")
    suspects = sa.select(*place).where(IS_SUSPECT).distinct().cte("suspects").prefix_with("MATERIALIZED")
    # Looked up one by one, or SQLite would walk through all that ever failed.
    last = sa.select(sa.func.max(RUN.profiled_at, type_=RUN.profiled_at.type)).where(IS_FAILED, *conditions)
    of_suspect = last.where(*_pairs(KEY, tuple(suspects.c))).correlate(suspects).scalar_subquery()
    failed = sa.select(suspects, of_suspect.label("at")).cte("last_failed").prefix_with("MATERIALIZED")
    f = failed.c
    others = (f.warehouse, f.schema_name, f.dataset_name)
    of_table = sa.and_(*_pairs(STATE_KEY, others))
    known = (sa.func.coalesce(time, LONG_AGO) for time in (STATE.last_verified_at, STATE.last_profiled_at))
    unproved = sa.select(*others, f.at).join_from(failed, STATES, of_table).where(*(f.at > time for time in known))
    # Materialized, or SQLite would look for later runs of all that ever failed.
    u = unproved.cte("unproved").prefix_with("MATERIALIZED").c
    later = RUNS.alias("later").c
    place = (u.warehouse, u.schema_name, u.dataset_name)
    is_same = _pairs((later.warehouse, later.schema_name, later.dataset_name), place)
    superseded = sa.exists().where(*is_same, later.profiled_at > u.at, later.status != "running")
    return sa.select(u.warehouse, u.schema_name, u.dataset_name, u.at).where(~superseded)


def _pairs(some: Sequence[Any], others: Sequence[Any]) -> list[sa.ColumnElement[bool]]:
    return [one == other for one, other in zip(some, others, strict=True)]
