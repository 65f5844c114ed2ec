"""Drift that was found: the list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.queries import warehouses
from app.queries.columns import DRIFT_COUNT, EVENT, EVENTS
from app.queries.counts import drift_between, is_drift, passed, pieces, severity_of
from app.queries.lists import Order, Part, Shape, part_of, since_of, worded_once

SEVERITIES = ("low", "medium", "high")
ORDER = Order((EVENT.timestamp, EVENT.event_id), Shape("drift", (datetime, str)))
LISTED = (
    EVENT.event_id,
    EVENT.event_type,
    EVENT.run_id,
    EVENT.warehouse,
    EVENT.schema_name,
    EVENT.table_name,
    EVENT.column_name,
    EVENT.metric_name,
    EVENT.baseline_value,
    EVENT.current_value,
    EVENT.change_percent,
    severity_of(EVENT).label("severity"),
    EVENT.timestamp,
)


class Drift:
    """The drift that a loaded DriftFilter asks for, newest first."""

    def __init__(self, session: Session, wanted: Mapping[str, Any], now: datetime) -> None:
        self.session, self.wanted = session, wanted
        self.since = since_of(wanted, now)
        self.types = warehouses.types(session)
        chosen = wanted["warehouse"]
        named = frozenset({chosen, *(name for name, type_ in self.types.items() if type_ == chosen)})
        self.asked = Asked(self.since, named if chosen else None, wanted["table"], wanted["severity"])

    @property
    def listed(self) -> sa.Select[*tuple[Any, ...]]:
        return _listed(self.asked)

    def count(self) -> int:
        """From the counts, unless a table is asked for."""
        return self.session.scalar(_total(self.asked)) or 0

    def newest(self, most: int) -> Sequence[Any]:
        return self.session.execute(_newest(self.asked, most)).all()

    def part(self) -> Part:
        """What its `limit`, `offset` and `cursor` cut out."""
        return part_of(self.session, self.listed, self.count, ORDER, self.wanted, self.since, self._passed)

    def _passed(self, most: int) -> tuple[datetime | None, int]:
        if self.asked.table:
            return None, 0
        return passed(self.session, DRIFT_COUNT, DRIFT_COUNT.events, self.asked.counted, self.since, most)


@dataclass(frozen=True)
class Asked:
    """Which drift: of all warehouses where `warehouses` is None."""

    since: datetime
    warehouses: frozenset[str] | None
    table: str | None
    severity: str | None

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        found = [is_drift(), EVENT.timestamp >= self.since, *self.counted(EVENT)]
        return [*found, EVENT.table_name == self.table] if self.table else found

    def counted(self, columns: Any) -> list[sa.ColumnElement[bool]]:
        """What the counts know as well."""
        found: list[sa.ColumnElement[bool]] = []
        if self.warehouses is not None:
            found.append(columns.warehouse.in_(sorted(self.warehouses)))
        if self.severity:
            found.append(severity_of(columns) == self.severity)
        return found


@worded_once
def _listed(asked: Asked) -> sa.Select[*tuple[Any, ...]]:
    return sa.select(*LISTED).where(*asked.conditions())


@worded_once
def _newest(asked: Asked, most: int) -> sa.Select[*tuple[Any, ...]]:
    return _listed(asked).order_by(*ORDER.clauses).limit(most)


@worded_once
def _total(asked: Asked) -> sa.Select[*tuple[Any, ...]]:
    if asked.table:
        return sa.select(sa.func.count()).select_from(EVENTS).where(*asked.conditions())
    counted = drift_between(pieces(asked.since), asked.counted)
    return sa.select(sa.cast(sa.func.coalesce(sa.func.sum(counted.c.events), 0), sa.BigInteger))
