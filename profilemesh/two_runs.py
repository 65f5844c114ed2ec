"""Two runs of one table side by side: what each of them has, and how far it moved.

Pages, commands and the API put columns in one order, by what drift is judged by.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC
from functools import cached_property
from typing import Any

from sqlalchemy.orm import Session

from profilemesh.drift import Finding, Move, Profile, Rules, Severity, moves, told_of_two
from profilemesh.drift.profiles import GOOD, SAMPLE, WHOLE
from profilemesh.errors import SummariesIncompatible
from profilemesh.profiling.summary import TableSummary
from profilemesh.storage import profiles as stored
from profilemesh.storage import results, runs, summaries
from profilemesh.storage.models import Run
from profilemesh.storage.results import ColumnProfile


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


def compare(session: Session, before: Run, after: Run) -> Comparison:
    """What changed from one run to another of the same table, column by column in the later one's order."""
    old = {column.name: column for column in results.profile_of(session, before)}
    new = {column.name: column for column in results.profile_of(session, after)}
    return compared(before, after, old, new)


def compared(before: Run, after: Run, old: Mapping[str, ColumnProfile], new: Mapping[str, ColumnProfile]) -> Comparison:
    """The same, where what both stored of their columns is at hand."""
    changes = tuple(_change(name, old.get(name), new.get(name)) for name in [*new, *(n for n in old if n not in new)])
    return Comparison(before, after, Change(_rows(before, old), _rows(after, new)), changes)


def _rows(run: Run, columns: Mapping[str, ColumnProfile]) -> int | None:
    return run.row_count if run.row_count is not None else results.counted(columns.values())


def _change(name: str, old: ColumnProfile | None, new: ColumnProfile | None) -> ColumnChange:
    types = (old.type if old else None, new.type if new else None)
    status = "added" if old is None else "removed" if new is None else "same" if types[0] == types[1] else "retyped"
    metrics = {metric: Change(_value(old, metric), _value(new, metric)) for metric in _metrics(old, new)}
    return ColumnChange(name, status, *types, metrics)


def _metrics(old: ColumnProfile | None, new: ColumnProfile | None) -> Iterator[str]:
    """Those of one value: histograms and lists are compared as pictures."""
    names = dict.fromkeys(name for column in (new, old) if column for name in column.values)
    return (name for name in names if not results.is_list(name))


def _value(column: ColumnProfile | None, metric: str) -> Any:
    return column.shaped(metric) if column is not None and metric in column.values else None


@dataclass(frozen=True)
class Sizes:
    """How far everything moved, the furthest first by column (`""` is the table), and what the rules call drift of it.

    `unlike` says why the two cannot be measured against each other; nothing is measured then. Without `has_shapes` no
    distribution is, because the summaries of the two are not both at hand.
    """

    moves: Mapping[str, tuple[Move, ...]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    unlike: str | None = None
    has_shapes: bool = False

    @cached_property
    def severities(self) -> dict[tuple[str, str], Severity]:
        """Of each column and metric that the rules would tell of, those that follow from others included."""
        every = [each for found in self.findings for each in (found, *found.explains)]
        return {(each.column, each.metric): each.severity for each in every}

    @cached_property
    def _ranks(self) -> dict[str, int]:
        ranks: dict[str, int] = {}
        for (column, _), severity in self.severities.items():
            ranks[column] = max(ranks.get(column, -1), severity.rank)
        return ranks

    def severity(self, column: str) -> Severity | None:
        """The worst that the rules call anything of this column."""
        found = (severity for (name, _), severity in self.severities.items() if name == column)
        return max(found, key=lambda severity: severity.rank, default=None)

    def weight(self, column: str) -> tuple[int, float]:
        """What columns are ordered by: how severe the rules call it, then the steps of its furthest move."""
        return self._ranks.get(column, -1), max((move.steps for move in self.moves.get(column, ())), default=0.0)

    def ordered(self, columns: Iterable[ColumnChange]) -> tuple[ColumnChange, ...]:
        """Those that moved most first; where nothing can be measured, and among equals, in the order given."""
        return tuple(columns) if self.unlike else tuple(sorted(columns, key=self._rank, reverse=True))

    def _rank(self, column: ColumnChange) -> tuple[int, bool, float]:
        severe, steps = self.weight(column.name)
        return severe, column.status != "same", steps


def sizes(session: Session, before: Any, after: Any, rules: Rules) -> Sizes:
    """The moves from one run to a later one of the same table, as drift measures them."""
    table = runs.table_of(after)
    found = stored.named(session, table, {before.run_id, after.run_id})
    old, new = found.get(before.run_id), found.get(after.run_id)
    why = unlike(before, after)
    if why or old is None or new is None or not old.is_like(new):
        return Sizes(unlike=why or "Only runs that succeeded, one after the other, can be measured against each other.")
    payloads = summaries.wholes(session, found)
    old, new = (_with_summary(each, payloads) for each in (old, new))
    by_column: dict[str, list[Move]] = {}
    for move in moves(old, new, rules):
        by_column.setdefault(move.column, []).append(move)
    told = told_of_two(table, old, new, rules)
    has_shapes = old.summary is not None and new.summary is not None
    return Sizes({name: tuple(each) for name, each in by_column.items()}, told, has_shapes=has_shapes)


def _with_summary(profile: Profile, payloads: Mapping[str, bytes]) -> Profile:
    payload = payloads.get(profile.run_id)
    try:
        return replace(profile, summary=TableSummary.from_bytes(payload)) if payload else profile
    except SummariesIncompatible:
        # Of a version before this one: its numbers can still be measured, its distributions not.
        return profile


def unlike(before: Any, after: Any) -> str | None:
    """Why the two are not of the same kind of rows; None where they are."""
    for run in (before, after):
        if run.status not in GOOD:
            return f"The run of {_moment(run)} did not succeed, and has no numbers that could be measured."
        if run.scope not in (*WHOLE, SAMPLE):
            return f"What rows the run of {_moment(run)} is of is not on record."
    if (before.scope == SAMPLE) == (after.scope == SAMPLE):
        return None
    whole, sample = (after, before) if before.scope == SAMPLE else (before, after)
    return (
        f"The run of {_moment(sample)} read a sample, that of {_moment(whole)} is of all rows: what differs may come "
        "of that alone."
    )


def _moment(run: Any) -> str:
    return f"{run.profiled_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
