"""A few tables that are asked for at once, as something to join with: SQLite looks up no index for a list of triples.

They travel as one JSON text, so that the statement is the same however many there are, and is worded once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

Key = tuple[str, str, str]
NAMES = ("warehouse", "schema_name", "table_name")


class each_of(GenericFunction[Any]):
    """The items of a JSON text that is a list, a row each."""

    inherit_cache = True


@compiles(each_of, "postgresql")
def _postgres_items(element: Any, compiler: Any, **kw: Any) -> str:
    return f"json_array_elements(CAST({compiler.process(element.clauses, **kw)} AS json))"


@compiles(each_of, "sqlite")
def _sqlite_items(element: Any, compiler: Any, **kw: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **kw)})"


class item_of(GenericFunction[str]):
    """The text at a place, counted from 0, of a JSON list."""

    type = sa.String()
    inherit_cache = True


@compiles(item_of, "postgresql")
def _postgres_item(element: Any, compiler: Any, **kw: Any) -> str:
    list_, place = (compiler.process(part, **kw) for part in element.clauses)
    return f"({list_} ->> {place})"


@compiles(item_of, "sqlite")
def _sqlite_item(element: Any, compiler: Any, **kw: Any) -> str:
    list_, place = (compiler.process(part, **kw) for part in element.clauses)
    return f"json_extract({list_}, '$[' || {place} || ']')"


def chosen(tables: Iterable[Key]) -> sa.CTE:
    """These tables with columns warehouse, schema_name and table_name."""
    return rows_of("chosen", NAMES, sorted(set(tables)))


def rows_of(name: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> sa.CTE:
    """These texts, row by row."""
    told = sa.bindparam(name, json.dumps(rows), sa.String, unique=True)
    each = each_of(told).table_valued("value", name="each")
    places = (item_of(each.c.value, sa.literal_column(str(place))).label(name) for place, name in enumerate(columns))
    return sa.select(*places).cte(name)


def values_of(column: Any) -> sa.CTE:
    """Each value of it as `name`, and at last NULL: from one to the next by an index that begins with it, for rows are
    many and values are few."""
    known = sa.select(sa.func.min(column).label("name")).cte("known", recursive=True)
    following = sa.select(sa.func.min(column)).where(column > known.c.name).scalar_subquery()
    return known.union_all(sa.select(following).where(known.c.name.is_not(None)))
