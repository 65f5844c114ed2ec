"""`profilemesh compare`: two runs of one table side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from sqlalchemy.orm import Session

from profilemesh.cli.context import Context, config_option, json_option, opened_storage
from profilemesh.cli.names import one_run, one_table, table_json
from profilemesh.cli.terminal import DASH, ago, cut, new_grid, number, percent, rows_of
from profilemesh.cli.told import command
from profilemesh.config import Config
from profilemesh.drift.profiles import GOOD
from profilemesh.errors import ConfigError
from profilemesh.profiling.metrics import BY_NAME
from profilemesh.storage import Storage, results, runs
from profilemesh.storage.models import Run
from profilemesh.storage.results import ColumnProfile

VALUE_LENGTH = 28


@dataclass(frozen=True)
class Change:
    """One metric of one column in both runs. `percent` is None where one side is no number, or the first is 0."""

    column: str
    metric: str
    before: Any
    after: Any

    @property
    def is_change(self) -> bool:
        if isinstance(self.before, float) or isinstance(self.after, float):
            both = isinstance(self.before, int | float) and isinstance(self.after, int | float)
            return not (both and math.isclose(self.before, self.after, rel_tol=1e-9, abs_tol=1e-12))
        return bool(self.before != self.after)

    @property
    def by(self) -> float | int | None:
        is_number = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (self.before, self.after))
        return self.after - self.before if is_number else None

    @property
    def percent(self) -> float | None:
        share = None if self.by is None or not self.before else 100 * self.by / abs(self.before)
        return share if share is not None and math.isfinite(share) else None

    @property
    def size(self) -> float:
        """What columns are ordered by: a share's points, or a number's change against the larger of both, 0 to 100."""
        if self.metric.endswith("_percent") and self.by is not None:
            return abs(self.by)
        if self.by is None:
            return 100.0 if self.is_change and self.metric not in ("min", "max") else 0.0
        return 100.0 * float(abs(self.by)) / max(abs(float(self.before)), abs(float(self.after)), 1e-300)


@dataclass(frozen=True)
class ColumnChange:
    """`status` is added, removed, retyped or same; `metrics` are those of one value that either run has."""

    name: str
    status: str
    types: tuple[str | None, str | None]
    metrics: tuple[Change, ...]

    @property
    def changed(self) -> list[Change]:
        return [each for each in self.metrics if each.is_change]

    @property
    def told(self) -> list[Change]:
        """What is worth a line: a column that came or went has no change, and all have as many rows as their table."""
        is_there = self.status not in ("added", "removed")
        return [each for each in self.changed if each.metric != "count"] if is_there else []

    @property
    def size(self) -> tuple[bool, float]:
        judged = [each.size for each in self.changed if each.metric in JUDGED]
        return self.status != "same", max(judged, default=0.0)


JUDGED = ("null_percent", "distinct_percent", "mean", "stddev", "median", "true_count", "avg_length", "blank_count")
"""Metrics whose change says that a column moved, however its table grows."""


@dataclass(frozen=True)
class Comparison:
    """`columns` are in order of how far they moved."""

    before: Run
    after: Run
    columns: tuple[ColumnChange, ...]

    @property
    def rows(self) -> Change:
        return Change("", "row_count", self.before.row_count, self.after.row_count)


@command(
    examples=[
        "profilemesh compare orders",
        "profilemesh compare 4f1c2a 9be07d",
        "profilemesh compare shop.main.orders --json",
    ],
    exits={2: "no run or several begin so, they are of different tables, or the table has no two runs"},
    json="""An object: `warehouse`, `schema`, `table`, `before` and `after` (`run_id`, `profiled_at`, `rows`, `scope`,
    `status`), `rows` and `columns` (each `name`, `status` added, removed, retyped or same, `type_before`, `type_after`,
    `metrics`): for rows and for each metric `before`, `after`, `change`, `percent`, null where unknown.""",
)
@config_option
@json_option
@click.argument("names", metavar="TABLE | RUN RUN", nargs=-1, required=True)
@click.option("--all", "is_all", is_flag=True, help="Also the columns and metrics that did not change.")
@click.pass_obj
def compare(context: Context, names: tuple[str, ...], is_all: bool) -> None:
    """Put two runs of a table side by side, the columns that moved most first.

    RUN is an id or its beginning, the earlier run first; of a TABLE it is the last two runs that succeeded.
    """
    if len(names) > 2:
        raise click.UsageError("two runs, or one table")
    config = context.config()
    with opened_storage(config) as storage:
        with_both = _chosen if len(names) == 2 else _last_two
        found = with_both(config, storage, *names)
    context.show(_json(found), lambda console: _draw(console, found, is_all))


def _chosen(config: Config, storage: Storage, before: str, after: str) -> Comparison:
    with storage.read() as session:
        one, two = one_run(session, before), one_run(session, after)
        if runs.table_of(one) != runs.table_of(two):
            raise ConfigError(f"these are runs of two tables, {runs.table_of(one)} and {runs.table_of(two)}")
        return compared(session, one, two)


def _last_two(config: Config, storage: Storage, name: str) -> Comparison:
    table = one_table(config, storage, name)
    with storage.read() as session:
        last = session.scalars(runs.listing(table, GOOD).limit(2)).all()
        if len(last) < 2:
            raise ConfigError(f"{table} has {len(last)} runs that succeeded, and two are needed")
        return compared(session, last[1], last[0])


def compared(session: Session, before: Run, after: Run) -> Comparison:
    """What changed from one run to another of the same table, in two statements."""
    old = {column.name: column for column in results.profile_of(session, before)}
    new = {column.name: column for column in results.profile_of(session, after)}
    columns = [_column(name, old.get(name), new.get(name)) for name in [*new, *(n for n in old if n not in new)]]
    return Comparison(before, after, tuple(sorted(columns, key=lambda each: each.size, reverse=True)))


def _column(name: str, old: ColumnProfile | None, new: ColumnProfile | None) -> ColumnChange:
    types = (old.type if old else None, new.type if new else None)
    status = "added" if old is None else "removed" if new is None else "same" if types[0] == types[1] else "retyped"
    metrics = (Change(name, metric, _value(old, metric), _value(new, metric)) for metric in _metrics(old, new))
    return ColumnChange(name, status, types, tuple(metrics))


def _metrics(old: ColumnProfile | None, new: ColumnProfile | None) -> Iterator[str]:
    found = {name for column in (old, new) if column for name in column.values if not results.is_list(name)}
    yield from (name for name in BY_NAME if name in found)
    yield from sorted(found - BY_NAME.keys())


def _value(column: ColumnProfile | None, metric: str) -> Any:
    return column.shaped(metric) if column is not None and metric in column.values else None


def _json(found: Comparison) -> dict[str, Any]:
    sides = {"before": _run_json(found.before), "after": _run_json(found.after)}
    columns = [
        {
            "name": each.name,
            "status": each.status,
            "type_before": each.types[0],
            "type_after": each.types[1],
            "metrics": {change.metric: _change_json(change) for change in each.metrics},
        }
        for each in found.columns
    ]
    return table_json(runs.table_of(found.after)) | sides | {"rows": _change_json(found.rows), "columns": columns}


def _run_json(run: Run) -> dict[str, Any]:
    told = {name: getattr(run, name) for name in ("run_id", "profiled_at", "scope", "status")}
    return told | {"rows": run.row_count}


def _change_json(change: Change) -> Mapping[str, Any]:
    return {"before": change.before, "after": change.after, "change": change.by, "percent": change.percent}


def _draw(out: Console, found: Comparison, is_all: bool) -> None:
    out.print(f"[bold]{escape(str(runs.table_of(found.after)))}[/]")
    for word, run in (("before", found.before), ("after ", found.after)):
        out.print(f"{word}  {run.run_id}  {ago(run.profiled_at)}  {rows_of(run.row_count)} rows  {run.scope or DASH}")
    if found.rows.percent:
        out.print(f"rows {_by(found.rows)}")
    if (found.before.scope == "sample") != (found.after.scope == "sample"):
        out.print("[yellow]One of the two is a sample[/]: what differs may come of that alone.")
    shown = [each for each in found.columns if is_all or each.told or each.status != "same"]
    if shown:
        out.print()
        out.print(_grid(shown, is_all))
    still = len(found.columns) - len(shown)
    if still:
        out.print(
            f"{still:,} {'column' if still == 1 else 'columns'} did not change{'; --all shows them' if shown else ''}."
        )


def _grid(columns: Sequence[ColumnChange], is_all: bool) -> Any:
    grid = new_grid("Column", "Metric", "Before", "After", "Change")
    for column in columns:
        name = escape(cut(column.name, 60))
        if column.status != "same":
            types = (escape(cut(type_ or DASH, VALUE_LENGTH)) for type_ in column.types)
            grid.add_row(name, f"[yellow]{column.status}[/]", *types, "")
            name = ""
        for change in column.metrics if is_all else column.told:
            label = BY_NAME[change.metric].label if change.metric in BY_NAME else change.metric
            shown = percent if change.metric.endswith("_percent") else number
            ends = (escape(cut(shown(value), VALUE_LENGTH)) for value in (change.before, change.after))
            grid.add_row(name, escape(label), *ends, _by(change))
            name = ""
    return grid


def _by(change: Change) -> str:
    if change.metric.endswith("_percent") and change.by is not None:
        return f"{change.by:+.3g} points"
    return DASH if change.percent is None else f"{change.percent:+,.3g} %"
