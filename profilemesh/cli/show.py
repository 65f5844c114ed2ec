"""`profilemesh show`: one table, its columns, and what drifts in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console

from profilemesh.cli.context import Context, config_option, json_option, opened_storage
from profilemesh.cli.names import one_table, run_of, table_json
from profilemesh.cli.terminal import DASH, ROOMY, ago, cut, escape, new_grid, number, percent, rows_of, severity, styled
from profilemesh.cli.told import command
from profilemesh.drift.profiles import GOOD
from profilemesh.reasons import why
from profilemesh.storage import findings, results, runs, states
from profilemesh.storage.models import Run, StoredFinding, TableState
from profilemesh.storage.results import ColumnProfile
from profilemesh.tables import TableRef

LENGTHS, NARROW = (60, 30, 24), (24, 10, 10)
"""Characters of a name, a type and a value in the grid, on a wide terminal and on a narrow one."""


@command(
    examples=[
        "profilemesh show orders",
        "profilemesh show shop.main.orders --json",
        "profilemesh show orders --run 4f1c",
    ],
    exits={2: "no table or several are called so, or the run is none of its own"},
    json="""An object: `warehouse`, `schema`, `table`, `state` (`decision`, `reason`, `evidence`, `last_profiled_at`,
    `last_verified_at`, `last_changed_at`, `staleness_score`, `paused_at`, `vanished_at`), `run` (`run_id`,
    `profiled_at`, `status`, `rows`, `rows_scanned`, `scope`, `action`, `duration_seconds`) or null, `columns` (each
    `name`, `type`, `metrics` as docs/metrics.md has them), `findings` not resolved, as `drift` has them.""",
)
@config_option
@json_option
@click.argument("table")
@click.option("--run", "run_id", metavar="RUN", help="This run of it, by its id's beginning; else its last success.")
@click.pass_obj
def show(context: Context, table: str, run_id: str | None) -> None:
    """Show TABLE: how it stands, its columns, and its open drift.

    The columns are those of its last profile.

    TABLE is a name, schema.table or warehouse.schema.table that means one table.
    """
    config = context.config()
    with opened_storage(config) as storage:
        ref = one_table(config, storage, table)
        with storage.read() as session:
            state = states.state_of(session, ref)
            run = run_of(session, ref, run_id) if run_id else session.scalar(runs.listing(ref, GOOD).limit(1))
            columns = results.profile_of(session, run) if run else []
            found = session.scalars(findings.listing([ref])).all()
    data = table_json(ref) | {
        "state": _state_json(state),
        "run": _run_json(run) if run else None,
        "columns": [_column_json(column) for column in columns],
        "findings": [{c.name: getattr(each, c.name) for c in StoredFinding.__table__.columns} for each in found],
    }
    context.show(data, lambda console: _draw(console, ref, state, run, columns, found))


STATE = ("decision", "last_profiled_at", "last_verified_at", "last_changed_at", "staleness_score", "paused_at")


def _state_json(state: TableState | None) -> dict[str, Any] | None:
    if state is None:
        return None
    told = {name: getattr(state, name) for name in (*STATE, "vanished_at", "evidence")}
    return told | {"reason": state.decision_reason, "staleness_score": states.staleness_now(state)}


def _run_json(run: Run) -> dict[str, Any]:
    names = ("run_id", "profiled_at", "status", "rows_scanned", "scope", "action", "duration_seconds")
    return {"rows": run.row_count} | {name: getattr(run, name) for name in names}


def _column_json(column: ColumnProfile) -> dict[str, Any]:
    metrics = {name: column.shaped(name) for name in column.values}
    return {"name": column.name, "type": column.type, "metrics": metrics}


def _draw(
    out: Console,
    table: TableRef,
    state: TableState | None,
    run: Run | None,
    columns: Sequence[ColumnProfile],
    found: Sequence[StoredFinding],
) -> None:
    out.print(f"[bold]{escape(str(table))}[/]")
    if state is not None:
        paused = ", [yellow]paused[/] since" if state.paused_at and state.decision_reason != "paused" else ""
        decided = styled(state.decision) if state.decision else DASH
        out.print(f"Last decision {decided}: {escape(why(state.decision_reason, state.evidence))}{paused}.")
    if run is None:
        out.print("It has no profile yet: run `profilemesh profile`.")
        return
    read = f", {number(run.rows_scanned)} of them read" if run.rows_scanned not in (None, run.row_count) else ""
    scope = f" ({run.scope})" if run.scope and run.scope != "full" else ""
    out.print(f"{rows_of(run.row_count)} rows{read}{scope}, profiled {ago(run.profiled_at)}, run {run.run_id}.\n")
    _draw_columns(out, run, columns)
    for each in found:
        out.print(f"{severity(each.severity)}  {each.state}, seen {ago(each.last_seen_at)}: {escape(each.sentence)}")


def _draw_columns(out: Console, run: Run, columns: Sequence[ColumnProfile]) -> None:
    roomy = out.width >= ROOMY
    grid = new_grid("Column", "Type", "Null", "Distinct", "Min", "Max", *(["Mean", "Std dev"] if roomy else []))
    name, type_, value = LENGTHS if roomy else NARROW
    for column in columns:
        mark = "" if column.distinct_is_exact else "~"
        distinct = column.whole("distinct_count")
        more = [number(column.number(metric)) for metric in ("mean", "stddev")] if roomy else []
        ends = [escape(cut(number(column.value(end)), value)) for end in ("min", "max")]
        cells = (percent(column.number("null_percent")), DASH if distinct is None else f"{mark}{distinct:,}")
        grid.add_row(escape(cut(column.name, name)), escape(cut(column.type, type_)), *cells, *ends, *more)
    out.print(grid)
    for failed, error in (run.column_errors or {}).items():
        out.print(f"[red]column {escape(cut(failed, name))}[/]: {escape(error, lines=True)}")
