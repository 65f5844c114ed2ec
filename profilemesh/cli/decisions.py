"""`profilemesh decisions`: the log of what was decided, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console

from profilemesh.cli.context import MOST_LISTED, Context, config_option, json_option, only_option, opened_storage
from profilemesh.cli.names import known_tables
from profilemesh.cli.terminal import DASH, ROOMY, ago, escape, new_grid, rows_of, styled
from profilemesh.cli.told import command
from profilemesh.reasons import why
from profilemesh.storage import decisions as log
from profilemesh.storage.models import LoggedDecision


@command(
    "decisions",
    examples=["profilemesh decisions", "profilemesh decisions --table orders --limit 5 --json"],
    json="""A list of objects as the decision log has them: `warehouse`, `schema_name`, `table_name`, `action`,
    `reason`, `evidence`, `outcome`, `ticks`, `decided_at`, `last_at`,
    rows and bytes estimated, read and of a full scan.""",
)
@config_option
@json_option
@only_option
@click.option("--limit", type=click.IntRange(1, MOST_LISTED), default=20, show_default=True, help="At most so many.")
@click.pass_obj
def decisions(context: Context, only: str | None, limit: int) -> None:
    """Show what was decided, and what came of it, newest first.

    Equal skips in a row are one row, with the number of its ticks.
    """
    config = context.config()
    with opened_storage(config) as storage:
        wanted = None if only is None else known_tables(config, storage, only)
        with storage.read() as session:
            rows = session.scalars(log.listing_of(wanted).limit(limit)).all()
    context.show([_logged_json(row) for row in rows], lambda console: draw_decisions(console, rows))


def _logged_json(row: LoggedDecision) -> dict[str, Any]:
    return {column.name: getattr(row, column.name) for column in LoggedDecision.__table__.columns}


def draw_decisions(out: Console, rows: Sequence[LoggedDecision]) -> None:
    if not rows:
        out.print("Nothing has been decided yet: run `profilemesh profile`.")
        return
    roomy = out.width >= ROOMY
    grid = new_grid("When", "Table", "Did", *(["Ticks", "Reads", "Took"] if roomy else []), "Why", "Came of it")
    for row in rows:
        rows_read = rows_of(row.rows_actual) if row.rows_actual is not None else rows_of(row.rows_estimated, "~")
        took = DASH if row.seconds_actual is None else f"{row.seconds_actual:.2f} s"
        more = [f"{row.ticks:,}", "0" if row.action in ("skip", "defer") else rows_read, took] if roomy else []
        grid.add_row(
            ago(row.last_at),
            escape(f"{row.warehouse}.{row.schema_name}.{row.table_name}"),
            styled(row.action),
            *more,
            escape(why(row.reason, row.evidence)),
            styled(row.outcome) if row.outcome else "",
        )
    out.print(grid)
