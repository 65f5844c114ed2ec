"""A run's profile as drift sees it: numbers by column, and the summary where it is at hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from profilemesh.profiling.results import Value, column_metrics
from profilemesh.profiling.summary import TableSummary
from profilemesh.tables import Column

WHOLE = ("full", "merged")
SAMPLE = "sample"
GOOD = ("success", "completed")
"""The status of a run that ended well; the second is Phase 1's."""


Metrics = Mapping[str, Mapping[str, Value | None]]


@dataclass(frozen=True, slots=True)
class Profile:
    """`metrics` by column, under the names of the catalogue; what is absent is unknown. `rows` are the table's, unknown
    of a sample. `summary` is needed for distributions only. `at` is the time that the profile is of. `scope` is `full`,
    `merged` or `sample`; what has another, or none, is compared with nothing."""

    run_id: str
    at: datetime
    scope: str | None
    rows: int | None
    metrics: Mapping[str, Mapping[str, Value | None]] = field(default_factory=dict)
    columns: tuple[Column, ...] | None = None
    summary: TableSummary | None = None
    status: str = "success"
    is_expected: bool = False

    def is_like(self, other: Profile) -> bool:
        """Whether the two may be compared: both good, and of all rows, or both of a sample."""
        if self.status not in GOOD or other.status not in GOOD:
            return False
        return any(self.scope in kind and other.scope in kind for kind in (WHOLE, (SAMPLE,)))


def profile_of(
    summary: TableSummary,
    *,
    run_id: str,
    at: datetime,
    scope: str = "full",
    columns: tuple[Column, ...] | None = None,
    sensitive: frozenset[str] = frozenset(),
    is_expected: bool = False,
    metrics: Metrics | None = None,
) -> Profile:
    """The profile behind a summary, without lists of values and without any value of sensitive columns. `metrics` are
    those read off it where that was done already; they may hold more."""
    metrics = metrics or {
        name: column_metrics(column, bins=0, listed=0, sensitive=name in sensitive)
        for name, column in summary.columns.items()
    }
    rows = None if scope == SAMPLE else summary.rows
    return Profile(run_id, at, scope, rows, metrics, columns, summary, is_expected=is_expected)
