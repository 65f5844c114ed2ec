"""What the commands print for people: tables and progress on a terminal, plain lines in a pipe."""

from __future__ import annotations

import os
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from profilemesh.planning import Decision, Plan, Reason
from profilemesh.runner import Listener, Outcome, Report, Silence
from profilemesh.storage.models import Run, TableState
from profilemesh.storage.runs import table_of
from profilemesh.storage.upgrade import UpgradeReport
from profilemesh.tables import TableRef
from profilemesh.warehouses.base import CheckResult

_COLOURS = {"full": "blue", "skip": "dim", "defer": "yellow", "success": "green", "failed": "red", "deferred": "yellow"}
_MEANINGS = {reason.value: reason.meaning for reason in Reason}
DASH = "–"
PIPE_WIDTH = 200


class Unbreakable(Console):
    """Falls silent when its reader is gone (`| head`), where the parent would end the process: the work goes on."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def console() -> Console:
    found = Unbreakable(highlight=False, soft_wrap=True)
    return found if found.is_terminal else Unbreakable(highlight=False, soft_wrap=True, width=PIPE_WIDTH)


def _grid(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim")
    for name in columns:
        numeric = name in ("Rows", "Took")
        table.add_column(name, justify="right" if numeric else "left", no_wrap=numeric)
    return table


def _styled(word: str) -> str:
    return f"[{_COLOURS.get(word, 'default')}]{word}[/]"


def draw_plan(out: Console, made: Plan) -> None:
    if made.decisions:
        grid = _grid("Table", "Will", "Why", "Rows")
        for decision in made.decisions:
            rows = decision.snapshot.rows_estimate if decision.snapshot else None
            grid.add_row(escape(str(decision.table)), _styled(decision.action), _why(decision), _rows(rows, "~"))
        out.print(grid)
    _draw_problems(out, made)
    out.print(_told(made))


def _told(made: Plan) -> str:
    counts = Counter(decision.action.value for decision in made.decisions)
    if not counts and made.troubles:
        return "Nothing can be done until a warehouse answers."
    if not counts:
        return "No table is selected: see profiling.tables in the configuration."
    if set(counts) == {"skip"}:
        needs = "needs" if counts["skip"] == 1 else "need"
        return f"Nothing to do: {_tables(counts['skip'])} {needs} no reading."
    words = {"full": "to read", "skip": "skipped", "defer": "put off"}
    return ", ".join(f"{_tables(counts[action])} {words[action]}" for action in words if counts[action]) + "."


def _tables(count: int) -> str:
    return "1 table" if count == 1 else f"{count:,} tables"


def _why(decision: Decision) -> str:
    why = decision.reason.meaning
    detail = decision.evidence.get("doubt") or decision.evidence.get("message")
    return escape(f"{why}: {detail}" if detail else why)


def _draw_problems(out: Console, made: Plan) -> None:
    for name, trouble in made.troubles.items():
        out.print(f"[red]{trouble.reason}[/] {escape(name)}: {escape(trouble.message)}")
    for each in made.unmatched:
        hint = f"; did you mean {each.instead}?" if each.instead else ""
        said = f"columns.{each.key} of {each.rule}: no column is called {each.pattern}{hint}"
        out.print(f"[yellow]warning[/] {escape(said)}")
    for missing in made.missing:
        hint = f"; did you mean {missing.instead}?" if missing.instead else ""
        out.print(f"[red]missing[/] {escape(f'{missing.name} is configured, but no warehouse has it{hint}')}")


def draw_report(out: Console, report: Report) -> None:
    _draw_problems(out, report.plan)
    if not report.outcomes:
        out.print(_told(report.plan))
        return
    counts = Counter(outcome.status for outcome in report.outcomes)
    words = {"success": "profiled", "failed": "failed", "deferred": "put off"}
    parts = [f"{_tables(counts[status])} {word}" for status, word in words.items() if counts[status]]
    skipped = sum(1 for decision in report.plan.decisions if decision.action == "skip")
    if skipped:
        parts.append(f"{_tables(skipped)} skipped")
    rows = sum(outcome.rows or 0 for outcome in report.outcomes)
    out.print(f"{', '.join(parts)}; {rows:,} rows read.")


@dataclass(frozen=True)
class Standing:
    """How one table stands."""

    warehouse: str
    schema: str
    table: str
    rows: int | None
    last_profiled_at: datetime | None
    last_verified_at: datetime | None
    decision: str | None
    reason: str | None
    last_status: str | None
    error: str | None

    @classmethod
    def of(cls, state: TableState, newest: Mapping[TableRef, Run]) -> Standing:
        table = TableRef(state.warehouse, state.schema_name, state.table_name)
        run = newest.get(table)
        assert run is None or table_of(run) == table
        return cls(
            table.warehouse,
            table.schema,
            table.name,
            state.row_count,
            state.last_profiled_at,
            state.last_verified_at,
            state.decision,
            state.decision_reason,
            run.status if run else None,
            run.error if run else None,
        )


def draw_status(out: Console, rows: Sequence[Standing]) -> None:
    if not rows:
        out.print("Nothing has been profiled yet: run `profilemesh profile`.")
        return
    grid = _grid("Table", "Rows", "Profiled", "Verified", "Last decision", "Last run")
    for row in rows:
        why = _MEANINGS.get(row.reason or "", row.reason)
        decision = f"{row.decision}: {why}" if row.decision else DASH
        run = _styled(row.last_status) if row.last_status else DASH
        if row.error and row.last_status == "failed":
            run += " " + escape(_without_name(row.error, f"{row.warehouse}.{row.schema}.{row.table}"))
        grid.add_row(
            escape(f"{row.warehouse}.{row.schema}.{row.table}"),
            _rows(row.rows),
            ago(row.last_profiled_at),
            ago(row.last_verified_at),
            decision,
            run,
        )
    out.print(grid)


def draw_check(out: Console, results: Mapping[str, Sequence[CheckResult]]) -> None:
    for name, found in results.items():
        out.print(f"[bold]{escape(name)}[/]")
        for result in found:
            mark = "[red]bad [/]" if not result.ok else "[yellow]note[/]" if result.remedy else "[green]ok  [/]"
            out.print(f"  {mark} {escape(result.subject)}: {escape(result.message)}")
            if result.remedy:
                out.print(f"       {escape(result.remedy)}")


def draw_upgrade(out: Console, done: UpgradeReport) -> None:
    if done.from_revision == done.to_revision:
        out.print(f"The storage is up to date (schema {done.to_revision}).")
        return
    if done.backup:
        out.print(f"Copied to {escape(str(done.backup))} first.")
    if done.command:
        out.print(f"A backup is made by: {escape(done.command)}")
    out.print(f"The storage is now at schema {done.to_revision} (before: {done.from_revision or 'empty'}).")


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
        rows = decision.snapshot.rows_estimate if decision.snapshot else None
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
    line = f"{_styled(outcome.status):<8} {escape(str(outcome.table))}  {rows}  {outcome.seconds:.2f} s"
    if outcome.error:
        line += f"  {escape(_without_name(outcome.error, str(outcome.table)))}"
    for column, message in outcome.column_errors.items():
        line += f"\n         column {escape(column)}: {escape(message)}"
    return line


def _without_name(error: str, table: str) -> str:
    """The error without the table's name, which stands beside it already."""
    return error.removeprefix(f"table {table}: ")


def _rows(rows: int | None, mark: str = "") -> str:
    return DASH if rows is None else f"{mark}{rows:,}"


def ago(moment: datetime | None) -> str:
    """How long ago, in its largest unit."""
    if moment is None:
        return DASH
    seconds = (datetime.now(UTC) - moment).total_seconds()
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return "just now"
