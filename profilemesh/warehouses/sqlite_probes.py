"""What SQLite is asked when its file changed, how its partitions are told apart, and how its tables are sampled."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from operator import add
from typing import Any, Protocol

import pyarrow as pa
import sqlalchemy as sa

from profilemesh.planning.snapshots import Confidence, Probed
from profilemesh.tables import Column
from profilemesh.warehouses.base import quoted
from profilemesh.warehouses.keys import Expression, folded
from profilemesh.warehouses.probes import Asking, Prober, Subject, by_partition, checksum_words, digest

_ROWIDS = ("rowid", "_rowid_", "oid")
_BATCH_BYTES = 16 << 20
_MOST_BATCH_ROWS = 20_000
_HASH_BYTES = 16
_STRIPS = 1000
_RANDOM, _FACTOR = 2**31 - 1, 48_271  # the "minimal standard" generator of Park and Miller


def rowid_of(columns: Sequence[Column]) -> str | None:
    """A name of the rows' numbers that no column has taken."""
    taken = {column.name.lower() for column in columns}
    return next((name for name in _ROWIDS if name not in taken), None)


def comparable(cell: Expression, column: Column) -> Expression:
    """By bytes: else a column that ignores case would have one partition with two names."""
    return sa.collate(cell, "BINARY")


def key_value(column: Column, text: str) -> Expression:
    """A text, to which the column's affinity gives the right type."""
    return sa.literal(text, sa.Text)


class Streaming(Asking, Protocol):
    @abstractmethod
    def batches(
        self, statement: sa.Select[Any] | sa.CompoundSelect[Any], batch_rows: int = ...
    ) -> Iterator[pa.RecordBatch]: ...


