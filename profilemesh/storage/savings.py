"""What was spared by day, against reading every table at every tick."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from datetime import date
from operator import add as add_up
from operator import attrgetter
from typing import cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from profilemesh.storage.models import Saving
from profilemesh.storage.writes import insert, insert_all


@dataclass(frozen=True)
class Spared:
    """What the decisions of one UTC day and one action spared one warehouse.

    Measured is what a profile of that very snapshot had counted, estimated the rest; `unpriced` decisions are those
    whose full scan nobody can price. `rows_read` and `bytes_read` are what was read instead.
    """

    day: date
    warehouse: str
    action: str
    decisions: int = 0
    unpriced: int = 0
    rows_measured: int = 0
    rows_estimated: int = 0
    bytes_measured: int = 0
    bytes_estimated: int = 0
    rows_read: int = 0
    bytes_read: int = 0

    @property
    def key(self) -> tuple[date, str, str]:
        return self.day, self.warehouse, self.action

    def __add__(self, other: Spared) -> Spared:
        """Both together, under this one's key."""
        return Spared(*self.key, *map(add_up, _counts(self), _counts(other)))


_KEY = ("day", "warehouse", "action")
_COUNTS = tuple(field.name for field in fields(Spared) if field.name not in _KEY)
_counts: Callable[[Spared], tuple[int, ...]] = attrgetter(*_COUNTS)


def add(session: Session, spared: Iterable[Spared]) -> None:
    """Add to what is kept, in one statement however many there are."""
    sums: dict[tuple[date, str, str], Spared] = {}
    for each in spared:
        sums[each.key] = sums[each.key] + each if each.key in sums else each
    if not sums:
        return
    # In one order everywhere, or two processes that add at once lock each other's rows.
    rows = [dict(zip(_KEY + _COUNTS, key + _counts(sums[key]), strict=True)) for key in sorted(sums)]
    statement = insert(session, Saving)
    kept = cast(sa.Table, Saving.__table__).c
    more = {name: kept[name] + statement.excluded[name] for name in _COUNTS}
    insert_all(session, statement.on_conflict_do_update(index_elements=_KEY, set_=more), rows)
