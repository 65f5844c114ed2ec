"""Drift that was found: the list."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.queries import warehouses
from app.queries.columns import EVENT, EVENTS
from app.queries.counts import drift_between, is_drift, pieces, severity_of
from app.queries.lists import Order, Part, Shape, part_of, since_of

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

    @property
    def listed(self) -> sa.Select[*tuple[Any, ...]]:
        return sa.select(*LISTED).where(*self._conditions())

    @property
    def total(self) -> sa.Select[*tuple[Any, ...]]:
        """How many there are: from the counts, unless a table is asked for."""
        if self.wanted["table"]:
            return sa.select(sa.func.count()).select_from(EVENTS).where(*self._conditions())
        counted = drift_between(pieces(self.since), self.counted)
        return sa.select(sa.cast(sa.func.coalesce(sa.func.sum(counted.c.events), 0), sa.BigInteger))

    def count(self) -> int:
        return self.session.scalar(self.total) or 0

    def part(self) -> Part:
        """What its `limit`, `offset` and `cursor` cut out."""
        return part_of(self.session, self.listed, self.total, ORDER, self.wanted, self.since)

    def _conditions(self) -> list[sa.ColumnElement[bool]]:
        found = [is_drift(), EVENT.timestamp >= self.since, *self.counted(EVENT)]
        return [*found, EVENT.table_name == self.wanted["table"]] if self.wanted["table"] else found

    def counted(self, columns: Any) -> list[sa.ColumnElement[bool]]:
        found: list[sa.ColumnElement[bool]] = []
        if self.wanted["warehouse"]:
            named = {name for name, type_ in self.types.items() if type_ == self.wanted["warehouse"]}
            found.append(columns.warehouse.in_(sorted({self.wanted["warehouse"], *named})))
        if self.wanted["severity"]:
            found.append(severity_of(columns) == self.wanted["severity"])
        return found
