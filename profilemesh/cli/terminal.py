"""How the commands print for people: grids and colours on a terminal, plain lines in a pipe."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from rich import box
from rich.console import Console
from rich.table import Table

from profilemesh.cli.context import fall_silent

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
DASH = "–"
PIPE_WIDTH = 200
ROOMY = 120
"""Columns from which a terminal shows what one can do without."""
NAME_WIDTH = 26
"""Most names of tables fit: one that is broken cannot be copied."""


class Unbreakable(Console):
    """Falls silent when its reader is gone (`| head`), where the parent would end the process: the work goes on."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        fall_silent()


def console() -> Console:
    found = Unbreakable(highlight=False, soft_wrap=True)
    return found if found.is_terminal else Unbreakable(highlight=False, soft_wrap=True, width=PIPE_WIDTH)


def new_grid(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim")
    for name in columns:
        is_number = name in ("Rows", "Reads", "Of", "Took", "Stale", "Ticks")
        least = NAME_WIDTH if name == "Table" else None
        table.add_column(
            name, justify="right" if is_number else "left", no_wrap=is_number, overflow="fold", min_width=least
        )
    return table


def styled(word: str) -> str:
    return f"[{_COLOURS.get(word, 'default')}]{word}[/]"


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
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if span.total_seconds() >= size:
            return f"{span.total_seconds() / size:.0f} {unit}"
    return ""
