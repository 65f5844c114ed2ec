"""What people do with findings, by a form or by the API: one operation on one finding or many, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import abort
from sqlalchemy.orm import Session

from app.queries import findings
from profilemesh.storage import triage

BY_FORM, BY_API = "a form on this machine", "the API"
"""Who did it, until there is sign-in."""


@dataclass(frozen=True)
class Outcome:
    """`result` is done, unchanged or missing; `state` is the finding's now, None where there is no such finding."""

    finding_id: str
    result: str
    state: str | None


def carry_out(
    session: Session, ids: Sequence[str], wanted: Mapping[str, Any], who: str, now: datetime
) -> list[Outcome]:
    """Do what a loaded Triage asks for and commit it; 422 where the time to come back has passed."""
    if wanted["action"] == "snooze" and wanted["until"] <= now:
        abort(422, description="A snooze ends in the future.")
    chosen = list(dict.fromkeys(each for each in ids if "\0" not in each))
    changed = set(_operate(session, chosen, wanted, who, now))
    session.commit()
    states = findings.states_of(session, chosen, now)
    return [Outcome(each, _result(each, changed, states), states.get(each)) for each in dict.fromkeys(ids)]


def _result(finding_id: str, changed: set[str], states: Mapping[str, str]) -> str:
    return "done" if finding_id in changed else "unchanged" if finding_id in states else "missing"


def _operate(session: Session, ids: Sequence[str], wanted: Mapping[str, Any], who: str, now: datetime) -> Sequence[str]:
    action, text = wanted["action"], _said(wanted["text"])
    if action == "snooze":
        return triage.snooze(session, ids, wanted["until"], who=who, now=now, text=text)
    if action == "assign":
        return triage.assign(session, ids, _said(wanted["to"]), who=who, now=now)
    if action == "comment":
        return triage.comment(session, ids, text or "", who=who, now=now)
    return SIMPLE[action](session, ids, who=who, now=now, text=text)


SIMPLE = {
    "acknowledge": triage.acknowledge,
    "expect": triage.expect,
    "resolve": triage.resolve,
    "reopen": triage.reopen,
}


def _said(text: str | None) -> str | None:
    """Nothing but blanks is nothing."""
    return (text or "").strip() or None
