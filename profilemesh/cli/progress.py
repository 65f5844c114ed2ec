"""What `profile` shows while it reads: bars on a terminal, a line per table in a pipe."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from profilemesh.cli.terminal import DASH, console, escape, styled, without_name
from profilemesh.planning import Decision
from profilemesh.runner import Listener, Outcome, Silence
from profilemesh.tables import TableRef


@contextmanager
def progress(tables: int, *, quiet: bool) -> Iterator[Listener]:
    """Bars on a terminal, a line per finished table in a pipe, nothing when quiet."""
    out = console()
    if quiet or not tables:
        yield Silence()
    elif not out.is_terminal:
        yield Lines(out)
    else:
        with _bars(out) as bars:
            yield Bars(bars, tables)


def _bars(out: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=out,
        transient=True,
    )


class Lines:
    """A plain line for every table that ended."""

    def __init__(self, out: Console) -> None:
        self.out = out

    def started(self, decision: Decision) -> None: ...

    def read(self, table: TableRef, rows: int) -> None: ...

    def ended(self, outcome: Outcome) -> None:
        self.out.print(outcome_line(outcome))


class Bars:
    """A bar over all tables and a line for each that is being read; ended ones scroll up."""

    def __init__(self, bars: Progress, tables: int) -> None:
        self.bars = bars
        self.all = bars.add_task("Tables", total=tables)
        self.tasks: dict[TableRef, tuple[TaskID, int | None]] = {}
        self.lock = threading.Lock()

    def started(self, decision: Decision) -> None:
        rows = decision.cost.rows
        task = self.bars.add_task(escape(str(decision.table)), total=rows)
        with self.lock:
            self.tasks[decision.table] = (task, rows)

    def read(self, table: TableRef, rows: int) -> None:
        task, estimate = self.tasks[table]
        total = max(estimate, rows) if estimate is not None else None
        self.bars.update(task, completed=rows, total=total)

    def ended(self, outcome: Outcome) -> None:
        with self.lock:
            task, _ = self.tasks.pop(outcome.table)
        self.bars.remove_task(task)
        self.bars.advance(self.all)
        self.bars.console.print(outcome_line(outcome))


def outcome_line(outcome: Outcome) -> str:
    rows = f"{outcome.rows:,} rows" if outcome.rows is not None else DASH
    if outcome.action in ("partial", "sample") and outcome.rows_read is not None:
        rows += f", {outcome.rows_read:,} read ({styled(outcome.action)})"
    line = f"{styled(outcome.status):<8} {escape(str(outcome.table))}  {rows}  {outcome.seconds:.2f} s"
    if outcome.error:
        line += f"  {escape(without_name(outcome.error, str(outcome.table)), lines=True)}"
    for column, message in outcome.column_errors.items():
        line += f"\n         column {escape(column)}: {escape(message, lines=True)}"
    return line
