"""What drift found, kept from run to run.

`record` stores what one run found, in the transaction that stores the run: each fact joins its finding that is not
resolved, reopens one that was resolved lately, or opens a new one, and is an event. What the run did not find again,
though it could have, becomes quiet, and after QUIET_RUNS such runs in a row is resolved. `triage` has what people do.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.orm import Session

from profilemesh.drift.findings import Finding, Severity
from profilemesh.drift.profiles import SAMPLE
from profilemesh.storage.events import drift_event_id, save_drift
from profilemesh.storage.models import FindingOccurrence, Run, StoredFinding, TriageEntry, clean_json, clean_text
from profilemesh.tables import TableRef

QUIET_RUNS = 2
"""So many like runs in a row that do not find a fact again resolve it."""
REOPENS_WITHIN = timedelta(days=14)
"""A fact that is back so soon after it was resolved is the same finding."""
ENGINE = "profilemesh"
"""Who does what nobody does by hand."""


class State(StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SNOOZED = "snoozed"
    EXPECTED = "expected"
    RESOLVED = "resolved"


class Change(StrEnum):
    """What alerts tell of a finding."""

    OPENED = "opened"
    WORSENED = "worsened"
    REOPENED = "reopened"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Told:
    """A finding that somebody should hear of, and why."""

    finding_id: str
    change: Change


@dataclass(frozen=True, slots=True)
class Seen:
    """One run's look at its table. `known` are the columns of which something is known, `columns` those that the table
    has; `scope` is full, merged or sample. `is_compared` says that there were runs to compare it with, `has_moved` that
    the data was seen changed; `is_run` is false of a look at a table that was not read again."""

    table: TableRef
    environment: str
    run_id: str
    at: datetime
    scope: str
    known: frozenset[str] = frozenset()
    columns: frozenset[str] | None = None
    is_compared: bool = True
    has_moved: bool = True
    is_run: bool = True
    owner: str | None = None

    def is_like(self, scope: str | None) -> bool:
        return (self.scope == SAMPLE) == (scope == SAMPLE)


@dataclass(frozen=True, slots=True)
class Recorded:
    """`told` is for alerts; `has_drift` says that the run has a finding that nobody expected."""

    told: tuple[Told, ...] = ()
    has_drift: bool = False


def record(session: Session, seen: Seen, found: Sequence[Finding]) -> Recorded:
    """Store what a run found. Saying it again of the same run changes nothing."""
    standing = unresolved(session, seen.table)
    told: list[Told] = []
    has_drift = False
    for finding in found:
        stored = standing.get(finding.fingerprint) or _back(session, seen, finding)
        change = None
        if stored is None:
            stored, change = _opened(session, seen, finding)
        joined = _join(session, seen, stored, finding, is_new=change is not None)
        has_drift |= joined.is_drift
        if (joined.change or change) and joined.is_drift:
            told.append(Told(stored.finding_id, joined.change or change or Change.OPENED))
    if not seen.is_run:
        return Recorded(tuple(told), has_drift)
    again = {each.fingerprint for finding in found for each in _with_explained(finding)}
    quiet = [stored for fingerprint, stored in standing.items() if fingerprint not in again]
    told += [Told(each.finding_id, Change.RESOLVED) for each in _quieten(session, seen, quiet)]
    return Recorded(tuple(told), has_drift)


def is_any_unresolved(session: Session, table: TableRef) -> bool:
    """Whether a run of the table has anything to join or to quieten. Most have not."""
    names = {"warehouse": table.warehouse, "schema": table.schema, "name": table.name}
    return session.scalar(_ANY_UNRESOLVED, names) is not None


_FINDING: Any = StoredFinding.__table__.c
_ANY_UNRESOLVED = (
    sa.select(_FINDING.finding_id)
    .where(
        _FINDING.warehouse == sa.bindparam("warehouse"),
        _FINDING.schema_name == sa.bindparam("schema"),
        _FINDING.table_name == sa.bindparam("name"),
        _FINDING.state != State.RESOLVED,
    )
    .limit(1)
)


def unresolved(session: Session, table: TableRef) -> dict[str, StoredFinding]:
    """A table's findings that are not resolved, by fingerprint, locked until the end of the transaction."""
    found = session.scalars(
        sa.select(StoredFinding)
        .where(of_table(table), StoredFinding.state != State.RESOLVED)
        .order_by(StoredFinding.finding_id)
        .with_for_update()
    )
    return {each.fingerprint: each for each in found}


