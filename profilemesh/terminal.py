"""What the commands print for people: tables and progress on a terminal, plain lines in a pipe."""

from __future__ import annotations

import os
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from profilemesh import reasons
from profilemesh.config.model import IncrementalConfig
from profilemesh.planning import Action, Decision, Plan
from profilemesh.planning.costs import Cost
from profilemesh.planning.intervals import due_at
from profilemesh.reasons import tables as _tables
from profilemesh.reasons import told, why
from profilemesh.runner import Listener, Outcome, Report, Silence
from profilemesh.storage.models import LoggedDecision, Run, TableState
from profilemesh.storage.runs import table_of
from profilemesh.storage.upgrade import UpgradeReport
from profilemesh.tables import TableRef
from profilemesh.warehouses.base import CheckResult

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
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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


def _styled(word: str) -> str:
    return f"[{_COLOURS.get(word, 'default')}]{word}[/]"


def draw_plan(out: Console, made: Plan) -> None:
    if made.decisions:
        grid = new_grid("Table", "Will", "Reads", *(["Of", "Stale"] if out.width >= ROOMY else []), "Why")
        for decision in made.decisions:
            more = [_cost(decision.naive), _score(decision.staleness)] if out.width >= ROOMY else []
            grid.add_row(
                escape(str(decision.table)), _styled(decision.action), _reads(decision), *more, escape(_why(decision))
            )
        out.print(grid)
    _draw_problems(out, made)
    out.print(escape(told(made)))


def _why(decision: Decision) -> str:
    said = why(decision.reason, decision.evidence)
    partitions = decision.snapshot.partitions if decision.snapshot else None
    return f"{said} of {len(partitions.parts):,}" if decision.action is Action.PARTIAL and partitions else said


def _reads(decision: Decision) -> str:
    """What it will read, which for a skip is known to be nothing."""
    return _cost(decision.cost) if decision.action.reads else "0"


def _cost(cost: Cost) -> str:
    return _rows(cost.rows, "" if cost.is_measured else "~")


def _score(score: int | None) -> str:
    return DASH if score is None else str(score)


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
        out.print(escape(told(report.plan)))
        return
    counts = Counter(outcome.status for outcome in report.outcomes)
    words = {"success": "profiled", "failed": "failed", "deferred": "put off"}
    done = ", ".join(f"{_tables(counts[status])} {word}" for status, word in words.items() if counts[status])
    parts = [done, *reasons.left_alone(report.plan.decisions), str(reasons.Rows.of(report))]
    out.print(escape(f"{'; '.join(parts)}."))


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
    last_changed_at: datetime | None
    staleness_score: int | None
    due_at: datetime | None
    paused_at: datetime | None
    vanished_at: datetime | None

    @classmethod
    def of(cls, state: TableState, newest: Mapping[TableRef, Run], incremental: IncrementalConfig) -> Standing:
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
            state.last_changed_at,
            0 if _is_read_since(state) else state.staleness_score,
            _due_at(state, table, incremental),
            state.paused_at,
            state.vanished_at,
        )


def _is_read_since(state: TableState) -> bool:
    """Whether its decision to read, and the score of it, are history."""
    decided, profiled = state.decided_at, state.last_profiled_at
    return decided is not None and profiled is not None and profiled >= decided


def _due_at(state: TableState, table: TableRef, incremental: IncrementalConfig) -> datetime | None:
    """When its interval since it was last read ends; None where there are no intervals."""
    read = max(filter(None, (state.last_profiled_at, state.sampled_at)), default=None)
    settings = incremental.adaptive_scheduling
    if read is None or not (incremental.enabled and settings.enabled):
        return None
    return due_at(read, table, state.change_gap_minutes, settings)


def draw_status(out: Console, rows: Sequence[Standing]) -> None:
    if not rows:
        out.print("Nothing has been profiled yet: run `profilemesh profile`.")
        return
    roomy = out.width >= ROOMY
    more = ["Verified", "Stale", "Due", "Decided", "Last run"] if roomy else ["Decided"]
    grid = new_grid("Table", "Rows", "Profiled", *more)
    for row in rows:
        known = [escape(f"{row.warehouse}.{row.schema}.{row.table}"), _rows(row.rows), ago(row.last_profiled_at)]
        if roomy:
            known += [ago(row.last_verified_at), _score(row.staleness_score), _due(row.due_at), _decided(row)]
            grid.add_row(*known, _last_run(row))
        else:
            failure = f"\n{_last_run(row)}" if row.last_status == "failed" else ""
            grid.add_row(*known, _decided(row) + failure)
    out.print(grid)


def _last_run(row: Standing) -> str:
    run = _styled(row.last_status) if row.last_status else DASH
    if row.error and row.last_status == "failed":
        run += " " + escape(_without_name(row.error, f"{row.warehouse}.{row.schema}.{row.table}"))
    return run


def _decided(row: Standing) -> str:
    """The last decision; of a table that was paused since, that it is."""
    decision = row.decision or DASH
    if row.paused_at is not None and row.reason != "paused":
        return f"{_styled(decision)}, [yellow]paused[/] since"
    return f"{_styled(decision)}: {escape(reasons.MEANINGS.get(row.reason or '', row.reason or DASH))}"


def _due(moment: datetime | None) -> str:
    if moment is None:
        return DASH
    span = _span(moment - datetime.now(UTC))
    return f"in {span}" if span else "now"


def draw_steered(out: Console, said: Mapping[TableRef, str]) -> None:
    for table, words in said.items():
        out.print(escape(f"{table} {words}."))


def draw_decisions(out: Console, rows: Sequence[LoggedDecision]) -> None:
    if not rows:
        out.print("Nothing has been decided yet: run `profilemesh profile`.")
        return
    roomy = out.width >= ROOMY
    grid = new_grid("When", "Table", "Did", *(["Ticks", "Reads", "Took"] if roomy else []), "Why", "Came of it")
    for row in rows:
        rows_read = _rows(row.rows_actual) if row.rows_actual is not None else _rows(row.rows_estimated, "~")
        took = DASH if row.seconds_actual is None else f"{row.seconds_actual:.2f} s"
        more = [f"{row.ticks:,}", "0" if row.action in ("skip", "defer") else rows_read, took] if roomy else []
        grid.add_row(
            ago(row.last_at),
            escape(f"{row.warehouse}.{row.schema_name}.{row.table_name}"),
            _styled(row.action),
            *more,
            escape(why(row.reason, row.evidence)),
            _styled(row.outcome) if row.outcome else "",
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


def draw_upgrade(out: Console, done: UpgradeReport, warehouse: str) -> None:
    """`warehouse` is the one whose tables an adopted database describes."""
    if done.from_revision == done.to_revision:
        out.print(f"The storage is up to date (schema {done.to_revision}).")
        return
    if done.backup:
        out.print(f"Copied to {escape(str(done.backup))} first.")
    if done.command:
        out.print(f"A backup is made by: {escape(done.command)}")
    if done.adopted:
        out.print(f"Adopted {', '.join(done.adopted)}, which tell of the warehouse {escape(warehouse)}.")
    before = done.from_revision or ("ProfileMesh Phase 1" if done.adopted else "empty")
    out.print(f"The storage is now at schema {done.to_revision} (before: {before}).")


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
        rows += f", {outcome.rows_read:,} read ({_styled(outcome.action)})"
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
    span = _span(datetime.now(UTC) - moment)
    return f"{span} ago" if span else "just now"


def _span(span: timedelta) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if span.total_seconds() >= size:
            return f"{span.total_seconds() / size:.0f} {unit}"
    return ""
