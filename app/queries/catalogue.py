"""The page of all tables: each as its state remembers it, what is open of its drift, and its rows over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.queries import warehouses
from app.queries.columns import FINDING, FINDINGS, STATE, STATES
from app.queries.failures import failing
from app.queries.findings import RANK, in_state, open_apart
from app.queries.pages import Page
from app.queries.several import chosen
from app.queries.tables import IS_STALE, NAME, PROFILED, ROWS, STALENESS, STATE_KEY
from profilemesh.tables import TableRef

OPEN_OF = (FINDING.warehouse, FINDING.schema_name, FINDING.table_name)
SEVERITIES = ("low", "medium", "high")
SIZE = 50
SORTS = ("name", "rows", "columns", "last_profiled", "last_verified", "staleness", "drift")
STATES_TOLD = {
    "drifting": "Drifting",
    "failing": "Failing",
    "stale": "Stale",
    "put_off": "Put off",
    "paused": "Paused",
    "unprofiled": "Never profiled",
    "gone": "Gone",
}
FOUND_TOGETHER = ("drifting", "failing")
"""The states that no index of tables tells: those in them are counted and shown by one statement."""
COLUMNS = sa.func.json_array_length(STATE.columns, type_=sa.Integer)


@dataclass(frozen=True)
class OpenDrift:
    findings: int
    severity: str


class Catalogue:
    """The tables that a loaded TablePageFilter asks for."""

    def __init__(self, session: Session, wanted: Mapping[str, Any], now: datetime) -> None:
        self.session, self.wanted, self.now = session, wanted, now
        self.warehouses = warehouses.meant(session, wanted["warehouse"])

    def page(self, number: int) -> tuple[Page, Sequence[Any]]:
        """That page of them. Where to find them is most of the work they are counted along with it."""
        if self.wanted["state"] not in FOUND_TOGETHER:
            page = Page(number, self._count(), SIZE)
            return page, self._rows(page)
        rows = self._rows(Page(number, 0, SIZE))
        return Page(number, rows[0].total if rows else self._count(), SIZE), rows

    def _count(self) -> int:
        return self.session.scalar(self._from(sa.select(sa.func.count()), self._is_of_drift)) or 0

    def _rows(self, page: Page) -> Sequence[Any]:
        if self.wanted["sort"] == "-drift" and not self.wanted["state"]:
            # Those without any come last: mostly there is no need to look at them.
            drift = self._drift
            names = (drift.c[column.name] for column in NAME)
            rows = self._whole(page.cut(sa.select(drift).order_by(drift.c.weight.desc(), *names)), [])
            if len(rows) == page.size:
                return rows
        return self._chosen(page)

    def _chosen(self, page: Page) -> Sequence[Any]:
        """Put in order by what is narrow."""
        by_drift = self.wanted["sort"] in ("drift", "-drift")
        total = [sa.func.count().over().label("total")] if self.wanted["state"] in FOUND_TOGETHER else []
        weight = [sa.literal_column("weight", sa.BigInteger)] if by_drift else []
        narrow = self._from(sa.select(*STATE_KEY, *weight, *total), self._is_of_drift or by_drift)
        return self._whole(page.cut(narrow.order_by(*self._order())), total)

    def _whole(self, narrow: sa.Select[*tuple[Any, ...]], total: Sequence[sa.Label[int]]) -> Sequence[Any]:
        """Those that are shown, with all that is told of them."""
        shown = narrow.subquery("shown")
        same = sa.and_(*(shown.c[column.name] == column for column in STATE_KEY))
        whole = sa.select(
            *STATE_KEY,
            STATE.warehouse_type,
            ROWS.label("row_count"),
            COLUMNS.label("column_count"),
            PROFILED.label("last_profiled_at"),
            STATE.last_verified_at,
            STALENESS.label("staleness"),
            STATE.decision,
            STATE.decision_reason,
            STATE.paused_at,
            STATE.vanished_at,
            *(shown.c[column.name] for column in total),
        )
        return self.session.execute(whole.join_from(shown, STATES, same).order_by(*self._order())).all()

    def open_drift(self, rows: Sequence[Any]) -> dict[TableRef, OpenDrift]:
        """Of these tables what is open, and its worst."""
        if not rows:
            return {}
        these = chosen(tuple(row[:3]) for row in rows)
        same = sa.and_(*(column == name for column, name in zip(OPEN_OF, these.c, strict=True)))
        told = sa.select(*OPEN_OF, sa.func.count(), sa.func.max(RANK)).join_from(these, FINDINGS, same)
        found = self.session.execute(told.where(*in_state("open", self.now)).group_by(*OPEN_OF))
        return {TableRef(*key): OpenDrift(count, SEVERITIES[worst]) for *key, count, worst in found}

    def _from(self, wanted: sa.Select[*tuple[Any, ...]], needs_drift: bool) -> sa.Select[*tuple[Any, ...]]:
        found = wanted.select_from(STATES)
        if needs_drift:
            found = wanted.select_from(STATES.outerjoin(self._drift, self._same(self._drift)))
        if self.wanted["state"] == "failing":
            failed = failing().cte("failing")
            key = (failed.c.warehouse, failed.c.schema_name, failed.c.dataset_name)
            found = found.join(failed, sa.and_(*(mine == its for mine, its in zip(STATE_KEY, key, strict=True))))
        return found.where(*self._conditions())

    @property
    def _is_of_drift(self) -> bool:
        return bool(self.wanted["state"] == "drifting")

    @property
    def _drift(self) -> sa.CTE:
        """By table what is open: the worst before the many."""
        ranked = sa.select(*OPEN_OF, RANK.label("rank")).where(*self._named(FINDING))
        c = sa.union_all(*(ranked.where(state) for state in open_apart(self.now))).subquery("open").c
        table, weight = (c.warehouse, c.schema_name, c.table_name), sa.func.max(c.rank) * 1_000_000 + sa.func.count()
        return sa.select(*table, weight.label("weight")).group_by(*table).cte("open_drift")

    @staticmethod
    def _same(drift: sa.CTE) -> sa.ColumnElement[bool]:
        return sa.and_(*(drift.c[column.name] == column for column in STATE_KEY))

    def _order(self) -> list[sa.ColumnElement[Any]]:
        """What is unknown comes last in either direction."""
        sort = self.wanted["sort"]
        first = {
            "rows": ROWS,
            "columns": COLUMNS,
            "last_profiled": PROFILED,
            "last_verified": STATE.last_verified_at,
            "staleness": STALENESS,
            "drift": sa.literal_column("weight", sa.BigInteger),
        }.get(sort.removeprefix("-"))
        descending = sort.startswith("-")
        if first is None:
            return [name.desc() if descending else name.asc() for name in NAME]
        ordered = first.desc() if descending else first.asc()
        return [ordered.nulls_last(), *(name.asc() for name in NAME)]

    def _conditions(self) -> list[sa.ColumnElement[bool]]:
        claim = self._claims().get(self.wanted["state"] or "")
        return [*self._named(STATE), *([] if claim is None else [claim])]

    def _named(self, columns: Any) -> list[sa.ColumnElement[bool]]:
        wanted, found = self.wanted, list[sa.ColumnElement[bool]]()
        if self.warehouses is not None:
            found.append(columns.warehouse.in_(sorted(self.warehouses)))
        if wanted["schema"]:
            found.append(columns.schema_name == wanted["schema"])
        if wanted["q"]:
            found.append(columns.table_name.icontains(wanted["q"], autoescape=True))
        return found

    def _claims(self) -> dict[str, sa.ColumnElement[bool]]:
        by_settings = STATE.decision_reason == "paused"
        return {
            "drifting": sa.literal_column("weight", sa.BigInteger).is_not(None),
            "stale": sa.and_(IS_STALE, STATE.vanished_at.is_(None)),
            "put_off": STATE.deferred_since.is_not(None),
            "paused": sa.or_(STATE.paused_at.is_not(None), sa.func.coalesce(by_settings, sa.false())),
            "unprofiled": PROFILED.is_(None),
            "gone": STATE.vanished_at.is_not(None),
        }


def schemas(session: Session) -> list[str]:
    return sorted(session.scalars(sa.select(STATE.schema_name).where(STATE.schema_name != "").distinct()))
