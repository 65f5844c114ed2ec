"""Parts of a list: by offset, or after a cursor, which stays fast at any depth and steady while rows are added."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.orm import Session

worded_once = lru_cache(maxsize=512)
"""For functions that put a question into SQL: to ask again within the minute, it need not be worded anew, which takes
longer than many an answer."""

FAR = 1000
"""The offset from which it is worth asking how to get there."""


@dataclass(frozen=True)
class Shape:
    """Which list in which order, and the types of its key: a cursor is good for that alone."""

    name: str
    kinds: tuple[type, ...]


@dataclass(frozen=True)
class Cursor:
    """The last row of a part, by what the list is ordered by, and since when the list goes back."""

    since: datetime
    key: tuple[Any, ...]

    def to_text(self, shape: Shape) -> str:
        told = orjson.dumps([shape.name, self.since, *self.key])
        return base64.urlsafe_b64encode(told).decode().rstrip("=")

    @classmethod
    def from_text(cls, text: str, shape: Shape) -> Cursor:
        """Raises ValueError for what `to_text` has not written for this shape."""
        try:
            name, since, *key = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            if name != shape.name:
                raise ValueError
            return cls(_time(since), tuple(_read(value, kind) for value, kind in zip(key, shape.kinds, strict=True)))
        except (ValueError, TypeError, binascii.Error, OverflowError):
            raise ValueError("Must be a cursor that this list gave, in the same order.") from None


def _read(value: Any, kind: type) -> Any:
    if kind is datetime:
        return _time(value)
    if type(value) is not kind or (isinstance(value, str) and "\0" in value):
        raise ValueError
    if isinstance(value, int) and abs(value) >= 2**63:
        raise ValueError
    return value


def _time(value: Any) -> datetime:
    time = datetime.fromisoformat(value)
    if time.tzinfo is None:
        raise ValueError
    return time.astimezone(UTC)


@dataclass(frozen=True)
class Order:
    """What a list is ordered by: expressions that are never NULL and together unique, all in one direction."""

    columns: tuple[Any, ...]
    shape: Shape
    descending: bool = True

    @property
    def clauses(self) -> list[sa.ColumnElement[Any]]:
        return [column.desc() if self.descending else column.asc() for column in self.columns]

    def after(self, key: Sequence[Any]) -> sa.ColumnElement[bool]:
        last = sa.tuple_(*(sa.literal(value, column.type) for value, column in zip(key, self.columns, strict=True)))
        here = sa.tuple_(*self.columns)
        return here < last if self.descending else here > last


@dataclass(frozen=True)
class Part:
    """Some rows of a list, how many there are in all, and where the next part begins (None at the end)."""

    rows: Sequence[Any]
    total: int
    next: str | None


def part_of(
    session: Session,
    statement: sa.Select[*tuple[Any, ...]],
    count: Callable[[], int],
    order: Order,
    wanted: Mapping[str, Any],
    since: datetime,
    passed: Callable[[int], tuple[datetime | None, int]] | None = None,
) -> Part:
    """What `limit`, `offset` and `cursor` of `wanted` ask for. The statement has no order yet; `count` tells how many
    rows it has; `passed` a time so that at most so many come from it on, and how many those are, where that is known
    without going through them."""
    limit, offset, cursor = wanted["limit"], wanted["offset"], wanted["cursor"]
    offset, total, until = 0 if cursor else offset, None, None
    if offset:
        # Far behind the end there is nothing to skip through.
        total = count()
        if offset >= total:
            return Part([], total, None)
    if passed and offset >= FAR:
        until, gone = passed(offset)
        offset -= gone
    rows = session.execute(_cut(statement, order, limit, offset, cursor, until)).all()
    if total is None:
        total = count() if cursor or len(rows) > limit else len(rows)
    if len(rows) <= limit:
        return Part(rows, total, None)
    last = Cursor(since, tuple(rows[limit - 1][-len(order.columns) :]))
    return Part(rows[:limit], total, last.to_text(order.shape))


@worded_once
def _cut(
    statement: sa.Select[*tuple[Any, ...]],
    order: Order,
    limit: int,
    offset: int,
    cursor: Cursor | None,
    until: datetime | None,
) -> sa.Select[*tuple[Any, ...]]:
    keyed = statement.add_columns(*(c.label(f"key_{i}") for i, c in enumerate(order.columns)))
    cut = keyed.order_by(*order.clauses).limit(limit + 1)
    if until is not None:
        cut = cut.where(order.columns[0] < until)
    return cut.where(order.after(cursor.key)) if cursor else cut.offset(offset) if offset else cut


def since_of(wanted: Mapping[str, Any], now: datetime) -> datetime:
    """Since when a list goes back; a cursor keeps to what its first part went back to."""
    if wanted.get("cursor"):
        return wanted["cursor"].since  # type: ignore[no-any-return]
    return now - timedelta(days=wanted["days"])