def of_table(table: TableRef) -> sa.ColumnElement[bool]:
    return sa.and_(
        StoredFinding.warehouse == table.warehouse,
        StoredFinding.schema_name == table.schema,
        StoredFinding.table_name == table.name,
    )


def note(session: Session, ids: Iterable[str], at: datetime, who: str, action: str, text: str | None = None) -> None:
    """Add to the history of these findings."""
    rows = [{"finding_id": each, "at": at, "who": who, "action": action, "text": text} for each in ids]
    if rows:
        session.execute(sa.insert(TriageEntry), rows)


def _with_explained(finding: Finding) -> Iterable[Finding]:
    """What follows from another fact is still there."""
    yield finding
    for each in finding.explains:
        yield from _with_explained(each)


def _back(session: Session, seen: Seen, finding: Finding) -> StoredFinding | None:
    """The finding of this fact that was resolved lately, if there is one."""
    latest = (
        sa.select(StoredFinding)
        .where(
            StoredFinding.fingerprint == finding.fingerprint,
            StoredFinding.state == State.RESOLVED,
            StoredFinding.resolved_at >= seen.at - REOPENS_WITHIN,
        )
        .order_by(StoredFinding.resolved_at.desc())
        .limit(1)
        .with_for_update()
    )
    return session.scalar(latest)


def _opened(session: Session, seen: Seen, finding: Finding) -> tuple[StoredFinding, Change]:
    stored = StoredFinding(
        finding_id=str(uuid.uuid4()),
        fingerprint=finding.fingerprint,
        warehouse=clean_text(finding.table.warehouse),
        schema_name=clean_text(finding.table.schema),
        environment=seen.environment,
        table_name=clean_text(finding.table.name),
        column_name=finding.column,
        metric_name=finding.metric,
        kind=finding.kind.value,
        state=State.EXPECTED.value if finding.is_expected else State.OPEN.value,
        severity=finding.severity.value,
        sentence=finding.sentence,
        owner=seen.owner,
        opened_at=seen.at,
        last_seen_at=seen.at,
        first_run_id=seen.run_id,
        last_run_id=seen.run_id,
        occurrences=0,
        quiet_runs=0,
    )
    session.add(stored)
    session.flush()
    note(session, [stored.finding_id], seen.at, ENGINE, State.EXPECTED if finding.is_expected else Change.OPENED)
    return stored, Change.OPENED


@dataclass(frozen=True, slots=True)
class _Joined:
    is_drift: bool
    change: Change | None = None


def _join(session: Session, seen: Seen, stored: StoredFinding, finding: Finding, *, is_new: bool) -> _Joined:
    """Add one run's occurrence to a finding, and its event unless it is expected."""
    if not is_new and stored.last_run_id == seen.run_id:
        is_drift = stored.state != State.EXPECTED and not finding.is_expected
        return _Joined(is_drift, _worsened(session, seen, stored, finding) if is_drift else None)
    change = None if is_new else _woken(session, seen, stored, finding)
    is_drift = stored.state != State.EXPECTED and not finding.is_expected
    session.execute(sa.insert(FindingOccurrence).values(_occurrence(seen, stored, finding, is_drift=is_drift)))
    if is_drift:
        save_drift(session, finding, seen.run_id, seen.at, stored.finding_id)
        change = change or _worsened(session, seen, stored, finding)
    stored.sentence, stored.last_seen_at, stored.last_run_id = finding.sentence, seen.at, seen.run_id
    stored.environment = seen.environment
    stored.occurrences += 1
    stored.quiet_runs = 0
    session.flush()
    return _Joined(is_drift, None if stored.state == State.SNOOZED else change)


