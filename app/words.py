"""Codes told in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.numerals import compact, duration, exact
from profilemesh.planning.decisions import Reason

REASONS: Mapping[str, str] = {reason.value: reason.meaning for reason in Reason}
ACTIONS = {
    "full": "read in full",
    "partial": "read in part",
    "sample": "sampled",
    "skip": "not read",
    "defer": "put off",
}
SCOPES = {"full": "full", "merged": "merged", "partial": "partial", "sample": "sample"}
MARKS = {"success": "ok", "completed": "ok", "failed": "failed", "running": "running", "drift_detected": "high"}
LABELS = {"success": "ok", "completed": "ok", "drift_detected": "drift"}


def reason(code: str | None) -> str:
    return REASONS.get(code or "", (code or "").replace("_", " "))


def action(code: str | None) -> str:
    return ACTIONS.get(code or "", (code or "").replace("_", " "))


def scope(code: str | None) -> str:
    return SCOPES.get(code or "", code or "")


def status_mark(run: Any) -> str:
    """The class of a run's mark: shape and colour."""
    if run.status in ("success", "completed") and run.has_drift:
        return "high"
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
    if "partitions" in detail and "partitions_total" in detail:
        return f"{detail['partitions']} of {detail['partitions_total']} partitions, {rows or 'rows unknown'}"
    if run.scope == "full":
        return "all rows" if run.rows_scanned is None or run.rows_scanned == run.row_count else f"all rows: {rows}"
    return rows


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
    "merged": "Every number is of the whole table: what was read now, merged with what was known.",
    "partial": "Every number is of the part that was read.",
    "sample": "Every number is of a sample.",
}


def _because(code: str) -> str:
    sentence = {
        "forced": "it was asked for by hand",
        "first_profile": "it was never profiled before",
    }
    return sentence.get(code, reason(code))


def _what(run: Any) -> str:
    if run.rows_scanned is None:
        return "the table"
    rows = f"{exact(run.rows_scanned)} {plural(run.rows_scanned, 'row')}"
    if run.scope != "full":
        return rows
    return f"all {rows}" if run.rows_scanned > 1 else "the one row" if run.rows_scanned else "the empty table"


def decision(state: Any) -> str:
    """What the last plan decided about a table."""
    if state.decision is None:
        return "never planned"
    return ", ".join(filter(None, (action(state.decision), reason(state.decision_reason))))
