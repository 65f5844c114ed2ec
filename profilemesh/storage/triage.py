"""What people do with findings, many at once where they like.

Each operation takes the ids of findings and returns those that it changed: one UPDATE whose condition must hold, so
that of two people at once one is too late and changes nothing. What changed is in the history. Doing a thing twice
changes nothing the second time.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from profilemesh.storage.findings import State, note
from profilemesh.storage.models import FindingOccurrence, Run, StoredFinding, TriageEntry
from profilemesh.storage.writes import count

_LIVELY = (State.OPEN, State.ACKNOWLEDGED, State.SNOOZED)
_UNRESOLVED = (*_LIVELY, State.EXPECTED)


def acknowledge(
    session: Session, ids: Collection[str], *, who: str, now: datetime, text: str | None = None
) -> list[str]:
    """Somebody looks after them."""
    values = {"state": State.ACKNOWLEDGED.value, "snoozed_until": None}
    changed = _change(session, ids, StoredFinding.state.in_((State.OPEN, State.SNOOZED)), values)
    note(session, changed, now, who, State.ACKNOWLEDGED, text)
    return changed


def snooze(
    session: Session, ids: Collection[str], until: datetime, *, who: str, now: datetime, text: str | None = None
) -> list[str]:
    """Quiet until then; the first run after it that finds them again opens them."""
    other = sa.or_(StoredFinding.snoozed_until.is_(None), StoredFinding.snoozed_until != until)
    values = {"state": State.SNOOZED.value, "snoozed_until": until}
    changed = _change(session, ids, sa.and_(StoredFinding.state.in_(_LIVELY), other), values)
    said = f"until {until:%Y-%m-%d %H:%M} UTC" + (f": {text}" if text else "")
    note(session, changed, now, who, State.SNOOZED, said)
    return changed


def assign(session: Session, ids: Collection[str], to: str | None, *, who: str, now: datetime) -> list[str]:
    """Whose they are from now on; None: nobody's."""
    changed = _change(session, ids, StoredFinding.assignee.is_distinct_from(to), {"assignee": to})
    note(session, changed, now, who, "assigned", to)
    return changed


def comment(session: Session, ids: Collection[str], text: str, *, who: str, now: datetime) -> list[str]:
    """Say something of them. The same words again, with nothing in between, were sent twice."""
    known = _locked(session, ids)
    last = aliased(TriageEntry)
    newest = sa.select(sa.func.max(last.id)).where(last.finding_id == TriageEntry.finding_id).scalar_subquery()
    said = sa.and_(TriageEntry.action == "commented", TriageEntry.who == who, TriageEntry.text == text)
    told = sa.select(TriageEntry.finding_id).where(TriageEntry.finding_id.in_(known), TriageEntry.id == newest, said)
    twice = set(session.scalars(told))
    changed = [each for each in known if each not in twice]
    note(session, changed, now, who, "commented", text)
    return changed


def expect(session: Session, ids: Collection[str], *, who: str, now: datetime, text: str | None = None) -> list[str]:
    """It was meant to be: quiet while it lasts, and the runs that found it are no baseline for others, though charts
    show them. One that is resolved stays so."""
    changed = _change(
        session, ids, StoredFinding.state.in_(_LIVELY), {"state": State.EXPECTED.value, "snoozed_until": None}
    )
    others = [each for each in _locked(session, ids) if each not in changed]
    resolved = sa.and_(StoredFinding.finding_id.in_(others), StoredFinding.state == State.RESOLVED)
    unmarked = sa.exists().where(_occurred(), Run.is_expected.is_(False))
    changed += session.scalars(sa.select(StoredFinding.finding_id).where(resolved, unmarked)).all()
    found_by = sa.exists().where(_occurred(), StoredFinding.finding_id.in_(changed)).correlate(Run)
    values = {"is_expected": True, "expected_note": text}
    count(session, sa.update(Run).where(Run.is_expected.is_(False), found_by).values(values))
    note(session, changed, now, who, State.EXPECTED, text)
    return changed


