"""Stored findings as a back-test needs them: the runs they occurred in, and how people took them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from profilemesh.storage.findings import ENGINE, State, of_table
from profilemesh.storage.models import FindingOccurrence, StoredFinding, TriageEntry
from profilemesh.tables import TableRef

USEFUL, FALSE_ALARM, UNTOUCHED = VERDICTS = ("useful", "expected", "untouched")
"""How people took a finding: somebody worked with it, said that it was meant to be, or did nothing."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A stored finding, the runs it occurred in, and how people took it."""

    finding_id: str
    fingerprint: str
    table: TableRef
    column: str
    metric: str
    kind: str
    severity: str
    state: str
    sentence: str
    opened_at: datetime
    run_ids: frozenset[str]
    verdict: str


def taken(session: Session, table: TableRef, since: datetime, until: datetime) -> list[Taken]:
    """A table's findings that occurred in this time."""
    during = sa.and_(FindingOccurrence.at >= since, FindingOccurrence.at < until)
    same = FindingOccurrence.finding_id == StoredFinding.finding_id
    rows = session.execute(
        sa.select(StoredFinding, FindingOccurrence.run_id).join(FindingOccurrence, same).where(of_table(table), during)
    )
    found: dict[str, StoredFinding] = {}
    run_ids: dict[str, set[str]] = {}
    for stored, run_id in rows:
        found[stored.finding_id] = stored
        run_ids.setdefault(stored.finding_id, set()).add(run_id)
    by_hand = _by_hand(session, found)
    return [_taken(each, table, run_ids[each.finding_id], by_hand.get(each.finding_id, ())) for each in found.values()]


def _taken(stored: StoredFinding, table: TableRef, run_ids: set[str], actions: Iterable[str]) -> Taken:
    done = set(actions)
    verdict = FALSE_ALARM if State.EXPECTED in done else USEFUL if done else UNTOUCHED
    names = (stored.column_name, stored.metric_name, stored.kind, stored.severity, stored.state, stored.sentence)
    return Taken(stored.finding_id, stored.fingerprint, table, *names, stored.opened_at, frozenset(run_ids), verdict)


def _by_hand(session: Session, ids: Iterable[str]) -> dict[str, list[str]]:
    """What people did with these findings."""
    wanted = sa.and_(TriageEntry.finding_id.in_(list(ids)), TriageEntry.who != ENGINE)
    found: dict[str, list[str]] = {}
    for finding_id, action in session.execute(sa.select(TriageEntry.finding_id, TriageEntry.action).where(wanted)):
        found.setdefault(finding_id, []).append(action)
    return found