class SQLiteProber(Prober):
    def __init__(self, scan: Streaming) -> None:
        super().__init__(scan)
        self._stream = scan

    def figures(self, subject: Subject) -> list[Expression]:
        return []

    def highest(self, expression: Expression) -> Expression:
        return sa.func.quote(sa.func.max(expression), type_=sa.Text)

    def grouped(self, column: Column) -> Expression:
        return comparable(sa.column(quoted(column.name)), column)

    def text(self, column: Column) -> Expression:
        return sa.cast(sa.column(quoted(column.name)), sa.Text)

    def is_exact(self, column: Column) -> sa.ColumnElement[bool]:
        return sa.func.typeof(sa.column(quoted(column.name))).in_(["integer", "text", "null"])

    def storage_class(self, column: Column) -> Expression:
        return sa.func.typeof(sa.column(quoted(column.name)))

    def summed(self, subject: Subject) -> Probed:
        """SQLite has no hash function: every row is sent, in batches of bounded size, and hashed here."""
        how = checksum_words(subject)
        width = sa.func.max(folded([_width(column) for column in subject.columns], add, sa.BigInteger))
        if not subject.probe.key:
            [[rows, widest]] = self.scan.rows(sa.select(sa.func.count(), width).select_from(subject.source))
            total = self._sums(subject, (), widest).get((), 0)
            names = [[column.name, column.type] for column in subject.columns]
            return Probed(how, digest([names, rows, str(total)]), Confidence.EXACT, rows=int(rows))
        found = self.partitions(subject, width)
        sums = self._sums(subject, subject.key, max((figures[0] for *_, figures in found), default=0))
        parts = {key: (rows, digest([rows, str(sums[key])])) for key, rows, _ in found}
        return by_partition(subject, how, parts, Confidence.EXACT)

    def _sums(self, subject: Subject, key: Sequence[Column], widest: int | None) -> dict[tuple[str | None, ...], int]:
        """The sum of the rows' hashes by key: the same in any order, and a row that is there twice counts twice."""
        # Of a blob, two digits for each byte are sent.
        batch_rows = max(1, min(_MOST_BATCH_ROWS, _BATCH_BYTES // (2 * (widest or 0) + 1)))
        row = sa.cast(folded([_spelt(column) for column in subject.columns], _concatenated, sa.Text), sa.LargeBinary)
        texts = (self.text(column).label(f"k{n}") for n, column in enumerate(key))
        sums: dict[tuple[str | None, ...], int] = {}
        for batch in self._stream.batches(sa.select(*texts, row.label("row")).select_from(subject.source), batch_rows):
            *keys, rows = (column.to_pylist() for column in batch.columns)
            for values, spelt in zip(zip(*keys, strict=True) if keys else (() for _ in rows), rows, strict=True):
                sums[values] = sums.get(values, 0) + _hash(spelt)
        return sums


def _hash(row: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(row, digest_size=_HASH_BYTES).digest())


def _width(column: Column) -> Expression:
    return sa.func.ifnull(sa.func.octet_length(sa.column(quoted(column.name))), 0, type_=sa.BigInteger)


def _spelt(column: Column) -> Expression:
    """A cell with its storage class, such that two rows spelt alike are the same: text with its length before it,
    since it may hold anything, even the zero that ends `quote`."""
    cell: Expression = sa.column(quoted(column.name))
    length = sa.cast(sa.func.octet_length(cell), sa.Text)
    text = sa.literal("t").concat(length).concat(sa.literal(":")).concat(cell)
    return sa.case(
        (sa.func.typeof(cell) == "text", text),
        (sa.func.typeof(cell) == "blob", sa.literal("b").concat(sa.func.hex(cell, type_=sa.Text))),
        else_=sa.literal("n").concat(sa.func.quote(cell, type_=sa.Text)),
    )


def _concatenated(one: Expression, other: Expression) -> Expression:
    return sa.type_coerce(one, sa.Text).concat(other)


def sampled(part: sa.Select[Any], whole: sa.TableClause, rowid: str, fraction: float, seed: int) -> sa.FromClause:
    """This share of the rows, as ranges of their numbers, each looked up in the table's tree.

    The numbers from lowest to highest are cut into a thousand strips. Of each, a range of the wanted share is read
    that begins at random and goes on at the strip's start where it meets its end, so all numbers are equally likely.
    Gaps between the numbers make a range poorer in rows, not the sample unfair.
    """
    number: sa.ColumnClause[int] = sa.column(quoted(rowid), sa.BigInteger)
    whole.append_column(number)
    lowest = sa.select(sa.func.min(number)).select_from(whole).scalar_subquery()
    highest = sa.select(sa.func.max(number)).select_from(whole).scalar_subquery()
    bounds = sa.select(lowest.label("low"), (sa.cast(highest, sa.REAL) - lowest + 1).label("span")).cte("bounds")
    strips = _strips(seed)
    begin, end = strips.c.n + strips.c.chance / float(_RANDOM), strips.c.n + 1.0
    until = begin + fraction
    ranges = sa.union_all(
        _range(bounds, strips, begin, sa.func.min(until, end)),
        _range(bounds, strips, strips.c.n + 0.0, until - 1.0),
    ).subquery("ranges")
    numbered = ranges.join(whole, sa.and_(number >= ranges.c.first, number < ranges.c.beyond))
    drawn = sa.select(*part.selected_columns).select_from(numbered)
    if part.whereclause is not None:
        # As a bare condition it would invite an index, be it made for this statement, to be read for each range anew.
        drawn = drawn.where(sa.case((part.whereclause, sa.true()), else_=sa.false()))
    return drawn.subquery("sample")


def _strips(seed: int) -> sa.CTE:
    """Each strip's number and a random integer of its own, repeatable by the seed."""
    first = 1 + (seed * 2_654_435_761 + 12_345) % (_RANDOM - 1)
    number: Expression = sa.literal_column("0")
    strips = sa.select(number.label("n"), sa.literal_column(str(first)).label("chance")).cte("strips", recursive=True)
    more = sa.select(strips.c.n + 1, (strips.c.chance * _FACTOR) % _RANDOM).where(strips.c.n < _STRIPS - 1)
    return strips.union_all(more)


def _range(bounds: sa.CTE, strips: sa.CTE, begin: Expression, end: Expression) -> sa.Select[Any]:
    """Both ends by one formula that never decreases, so that no two ranges overlap."""

    def place(position: Expression) -> Expression:
        # Integers where it counts: a double tells no two neighbours apart among the lowest numbers there are.
        return bounds.c.low + sa.cast(position * bounds.c.span / float(_STRIPS), sa.BigInteger)

    return sa.select(place(begin).label("first"), place(end).label("beyond")).select_from(
        bounds.join(strips, sa.true())
    )