def _woken(session: Session, seen: Seen, stored: StoredFinding, finding: Finding) -> Change | None:
    """A resolved finding that is back, one whose rest is over, or one that only a period expected, is open again."""
    is_over = stored.state == State.SNOOZED and stored.snoozed_until is not None and stored.snoozed_until <= seen.at
    is_back = stored.state == State.RESOLVED or is_over
    if stored.state == State.EXPECTED and not finding.is_expected:
        is_back = not _is_expected_by_hand(session, stored)
    if not is_back:
        return None
    stored.state = State.EXPECTED.value if finding.is_expected else State.OPEN.value
    stored.resolved_at = stored.snoozed_until = None
    stored.severity = finding.severity.value
    session.flush()
    note(session, [stored.finding_id], seen.at, ENGINE, Change.REOPENED)
    return Change.REOPENED


def _is_expected_by_hand(session: Session, stored: StoredFinding) -> bool:
    by_hand = sa.exists().where(
        TriageEntry.finding_id == stored.finding_id,
        TriageEntry.action == State.EXPECTED,
        TriageEntry.who != ENGINE,
    )
    return bool(session.scalar(sa.select(by_hand)))


def _worsened(session: Session, seen: Seen, stored: StoredFinding, finding: Finding) -> Change | None:
    if finding.severity.rank <= Severity(stored.severity).rank:
        return None
    stored.severity, stored.sentence = finding.severity.value, finding.sentence
    same = sa.and_(FindingOccurrence.finding_id == stored.finding_id, FindingOccurrence.run_id == seen.run_id)
    values = {"severity": finding.severity.value, "sentence": finding.sentence}
    session.execute(sa.update(FindingOccurrence).where(same).values(values))
    session.flush()
    note(session, [stored.finding_id], seen.at, ENGINE, Change.WORSENED, finding.severity)
    return None if stored.state == State.SNOOZED else Change.WORSENED


def _occurrence(seen: Seen, stored: StoredFinding, finding: Finding, *, is_drift: bool) -> dict[str, Any]:
    return {
        "finding_id": stored.finding_id,
        "run_id": seen.run_id,
        "at": seen.at,
        "event_id": drift_event_id(seen.run_id, finding) if is_drift else None,
        "severity": finding.severity.value,
        "sentence": finding.sentence,
        "baseline_value": finding.baseline_value,
        "current_value": finding.current_value,
        "change_percent": finding.change_percent,
        "details": details_of(finding, seen.scope),
    }


def details_of(finding: Finding, scope: str) -> dict[str, Any]:
    """The rest of a finding, as an occurrence keeps it."""
    told = {
        "scope": scope,
        "effect": finding.effect,
        "unit": finding.unit and finding.unit.value,
        "direction": finding.direction,
        "p_value": finding.p_value,
        "p_adjusted": finding.p_adjusted,
        "baseline": finding.baseline,
        "baseline_runs": list(finding.baseline_runs),
        "culprits": [{"partition": each.partition, "share": each.share} for each in finding.culprits],
        "explains": [_explained(each) for each in finding.explains],
        "is_expected": finding.is_expected,
        "details": dict(finding.details),
    }
    found: dict[str, Any] = clean_json({name: _plain(value) for name, value in told.items()})
    return {name: value for name, value in found.items() if value is not None and value != [] and value != {}}


