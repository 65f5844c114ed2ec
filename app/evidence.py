"""A decision's evidence, readable: what was seen, in words, with the whole of it in the tip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app import words
from app.numerals import compact, exact, percent


@dataclass(frozen=True)
class Fact:
    """One thing that was seen. `tip` has all of what `text` cuts short."""

    label: str
    text: str
    tip: str = ""


TOKEN_LENGTH = 12
NAMES_SHOWN = 6
LABELS = {
    "because": "was to be read because",
    "added": "new",
    "closed": "changed, without a summary of their own",
    "retyped": "another type",
    "probe": "compared by",
    "by": "paused by",
    "data": "its data",
    "limit": "at most",
    "max_rows": "limit",
    "max_bytes": "limit",
    "budget_rows_left": "left of the tick's budget",
    "budget_bytes_left": "left of the tick's budget",
    "rows_estimated": "expected",
    "bytes_estimated": "expected",
    "key": "setting",
    "doubt": "why there is no proof",
    "message": "it said",
    "over": "goes beyond",
    "last_full_at": "last read whole",
    "due_at": "due",
    "vanished_at": "gone since",
    "token": "token",
}
TIMES = ("due_at", "since", "vanished_at", "trusted_until", "last_full_at")
SILENT = ("key_before", "key_after", "token_before", "token_after", "confidence")
CONFIDENCES = {"exact": "proves it", "heuristic": "likely, no proof", "none": "proves nothing"}


def facts(evidence: Mapping[str, Any] | None) -> list[Fact]:
    """In the order in which they were noted; equal tokens are one fact."""
    seen = dict(evidence or {})
    found = [*_tokens(seen)]
    for name, value in seen.items():
        if name not in SILENT and value not in (None, [], {}, ""):
            found.append(_fact(name, value))
    return found


def _tokens(seen: Mapping[str, Any]) -> list[Fact]:
    if "token_after" not in seen:
        return []
    before, after = seen.get("token_before"), seen["token_after"]
    sure = CONFIDENCES.get(str(seen.get("confidence")), "")
    aside = f" ({sure})" if sure else ""
    if before == after:
        return [Fact("token", f"equal: {_short(after)}{aside}", _whole(after))]
    return [Fact("token before", _short(before), _whole(before)), Fact("token now", _short(after), _whole(after))]


def _short(token: Any) -> str:
    """The end tells tokens apart: they begin with what seldom changes."""
    text = "none" if token is None else str(token)
    return text if len(text) <= TOKEN_LENGTH + 2 else f"…{text[-TOKEN_LENGTH:]}"


def _whole(token: Any) -> str:
    return "" if token is None else str(token)


def _fact(name: str, value: Any) -> Fact:
    label = LABELS.get(name, name.replace("_", " "))
    if name in TIMES:
        return Fact(label, _time(value))
    if name == "because":
        return Fact(label, words.reason(str(value)))
    if name == "fraction" and isinstance(value, int | float):
        return Fact("sample", f"{percent(100 * value)} of the rows")
    if name == "token":
        return Fact(label, _short(value), _whole(value))
    if isinstance(value, Mapping):
        return _retyped(label, value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return _names(label, value)
    if isinstance(value, int) and not isinstance(value, bool):
        unit = "bytes" if "bytes" in name else "partitions" if name == "limit" else "rows"
        return Fact(label, f"{compact(value)} {unit}", f"{exact(value)} {unit}")
    return Fact(label, str(value))


def _time(value: Any) -> str:
    try:
        return f"{datetime.fromisoformat(str(value)).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return str(value)


def _names(label: str, names: Sequence[Any]) -> Fact:
    shown = [str(name) for name in names]
    if len(shown) <= NAMES_SHOWN:
        return Fact(label, ", ".join(shown))
    return Fact(label, f"{', '.join(shown[:NAMES_SHOWN])} and more", ", ".join(shown))


def _retyped(label: str, types: Mapping[str, Any]) -> Fact:
    told = (
        f"{name}: {' → '.join(map(str, value)) if isinstance(value, Sequence) else value}"
        for name, value in types.items()
    )
    return Fact(label, ", ".join(told))
