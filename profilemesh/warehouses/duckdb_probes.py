"""What DuckDB is asked when its file changed, and how its partitions are told apart.

Beside the rows' number and the highest rowid, a plain table's own blocks are compared: `pragma_storage_info` names
each segment's place, size and statistics, which stay as they are through writes to other tables, checkpoints and
reopening, and move when a checkpoint writes changed rows. Not exact: two updates can bring a segment back to the place
where it was, and deletions show in the count alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import sqlalchemy as sa
from sqlalchemy.types import UserDefinedType

from profilemesh.errors import StatementFailed
from profilemesh.planning.snapshots import Confidence, Probed
from profilemesh.tables import Column, Kind
from profilemesh.warehouses.base import quoted
from profilemesh.warehouses.keys import Expression
from profilemesh.warehouses.probes import Asking, Prober, Subject, by_partition, checksum_words, digest

_TYPE = re.compile(r"[A-Z][A-Z0-9_ ]*(\(\d+, ?\d+\))?")


class _Typed(UserDefinedType[Any]):
    """A type by the word that the catalogue has for it."""

    cache_ok = True

    def __init__(self, word: str) -> None:
        if not _TYPE.fullmatch(word):
            raise StatementFailed(f"a column of type {word} cannot be compared with a partition's key")
        self.word = word

    def get_col_spec(self, **_: Any) -> str:
        return self.word


def rowid_of(columns: Sequence[Column]) -> str | None:
    """What the rows' numbers are called; None if a column has taken the name."""
    return None if any(column.name.lower() == "rowid" for column in columns) else "rowid"


def comparable(cell: Expression, column: Column) -> Expression:
    """Of an ENUM the text: one that is no value of it any more is none, not a failure."""
    return sa.cast(cell, sa.Text) if column.type.startswith("ENUM") else cell


def key_value(column: Column, text: str) -> Expression:
    """A literal of the column's own type, by which row groups without it are not read."""
    value = sa.literal(text, sa.Text)
    return value if column.kind is Kind.TEXT else sa.cast(value, _Typed(column.type))


def _cell(column: Column) -> sa.ColumnClause[Any]:
    return sa.column(quoted(column.name))


class DuckDBProber(Prober):
    layout = ", and where its blocks are"

    def __init__(self, scan: Asking, path: Path) -> None:
        super().__init__(scan)
        self._wal = path.with_name(path.name + ".wal")

    def figures(self, subject: Subject) -> list[Expression]:
        if not subject.identity:
            return [sa.null(), sa.null()]
        schema, name = (part.replace('"', '""') for part in (subject.table.schema, subject.table.name))
        segments = sa.func.pragma_storage_info(f'"{schema}"."{name}"').table_valued("has_updates", name="segment")
        whole = sa.cast(sa.literal_column("segment"), sa.Text)
        places = sa.cast(sa.func.bit_xor(sa.func.md5_number(whole)), sa.Text)
        return [
            sa.select(places).select_from(segments).scalar_subquery(),
            sa.select(sa.func.bool_or(segments.c.has_updates)).scalar_subquery(),
        ]

    def told(self, subject: Subject, figures: Sequence[Any]) -> Sequence[Any]:
        places, has_updates = figures
        # A second update in the WAL leaves the segments as the first one did.
        return [places, self._wal_state() if has_updates else None]

    def _wal_state(self) -> list[int]:
        try:
            state = self._wal.stat()
        except OSError:
            return []
        return [state.st_size, state.st_mtime_ns]

    def highest(self, expression: Expression) -> Expression:
        return sa.cast(sa.func.max(expression), sa.Text)

    def grouped(self, column: Column) -> Expression:
        return _cell(column)

    def text(self, column: Column) -> Expression:
        return sa.cast(_cell(column), sa.Text)

    def is_exact(self, column: Column) -> sa.ColumnElement[bool]:
        if column.kind is Kind.TEXT:
            return sa.true()
        cell = _cell(column)
        return cell.is_not_distinct_from(sa.cast(sa.cast(cell, sa.Text), _Typed(column.type)))

    def summed(self, subject: Subject) -> Probed:
        how = checksum_words(subject)
        total = sa.cast(sa.func.sum(_hash(subject.columns)), sa.Text)
        if subject.probe.key:
            parts = {
                key: (rows, digest([duckdb.__version__, rows, *sums]))
                for key, rows, sums in self.partitions(subject, total)
            }
            return by_partition(subject, how, parts, Confidence.EXACT)
        counted: list[Expression] = [sa.func.count(), total]
        statement = sa.select(*counted).select_from(subject.source)
        [[rows, found]] = self.scan.rows(statement)
        names = [[column.name, column.type] for column in subject.columns]
        return Probed(how, digest([duckdb.__version__, names, rows, found]), Confidence.EXACT, rows=int(rows))


def _hash(columns: Sequence[Column]) -> Expression:
    """A row's hash, hashed again: of several columns' hashes DuckDB makes one by exclusive or, whose sum would often
    stay the same when two rows swap a value."""
    return sa.func.hash(sa.func.hash(*(value for column in columns for value in _told_apart(column))))


def _told_apart(column: Column) -> list[Expression]:
    """What is hashed of a cell: equal only where the values are the same, not just compare equal."""
    cell = _cell(column)
    match column.kind:
        case Kind.FLOAT:
            return [cell, sa.func.signbit(cell)]
        case Kind.INTERVAL | Kind.TIME | Kind.ARRAY | Kind.OTHER:
            return [sa.cast(cell, sa.Text)]
    return [cell]
