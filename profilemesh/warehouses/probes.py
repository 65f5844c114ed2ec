"""Probes of embedded databases: what is asked of a table when its file changed, and what the answers prove.

Plain tables are asked together, in one statement for up to a hundred: rows counted, highest rowid or watermark, and
what the engine's own metadata tell. With a key the same is asked by partition, in one statement for each table. A
checksum is a sum over the hashes of all rows; a query of the user's is sent as it is. Whatever fails, fails for its
table alone.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import sqlalchemy as sa

from profilemesh.errors import PermissionDenied, StatementFailed, StatementTimeout, TableMissing
from profilemesh.planning.snapshots import CHECKSUM, Confidence, Manifest, Part, Probe, Probed
from profilemesh.tables import Column, Kind, TableRef
from profilemesh.warehouses.base import plain_source, quoted
from profilemesh.warehouses.keys import Expression, key_name, key_text

PARTITIONS = 10_000
"""More are no partitions: then the key tells single rows apart."""
LONGEST = 2000
"""Characters of a partition's key: storage keeps them in an index, whose entries are short."""
TOGETHER = 100

_OF_ONE_TABLE = (StatementFailed, TableMissing, PermissionDenied, StatementTimeout)
_KEY_KINDS = {
    Kind.INTEGER,
    Kind.DECIMAL,
    Kind.BOOLEAN,
    Kind.DATE,
    Kind.TIME,
    Kind.TIMESTAMP,
    Kind.TEXT,
    Kind.UUID,
}


class Asking(Protocol):
    """The part of a scan that a probe needs."""

    def rows(self, statement: sa.Select[Any] | sa.CompoundSelect[Any] | sa.TextClause) -> Sequence[tuple[Any, ...]]: ...


@dataclass(frozen=True)
class Subject:
    """A table to be probed. `identity` differs once it was made anew, as far as metadata tell; `rowid` is the name by
    which its rows' numbers can be asked, None where it has none."""

    table: TableRef
    columns: tuple[Column, ...]
    probe: Probe
    identity: str = ""
    rowid: str | None = None

    @property
    def source(self) -> sa.TableClause:
        return plain_source(self.table, self.columns)

    @property
    def is_plain(self) -> bool:
        return not (self.probe.key or self.probe.checksum or self.probe.query is not None)

    @property
    def key(self) -> tuple[Column, ...]:
        """The columns of the key; StatementFailed says which of them cannot be one."""
        return tuple(self._key_column(name) for name in self.probe.key)

    def column(self, name: str, role: str) -> Column:
        found = next((column for column in self.columns if column.name == name), None)
        if found is None:
            names = ", ".join(column.name for column in self.columns)
            raise StatementFailed(f"{role} of {self.table}: there is no column {name!r}; it has {names}")
        return found

    def _key_column(self, name: str) -> Column:
        column = self.column(name, "partition.key")
        if column.kind not in _KEY_KINDS:
            raise StatementFailed(
                f"partition.key of {self.table}: column {name!r} is of type {column.type or 'unknown'}, whose values "
                "have no exact text; choose a column of dates, whole numbers or texts"
            )
        return column

    @property
    def marked(self) -> str:
        """What else than the number of rows is compared, in words."""
        by = self.probe.watermark or self.rowid
        return f" and highest {by}" if by else ""


