"""What became of a table's columns: added, removed, retyped, reordered, other than NOT NULL.

A rename shows as one removed and one added; where the two are alike it is suggested, never assumed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from profilemesh.drift.findings import Severity
from profilemesh.profiling.summary import ColumnSummary, TableSummary
from profilemesh.tables import Column

ALIKE = 0.8
"""From so much in common on a rename is suggested."""


@dataclass(frozen=True, slots=True)
class Change:
    """`was` and `now` are types, or what else changed; `renamed` is the column that it may have been or become."""

    column: str
    what: str
    severity: Severity
    was: str | None = None
    now: str | None = None
    renamed: str | None = None

    @property
    def sentence(self) -> str:
        """What follows `column x`."""
        said = {
            "added": f"was added ({self.now})",
            "removed": f"was removed (it was {self.was})",
            "retyped": f"turned from {self.was} to {self.now}",
            "reordered": "stands in another place",
            "nullable": f"was {self.was} and is {self.now}",
        }[self.what]
        hint = {"added": "perhaps it is the former", "removed": "perhaps it is now"}.get(self.what)
        return f"{said}; {hint} {self.renamed}" if self.renamed else said


def changes(
    before: Sequence[Column],
    after: Sequence[Column],
    old: TableSummary | None = None,
    new: TableSummary | None = None,
) -> list[Change]:
    """What differs, nothing for identical columns. Summaries, where given, tell which column may be another renamed."""
    was, now = {column.name: column for column in before}, {column.name: column for column in after}
    gone = [column for column in before if column.name not in now]
    come = [column for column in after if column.name not in was]
    alike = renames(gone, come, old, new)
    back = {new_name: name for name, new_name in alike.items()}
    found = [
        Change(column.name, "removed", Severity.HIGH, was=column.type, renamed=alike.get(column.name))
        for column in gone
    ]
    found += [
        Change(column.name, "added", Severity.LOW, now=column.type, renamed=back.get(column.name)) for column in come
    ]
    for column in after:
        if column.name in was:
            found += _altered(was[column.name], column)
    return found + list(_moved(before, after))


def _altered(was: Column, now: Column) -> Iterator[Change]:
    if was.type != now.type:
        severity = Severity.LOW if was.kind == now.kind else Severity.HIGH
        yield Change(now.name, "retyped", severity, was.type, now.type)
    if was.nullable is None or now.nullable is None or was.nullable == now.nullable:
        return
    words = {True: "nullable", False: "NOT NULL"}
    severity = Severity.MEDIUM if now.nullable else Severity.LOW
    yield Change(now.name, "nullable", severity, words[was.nullable], words[now.nullable])


def _moved(before: Sequence[Column], after: Sequence[Column]) -> Iterator[Change]:
    """The first column, of those that stayed, which is not in its place."""
    old, new = {column.name for column in before}, {column.name for column in after}
    stayed = zip(
        (column.name for column in before if column.name in new),
        (column.name for column in after if column.name in old),
        strict=False,
    )
    moved = next((name for was, name in stayed if was != name), None)
    if moved is not None:
        yield Change(moved, "reordered", Severity.LOW)


def renames(
    gone: Sequence[Column], come: Sequence[Column], old: TableSummary | None, new: TableSummary | None
) -> Mapping[str, str]:
    """The new name that each vanished column may have, the likeliest pairs first, each name once."""
    if old is None or new is None or old.family != new.family:
        return {}
    pairs = [
        (likeness(old.columns[was.name], new.columns[now.name]), was.name, now.name)
        for was in gone
        for now in come
        if was.type == now.type and was.name in old.columns and now.name in new.columns
    ]
    found: dict[str, str] = {}
    for alike, was_name, now_name in sorted(pairs, key=lambda pair: (-pair[0], pair[1:])):
        if alike >= ALIKE and was_name not in found and now_name not in found.values():
            found[was_name] = now_name
    return found


def likeness(a: ColumnSummary, b: ColumnSummary) -> float:
    """0 to 1: by how much the null shares differ, and how many of the values that either has both have.

    0 where one has no values, or where nothing is known of them."""
    if not a.rows or not b.rows or a.nulls is None or b.nulls is None or a.registers is None or b.registers is None:
        return 0.0
    either = a.registers.merge(b.registers).estimate()
    if not either:
        return 0.0
    shared = (a.registers.estimate() + b.registers.estimate() - either) / either
    return max(0.0, min(1.0, shared)) * (1.0 - abs(a.nulls / a.rows - b.nulls / b.rows))
