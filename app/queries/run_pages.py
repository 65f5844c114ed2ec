"""The list of runs as a page turns it: in any of its orders, from a row on, either way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.queries.columns import RUN, RUNS
from app.queries.lists import Cursor, Order, Shape
from app.queries.runs import LISTED, ORDER, TOLD, Runs

NEWEST = "-when"
SIZE = 50
COUNTED = 10_000
"""Beyond so many nobody needs to know how many match."""
_KEY = (RUN.profiled_at, RUN.run_id, RUN.dataset_name)
_KINDS = (datetime, str, str)


def _known(column: Any) -> sa.ColumnElement[Any]:
    """What is unknown stands before 0."""
    return sa.func.coalesce(column, -1, type_=column.type)


_MEASURED: Mapping[str, Any] = {"rows": RUN.row_count, "read": RUN.rows_scanned, "took": RUN.duration_seconds}
"""Each has an index of its own."""
_SORTS: Mapping[str, tuple[tuple[Any, ...], tuple[type, ...]]] = {
    "when": (_KEY, _KINDS),
    "table": ((RUN.dataset_name, RUN.profiled_at, RUN.run_id), (str, datetime, str)),
    "rows": ((_known(_MEASURED["rows"]), *_KEY), (int, *_KINDS)),
    "read": ((_known(_MEASURED["read"]), *_KEY), (int, *_KINDS)),
    "took": ((_known(_MEASURED["took"]), *_KEY), (float, *_KINDS)),
}
SORTS = tuple(name for key in _SORTS for name in (key, f"-{key}"))


def shape_of(sort: str | None) -> Shape:
    """Of the cursors in this order; of any that is none nothing fits."""
    name = sort or NEWEST
    kinds = _SORTS.get(name.removeprefix("-"), ((), ()))[1]
    return ORDER.shape if name == NEWEST else Shape(f"runs {name}", kinds)


def order_of(sort: str) -> Order:
    return Order(_SORTS[sort.removeprefix("-")][0], shape_of(sort), descending=sort.startswith("-"))


@dataclass(frozen=True)
class Turned:
    """Some rows; `older` and `newer` are where the next and the former part begin, None at the ends. `is_more` says
    that there are more than `total`."""

    rows: Sequence[Any]
    total: int
    is_more: bool
    older: str | None
    newer: str | None


def turned(session: Session, wanted: Mapping[str, Any], found: Runs) -> Turned:
    """What `sort`, `cursor` and `newer` ask for of the runs that are found."""
    order = order_of(wanted["sort"])
    count = found.count_to(COUNTED)
    is_cut = count > COUNTED and not found.asked.is_counted
    if not count:
        # Of what there is none, nothing need be gone through.
        return Turned([], 0, False, None, None)
    cursor, newer = wanted["cursor"], wanted["newer"]
    back = _rows(session, found, Order(order.columns, order.shape, not order.descending), newer) if newer else []
    if len(back) > SIZE:
        rows, is_more = back[SIZE - 1 :: -1], True
    else:
        # Back at the beginning, the first part is whole again.
        cursor, newer = (None, None) if newer else (cursor, None)
        rows = _rows(session, found, order, cursor)
        is_more, rows = len(rows) > SIZE, rows[:SIZE]
    first, last = (_cursor(row, found, order) for row in (rows[0], rows[-1])) if rows else (None, None)
    return Turned(
        rows, COUNTED if is_cut else count, is_cut, last if is_more else None, first if cursor or newer else None
    )


def _rows(session: Session, found: Runs, order: Order, after: Cursor | None) -> Sequence[Any]:
    """Chosen from one index, if it holds all that is asked; only those that are shown are read whole."""
    keys = [column.label(f"key_{i}") for i, column in enumerate(order.columns)]
    narrow = sa.select(RUN.run_id, RUN.dataset_name, *keys).where(*found.asked.conditions())
    if after:
        narrow = narrow.where(order.after(after.key))
    measured = None if found.asked.chosen else _MEASURED.get(found.wanted["sort"].removeprefix("-"))
    if measured is not None:
        narrow = _walked(narrow, measured, order)
    turned = sa.desc if order.descending else sa.asc
    shown = narrow.order_by(*(turned(key.name) for key in keys)).limit(SIZE + 1).subquery("shown").c
    same = sa.and_(shown.run_id == RUN.run_id, shown.dataset_name == RUN.dataset_name)
    placed = [shown[key.name] for key in keys]
    whole = sa.select(*LISTED, *TOLD, *placed).join_from(shown.run_id.table, RUNS, same)
    return session.execute(whole.order_by(*Order(tuple(placed), order.shape, order.descending).clauses)).all()


def _walked(narrow: sa.Select[*tuple[Any, ...]], measured: Any, order: Order) -> sa.Select[*tuple[Any, ...]]:
    """The first of those that are known and of those that are not, each from its end of an index, of which the first of
    all are then chosen. Only where all runs of a period are asked for: what fits a filter may all stand at the far end.
    """
    known, rest = [measured, *order.columns[1:]], order.columns[1:]
    ends = (narrow.where(measured.is_not(None)), known), (narrow.where(measured.is_(None)), rest)
    parts = (
        each.order_by(*Order(tuple(by), order.shape, order.descending).clauses).limit(SIZE + 1) for each, by in ends
    )
    both = sa.union_all(*(sa.select(part.subquery()) for part in parts)).subquery("ends")
    return sa.select(both)


def _cursor(row: Any, found: Runs, order: Order) -> str:
    key = tuple(row[-len(order.columns) :])
    return Cursor(found.since, key).to_text(order.shape)
