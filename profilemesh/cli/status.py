"""`profilemesh status`: how every known table stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import click
from rich.console import Console

from profilemesh.cli.context import Context, config_option, json_option, opened_storage
from profilemesh.cli.terminal import DASH, ROOMY, ago, escape, new_grid, rows_of, score, soon, styled, without_name
from profilemesh.cli.told import command
from profilemesh.config.model import IncrementalConfig
from profilemesh.planning.intervals import due_at
from profilemesh.reasons import MEANINGS
from profilemesh.storage import runs, states
from profilemesh.storage.models import Run, TableState
from profilemesh.storage.runs import table_of
from profilemesh.tables import TableRef


@command(
    examples=["profilemesh status", "profilemesh status --json"],
    json="""A list of objects: `warehouse`, `schema`, `table`, `rows`, `last_profiled_at`, `last_verified_at`,
    `last_changed_at`, `decision`, `reason`, `last_status`, `error`, `staleness_score`, `due_at`, `paused_at`,
    `vanished_at`. What is unknown is null.""",
)
@config_option
@json_option
@click.pass_obj
def status(context: Context) -> None:
    """Show how every known table stands: its last profile, how stale it is, when it is due.

    Tells rows, last profiled, the last decision with its reason, and whether it is paused; on a wide terminal (120
    columns) also last verified unchanged, staleness, from when on it may be read again if it changed, and the last run.
    """
    config = context.config()
    with opened_storage(config) as storage, storage.read() as session:
        known = session.scalars(states.listing()).all()
        newest = runs.latest_runs(session)
    rows = [Standing.of(state, newest, config.incremental) for state in known]
    context.show([asdict(row) for row in rows], lambda console: draw_status(console, rows))


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
            states.staleness_now(state),
            _due_at(state, table, incremental),
            state.paused_at,
            state.vanished_at,
        )


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
        known = [escape(f"{row.warehouse}.{row.schema}.{row.table}"), rows_of(row.rows), ago(row.last_profiled_at)]
        if roomy:
            known += [ago(row.last_verified_at), score(row.staleness_score), soon(row.due_at), _decided(row)]
            grid.add_row(*known, _last_run(row))
        else:
            failure = f"\n{_last_run(row)}" if row.last_status == "failed" else ""
            grid.add_row(*known, _decided(row) + failure)
    out.print(grid)


def _last_run(row: Standing) -> str:
    run = styled(row.last_status) if row.last_status else DASH
    if row.error and row.last_status == "failed":
        run += " " + escape(without_name(row.error, f"{row.warehouse}.{row.schema}.{row.table}"), lines=True)
    return run


def _decided(row: Standing) -> str:
    """The last decision; of a table that was paused since, that it is."""
    decision = row.decision or DASH
    if row.paused_at is not None and row.reason != "paused":
        return f"{styled(decision)}, [yellow]paused[/] since"
    return f"{styled(decision)}: {escape(MEANINGS.get(row.reason or '', row.reason or DASH))}"
