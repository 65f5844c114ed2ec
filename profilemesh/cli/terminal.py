"""How the commands print for people: grids and colours on a terminal, plain lines in a pipe."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from rich import box, markup
from rich.console import Console
from rich.table import Table

from profilemesh.cli.context import fall_silent, plain

_COLOURS = {
    "full": "blue",
    "partial": "cyan",
    "sample": "magenta",
    "skip": "dim",
    "defer": "yellow",
    "success": "green",
    "failed": "red",
    "deferred": "yellow",
    "running": "blue",
}
_SEVERITIES = {"high": ("red", "◆"), "medium": ("yellow", "■"), "low": ("blue", "▲")}
"""The shapes of the dashboard."""
DASH = "–"
PIPE_WIDTH = 200
NARROWEST = 60
"""A terminal with fewer columns breaks lines by itself: squeezed further, no cell would be readable."""
ROOMY = 120
"""Columns from which a terminal shows what one can do without."""
NUMBERS = frozenset("Rows Reads Of Took Stale Ticks Columns Null Distinct Before After Change".split())
"""Columns of numbers, which stand at the right."""
NAME_WIDTH = 26
"""Most names of tables fit: one that is broken cannot be copied."""


class Unbreakable(Console):
    """Falls silent when its reader is gone (`| head`), where the parent would end the process: the work goes on."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        fall_silent()


def console() -> Console:
    found = Unbreakable(highlight=False, soft_wrap=True)
    if not found.is_terminal:
        return Unbreakable(highlight=False, soft_wrap=True, width=PIPE_WIDTH)
    found.width = max(found.width, NARROWEST)
    return found


def new_grid(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim")
    for name in columns:
        is_number = name in NUMBERS
        least = NAME_WIDTH if name == "Table" else None
        if is_number:
            # One that is cut must not pass for a smaller one.
            table.add_column(name, justify="right", no_wrap=True, overflow="ellipsis")
        else:
            table.add_column(name, overflow="fold", min_width=least)
    return table


def styled(word: str) -> str:
    return f"[{_COLOURS.get(word, 'default')}]{word}[/]"


def severity(word: str | None) -> str:
    """By colour, and by a mark and its word for who sees none."""
    colour, mark = _SEVERITIES.get(word or "", ("default", " "))
    return f"[{colour}]{mark} {word}[/]" if word else DASH


def number(value: object) -> str:
    """To six digits, thousands apart; a dash where it is unknown."""
    if value is None:
        return DASH
    if isinstance(value, float):
        return f"{int(value):,}" if value.is_integer() and abs(value) < 1e15 else f"{value:,.6g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def percent(share: float | int | None) -> str:
    if share is None:
        return DASH
    return "0 %" if share == 0 else "<0.01 %" if 0 < share < 0.01 else f"{share:.3g} %"


def cut(text: str, length: int) -> str:
    """One line of so many characters."""
    shown = plain(text)
    return shown if len(shown) <= length else shown[: length - 1] + "…"


def escape(text: str, *, lines: bool = False) -> str:
    """What a warehouse named or said: it neither styles the text nor steers the terminal. `lines` keeps its lines."""
    return markup.escape(plain(text, keep="\n" if lines else ""))


def score(score: int | None) -> str:
    return DASH if score is None else str(score)


def soon(moment: datetime | None) -> str:
    if moment is None:
        return DASH
    span = _span(moment - datetime.now(UTC))
    return f"in {span}" if span else "now"


def without_name(error: str, table: str) -> str:
    """The error without the table's name, which stands beside it already."""
    return error.removeprefix(f"table {table}: ")


def rows_of(rows: int | None, mark: str = "") -> str:
    return DASH if rows is None else f"{mark}{rows:,}"


def ago(moment: datetime | None) -> str:
    """How long ago, in its largest unit."""
    if moment is None:
        return DASH
    span = _span(datetime.now(UTC) - moment)
    return f"{span} ago" if span else "just now"


def _span(span: timedelta) -> str:
    """Rounded down, and in hours up to two days, as on the dashboard."""
    for least, size, unit in ((2 * 86400, 86400, "d"), (3600, 3600, "h"), (60, 60, "min")):
        if span.total_seconds() >= least:
            return f"{span.total_seconds() // size:.0f} {unit}"
    return ""
