"""`profilemesh compare`: two runs of one table side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click
from rich.console import Console
from sqlalchemy.orm import Session

from profilemesh import two_runs
from profilemesh.cli.context import Context, config_option, json_option, opened_storage
from profilemesh.cli.names import one_run, one_table, table_json
from profilemesh.cli.terminal import DASH, ROOMY, ago, cut, escape, new_grid, number, percent, rows_of, severity
from profilemesh.cli.told import command
from profilemesh.config import Config
from profilemesh.drift import rules_for
from profilemesh.drift.profiles import GOOD
from profilemesh.errors import ConfigError
from profilemesh.profiling.metrics import BY_NAME
from profilemesh.storage import Storage, runs
from profilemesh.storage.models import Run
from profilemesh.two_runs import Change, ColumnChange, Comparison, Sizes

VALUE_LENGTH, SHORT_LENGTH = 28, 14
NAMES_WIDTH = 15
NARROW = 80


@dataclass(frozen=True)
class Compared:
    """`columns` are in order of how far they moved, by `sizes`."""

    comparison: Comparison
    sizes: Sizes
    columns: tuple[ColumnChange, ...]


@command(
    examples=[
        "profilemesh compare orders",
        "profilemesh compare 4f1c2a 9be07d",
        "profilemesh compare shop.main.orders --json",
    ],
    exits={2: "no run or several begin so, they are of different tables, or the table has no two runs"},
    json="""An object: `warehouse`, `schema`, `table`, `before` and `after` (`run_id`, `profiled_at`, `rows`, `scope`,
    `status`), `unlike` (why what moved cannot be measured, else null), `rows` and `columns` (each `name`, `status`
    added, removed, retyped or same, `severity` that the rules would give, `steps` of the way to drift, 1 being far
    enough, `type_before`, `type_after`, `metrics`): for rows and for each metric `before`, `after`, `change`,
    `percent`, null where unknown.""",
)
@config_option
@json_option
@click.argument("names", metavar="TABLE | RUN RUN", nargs=-1, required=True)
@click.option("--all", "is_all", is_flag=True, help="Also the columns and metrics that did not change.")
@click.pass_obj
def compare(context: Context, names: tuple[str, ...], is_all: bool) -> None:
    """Put two runs of a table side by side, the columns that moved most first.

    RUN is an id or its beginning; of a TABLE it is the last two runs that succeeded. Moves are
    measured as drift measures them, as on the dashboard; a column that the rules would tell of says how severe it is.
    """
    if len(names) > 2:
        raise click.UsageError("two runs, or one table")
    config = context.config()
    with opened_storage(config) as storage:
        with_both = _chosen if len(names) == 2 else _last_two
        found = with_both(config, storage, *names)
    context.show(_json(found), lambda console: _draw(console, found, is_all))


def _chosen(config: Config, storage: Storage, before: str, after: str) -> Compared:
    with storage.read() as session:
        found = one_run(session, before), one_run(session, after)
        one, two = sorted(found, key=lambda run: (run.profiled_at, run.run_id))
        if runs.table_of(one) != runs.table_of(two):
            raise ConfigError(f"these are runs of two tables, {runs.table_of(one)} and {runs.table_of(two)}")
        return _compared(config, session, one, two)


def _last_two(config: Config, storage: Storage, name: str) -> Compared:
    table = one_table(config, storage, name)
    with storage.read() as session:
        last = session.scalars(runs.listing(table, GOOD).limit(2)).all()
        if len(last) < 2:
            raise ConfigError(f"{table} has {len(last)} runs that succeeded, and two are needed")
        return _compared(config, session, last[1], last[0])


def _compared(config: Config, session: Session, before: Run, after: Run) -> Compared:
    found = two_runs.compare(session, before, after)
    sizes = two_runs.sizes(session, before, after, rules_for(config.drift_detection, runs.table_of(after)))
    return Compared(found, sizes, sizes.ordered(found.columns))


def _json(found: Compared) -> dict[str, Any]:
    both = found.comparison
    told: dict[str, Any] = dict(table_json(runs.table_of(both.after)))
    told |= {"before": _run_json(both.before), "after": _run_json(both.after), "unlike": found.sizes.unlike}
    return told | {"rows": _change_json(both.rows), "columns": [_column_json(each, found) for each in found.columns]}


def _run_json(run: Run) -> dict[str, Any]:
    told = {name: getattr(run, name) for name in ("run_id", "profiled_at", "scope", "status")}
    return told | {"rows": run.row_count}


def _column_json(column: ColumnChange, found: Compared) -> dict[str, Any]:
    drift = found.sizes.severity(column.name)
    return {
        "name": column.name,
        "status": column.status,
        "severity": drift.value if drift else None,
        "steps": None if found.sizes.unlike else _finite(found.sizes.weight(column.name)[1]),
        "type_before": column.type_before,
        "type_after": column.type_after,
        "metrics": {metric: _change_json(column.metrics[metric]) for metric in _metrics(column)},
    }


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _change_json(change: Change) -> Mapping[str, Any]:
    return {"before": change.before, "after": change.after, "change": change.by, "percent": change.percent}


def _metrics(column: ColumnChange) -> list[str]:
    """In the catalogue's order, then what it does not know."""
    return [name for name in BY_NAME if name in column.metrics] + sorted(column.metrics.keys() - BY_NAME.keys())


