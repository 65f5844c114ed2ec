"""What a message says: title and body in three styles, all made from the same entries. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import accumulate
from typing import Any

SEVERITIES = ("high", "medium", "low")
MARKS = {"high": "🔴", "medium": "🟠", "low": "🟡", "resolved": "✅"}
TITLE_LENGTH = 160
_BETWEEN = len("<p></p>\n")
_SPECIAL = re.compile(r"([\\`*\[\]<>~|#])|(?<![^\W_])(_)|(_)(?![^\W_])")


class Style(StrEnum):
    TEXT = "text"
    MARKDOWN = "markdown"
    HTML = "html"


_BREAKS = {Style.HTML: "<br>\n", Style.MARKDOWN: "  \n", Style.TEXT: "\n"}


@dataclass(frozen=True)
class Entry:
    """One finding, as it was when it was told."""

    finding_id: str
    change: str
    severity: str
    kind: str
    warehouse: str
    schema: str
    table: str
    column: str
    metric: str
    sentence: str
    owner: str | None = None
    link: str | None = None

    @property
    def gravity(self) -> str:
        return "resolved" if self.change == "resolved" else self.severity

    def data(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def place(self) -> str:
        return f"{self.warehouse}.{self.schema}.{self.table}"


@dataclass(frozen=True)
class Message:
    """A digest, or a test: the most severe first. `more` entries are not told one by one; a `note` is about alerts."""

    key: str
    route: str
    entries: tuple[Entry, ...] = ()
    more: int = 0
    note: str | None = None
    dashboard: str | None = None

    @property
    def gravity(self) -> str:
        """The worst of all: high, medium, low or resolved; `note` where there is no finding."""
        found = {entry.gravity for entry in self.entries}
        return next((each for each in MARKS if each in found), "note")

    def data(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)

    def title(self, style: Style, length: int = TITLE_LENGTH) -> str:
        """One line. Only where it will stand inside the body (`length` 0) is it in the body's style."""
        most = min(length, TITLE_LENGTH) if length > 0 else TITLE_LENGTH
        line = shortened(f"{MARKS.get(self.gravity, '🔔')} {_one_line(self._headline())}", most)
        return escaped(line, style) if length <= 0 else line

    def _headline(self) -> str:
        if not self.entries:
            return self.note or "ProfileMesh"
        if len(self.entries) == 1 and not self.more:
            entry = self.entries[0]
            return f"{'Resolved: ' if entry.change == 'resolved' else ''}{entry.sentence}"
        return f"{_counted(self.entries, self.more)} in {_named(self.entries)}"

    def body(self, style: Style, room: int, *, with_key: bool) -> str:
        """All entries that the channel has room for, how many there are beyond, and at the end the key."""
        foot = self._foot(style, with_key)
        note = escaped(self.note, style) if self.note else ""
        blocks = [_block(entry, style) for entry in self.entries]
        longest = len(_rest(len(blocks) + self.more, self.dashboard, style))
        fitting = _fitting(blocks, room - longest - len(note) - len(foot) - 3 * _BETWEEN)
        told = blocks[:fitting]
        if blocks and not told:
            # Not even one: its sentence, as far as it goes.
            told = [escaped(shortened(self.entries[0].sentence, max(20, room // 3)), style)]
        rest = _rest(len(blocks) - len(told) + self.more, self.dashboard, style)
        return _joined([*told, *filter(None, (note, rest, foot))], style)

    def _foot(self, style: Style, with_key: bool) -> str:
        words = f"ProfileMesh, route {self.route}" + (f", key {self.key}" if with_key else "")
        return f"<small>{words}</small>" if style is Style.HTML else words


def _fitting(blocks: Sequence[str], room: int) -> int:
    """How many of the first blocks fit."""
    ends = accumulate(len(block) + _BETWEEN for block in blocks)
    return sum(end <= room for end in ends)


def escaped(text: str, style: Style) -> str:
    """A text that stands in such a body and means nothing there. Names in tables may be written by anybody."""
    text = _one_line(text)
    if style is Style.HTML:
        return html.escape(text)
    return _SPECIAL.sub(lambda match: "\\" + match[0], text) if style is Style.MARKDOWN else text


def shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: max(length - 1, 0)] + "…"


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))


def _block(entry: Entry, style: Style) -> str:
    word = "resolved" if entry.change == "resolved" else entry.severity
    about = [entry.place, *([f"owner {entry.owner}"] if entry.owner else []), entry.change]
    if entry.change == "resolved":
        about.pop()
    first = f"{MARKS.get(word, '')} {_strong(word.upper(), style)} {escaped(entry.sentence, style)}"
    lines = [first, escaped(" · ".join(about), style)]
    if entry.link:
        lines.append(_link("Look at it", entry.link, style))
    return _BREAKS[style].join(lines)


def _strong(word: str, style: Style) -> str:
    return {Style.HTML: f"<b>{word}</b>", Style.MARKDOWN: f"**{word}**"}.get(style, word)


def _link(words: str, to: str, style: Style) -> str:
    if style is Style.HTML:
        # Mail has a plain part too, made of this: without the tag.
        return f'<a href="{html.escape(to)}">{html.escape(to)}</a>'
    return f"[{words}]({to})" if style is Style.MARKDOWN else to


def _rest(count: int, dashboard: str | None, style: Style) -> str:
    if count <= 0:
        return ""
    where = f": {_link('all of them', f'{dashboard}/drift', style)}" if dashboard else " on the dashboard"
    return f"… and {count:,} more{where}"


def _joined(blocks: Sequence[str], style: Style) -> str:
    return "\n".join(f"<p>{block}</p>" for block in blocks) if style is Style.HTML else "\n\n".join(blocks)


def _counted(entries: Sequence[Entry], more: int) -> str:
    """`3 findings (1 high, 2 medium), 1 resolved`."""
    counts = {each: sum(entry.gravity == each for entry in entries) for each in MARKS}
    found = sum(counts[each] for each in SEVERITIES)
    parts = []
    if found:
        grave = ", ".join(f"{counts[each]:,} {each}" for each in SEVERITIES if counts[each])
        parts.append(f"{found:,} finding{'s' if found != 1 else ''} ({grave})")
    if counts["resolved"]:
        parts.append(f"{counts['resolved']:,} resolved")
    return ", ".join(parts) + (f" and {more:,} more" if more else "")


def _named(entries: Sequence[Entry], most: int = 3) -> str:
    names = list(dict.fromkeys(_names(entries)))
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest:,} other table{'s' if rest != 1 else ''}" if rest > 0 else "")


def _names(entries: Sequence[Entry]) -> Iterator[str]:
    return (entry.table for entry in entries)
