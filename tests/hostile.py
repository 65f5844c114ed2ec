"""A storage in which everything that a warehouse, a person or a configuration can name wishes us ill."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from itertools import cycle
from typing import Any

from sqlalchemy.orm import Session

from profilemesh.storage.models import Saving, TriageEntry
from tests.factories import (
    NOW,
    add_decision,
    add_drift,
    add_finding,
    add_run,
    add_state,
    add_tick,
    number_metrics,
    text_metrics,
    top,
)

MARKUP = "<script>alert(1)</script><img src=x onerror=alert(1)>"
QUOTES = "\"'`><b onmouseover=alert(1)>"
NAMES = (
    MARKUP,
    QUOTES,
    "\u202etxt.exe\u2066\u200f",
    "x" * 2000,
    "two\nlines\r\n\tand a tab",
    "100%/../..//%2F%00?a=b&c#d",
    "\U0001f4a9\U0001f469\u200d\U0001f680\u0301\u0301\u0301",
    "{{ 7 * 7 }}{% raw %}${7*7}",
    " ",
    "שלום עולם" * 20,
    "javascript:alert(1)",
    "&lt;script&gt;&amp;amp;",
)
TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Marks that turn the direction of whatever stands behind them."""


def add_hostile(session: Session, tables: Iterable[str] = NAMES) -> None:
    """Tables of these names; their warehouses, schemas, columns, values and all else have every name."""
    names = cycle(NAMES)
    for name in tables:
        next(names)
        _add_table(session, name, next(names), next(names), NAMES)
    session.flush()


def _columns(names: Iterable[str], mean: float) -> dict[tuple[str, str], dict[str, Any]]:
    listed = list(names)
    values = top(*((name, 9 + i) for i, name in enumerate(listed)))
    columns: dict[tuple[str, str], dict[str, Any]] = {
        (name, other): text_metrics(500, 7, other, name, top_values=values, avg_length=mean)
        for name, other in zip(listed, [*listed[1:], listed[0]], strict=True)
    }
    columns["total\u202e", listed[0]] = number_metrics(500, mean=mean, stddev=10.0)
    return columns


def _add_table(session: Session, table: str, warehouse: str, schema: str, names: tuple[str, ...]) -> None:
    place = {"warehouse": warehouse, "warehouse_type": names[0][:50], "schema": schema}
    detail = {
        "partitions": [{"name": name, "rows": 3, "as_of": NOW.isoformat(), "read": True} for name in names],
        "dropped": list(names),
        "doubt": names[0],
        "reconciled": {"rows_merged": 1, "rows_full": 2, "columns_off": {name: [name] for name in names}},
    }
    told = {
        "environment": names[1],
        "scope_detail": detail,
        "scope": "merged",
        "column_errors": {name: name for name in names},
        "statements": [{"sql": name, "seconds": 0.1, "rows": 1} for name in names],
        "reason": names[3][:50],
        "strategy": names[0][:20],
    }
    add_run(session, table, at=NOW - timedelta(days=2), columns=_columns(names, 40.0), rows=500, **place, **told)
    add_run(session, table, at=NOW - timedelta(days=1), status="failed", error="\n".join(names), **place)
    run = add_run(session, table, at=NOW - timedelta(hours=1), columns=_columns(names, 60.0), rows=900, **place, **told)
    hostile = {"message": names[0], "doubt": names[3], names[1]: [*names], "token_before": names[0], "token_after": "x"}
    where = {"warehouse": warehouse, "schema_name": schema}
    manifest = {"evidence": hostile, "confidence": "none", "decision_reason": names[0][:50], "decision": "full"}
    add_state(session, table, run=run, **manifest)
    add_decision(session, table, action="full", reason="unknown_state", evidence=hostile, outcome="failed", **where)
    add_drift(session, run, column=table)
    _add_findings(session, run, names)
    session.merge(Saving(day=NOW.date(), warehouse=warehouse, action="skip", decisions=1, rows_measured=1, rows_read=1))
    current = [{"table": f"{warehouse}.{schema}.{table}", "rows": 1}]
    add_tick(session, status="failed", error="\n".join(names), current=current, tables_failed=1)


def _add_findings(session: Session, run: Any, names: tuple[str, ...]) -> None:
    parts = {
        "culprits": [{"partition": name, "share": 1.5} for name in names],
        "explains": [{"sentence": name, "severity": name, "column": name, "metric": name} for name in names],
        "baseline": names[0],
        "baseline_runs": list(names),
        "details": {"moved": {"value": names[0], "before": 1.0, "now": 2.0}, "was": names[0], "now": names[1]},
    }
    people = {"owner": names[0], "assignee": names[3]}
    said = " ".join(names)
    found = add_finding(session, run, names[1], details=parts, sentence=said, severity="medium", **people)
    add_finding(session, run, names[3], "distribution", kind="distribution", sentence=names[3], details=parts, **people)
    entry = {"at": NOW, "who": names[0], "action": "commented", "text": "\n".join(names)}
    session.add(TriageEntry(finding_id=found.finding_id, **entry))


VALUE = re.compile(r' value="[^"]*"')


def raw_marks(page: str) -> list[str]:
    """What of the names stands in a page as it must not, each with what is around it: markup that is alive, marks that
    turn the text. What a form sends back unseen is as it was."""
    shown = VALUE.sub("", page)
    alive = ("<script>alert", "<img src=x", "<b onmouseover", "onerror=alert(1)>", "49{% raw", *TURNING)
    return [shown[max(0, at - 60) : at + 20] for mark in alive if (at := shown.find(mark)) >= 0]