class Prober(ABC):
    """Asks the tables of one warehouse, through one session."""

    layout: ClassVar[str] = ""
    """What is compared of a plain table besides, in words."""

    def __init__(self, scan: Asking) -> None:
        self.scan = scan

    def probed(self, subjects: Iterable[Subject]) -> dict[TableRef, Probed]:
        plain: list[Subject] = []
        found: dict[TableRef, Probed] = {}
        for subject in subjects:
            if subject.is_plain:
                plain.append(subject)
            else:
                found[subject.table] = _answered(subject, self._alone)
        for at in range(0, len(plain), TOGETHER):
            found |= self._together(plain[at : at + TOGETHER])
        return found

    @abstractmethod
    def figures(self, subject: Subject) -> list[Expression]:
        """What is asked of a plain table besides its number of rows, as scalar expressions."""

    def told(self, subject: Subject, figures: Sequence[Any]) -> Sequence[Any]:
        """What of the answer goes into the token."""
        return figures

    @abstractmethod
    def highest(self, expression: Expression) -> Expression:
        """The text of an expression's maximum."""

    @abstractmethod
    def grouped(self, column: Column) -> Expression:
        """A key column as it is grouped by."""

    @abstractmethod
    def text(self, column: Column) -> Expression:
        """The text of a key column's value."""

    @abstractmethod
    def is_exact(self, column: Column) -> sa.ColumnElement[bool]:
        """Whether that text stands for this very value and no other."""

    def storage_class(self, column: Column) -> Expression:
        """Values of different classes are no values of one key."""
        return sa.literal("")

    @abstractmethod
    def summed(self, subject: Subject) -> Probed:
        """The checksum of all rows, by partition if the probe has a key."""

    def mark(self, subject: Subject) -> Expression:
        """What grows with each row that is added, as text: the watermark, or the rows' numbers."""
        watermark = subject.probe.watermark
        if watermark is not None:
            return self.highest(sa.column(quoted(subject.column(watermark, "watermark").name)))
        return self.highest(sa.literal_column(subject.rowid)) if subject.rowid else sa.null()

    def partitions(self, subject: Subject, *figures: Expression) -> list[tuple[tuple[str | None, ...], int, list[Any]]]:
        """Each partition's key, number of rows and figures, by key, NULL first. Raises StatementFailed where the key
        cannot tell partitions apart."""
        key = subject.key
        statement = (
            sa.select(
                *(self.text(column).label(f"k{n}") for n, column in enumerate(key)),
                sa.func.count().label("rows"),
                sa.and_(*map(self.is_exact, key)).label("exact"),
                *(self.storage_class(column).label(f"c{n}") for n, column in enumerate(key)),
                *(figure.label(f"f{n}") for n, figure in enumerate(figures)),
            )
            .select_from(subject.source)
            .group_by(*map(self.grouped, key))
            .order_by(*(self.grouped(column).asc().nulls_first() for column in key))
            .limit(PARTITIONS + 1)
        )
        found = self.scan.rows(statement)
        size = len(key)
        _require_partitions(subject, [row[: 2 * size + 2] for row in found])
        return [(tuple(row[:size]), int(row[size]), list(row[2 * size + 2 :])) for row in found]

    def _together(self, subjects: Sequence[Subject]) -> dict[TableRef, Probed]:
        try:
            selects = [self._plain(subject, n) for n, subject in enumerate(subjects)]
            found = {row[0]: row[1:] for row in self.scan.rows(sa.union_all(*selects))}
            return {subject.table: self._counted(subject, found[n]) for n, subject in enumerate(subjects)}
        except _OF_ONE_TABLE:
            return {subject.table: _answered(subject, self._plain_alone) for subject in subjects}

    def _plain_alone(self, subject: Subject) -> Probed:
        [[_, *found]] = self.scan.rows(self._plain(subject, 0))
        return self._counted(subject, found)

    def _plain(self, subject: Subject, n: int) -> sa.Select[Any]:
        count = sa.select(sa.func.count()).select_from(subject.source).scalar_subquery()
        mark = (
            sa.select(self.mark(subject)).select_from(subject.source).scalar_subquery() if subject.marked else sa.null()
        )
        return sa.select(sa.literal_column(str(n)), count, mark, *self.figures(subject))

    def _counted(self, subject: Subject, found: Sequence[Any]) -> Probed:
        rows, mark, *figures = found
        token = digest(["plain", subject.identity, rows, mark, *self.told(subject, figures)])
        layout = self.layout if subject.rowid else ""
        return Probed(f"count{subject.marked}{layout}", token, rows=int(rows))

    def _alone(self, subject: Subject) -> Probed:
        if subject.probe.query is not None:
            return self._queried(subject.probe.query, subject.probe.is_exact)
        return self.summed(subject) if subject.probe.checksum else self._divided(subject)

    def _divided(self, subject: Subject) -> Probed:
        parts = {
            key: (rows, digest([rows, *figures])) for key, rows, figures in self.partitions(subject, self.mark(subject))
        }
        how = f"count{subject.marked} by {', '.join(subject.probe.key)}"
        return by_partition(subject, how, parts, Confidence.HEURISTIC, subject.identity)

    def _queried(self, query: str, is_exact: bool) -> Probed:
        rows = self.scan.rows(verbatim(query))
        if all(value is None for row in rows for value in row):
            raise StatementFailed("the query answers nothing, which is no token")
        # In any order: without ORDER BY it means nothing, and with one the rows tell it.
        token = digest(["query", query, sorted(map(repr, rows))])
        confidence = Confidence.EXACT if is_exact else Confidence.HEURISTIC
        return Probed("the query of connector_overrides", token, confidence)


