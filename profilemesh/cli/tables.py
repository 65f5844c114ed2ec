"""`profilemesh tables`: what is known of every table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import click
from rich.console import Console

from profilemesh.cli.context import Context, config_option, json_option, only_option, opened_storage
from profilemesh.cli.names import known_tables
from profilemesh.cli.terminal import DASH, ROOMY, ago, escape, new_grid, rows_of, score, severity, styled
from profilemesh.cli.told import command
from profilemesh.storage import findings, runs, states
from profilemesh.storage.clock import storage_now
from profilemesh.storage.models import Run, TableState
from profilemesh.tables import TableRef


@dataclass(frozen=True)
class Known:
    """What is known of one table. `worst` is the severity of one of its `open_findings`."""

    warehouse: str
    schema: str
    table: str
    rows: int | None
    columns: int | None
    last_profiled_at: datetime | None
    last_changed_at: datetime | None
    staleness_score: int | None
    last_status: str | None
    open_findings: int
    worst: str | None
    is_paused: bool
    is_vanished: bool

    @classmethod
    def of(cls, state: TableState, run: Run | None, drift: findings.Standing) -> Known:
        return cls(
            state.warehouse,
            state.schema_name,
            state.table_name,
            state.row_count,
            len(state.columns) if state.columns is not None else run.column_count if run else None,
            state.last_profiled_at,
            state.last_changed_at,
            states.staleness_now(state),
            run.status if run else None,
            drift.open,
            drift.worst,
            state.paused_at is not None,
            state.vanished_at is not None,
        )

    @property
    def ref(self) -> TableRef:
        return TableRef(self.warehouse, self.schema, self.table)


@command(
    examples=["profilemesh tables", "profilemesh tables --drifting --json", "profilemesh tables --table 'shop.*'"],
    json="""A list of objects: `warehouse`, `schema`, `table`, `rows`, `columns`, `last_profiled_at`, `last_changed_at`,
    `staleness_score`, `last_status`, `open_findings`, `worst` (high, medium, low), `is_paused`, `is_vanished`. What is
    unknown is null.""",
)
@config_option
@json_option
@only_option
@click.option("--drifting", "is_drifting", is_flag=True, help="Only those with open drift.")
@click.option("--failing", "is_failing", is_flag=True, help="Only those whose last run failed.")
@click.pass_obj
def tables(context: Context, only: str | None, is_drifting: bool, is_failing: bool) -> None:
    """Show every table with its rows, columns and open drift, by name.

    `show` tells the columns of one.
    """
    config = context.config()
    with opened_storage(config) as storage:
        wanted = None if only is None else set(known_tables(config, storage, only))
        with storage.read() as session:
            listed = session.scalars(states.listing()).all()
            newest, drift = runs.latest_runs(session), findings.standings(session, storage_now(session))
    rows = [row for row in known(listed, newest, drift) if wanted is None or row.ref in wanted]
    rows = [row for row in rows if row.open_findings or not is_drifting]
    rows = [row for row in rows if row.last_status == "failed" or not is_failing]
    is_narrowed = is_drifting or is_failing or only is not None
    context.show([asdict(row) for row in rows], lambda console: _draw(console, rows, is_narrowed))


def known(
    listed: Sequence[TableState], newest: Mapping[TableRef, Run], drift: Mapping[TableRef, findings.Standing]
) -> list[Known]:
    refs = [TableRef(state.warehouse, state.schema_name, state.table_name) for state in listed]
    pairs = zip(refs, listed, strict=True)
    return [Known.of(state, newest.get(ref), drift.get(ref, findings.Standing())) for ref, state in pairs]


def _draw(out: Console, rows: Sequence[Known], is_narrowed: bool) -> None:
    if not rows:
        out.print("No table is so." if is_narrowed else "Nothing has been profiled yet: run `profilemesh profile`.")
        return
    roomy = out.width >= ROOMY
    grid = new_grid("Table", "Rows", "Columns", "Profiled", *(["Changed", "Stale"] if roomy else []), "Drift", "State")
    for row in rows:
        more = [ago(row.last_changed_at), score(row.staleness_score)] if roomy else []
        drift = f"{severity(row.worst)} {row.open_findings:,}" if row.worst else DASH
        cells = (escape(str(row.ref)), rows_of(row.rows), rows_of(row.columns), ago(row.last_profiled_at))
        grid.add_row(*cells, *more, drift, _state(row))
    out.print(grid)
    out.print(f"{len(rows):,} {'table' if len(rows) == 1 else 'tables'}.")


def _state(row: Known) -> str:
    words = [styled(row.last_status) if row.last_status else "never profiled"]
    words += ["[yellow]paused[/]"] if row.is_paused else []
    words += ["[yellow]gone[/]"] if row.is_vanished else []
    return ", ".join(words)
