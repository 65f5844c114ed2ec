"""Two runs of one table side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from app.queries import profiles, runs
from app.queries.profiles import ColumnProfile
from profilemesh.storage.models import Run


@dataclass(frozen=True)
class Change:
    """`by` and `percent` are None where one side is unknown, or no number; `percent` also where it was 0."""

    before: Any
    after: Any

    @property
    def by(self) -> float | int | None:
        if not (_is_number(self.before) and _is_number(self.after)):
            return None
        difference = self.after - self.before
        return difference if math.isfinite(difference) else None

    @property
    def percent(self) -> float | None:
        if self.by is None or not self.before:
            return None
        share = 100 * self.by / abs(self.before)
        return share if math.isfinite(share) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


@dataclass(frozen=True)
class ColumnChange:
    """`status` is added, removed, retyped or same."""

    name: str
    status: str
    type_before: str | None
    type_after: str | None
    metrics: Mapping[str, Change]


@dataclass(frozen=True)
class Comparison:
    before: Run
    after: Run
    rows: Change
    columns: tuple[ColumnChange, ...]


def same_table(
    session: Session, run_id: str, other: str, table: str | None, schema: str | None
) -> tuple[list[Run], list[Run]]:
    """The runs of both ids, of the tables that they have in common, in one order."""
    one, two = (runs.find_run(session, each, table, schema) for each in (run_id, other))
    both = {_key(run) for run in one} & {_key(run) for run in two}
    return sorted((r for r in one if _key(r) in both), key=_key), sorted((r for r in two if _key(r) in both), key=_key)


def _key(run: Run) -> tuple[str, str, str]:
    return run.warehouse, run.schema_name, run.dataset_name


def compare(session: Session, before: Run, after: Run) -> Comparison:
    """What changed from one run to another of the same table, column by column in the later one's order."""
    old = {column.name: column for column in profiles.profile_of(session, before)}
    new = {column.name: column for column in profiles.profile_of(session, after)}
    changes = tuple(_change(name, old.get(name), new.get(name)) for name in [*new, *(n for n in old if n not in new)])
    return Comparison(before, after, Change(_rows(before, old), _rows(after, new)), changes)


def _rows(run: Run, columns: Mapping[str, ColumnProfile]) -> int | None:
    return run.row_count if run.row_count is not None else profiles.counted(columns.values())


def _change(name: str, old: ColumnProfile | None, new: ColumnProfile | None) -> ColumnChange:
    types = (old.type if old else None, new.type if new else None)
    status = "added" if old is None else "removed" if new is None else "same" if types[0] == types[1] else "retyped"
    metrics = {metric: Change(_value(old, metric), _value(new, metric)) for metric in _metrics(old, new)}
    return ColumnChange(name, status, *types, metrics)


def _metrics(old: ColumnProfile | None, new: ColumnProfile | None) -> Iterator[str]:
    """Those of one value: histograms and lists are compared as pictures."""
    names = dict.fromkeys(name for column in (new, old) if column for name in column.values)
    return (name for name in names if not profiles.is_list(name))


def _value(column: ColumnProfile | None, metric: str) -> Any:
    return column.shaped(metric) if column is not None and metric in column.values else None
