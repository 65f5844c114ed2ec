"""What a run's numbers are of, in words: which partitions of which time, how far a sample can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.numerals import compact, exact, number, percent
from app.standing import Partition
from app.words import plural


@dataclass(frozen=True)
class Told:
    sentences: tuple[str, ...]
    partitions: tuple[Partition, ...]


def told_scope(run: Any) -> Told:
    """Of a stored run; empty where the whole table was read and nothing is in doubt."""
    detail: Mapping[str, Any] = run.scope_detail or {}
    sentences = [*_of_sample(detail), *_of_parts(detail), *_reconciled(detail)]
    if detail.get("doubt"):
        sentences.append(f"There may be rows that this role cannot see: {detail['doubt']}")
    return Told(tuple(sentences), _partitions(detail))


def _of_sample(detail: Mapping[str, Any]) -> list[str]:
    fraction, bound = detail.get("fraction"), detail.get("share_error_points")
    if not fraction:
        return []
    told = [f"Of a sample of {percent(100 * fraction)} of the rows; the number of rows is estimated from it."]
    if bound is not None:
        told.append(
            f"A share, such as that of nulls, is within ± {number(bound)} percentage points of the truth (three "
            "standard errors, if rows are drawn one by one). Minimum, maximum and distinct count are the sample's."
        )
    return told


def _of_parts(detail: Mapping[str, Any]) -> list[str]:
    told = []
    rest = detail.get("rest")
    if isinstance(rest, Mapping):
        count = int(rest.get("partitions") or 0)
        since = _time(rest.get("as_of"))
        what = "1 more partition is" if count == 1 else f"{exact(count)} more partitions are"
        told.append(f"{what} carried as one closed rest, the oldest read at {since:%Y-%m-%d %H:%M} UTC.")
    dropped = detail.get("dropped") or []
    if dropped:
        names = ", ".join(map(str, dropped[:6])) + (f" and {len(dropped) - 6} more" if len(dropped) > 6 else "")
        told.append(f"No longer there, and taken out: {names}.")
    if detail.get("confidence") == "heuristic":
        told.append(
            "That the other partitions are unchanged is likely and not proved: a probe compared counts and maxima."
        )
    return told


def _reconciled(detail: Mapping[str, Any]) -> list[str]:
    found = detail.get("reconciled")
    if not isinstance(found, Mapping):
        return []
    off = found.get("columns_off") or {}
    rows = f"{compact(found.get('rows_merged'))} rows merged, {compact(found.get('rows_full'))} read"
    if not off:
        return [f"The merged profile was compared with all of the table: equal ({rows})."]
    names = ", ".join(f"{name} ({', '.join(metrics)})" for name, metrics in list(off.items())[:6])
    return [f"The merged profile was off in {len(off)} {plural(len(off), 'column')}: {names} ({rows})."]


def _partitions(detail: Mapping[str, Any]) -> tuple[Partition, ...]:
    parts = detail.get("partitions")
    if not isinstance(parts, list):
        return ()
    return tuple(
        Partition(part["name"], part.get("rows"), _time(part.get("as_of")), True, bool(part.get("read")))
        for part in parts
    )


def _time(text: Any) -> datetime:
    return datetime.fromisoformat(str(text)).astimezone(UTC)
