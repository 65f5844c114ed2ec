"""A table as the list of tables shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from markupsafe import Markup

from app.charts import spark
from app.numerals import change, compact, exact
from app.pictures import from_to
from app.queries.catalogue import OpenDrift
from app.queries.runs import GOOD_STATUSES
from app.queries.warehouses import UNKNOWN


@dataclass(frozen=True)
class TableLine:
    """`moved` is the change of its rows since the count before, `is_estimate`: they are of a sample."""

    table: Any
    type: str
    rows: int | None
    is_estimate: bool
    moved: str
    moved_tip: str
    columns: int | None
    profiled_at: datetime | None
    failed: bool
    drift: OpenDrift | None
    spark: Markup


def table_line(table: Any, runs: Sequence[Any], drift: OpenDrift | None) -> TableLine:
    """`runs` are its newest, oldest first."""
    good = [run for run in runs if run.status in GOOD_STATUSES]
    latest = good[-1] if good else None
    counts = [run.row_count for run in good]
    ended = [run for run in runs if run.status != "running"]
    moved, tip = _moved([run for run in good if run.scope != "sample" and run.row_count is not None])
    return TableLine(
        table=table,
        type="" if table.warehouse_type in (None, UNKNOWN) else table.warehouse_type,
        rows=latest.row_count if latest else table.row_count,
        is_estimate=latest is not None and latest.scope == "sample",
        moved=moved,
        moved_tip=tip,
        columns=latest.column_count if latest else table.column_count,
        profiled_at=latest.profiled_at if latest else table.last_profiled_at,
        failed=bool(ended) and ended[-1].status == "failed" and not _is_proved_since(table, ended[-1]),
        drift=drift,
        spark=spark(counts, from_to("Rows", counts, compact)),
    )


def _is_proved_since(table: Any, run: Any) -> bool:
    return table.last_verified_at is not None and table.last_verified_at > run.profiled_at


def _moved(counted: Sequence[Any]) -> tuple[str, str]:
    """Between the last two runs that counted; nothing where there are no two, or no change."""
    if len(counted) < 2 or counted[-1].row_count == counted[-2].row_count:
        return "", ""
    before, now = (run.row_count for run in counted[-2:])
    return change(now - before), f"from {exact(before)} to {exact(now)} rows"
