"""Codes told in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.numerals import compact, duration, exact, percent
from profilemesh.planning.decisions import Reason

REASONS: Mapping[str, str] = {reason.value: reason.meaning for reason in Reason}
ACTIONS = {
    "full": "read in full",
    "partial": "read in part",
    "sample": "sampled",
    "skip": "not read",
    "defer": "put off",
}
OUTCOMES = {"success": "read", "failed": "failed", "deferred": "put off after all"}
TICK_MARKS = {"done": "ok", "failed": "failed", "running": "running"}
ASKED_BY = {"schedule": "the schedule", "hand": "hand", "command": "a command", "dagster": "Dagster"}
STALENESS = (
    "How far the profile may be behind the data: 0 is proved unchanged, 100 never profiled; else its age against the "
    "interval (60), the share of rows that changed (30) and a priority of its own (10)"
)
SCOPES = {"full": "full", "merged": "merged", "partial": "partial", "sample": "sample"}
MARKS = {"success": "ok", "completed": "ok", "failed": "failed", "running": "running", "drift_detected": "drifted"}
LABELS = {"success": "ok", "completed": "ok", "drift_detected": "drift"}


def reason(code: str | None) -> str:
    return REASONS.get(code or "", (code or "").replace("_", " "))


def action(code: str | None) -> str:
    return ACTIONS.get(code or "", (code or "").replace("_", " "))


def outcome(code: str | None) -> str:
    return OUTCOMES.get(code or "", (code or "").replace("_", " "))


def scope(code: str | None) -> str:
    return SCOPES.get(code or "", code or "")


def status_mark(run: Any) -> str:
    """The class of a run's mark: shape and colour. That it drifted says nothing of how far."""
    if run.status in ("success", "completed") and run.has_drift:
        return "drifted"
    return MARKS.get(run.status, "stale")


def status_label(run: Any) -> str:
    if run.status in ("success", "completed") and run.has_drift:
        return "drift"
    return LABELS.get(run.status, str(run.status).replace("_", " "))


def plural(count: int, one: str, many: str | None = None) -> str:
    return one if count == 1 else (many or f"{one}s")


def read(run: Any) -> str:
    """What a run read, or why it did not, in a few words."""
    if run.status == "failed":
        return first_line(run.error) or "failed, no error on record"
    if run.status == "running":
        return "reading now"
    detail: Mapping[str, Any] = run.scope_detail or {}
    rows = "" if run.rows_scanned is None else f"{compact(run.rows_scanned)} {plural(run.rows_scanned, 'row')}"
    parts = partitions_read(detail)
    if parts is not None:
        return f"{parts[0]} of {parts[1]} {plural(parts[1], 'partition')}, {rows or 'rows unknown'}"
    if run.scope == "sample" and "fraction" in detail:
        return f"a sample of {percent(100 * detail['fraction'])}, {rows or 'rows unknown'}"
    if run.scope == "full":
        return "all rows" if run.rows_scanned is None or run.rows_scanned == run.row_count else f"all rows: {rows}"
    return rows


def partitions_read(detail: Mapping[str, Any]) -> tuple[int, int] | None:
    """How many partitions a merged profile was made of, and how many of them this run read."""
    parts, total = detail.get("partitions"), detail.get("partitions_total")
    if isinstance(parts, int) and isinstance(total, int):
        return parts, total
    if not isinstance(parts, list):
        return None
    rest = detail.get("rest") or {}
    return sum(bool(part.get("read")) for part in parts), len(parts) + int(rest.get("partitions") or 0)


def first_line(text: str | None, length: int = 160) -> str:
    line = (text or "").strip().split("\n")[0]
    return line if len(line) <= length else line[: length - 1] + "…"


STRATEGIES = {"pushdown": "inside the warehouse", "stream": "by streaming its rows through the profiler"}


def story(run: Any) -> str:
    """What a run did and why, in a sentence or two."""
    if run.status == "running":
        return "This run is still going on."
    why = f" because {_because(run.reason)}" if run.reason else ""
    took = "" if run.duration_seconds is None else f" after {duration(run.duration_seconds)}"
    if run.status == "failed":
        return f"This run failed{took}. It was started{why or ' for a reason that is not on record'}."
    parts = [f"Read {_what(run)}", STRATEGIES.get(run.strategy or "", "")]
    took = "" if run.duration_seconds is None else f" in {duration(run.duration_seconds)}"
    return f"{' '.join(filter(None, parts))}{took}{why}. {MEANINGS.get(run.scope or '', '')}".strip()


MEANINGS = {
    "full": "Every number is of the whole table.",
    "merged": "Every number is of the whole table: what was read now, merged with what was known of the rest.",
    "partial": "Every number is of the part that was read.",
    "sample": "Every number is of a sample.",
}


def _because(code: str) -> str:
    sentence = {
        "forced": "it was asked for by hand",
        "first_profile": "it was never profiled before",
        "sampling_configured": "the configuration asks for a sample",
        "cost_cap": "reading all of it costs more than the limit",
        "deferred_too_long": "it was put off for too long",
    }
    return sentence.get(code, reason(code))


def _what(run: Any) -> str:
    if run.rows_scanned is None:
        return "the table"
    rows = f"{exact(run.rows_scanned)} {plural(run.rows_scanned, 'row')}"
    parts = partitions_read(run.scope_detail or {})
    if parts is not None:
        return f"{parts[0]} of {parts[1]} {plural(parts[1], 'partition')} ({rows})"
    fraction = (run.scope_detail or {}).get("fraction")
    if run.scope == "sample" and fraction:
        return f"a sample of {percent(100 * fraction)} ({rows})"
    if run.scope != "full":
        return rows
    return f"all {rows}" if run.rows_scanned > 1 else "the one row" if run.rows_scanned else "the empty table"


def decision(state: Any) -> str:
    """What the last plan decided about a table."""
    if state.decision is None:
        return "never planned"
    return ", ".join(filter(None, (action(state.decision), reason(state.decision_reason))))
