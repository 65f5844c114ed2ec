"""`profilemesh profile`: the same plan, carried out."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import asdict
from typing import Any

import click
from rich.console import Console

from profilemesh import reasons
from profilemesh.alerts.delivery import deliver
from profilemesh.cli.context import (
    DONE,
    FAILED,
    Context,
    complain,
    config_option,
    full_option,
    json_option,
    only_option,
    opened_storage,
    stoppable,
)
from profilemesh.cli.names import table_json
from profilemesh.cli.plan import draw_problems, plan_json, require_known
from profilemesh.cli.progress import progress
from profilemesh.cli.terminal import escape
from profilemesh.cli.told import command
from profilemesh.reasons import Rows, told
from profilemesh.runner import Outcome, Report, look, opened, run_plan, utc_now


@command(
    examples=["profilemesh profile", "profilemesh profile --table orders --full"],
    exits={
        1: "a table failed, a configured one is missing, or a warehouse cannot be reached",
        130: "stopped: scans were cancelled, their runs ended as failed, tables keep their last profile",
    },
    json="""What `plan` prints, and `outcomes` (each with `warehouse`, `schema`, `table`, `status` success, failed or
    deferred, `action`, `rows`, `rows_read`, `seconds`, `run_id`, `error`, `column_errors`), `rows` (`read`,
    `spared_measured`, `spared_estimated`, `unpriced`), `alerts` (`sent`, `failed`, `given_up` by route).""",
)
@config_option
@json_option
@only_option
@full_option
@click.pass_obj
def profile(context: Context, only: str | None, force: bool) -> None:
    """Profile every table that changed, or that cannot be proved unchanged.

    Makes the plan that `plan` shows and carries it out, `execution.max_workers` tables at a time: bars on a terminal, a
    line per table in a pipe. The last line tells what was read, what is proved unchanged, what is left open and why,
    and the rows spared against full scans: measured where a profile of that very snapshot counted them, else estimated.
    Nothing to do is one line and exit code 0.

    Run it from cron, as often as you like, or let `schedule` or `serve` tick. What it found is told on the routes of
    `alerts` at its end; a route that fails is a warning, and does not change the exit code.
    """
    config = context.config()
    with stoppable(), opened_storage(config) as storage, opened(config) as warehouses:
        made = look(config, storage, warehouses, utc_now(), only=only, force=force)
        require_known(made, only)
        with progress(len(made.to_read), quiet=context.as_json) as listener:
            report = run_plan(made, config, storage, warehouses, listener=listener)
        delivered = deliver(config, storage)
    data = _report_json(report) | {"alerts": asdict(delivered)}
    context.show(data, lambda console: draw_report(console, report))
    for route, error in delivered.failed.items():
        complain(f"warning: alerts of {route} wait: {error}")
    sys.exit(FAILED if report.is_trouble else DONE)


def _report_json(report: Report) -> dict[str, Any]:
    outcomes = [_outcome_json(outcome) for outcome in report.outcomes]
    return plan_json(report.plan) | {"outcomes": outcomes, "rows": asdict(Rows.of(report))}


def _outcome_json(outcome: Outcome) -> dict[str, Any]:
    found = asdict(outcome)
    found.pop("table")
    return table_json(outcome.table) | found


def draw_report(out: Console, report: Report) -> None:
    draw_problems(out, report.plan)
    if not report.outcomes:
        out.print(escape(told(report.plan)))
        return
    counts = Counter(outcome.status for outcome in report.outcomes)
    words = {"success": "profiled", "failed": "failed", "deferred": "put off"}
    done = ", ".join(f"{reasons.tables(counts[status])} {word}" for status, word in words.items() if counts[status])
    parts = [done, *reasons.left_alone(report.plan.decisions), str(reasons.Rows.of(report))]
    out.print(escape(f"{'; '.join(parts)}."))
