"""Findings of drift: the list, its counts, the page of tables with theirs, and all that is known of one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.queries import warehouses
from app.queries.columns import FINDING, FINDINGS, OCCURRENCE, OCCURRENCES
from app.queries.lists import Order, Part, Shape, part_of, worded_once
from app.queries.several import chosen, values_of
from profilemesh.storage.models import FindingOccurrence, TriageEntry
from profilemesh.tables import TableRef

SEVERITIES = ("high", "medium", "low")
STATES = ("open", "acknowledged", "snoozed", "expected", "resolved")
CHOICES = ("unresolved", *STATES, "all")
UNRESOLVED: Any = sa.literal_column("state != 'resolved'")
"""As the indexes have it, without the `= 1` that would follow a Boolean."""
PAST = ("resolved", "all")
ALL = "all"
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
ORDER = Order((FINDING.last_seen_at, FINDING.finding_id), Shape("findings", (datetime, str)))
TABLE = (FINDING.warehouse, FINDING.schema_name, FINDING.table_name)
OF_LAST = (
    OCCURRENCE.baseline_value,
    OCCURRENCE.current_value,
    OCCURRENCE.change_percent,
    OCCURRENCE.details,
)
NARROWING = {
    "schema": FINDING.schema_name,
    "table": FINDING.table_name,
    # Behind a function: it has an index for the newest of all, by which SQLite would look for those that are open.
    "environment": sa.func.coalesce(FINDING.environment, ""),
}
LATEST = sa.and_(OCCURRENCE.finding_id == FINDING.finding_id, OCCURRENCE.run_id == FINDING.last_run_id)
WHOLE_FINDING = [column for column in FINDINGS.c if column.name != "state"]
RANK = sa.case((FINDING.severity == "high", 2), (FINDING.severity == "medium", 1), else_=0)


def state_at(now: datetime) -> sa.ColumnElement[str]:
    """A snooze that is over is open again, whether or not a run has noticed."""
    return sa.case((open_apart(now)[1], "open"), else_=FINDING.state)


def waits_at(now: datetime) -> sa.ColumnElement[int]:
    """How much it waits for somebody: open more than acknowledged, that more than the rest."""
    state = state_at(now)
    return sa.case((state == "open", 2), (state == "acknowledged", 1), else_=0)


def in_state(wanted: str, now: datetime) -> list[sa.ColumnElement[bool]]:
    """By conditions on the stored state, which has an index."""
    state, until = FINDING.state, FINDING.snoozed_until
    if wanted == "all":
        return []
    if wanted == "unresolved":
        return [state.in_(STATES[:-1])]
    if wanted == "open":
        return [sa.or_(*open_apart(now))]
    return [state == wanted, *([until > now] if wanted == "snoozed" else [])]


def open_apart(now: Any) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    """What is open, and what was put off until now, to be asked apart, or PostgreSQL would read all rows for both."""
    return FINDING.state == "open", sa.and_(FINDING.state == "snoozed", FINDING.snoozed_until <= now)


@dataclass(frozen=True)
class Counts:
    """How many match in each state, whatever the severity asked for is taken for, and by severity in that state.

    What is over is counted only where it is asked for: it grows for ever."""

    states: Mapping[str, int | None]
    severities: Mapping[str, int]
    total: int


@dataclass(frozen=True)
class Open:
    """How many findings are open, and how many of them are severe."""

    findings: int = 0
    high: int = 0

    def __add__(self, more: Open) -> Open:
        return Open(self.findings + more.findings, self.high + more.high)


@dataclass(frozen=True)
class Listed:
    """A finding, and how many of its table match."""

    row: Any
    of_table: int


class Findings:
    """The findings that a loaded FindingFilter asks for."""

    def __init__(self, session: Session, wanted: Mapping[str, Any], now: datetime) -> None:
        self.session, self.wanted, self.now = session, wanted, now
        self.since = _since(wanted, now)
        self.warehouses = warehouses.meant(session, wanted["warehouse"])

    @property
    def listed(self) -> sa.Select[*tuple[Any, ...]]:
        wanted = sa.select(*WHOLE_FINDING, state_at(self.now).label("state"), *OF_LAST)
        return wanted.select_from(FINDINGS.outerjoin(OCCURRENCES, LATEST)).where(*self._conditions())

    @property
    def total(self) -> sa.Select[*tuple[Any, ...]]:
        return sa.select(sa.func.count()).select_from(FINDINGS).where(*self._conditions())

    def count(self) -> int:
        return self.session.scalar(self.total) or 0

    def part(self) -> Part:
        """What its `limit`, `offset` and `cursor` cut out, the last seen first."""
        return part_of(self.session, self.listed, self.count, ORDER, self.wanted, self.since)

    def by_table(self, limit: int, offset: int = 0) -> list[Any]:
        """For people: the tables with the worst of what is still open first, the findings of each together.

        In time order: the tables are counted and sorted, those of this cut chosen, their findings sorted by what is
        narrow, and only the rows that are shown read whole.
        """
        if self.wanted["state"] in PAST:
            return self._newest(limit, offset)
        sizes, skipped = _cut(self._tables(limit + offset), limit, offset)
        ids = self._ids_of(list(sizes))[skipped : skipped + limit]
        return [Listed(row, sizes[_table(row)]) for row in self._whole(ids)]

    def _newest(self, limit: int, offset: int) -> list[Listed]:
        """Of what is over nothing waits: the last seen first, which are read without a look at the others."""
        order = FINDING.last_seen_at.desc(), FINDING.finding_id.desc()
        narrow = sa.select(FINDING.finding_id).where(*self._conditions()).order_by(*order).limit(limit).offset(offset)
        rows = self._whole(self.session.scalars(narrow).all())
        if not rows:
            return []
        these = chosen(map(_table, rows))
        same = sa.and_(*(column == name for column, name in zip(TABLE, these.c, strict=True)))
        counted = sa.select(*TABLE, sa.func.count()).join_from(these, FINDINGS, same).where(*self._conditions())
        sizes = {tuple(row[:3]): row[3] for row in self.session.execute(counted.group_by(*TABLE))}
        # Those of one table together, in the place of its first.
        places: dict[tuple[str, str, str], int] = {}
        for row in rows:
            places.setdefault(_table(row), len(places))
        return [Listed(row, sizes[_table(row)]) for row in sorted(rows, key=lambda row: places[_table(row)])]

    def _whole(self, ids: Sequence[str]) -> list[Any]:
        """In this order."""
        places = {finding_id: place for place, finding_id in enumerate(ids)}
        whole = sa.select(*WHOLE_FINDING, state_at(self.now).label("state"), *OF_LAST)
        joined = whole.select_from(FINDINGS.outerjoin(OCCURRENCES, LATEST)).where(FINDING.finding_id.in_(ids))
        return sorted(self.session.execute(joined), key=lambda row: places[row.finding_id]) if ids else []

    def _tables(self, most: int) -> Sequence[Any]:
        """The first of them, each with how many of its findings match; what matches is read first, or SQLite would walk
        all by table."""
        rank = (waits_at(self.now) * 10 + RANK).label("rank")
        matching = sa.select(*TABLE, rank, FINDING.last_seen_at).where(*self._conditions())
        c = matching.cte("matching").prefix_with("MATERIALIZED").c
        table = c.warehouse, c.schema_name, c.table_name
        counted = sa.select(*table, sa.func.count()).group_by(*table)
        worst, newest = sa.func.max(c.rank), sa.func.max(c.last_seen_at)
        return self.session.execute(counted.order_by(worst.desc(), newest.desc(), *table).limit(most)).all()

    def _ids_of(self, tables: Sequence[tuple[str, str, str]]) -> list[str]:
        if not tables:
            return []
        these = chosen(tables)
        same = sa.and_(*(column == name for column, name in zip(TABLE, these.c, strict=True)))
        narrow = sa.select(FINDING.finding_id, *TABLE).join_from(these, FINDINGS, same).where(*self._conditions())
        within = (waits_at(self.now).desc(), RANK.desc(), FINDING.last_seen_at.desc(), FINDING.finding_id)
        found = self.session.execute(narrow.order_by(*within)).all()
        places = {table: place for place, table in enumerate(tables)}
        return [row.finding_id for row in sorted(found, key=lambda row: places[tuple(row[1:])])]

    def counts(self) -> Counts:
        """By what is stored, in the order of an index; whose snooze is over is counted apart."""
        over = sa.func.sum(sa.case((FINDING.snoozed_until <= self.now, 1), else_=0))
        counted = sa.select(FINDING.state, FINDING.severity, sa.func.count(), over)
        found = self._conditions(whole=True)
        waiting = counted.where(*found, FINDING.state.in_(STATES[:-1])).group_by(FINDING.state, FINDING.severity)
        if self.wanted["state"] not in PAST:
            return _summed(list(_as_of_now(self.session.execute(waiting))), self.wanted)
        rows = self.session.execute(sa.union_all(waiting, *self._over(found))).all()
        return _summed(list(_as_of_now(_apart(rows))), self.wanted)

    def _over(self, found: Sequence[sa.ColumnElement[bool]]) -> Iterator[sa.Select[*tuple[Any, ...]]]:
        """How much is resolved, in all and of what is worse than low: to group so many rows takes longer."""
        for severity in (ALL, "high", "medium"):
            named = sa.literal("resolved").label("state"), sa.literal(severity).label("severity")
            of_severity = [] if severity == ALL else [FINDING.severity == severity]
            counted = sa.select(*named, sa.func.count(), sa.literal(0))
            yield counted.where(FINDING.state == "resolved", *found, *of_severity)

    def _conditions(self, whole: bool = False) -> list[sa.ColumnElement[bool]]:
        wanted, found = self.wanted, list[sa.ColumnElement[bool]]()
        if self.since > LONG_AGO:
            found.append(FINDING.last_seen_at >= self.since)
        if self.warehouses is not None:
            found.append(FINDING.warehouse.in_(sorted(self.warehouses)))
        for name, column in NARROWING.items():
            if wanted[name]:
                found.append(column == wanted[name])
        if wanted.get("q"):
            found.append(FINDING.table_name.icontains(wanted["q"], autoescape=True))
        if wanted["owner"]:
            found.append(sa.or_(FINDING.owner == wanted["owner"], FINDING.assignee == wanted["owner"]))
        if whole:
            return found
        return [*found, *in_state(wanted["state"], self.now), *_of_severity(wanted["severity"])]


def _table(row: Any) -> tuple[str, str, str]:
    return row.warehouse, row.schema_name, row.table_name


def _cut(tables: Sequence[Any], limit: int, offset: int) -> tuple[dict[tuple[str, str, str], int], int]:
    """The tables that a cut falls into with their sizes, and how much of the first is before it."""
    chosen: dict[tuple[str, str, str], int] = {}
    skipped, before = 0, 0
    for warehouse, schema, name, size in tables:
        if before < offset + limit and before + size > offset:
            skipped = skipped if chosen else offset - before
            chosen[warehouse, schema, name] = size
        before += size
    return chosen, max(skipped, 0)


def _since(wanted: Mapping[str, Any], now: datetime) -> datetime:
    if wanted.get("cursor"):
        since: datetime = wanted["cursor"].since
        return since
    return now - timedelta(days=wanted["days"]) if wanted["days"] else LONG_AGO


def _of_severity(severity: str | None) -> list[sa.ColumnElement[bool]]:
    if severity is None:
        return []
    return [FINDING.severity.not_in(("high", "medium"))] if severity == "low" else [FINDING.severity == severity]


def _apart(rows: Sequence[Any]) -> Iterator[tuple[str, str, int, int]]:
    """With what is resolved and low in the place of all that is resolved."""
    worse = sum(count for state, severity, count, _ in rows if state == "resolved" and severity != ALL)
    for state, severity, count, over in rows:
        yield (state, "low", count - worse, 0) if severity == ALL else (state, severity, count, over)


def _as_of_now(rows: Iterable[Any]) -> Iterator[tuple[str, str, int]]:
    """State, severity, count: what was put off until before now is open."""
    for state, severity, count, over in rows:
        told = severity if severity in ("high", "medium") else "low"
        back = int(over or 0) if state == "snoozed" else 0
        yield state, told, count - back
        if back:
            yield "open", told, back


def _summed(rows: Sequence[Any], wanted: Mapping[str, Any]) -> Counts:
    states, severities = dict.fromkeys(CHOICES, 0), dict.fromkeys(SEVERITIES, 0)
    for state, severity, count in rows:
        names = {state, "all", *([] if state == "resolved" else ["unresolved"])}
        if wanted["severity"] in (None, severity):
            for name in names:
                states[name] = states.get(name, 0) + count
        if wanted["state"] in names:
            severities[severity] += count
    total = states[wanted["state"]]
    unknown = {} if wanted["state"] in PAST else dict.fromkeys(PAST)
    return Counts({**states, **unknown}, severities, total)


def owners(session: Session) -> list[str]:
    """Whose the findings are that are not resolved: their owners, and to whom they are assigned."""
    named = sa.select(FINDING.owner, FINDING.assignee).where(UNRESOLVED).distinct()
    return sorted({name for row in session.execute(named) for name in row if name})


def environments(session: Session) -> list[str]:
    """Those of the runs that saw the findings last."""
    known = values_of(FINDING.environment)
    return list(session.scalars(sa.select(known.c.name).where(known.c.name.is_not(None)).order_by(known.c.name)))


def any_finding(session: Session) -> bool:
    return session.scalar(sa.select(FINDING.finding_id).limit(1)) is not None


def count_open(session: Session, now: datetime) -> dict[tuple[str, str | None], Open]:
    """By warehouse and environment, in the order of an index."""
    found: dict[tuple[str, str | None], Open] = {}
    for name, environment, findings, severe in session.execute(_counted_open(), {"now": now}):
        found[name, environment] = found.get((name, environment), Open()) + Open(int(findings), int(severe))
    return found


@worded_once
def _counted_open() -> sa.CompoundSelect[*tuple[Any, ...]]:
    now: Any = sa.bindparam("now", type_=FINDING.snoozed_until.type)
    place, is_high = (FINDING.warehouse, FINDING.environment), sa.case((FINDING.severity == "high", 1), else_=0)
    counted = sa.select(*place, sa.func.count(), sa.func.sum(is_high)).group_by(*place)
    return sa.union_all(*(counted.where(state) for state in open_apart(now)))


def of_table(session: Session, table: TableRef, now: datetime, most: int = 8) -> tuple[list[Any], int]:
    """What is not resolved of a table, the worst of what is open first, and how much that is in all."""
    wanted = (
        sa.select(*WHOLE_FINDING, state_at(now).label("state"), *OF_LAST, sa.func.count().over().label("of_table"))
        .select_from(FINDINGS.outerjoin(OCCURRENCES, LATEST))
        .where(FINDING.warehouse == table.warehouse, FINDING.schema_name == table.schema)
        .where(FINDING.table_name == table.name, *in_state("unresolved", now))
        .order_by(waits_at(now).desc(), RANK.desc(), FINDING.last_seen_at.desc(), FINDING.finding_id)
    )
    rows = list(session.execute(wanted.limit(most)))
    return rows, rows[0].of_table if rows else 0


@dataclass(frozen=True)
class Leading:
    """Of what is open the worst, and of all the newest."""

    worst: list[Any]
    newest: list[Any]


def leading(
    session: Session, warehouses: Collection[str] | None, environment: str | None, now: datetime, most: tuple[int, int]
) -> Leading:
    """In these warehouses (None: in all), last found by a run of this environment; one statement for both."""
    names = None if warehouses is None else frozenset(warehouses)
    rows = session.execute(_leading(names, environment, most), {"now": now}).all()
    open_ = [row for row in rows if row.state == "open"]
    return Leading(open_[: most[0]], sorted(rows, key=lambda row: row.last_seen_at, reverse=True)[: most[1]])


@worded_once
def _leading(
    warehouses: frozenset[str] | None, environment: str | None, most: tuple[int, int]
) -> sa.Select[*tuple[Any, ...]]:
    """Of each severity the newest that are open, so that an index of them need not be gone through, and the newest of
    all; of the worst first, and among equals the newest."""
    chosen: list[sa.ColumnElement[bool]] = []
    if warehouses is not None:
        # Behind a function: the order has an index that soon comes to them, theirs would have all of them sorted.
        chosen.append(sa.func.coalesce(FINDING.warehouse, "").in_(sorted(warehouses)))
    if environment:
        chosen.append(FINDING.environment == environment)
    now: Any = sa.bindparam("now", type_=FINDING.snoozed_until.type)
    ids, seen = sa.select(FINDING.finding_id).where(*chosen), FINDING.last_seen_at.desc()
    is_open, is_over = open_apart(now)
    open_ = [sa.and_(is_open, *_of_severity(each)) for each in SEVERITIES]
    parts = [ids.where(each).order_by(seen, FINDING.finding_id).limit(most[0]) for each in open_]
    parts.append(ids.where(is_over).order_by(RANK.desc(), seen, FINDING.finding_id).limit(most[0]))
    parts.append(ids.order_by(seen, FINDING.finding_id.desc()).limit(most[1]))
    wanted = sa.union_all(*(sa.select(part.subquery().c.finding_id) for part in parts))
    whole = sa.select(*WHOLE_FINDING, state_at(now).label("state"), *OF_LAST)
    told = whole.select_from(FINDINGS.outerjoin(OCCURRENCES, LATEST)).where(FINDING.finding_id.in_(wanted))
    return told.order_by(RANK.desc(), seen, FINDING.finding_id)


def of_run(session: Session, run: Any, now: datetime) -> list[Any]:
    """What a run found of its table, as it found it then, the worst first."""
    at_that_time = (OCCURRENCE.severity, OCCURRENCE.sentence, *OF_LAST)
    columns = [column for column in FINDINGS.c if column.name not in ("state", "severity", "sentence")]
    return list(
        session.execute(
            sa.select(*columns, state_at(now).label("state"), *at_that_time)
            .select_from(FINDINGS.join(OCCURRENCES, OCCURRENCE.finding_id == FINDING.finding_id))
            .where(OCCURRENCE.run_id == run.run_id, FINDING.table_name == run.dataset_name)
            .where(FINDING.warehouse == run.warehouse, FINDING.schema_name == run.schema_name)
            .order_by(
                sa.case((OCCURRENCE.severity == "high", 2), (OCCURRENCE.severity == "medium", 1), else_=0).desc(),
                FINDING.column_name,
                FINDING.metric_name,
            )
        )
    )


def find(session: Session, finding_id: str, now: datetime) -> Any | None:
    wanted = sa.select(*WHOLE_FINDING, state_at(now).label("state"), *OF_LAST)
    joined = wanted.select_from(FINDINGS.outerjoin(OCCURRENCES, LATEST))
    return session.execute(joined.where(FINDING.finding_id == finding_id)).one_or_none()


def states_of(session: Session, finding_ids: Sequence[str], now: datetime) -> dict[str, str]:
    """finding_id -> its state; those that do not exist are left out."""
    wanted = sa.select(FINDING.finding_id, state_at(now)).where(FINDING.finding_id.in_(finding_ids))
    return {finding_id: state for finding_id, state in session.execute(wanted)}


def occurrences(session: Session, finding_id: str, most: int = 100) -> list[FindingOccurrence]:
    """Newest first."""
    found = FindingOccurrence
    wanted = sa.select(found).where(found.finding_id == finding_id).order_by(found.at.desc(), found.run_id.desc())
    return list(session.scalars(wanted.limit(most)))


def history(session: Session, finding_id: str, most: int = 500) -> list[TriageEntry]:
    """What was done with it, newest first."""
    wanted = sa.select(TriageEntry).where(TriageEntry.finding_id == finding_id).order_by(TriageEntry.id.desc())
    return list(session.scalars(wanted.limit(most)))