def _told(column: ColumnChange) -> list[str]:
    """What is worth a line: a column that came or went has no change, and all have as many rows as their table."""
    if column.status in ("added", "removed"):
        return []
    return [name for name in _metrics(column) if name != "count" and _is_change(column.metrics[name])]


def _is_change(change: Change) -> bool:
    """Sums of fractions differ in their last digits whenever rows come in another order."""
    if change.by is not None and isinstance(change.by, float):
        return not math.isclose(change.before, change.after, rel_tol=1e-9, abs_tol=1e-12)
    return bool(change.before != change.after)


def _draw(out: Console, found: Compared, is_all: bool) -> None:
    both = found.comparison
    out.print(f"[bold]{escape(str(runs.table_of(both.after)))}[/]")
    for word, run in (("before", both.before), ("after ", both.after)):
        out.print(f"{word}  {run.run_id}  {ago(run.profiled_at)}  {rows_of(run.row_count)} rows  {run.scope or DASH}")
    if both.rows.percent:
        out.print(f"rows {_by('row_count', both.rows)}")
    if found.sizes.unlike:
        out.print(f"[yellow]How far they moved is not measured.[/] {escape(found.sizes.unlike)}")
    shown = [each for each in found.columns if is_all or _told(each) or each.status != "same"]
    if shown:
        out.print()
        out.print(_grid(shown, found.sizes, is_all, out.width))
    still = len(found.columns) - len(shown)
    if still:
        out.print(
            f"{still:,} {'column' if still == 1 else 'columns'} did not change{'; --all shows them' if shown else ''}."
        )


def _grid(columns: Sequence[ColumnChange], sizes: Sizes, is_all: bool, width: int) -> Any:
    """A narrow terminal is not told what it was before: without names the numbers would say nothing."""
    sides = ("After",) if width < NARROW else ("Before", "After")
    length = VALUE_LENGTH if width >= ROOMY else SHORT_LENGTH
    grid = new_grid("Column", "Metric", *sides, "Change")
    for words in grid.columns[:2]:
        words.min_width = NAMES_WIDTH
    for column in columns:
        name, drift = escape(cut(column.name, 60)), sizes.severity(column.name)
        if drift:
            name = f"{name}\n{severity(drift.value)}"
        if column.status != "same":
            types = (escape(cut(type_ or DASH, length)) for type_ in (column.type_before, column.type_after))
            grid.add_row(name, f"[yellow]{column.status}[/]", *list(types)[-len(sides) :], "")
            name = ""
        for metric in _metrics(column) if is_all else _told(column):
            change = column.metrics[metric]
            label = BY_NAME[metric].label if metric in BY_NAME else metric
            shown = percent if metric.endswith("_percent") else number
            ends = [escape(cut(shown(value), length)) for value in (change.before, change.after)]
            grid.add_row(name, escape(label), *ends[-len(sides) :], _by(metric, change))
            name = ""
    return grid


def _by(metric: str, change: Change) -> str:
    if metric.endswith("_percent") and change.by is not None:
        return f"{change.by:+.3g} points"
    return DASH if change.percent is None else f"{change.percent:+,.3g} %"