def resolve(session: Session, ids: Collection[str], *, who: str, now: datetime, text: str | None = None) -> list[str]:
    """It is over. If a run finds it again soon it is open again."""
    values = {"state": State.RESOLVED.value, "resolved_at": now, "snoozed_until": None}
    changed = _change(session, ids, StoredFinding.state.in_(_UNRESOLVED), values)
    note(session, changed, now, who, State.RESOLVED, text)
    return changed


def reopen(session: Session, ids: Collection[str], *, who: str, now: datetime, text: str | None = None) -> list[str]:
    """Open again, whatever it was; runs that only these findings made expected are baselines again.

    One whose fact has an open finding of its own stays resolved, as do all but the latest of one fact.
    """
    known = _locked(session, ids)
    expected = sa.select(StoredFinding.finding_id).where(StoredFinding.finding_id.in_(known), _was_expected())
    unexpected = list(session.scalars(expected))
    values = {"state": State.OPEN.value, "resolved_at": None, "snoozed_until": None, "quiet_runs": 0}
    condition = sa.and_(StoredFinding.state != State.OPEN, sa.not_(_is_succeeded()))
    changed = _change(session, known, condition, values)
    _unmark(session, [each for each in unexpected if each in changed])
    note(session, changed, now, who, "reopened", text)
    return changed


def history(session: Session, finding_id: str) -> Sequence[TriageEntry]:
    """What was done with a finding, oldest first."""
    statement = sa.select(TriageEntry).where(TriageEntry.finding_id == finding_id).order_by(TriageEntry.id)
    return session.scalars(statement).all()


def _change(
    session: Session, ids: Collection[str], condition: sa.ColumnElement[bool], values: dict[str, Any]
) -> list[str]:
    """The findings of these ids that the condition holds for, changed."""
    known = _locked(session, ids)
    statement = sa.update(StoredFinding).where(StoredFinding.finding_id.in_(known), condition).values(values)
    found = session.scalars(
        statement.returning(StoredFinding.finding_id), execution_options={"synchronize_session": False}
    )
    changed = set(found)
    for each in list(session.identity_map.values()):
        if isinstance(each, StoredFinding) and each.finding_id in changed:
            session.expire(each)
    return [each for each in known if each in changed]


def _locked(session: Session, ids: Collection[str]) -> list[str]:
    """Those of the ids that exist, locked in one order, or two bulks would wait for each other."""
    same = StoredFinding.finding_id.in_(list(ids))
    statement = sa.select(StoredFinding.finding_id).where(same).order_by(StoredFinding.finding_id).with_for_update()
    return list(session.scalars(statement))


def _occurred() -> sa.ColumnElement[bool]:
    """The run is one in which the finding occurred."""
    return sa.and_(
        FindingOccurrence.finding_id == StoredFinding.finding_id,
        FindingOccurrence.run_id == Run.run_id,
        Run.warehouse == StoredFinding.warehouse,
        Run.schema_name == StoredFinding.schema_name,
        Run.dataset_name == StoredFinding.table_name,
    )


def _was_expected() -> sa.ColumnElement[bool]:
    return sa.exists().where(TriageEntry.finding_id == StoredFinding.finding_id, TriageEntry.action == State.EXPECTED)


def _is_succeeded() -> sa.ColumnElement[bool]:
    """Another finding of this fact is not resolved, or was resolved later."""
    other = aliased(StoredFinding)
    when, other_when = (sa.tuple_(each.resolved_at, each.finding_id) for each in (StoredFinding, other))
    later = sa.or_(other.state != State.RESOLVED, other_when > when)
    same = sa.and_(other.fingerprint == StoredFinding.fingerprint, other.finding_id != StoredFinding.finding_id)
    return sa.exists().where(same, later).correlate(StoredFinding)


def _unmark(session: Session, ids: Collection[str]) -> None:
    if not ids:
        return
    ours = sa.exists().where(_occurred(), StoredFinding.finding_id.in_(ids)).correlate(Run)
    still = sa.and_(StoredFinding.finding_id.not_in(ids), _was_expected(), StoredFinding.state != State.OPEN)
    others = sa.exists().where(_occurred(), still).correlate(Run)
    values = {"is_expected": False, "expected_note": None}
    count(session, sa.update(Run).where(Run.is_expected.is_(True), ours, sa.not_(others)).values(values))
