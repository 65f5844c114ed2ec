"""Partitions told apart by the values of key columns: a partition's key is a JSON list of texts, null for NULL."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from typing import Any, Protocol

import sqlalchemy as sa

from profilemesh.errors import StatementFailed
from profilemesh.tables import Column, Rows, TableRef

Expression = sa.ColumnElement[Any]


class Comparing(Protocol):
    """How an engine compares a key column with the text of a value."""

    def comparable(self, cell: Expression, column: Column) -> Expression: ...

    def key_value(self, column: Column, text: str) -> Expression: ...


# The engines limit the depth of an expression, and each operator in a row adds one.
_GROUP = 50


def key_text(values: Sequence[str | None]) -> str:
    """The key of the partition with these texts in its key columns."""
    return json.dumps(list(values))


def key_name(values: Sequence[str | None]) -> str:
    """The same, for people."""
    return ", ".join("NULL" if value is None else value for value in values)


def partition_filter(
    table: TableRef, rows: Rows, cells: Mapping[str, Expression], engine: Comparing
) -> sa.ColumnElement[bool] | None:
    """The condition that tells these rows from the others, never NULL; None if no partition is asked for.

    Raises StatementFailed where the keys do not fit their columns: a filter is never dropped.
    """
    conditions = []
    if rows.of is not None:
        conditions.append(_is_one(_values(table, rows.of, rows.key), rows.key, cells, engine))
    if rows.but:
        conditions.append(sa.not_(_is_one(_values(table, rows.but, rows.key), rows.key, cells, engine)))
    return sa.and_(*conditions) if conditions else None


def part_number(
    table: TableRef, rows: Rows, cells: Mapping[str, Expression], engine: Comparing
) -> sa.ColumnElement[int]:
    """The place among `rows.of` of the partition that a row belongs to."""
    keys = _values(table, rows.of or (), rows.key)
    whens: list[tuple[Expression, Expression]] = [
        (_is_one([key], rows.key, cells, engine), sa.literal_column(str(at))) for at, key in enumerate(keys)
    ]
    return sa.cast(sa.case(*whens), sa.Integer)


def _values(table: TableRef, keys: Iterable[str], columns: Sequence[Column]) -> list[list[str | None]]:
    found: list[list[str | None]] = [json.loads(key) for key in keys]
    unfit = [values for values in found if not columns or len(values) != len(columns)]
    if unfit:
        raise StatementFailed(f"table {table}: partition {unfit[0]} has no value for each column of its key")
    return found


def _is_one(
    keys: Iterable[Sequence[str | None]], columns: Sequence[Column], cells: Mapping[str, Expression], engine: Comparing
) -> sa.ColumnElement[bool]:
    """By the first column's values: those that go on in the same way share a list."""
    rests: dict[str | None, set[tuple[str | None, ...]]] = {}
    for first, *rest in keys:
        rests.setdefault(first, set()).add(tuple(rest))
    alike: dict[frozenset[tuple[str | None, ...]], list[str | None]] = {}
    for first, found in rests.items():
        alike.setdefault(frozenset(found), []).append(first)
    matches = []
    for shared, firsts in alike.items():
        match = _is_in(firsts, columns[0], cells, engine)
        matches.append(
            sa.and_(match, _is_one(sorted(shared, key=key_text), columns[1:], cells, engine)) if columns[1:] else match
        )
    return sa.or_(sa.false(), *matches)


def _is_in(
    texts: Sequence[str | None], column: Column, cells: Mapping[str, Expression], engine: Comparing
) -> sa.ColumnElement[bool]:
    cell = cells[column.name]
    values = [engine.key_value(column, text) for text in texts if text is not None]
    matches: list[sa.ColumnElement[bool]] = [cell.is_(None)] if None in texts else []
    if values:
        # Of NULL, IN alone is unknown, and so is NOT IN.
        matches.append(sa.and_(cell.is_not(None), engine.comparable(cell, column).in_(values)))
    return sa.or_(*matches)


def folded(
    parts: Sequence[Expression], join: Callable[[Any, Any], Expression], type_: type[sa.types.TypeEngine[Any]]
) -> Expression:
    """Many expressions of a type joined to one that stays shallow."""
    while len(parts) > 1:
        groups = [parts[at : at + _GROUP] for at in range(0, len(parts), _GROUP)]
        # Brackets alone would be dissolved where the operator does not need them.
        parts = [sa.cast(reduce(join, group), type_) for group in groups]
    return parts[0]