def _plain(value: Any) -> Any:
    """Without numpy's own numbers, which JSON does not know."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value.item() if isinstance(value, np.generic) else value


def _explained(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind.value,
        "column": finding.column,
        "metric": finding.metric,
        "severity": finding.severity.value,
        "sentence": finding.sentence,
        "fingerprint": finding.fingerprint,
    }


def _quieten(session: Session, seen: Seen, standing: Sequence[StoredFinding]) -> list[StoredFinding]:
    """Count the run as a quiet one for what it could have found again; the findings that it resolves, to be told."""
    scopes = _scopes(session, standing)
    told = []
    for stored in standing:
        if stored.last_run_id == seen.run_id or not _could_find(seen, stored, scopes.get(stored.finding_id)):
            continue
        stored.quiet_runs += 1
        # Data that moves again is not old, whatever came before.
        if stored.quiet_runs >= QUIET_RUNS or stored.kind == "freshness":
            was, stored.state = stored.state, State.RESOLVED.value
            stored.resolved_at = seen.at
            note(session, [stored.finding_id], seen.at, ENGINE, Change.RESOLVED, "back to normal")
            told += [stored] if was != State.EXPECTED else []
    session.flush()
    return told


def _scopes(session: Session, standing: Sequence[StoredFinding]) -> dict[str, str | None]:
    """The scope of the run that last found each."""
    if not standing:
        return {}
    same = sa.and_(Run.run_id == StoredFinding.last_run_id, Run.dataset_name == StoredFinding.table_name)
    ids = [each.finding_id for each in standing]
    rows = session.execute(
        sa.select(StoredFinding.finding_id, Run.scope).join(Run, same).where(StoredFinding.finding_id.in_(ids))
    )
    return {finding_id: scope for finding_id, scope in rows}


def _could_find(seen: Seen, stored: StoredFinding, scope: str | None) -> bool:
    """Whether the fact would have shown in this run: of a column that could not be read nothing is known."""
    if stored.kind == "freshness":
        return seen.has_moved
    if stored.kind == "schema":
        return seen.columns is not None
    if stored.column_name and seen.columns is not None and stored.column_name not in seen.columns:
        return True
    if not seen.is_compared or not seen.is_like(scope):
        return False
    return not stored.column_name or stored.column_name in seen.known


def standing(session: Session, table: TableRef, now: datetime) -> list[StoredFinding]:
    """What somebody still has to look after: open, acknowledged, or put off until a time that has come. Worst first."""
    found = session.scalars(listing([table]))
    lively = [each for each in found if _is_standing(each, now)]
    return sorted(lively, key=lambda each: -Severity(each.severity).rank)


def standing_by_severity(session: Session, now: datetime) -> dict[tuple[TableRef, str], int]:
    """How many findings `standing` has, by table and severity."""
    lively = sa.or_(StoredFinding.state.in_((State.OPEN, State.ACKNOWLEDGED)), _is_over(now))
    names = (StoredFinding.warehouse, StoredFinding.schema_name, StoredFinding.table_name, StoredFinding.severity)
    rows = session.execute(sa.select(*names, sa.func.count()).where(lively).group_by(*names))
    return {(TableRef(*row[:3]), row[3]): row[4] for row in rows}


def _is_over(now: datetime) -> sa.ColumnElement[bool]:
    """What was put off until before now."""
    return sa.and_(StoredFinding.state == State.SNOOZED, StoredFinding.snoozed_until <= now)


def _is_standing(stored: StoredFinding, now: datetime) -> bool:
    if stored.state == State.SNOOZED:
        return stored.snoozed_until is not None and stored.snoozed_until <= now
    return stored.state in (State.OPEN, State.ACKNOWLEDGED)


def listing(tables: Sequence[TableRef] | None = None, *, is_all: bool = False) -> sa.Select[StoredFinding]:
    """The findings of these tables, or of all, that are not resolved, or all of them: last seen first."""
    found = sa.select(StoredFinding)
    if not is_all:
        found = found.where(StoredFinding.state != State.RESOLVED)
    if tables is not None:
        place = sa.tuple_(StoredFinding.warehouse, StoredFinding.schema_name, StoredFinding.table_name)
        found = found.where(place.in_([(table.warehouse, table.schema, table.name) for table in tables]))
    return found.order_by(StoredFinding.last_seen_at.desc(), StoredFinding.finding_id.desc())


@dataclass(frozen=True)
class Standing:
    """How much of a table's drift is open, and how severe the worst of it is."""

    open: int = 0
    worst: str | None = None


def standings(session: Session, now: datetime) -> dict[TableRef, Standing]:
    """Of every table with open findings, those included that were put off until before now, in one statement."""
    found = StoredFinding
    rank = sa.case({severity.value: severity.rank for severity in Severity}, value=found.severity, else_=0)
    place = (found.warehouse, found.schema_name, found.table_name)
    wanted = sa.select(*place, sa.func.count(), sa.func.max(rank)).group_by(*place)
    rows = session.execute(wanted.where(sa.or_(found.state == State.OPEN, _is_over(now))))
    names = {severity.rank: severity.value for severity in Severity}
    return {TableRef(*place): Standing(count, names.get(worst)) for *place, count, worst in rows}
