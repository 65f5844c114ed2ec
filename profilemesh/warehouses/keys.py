"""Partitions told apart by the values of key columns: a partition's key is a JSON list of texts, null for NULL."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import Any

import sqlalchemy as sa

from profilemesh.errors import StatementFailed
from profilemesh.tables import Column, Rows, TableRef
from profilemesh.warehouses.base import quoted

Expression = sa.ColumnElement[Any]
Same = Callable[[Column, str], sa.ColumnElement[bool]]
"""Whether a key column's value is the one that this text stands for; never NULL."""

# The engines limit the depth of an expression, and each operator in a row adds one.
_GROUP = 50


def key_text(values: Sequence[str | None]) -> str:
    """The key of the partition with these texts in its key columns."""
    return json.dumps(list(values))


def key_name(values: Sequence[str | None]) -> str:
    """The same, for people."""
    return ", ".join("NULL" if value is None else value for value in values)


def partition_filter(table: TableRef, rows: Rows, same: Same) -> sa.ColumnElement[bool] | None:
    """The condition that tells these rows from the others, never NULL; None if no partition is asked for.

    Raises StatementFailed where the keys do not fit their columns: a filter is never dropped.
    """
    conditions = []
    if rows.of is not None:
        conditions.append(_is_one(table, rows.of, rows.key, same))
    if rows.but:
        conditions.append(sa.not_(_is_one(table, rows.but, rows.key, same).self_group()))
    return sa.and_(*conditions) if conditions else None


def _is_one(table: TableRef, keys: Iterable[str], columns: Sequence[Column], same: Same) -> sa.ColumnElement[bool]:
    matches = [_is(table, key, columns, same) for key in keys]
    return folded(matches, sa.or_) if matches else sa.false()


def _is(table: TableRef, key: str, columns: Sequence[Column], same: Same) -> sa.ColumnElement[bool]:
    values = json.loads(key)
    if not columns or len(values) != len(columns):
        raise StatementFailed(f"table {table}: partition {key} has no value for each column of its key")
    return sa.and_(
        *(
            sa.column(quoted(column.name)).is_(None) if value is None else same(column, value)
            for column, value in zip(columns, values, strict=True)
        )
    )


def folded(parts: Sequence[Expression], join: Callable[[Any, Any], Expression]) -> Expression:
    """Many expressions joined to one that stays shallow."""
    while len(parts) > 1:
        groups = [parts[at : at + _GROUP] for at in range(0, len(parts), _GROUP)]
        parts = [reduce(join, group).self_group() for group in groups]
    return parts[0]
