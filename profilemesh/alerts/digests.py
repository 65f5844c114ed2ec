"""Digests: what one tick has to tell on one route becomes one message. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from profilemesh.alerts.messages import MARKS, Entry, Message
from profilemesh.storage.alerts import ENTRIES
from profilemesh.storage.models import AlertDigest

_ORDER = {mark: place for place, mark in enumerate(MARKS)}


def content_of(told: Sequence[Mapping[str, Any]], dashboard: str | None = None) -> dict[str, Any]:
    """What the message will say, the most severe first, the last word on each finding; too many are counted."""
    entries = {each["finding_id"]: Entry(**each) for each in told}
    ordered = sorted(entries.values(), key=_rank)
    return {
        "entries": [entry.data() for entry in ordered[:ENTRIES]],
        "more": len(ordered[ENTRIES:]),
        "dashboard": dashboard,
    }


def _rank(entry: Entry) -> tuple[int, str, str, str]:
    return _ORDER.get(entry.gravity, 0), entry.place, entry.column, entry.metric


def message_of(digest: AlertDigest) -> Message:
    """The same of one digest, always."""
    content = digest.content
    entries = tuple(Entry(**each) for each in content.get("entries", ()))
    return Message(
        digest.key, digest.route, entries, content.get("more", 0), content.get("note"), content.get("dashboard")
    )


def loss_of(given_up: Sequence[AlertDigest], dashboard: str | None = None) -> dict[str, Any]:
    """What is told of messages that were given up: how many, of when, and how many findings they were about.

    Notes of the same kind that were given up themselves are counted with what they told.
    """
    lost = [digest.content.get("lost") or _lost(digest) for digest in given_up]
    total = {
        "messages": sum(each["messages"] for each in lost),
        "findings": sum(each["findings"] for each in lost),
        "since": min(each["since"] for each in lost),
        "until": max(each["until"] for each in lost),
    }
    return {"entries": [], "more": 0, "note": _note(total, dashboard), "lost": total, "dashboard": dashboard}


def _lost(digest: AlertDigest) -> dict[str, Any]:
    content, at = digest.content, digest.made_at.isoformat()
    findings = len(content.get("entries", ())) + content.get("more", 0)
    return {"messages": 1, "findings": findings, "since": at, "until": at}


def _note(lost: Mapping[str, Any], dashboard: str | None) -> str:
    since, until = (f"{datetime.fromisoformat(lost[end]):%Y-%m-%d %H:%M}" for end in ("since", "until"))
    where = f"{dashboard}/drift has them" if dashboard else "the dashboard has them"
    messages = f"{lost['messages']:,} message{'s' if lost['messages'] != 1 else ''}"
    findings = f"{lost['findings']:,} finding{'s' if lost['findings'] != 1 else ''}"
    return f"{messages} about {findings}, of {since} to {until} UTC, could not be delivered and were given up; {where}"
