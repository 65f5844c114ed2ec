"""What a run tells of its scope: which partitions are of which time, how far a sample can be trusted."""

from __future__ import annotations

import math
from typing import Any

from profilemesh.planning import Decision, PlannedTable
from profilemesh.planning.snapshots import KeptManifest
from profilemesh.profiling.results import column_metrics
from profilemesh.profiling.summary import TableSummary

SIGMAS = 3


def told_of_parts(
    manifest: KeptManifest, run_id: str, decision: Decision, planned: PlannedTable
) -> dict[str, object | None]:
    """A merged profile's partitions, newest last, with their rows and as-of times, and what became of the others."""
    apart = [part for part in manifest.parts.values() if part.run_id is not None]
    rest = [part for part in manifest.parts.values() if part.run_id is None]
    gone = decision.change.dropped if decision.change else ()
    before = planned.kept.parts if planned.kept else {}
    return {
        "partitions": [
            {"name": part.name, "rows": part.rows, "as_of": part.as_of.isoformat(), "read": part.run_id == run_id}
            for part in apart
        ],
        "rest": _rest([part.as_of.isoformat() for part in rest]),
        "dropped": [before[key].name for key in gone],
        "confidence": planned.confidence,
    }


def _rest(times: list[str]) -> dict[str, object] | None:
    return {"partitions": len(times), "as_of": min(times)} if times else None


def told_of_sample(fraction: float, rows: int) -> dict[str, object | None]:
    """The bound is three standard errors of a share of one half, the widest there is, if rows are drawn singly."""
    bound = min(100.0, SIGMAS * 50 * math.sqrt((1 - fraction) / rows))
    return {"fraction": fraction, "share_error_points": round(bound, 3), "row_count": "estimated"}


def reconciled(merged: TableSummary, full: TableSummary) -> dict[str, object]:
    """How far the merged profile was from the full one: rows of both, and the metrics of each column that differ."""
    off = {}
    for name, column in full.columns.items():
        before = merged.columns.get(name)
        if before is None:
            continue
        old, new = (column_metrics(each, bins=0, listed=0, sensitive=False, wanted=()) for each in (before, column))
        differing = sorted(metric for metric in new if not _is_equal(old.get(metric), new[metric]))
        if differing:
            off[name] = differing
    return {"rows_merged": merged.rows, "rows_full": full.rows, "columns_off": off}


def _is_equal(before: Any, after: Any) -> bool:
    if isinstance(before, float) and isinstance(after, float):
        return math.isclose(before, after, rel_tol=1e-9, abs_tol=1e-12)
    return bool(before == after)