def missing(wanted: Iterable[TableRef], present: Container[TableRef]) -> dict[TableRef, Probed]:
    """The answers for tables that are not there."""
    return {
        table: Probed("nothing", failure=f"table {table}: it is not there any more")
        for table in wanted
        if table not in present
    }


def by_partition(
    subject: Subject,
    how: str,
    parts: Mapping[tuple[str | None, ...], tuple[int, str]],
    confidence: Confidence,
    identity: str = "",
) -> Probed:
    """The answer from each partition's rows and token."""
    frame = digest([[[column.name, column.type] for column in subject.key], identity])
    manifest = Manifest(
        frame,
        {key_text(key): Part(token, key_name(key), rows) for key, (rows, token) in parts.items()},
        confidence,
        subject.probe.key,
    )
    token = digest([how, frame, {key: part.token for key, part in manifest.parts.items()}])
    return Probed(how, token, confidence, manifest, sum(rows for rows, _ in parts.values()))


def checksum_words(subject: Subject) -> str:
    return CHECKSUM + (f" by {', '.join(subject.probe.key)}" if subject.probe.key else "")


def digest(told: object) -> str:
    return hashlib.sha256(json.dumps(told, default=str).encode()).hexdigest()


def verbatim(query: str) -> sa.TextClause:
    """A statement of the user's, in which a colon is a colon."""
    return sa.text(query.replace(":", "\\:"))


def _answered(subject: Subject, ask: Callable[[Subject], Probed]) -> Probed:
    try:
        return ask(subject)
    except _OF_ONE_TABLE as error:
        how = "the query of connector_overrides" if subject.probe.query is not None else _asked(subject)
        return Probed(how, failure=str(error))


def _asked(subject: Subject) -> str:
    if subject.probe.checksum:
        return checksum_words(subject)
    by = f" by {', '.join(subject.probe.key)}" if subject.probe.key else ""
    return f"count{subject.marked}{by}"


def _require_partitions(subject: Subject, found: Sequence[Sequence[Any]]) -> None:
    """Each row: texts, number of rows, whether the texts are exact, storage classes."""
    size = len(subject.probe.key)
    named = f"partition.key of {subject.table}: {', '.join(subject.probe.key)}"
    if len(found) > PARTITIONS:
        raise StatementFailed(
            f"{named} has more than {PARTITIONS:,} values, which is no partition key; choose one with fewer, "
            "such as the day instead of the moment"
        )
    inexact = [row for row in found if not row[size + 1] or any("\0" in text for text in row[:size] if text)]
    if inexact:
        raise StatementFailed(f"{named} has values that no text stands for exactly; choose another column")
    if any(len(key_text(row[:size])) > LONGEST for row in found):
        raise StatementFailed(f"{named} has values too long to name a partition; choose another column")
    for n, name in enumerate(subject.probe.key):
        classes = {row[size + 2 + n] for row in found if row[n] is not None}
        if len(classes) > 1:
            raise StatementFailed(
                f"{named}: column {name!r} holds values of several types ({', '.join(sorted(classes))}); "
                "give them one type or choose another column"
            )
