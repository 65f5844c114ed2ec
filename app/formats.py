"""How values are written on a page: short where they stand, exact in the tip, a dash when unknown."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from typing import Any

from flask import Flask
from markupsafe import Markup, escape

from app import charts, evidence, numerals, pictures, words
from app.numerals import DASH, Number, compact, exact
from app.queries.profiles import ColumnProfile
from profilemesh.profiling.metrics import DISTINCT_ERROR_PERCENT


def init_app(app: Flask) -> None:
    for format_number in (compact, exact, numerals.number, numerals.percent, numerals.change, numerals.duration):
        app.add_template_filter(format_number)
    told = (words.reason, words.action, words.read, words.scope, words.story, words.decision, words.outcome)
    for tell in (*told, words.status_mark, words.status_label):
        app.add_template_filter(tell)
    for write in (ago, utc, when, short, cut, brief, plain, command, extreme, evidence.facts):
        app.add_template_filter(write)
    app.jinja_env.globals.update(DASH=DASH, STALENESS=words.STALENESS, charts=charts, pictures=pictures)
    app.jinja_env.globals.update(DISTINCT_ERROR_PERCENT=DISTINCT_ERROR_PERCENT)
    app.jinja_env.globals.update(plural=words.plural, asked_by=words.ASKED_BY, tick_marks=words.TICK_MARKS)


NEVER, UNKNOWN = (
    Markup(f'<span class="unknown">{DASH}</span>'),
    Markup(f'<span class="unknown" title="unknown">{DASH}</span>'),
)
AGES = ((60, 1, "s"), (3600, 60, "min"), (2 * 86400, 3600, "h"), (100 * 86400, 86400, "d"))


def ago(then: datetime | None, now: datetime) -> str:
    """How long before now, in its largest unit; after 100 days the date."""
    if then is None:
        return DASH
    seconds = (now - then).total_seconds()
    if -60 < seconds < 10:
        return "now"
    for limit, size, unit in AGES:
        if abs(seconds) < limit:
            text = f"{abs(seconds) // size:.0f} {unit}"
            return text if seconds > 0 else f"in {text}"
    return f"{then:%Y-%m-%d}"


def utc(then: datetime | None) -> str:
    return f"{then.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if then else "unknown"


def when(then: datetime | None, now: datetime, suffix: str = "") -> Markup:
    """A relative time with the exact one in its tip; the suffix is for what lies a while back."""
    if then is None:
        return NEVER
    text = ago(then, now)
    told = f"{text}{suffix}" if text[0].isdigit() and "-" not in text else text
    moment = then.astimezone(UTC).isoformat()
    # Digits and letters of ours; Markup.format, which escapes, took a tenth of a page's time.
    return Markup(f'<time datetime="{moment}" title="{utc(then)}">{told}</time>')


def short(value: Number | None) -> Markup:
    """A number, compact, with the exact one in its tip."""
    if value is None:
        return UNKNOWN
    shown, whole = compact(value), exact(value)
    return escape(shown) if shown == whole else Markup(f'<span title="{escape(whole)}">{escape(shown)}</span>')


def cut(text: Any, length: int = 28) -> Markup:
    """A value from a warehouse: isolated from the text around it, cut with the whole of it in its tip."""
    if text is None:
        return UNKNOWN
    whole = str(text)
    if not whole.strip():
        return Markup(f'<bdi class="blank" title="{escape(repr(whole))}">{"blank" if whole else "empty"}</bdi>')
    visible = plain(whole)
    if len(visible) <= length:
        return Markup(f"<bdi>{escape(visible)}</bdi>")
    return Markup(f'<bdi title="{escape(visible[:600])}">{escape(visible[: length - 1])}…</bdi>')


def brief(text: Any, length: int) -> str:
    """The same without any markup: for titles, options and labels; never empty."""
    visible = " ".join(plain(str(text)).split())
    return (visible if len(visible) <= length else f"{visible[: length - 1]}…") or "blank"


def plain(text: str, lines: bool = False) -> str:
    """The text without characters that turn its direction or cannot be seen; with or without its lines."""
    if text.isprintable():
        return text
    kept = "\n\t" if lines else ""
    return "".join(c if c.isprintable() or c in kept else "�" for c in text)


def command(table: str) -> str:
    """The command that profiles a table now, to be pasted into a shell; globs in the name are taken literally."""
    literal = "".join(f"[{c}]" if c in "*?[" else c for c in table)
    return f"profilemesh profile --table {shlex.quote(plain(literal))}"


def extreme(column: ColumnProfile, metric: str) -> Markup:
    """A smallest or largest value, with its stored text in the tip."""
    value = column.value(metric)
    if value is None or isinstance(value, str):
        return cut(value, 26)
    shown = escape(numerals.precise(value) + column.unit)
    return Markup(f'<span title="{escape(column.values.get(metric))}">{shown}</span>')
