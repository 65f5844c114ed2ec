"""What to ask of a PostgreSQL table whose metadata prove nothing: a view, a foreign table, anything on a standby."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.base import PGDialect

from profilemesh.planning.snapshots import CHECKSUM, Confidence, Probe, Probed
from profilemesh.tables import TableRef
from profilemesh.warehouses.base import quoted
from profilemesh.warehouses.postgres_partitions import digest

DIALECT = PGDialect(paramstyle="named")  # type: ignore[no-untyped-call]
MOST_ROWS = 1000
"""That a question of the user's may answer."""


def rendered(statement: sa.ClauseElement) -> str:
    return str(statement.compile(dialect=DIALECT, compile_kwargs={"literal_binds": True}))


def question(table: TableRef, probe: Probe) -> str:
    """The statement to send: one row, or the user's own."""
    if probe.query is not None:
        return probe.query
    source = sa.table(quoted(table.name), schema=quoted(table.schema)).alias("asked")
    found: list[sa.ColumnElement[Any]] = [sa.func.count()]
    if probe.watermark is not None:
        found.append(sa.cast(sa.func.max(sa.column(quoted(probe.watermark))), sa.Text))
    if probe.checksum:
        # With the star it is the row, even where a column has the name of the alias.
        row = sa.cast(sa.literal_column("asked.*"), sa.Text)
        found.append(sa.cast(sa.func.sum(sa.func.hashtextextended(row, sa.literal_column("0"))), sa.Text))
    return rendered(sa.select(*found).select_from(source))


def told(probe: Probe) -> str:
    if probe.query is not None:
        return "the query of connector_overrides"
    if probe.checksum:
        return CHECKSUM
    return f"count and highest {probe.watermark}" if probe.watermark else "count"


def probed(probe: Probe, answer: Sequence[tuple[Any, ...]]) -> Probed:
    if len(answer) > MOST_ROWS:
        return Probed(told(probe), failure=f"the query answers more than {MOST_ROWS:,} rows")
    if all(value is None for row in answer for value in row):
        return Probed(told(probe), failure="the query answers nothing, which is no token")
    is_exact = probe.is_exact if probe.query is not None else probe.checksum
    return Probed(
        told(probe),
        # In any order: without ORDER BY it means nothing, and with one the rows tell it.
        digest([probe.query, probe.watermark, sorted(map(repr, answer))]),
        Confidence.EXACT if is_exact else Confidence.HEURISTIC,
        rows=None if probe.query is not None else answer[0][0],
    )
