"""`profilemesh plan`: what the next tick would do, and why."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

import click
from rich.console import Console

from profilemesh.cli.context import (
    DONE,
    FAILED,
    Context,
    config_option,
    full_option,
    json_option,
    only_option,
    opened_storage,
)
from profilemesh.cli.names import table_json
from profilemesh.cli.terminal import ROOMY, escape, new_grid, rows_of, score, styled
from profilemesh.cli.told import command
from profilemesh.errors import ConfigError
from profilemesh.planning import Action, Decision, Plan
from profilemesh.planning.costs import Cost
from profilemesh.reasons import told, why
from profilemesh.runner import look, opened, utc_now


@command(
    examples=["profilemesh plan", "profilemesh plan --table 'shop.main.*' --json"],
    exits={1: "a warehouse cannot be reached, or a configured table is missing, as `profile` would end"},
    json="""An object: `plan_id`, `made_at`, `decisions` (each with `warehouse`, `schema`, `table`, `action`, `reason`,
    `meaning`, `evidence`, `staleness`, `reads` and `full_scan` as `rows`, `bytes`, `is_measured`, `fraction`, `due_at`,
    `rows_estimate`, `partitions`, `partitions_to_read`), `troubles` by warehouse, `missing`, `unmatched_columns`.""",
)
@config_option
@json_option
@only_option
@full_option
@click.pass_obj
def plan(context: Context, only: str | None, force: bool) -> None:
    """Show what the next tick would do and why. Writes nothing.

    Tells what each reading is expected to cost (`~` marks an estimate), and on a wide terminal what a full scan would
    cost and how stale each profile is.
    """
    config = context.config()
    with opened_storage(config) as storage, opened(config) as warehouses:
        made = look(config, storage, warehouses, utc_now(), only=only, force=force)
    context.show(plan_json(made), lambda console: draw_plan(console, made))
    require_known(made, only)
    sys.exit(FAILED if made.is_trouble else DONE)


def require_known(made: Plan, only: str | None) -> None:
    # A warehouse that does not answer may well have the table.
    if only is not None and not made.decisions and not made.troubles:
        raise ConfigError(f"--table {only!r} matches no table; `profilemesh plan` lists them all")


def plan_json(made: Plan) -> dict[str, Any]:
    return {
        "plan_id": made.plan_id,
        "made_at": made.made_at,
        "decisions": [_decision_json(decision) for decision in made.decisions],
        "troubles": {name: asdict(trouble) for name, trouble in made.troubles.items()},
        "missing": [asdict(each) for each in made.missing],
        "unmatched_columns": [asdict(each) for each in made.unmatched],
    }


def _decision_json(decision: Decision) -> dict[str, Any]:
    partitions = decision.snapshot.partitions if decision.snapshot else None
    return table_json(decision.table) | {
        "action": decision.action,
        "reason": decision.reason,
        "evidence": dict(decision.evidence),
        "rows_estimate": decision.snapshot.rows_estimate if decision.snapshot else None,
        "meaning": decision.reason.meaning,
        "staleness": decision.staleness,
        "reads": _cost_json(decision.cost),
        "full_scan": _cost_json(decision.naive),
        "fraction": decision.fraction,
        "due_at": decision.due_at,
        "partitions": len(partitions.parts) if partitions else None,
        "partitions_to_read": len(decision.change.to_read) if decision.change else None,
    }


def _cost_json(cost: Cost) -> dict[str, Any]:
    return {"rows": cost.rows, "bytes": cost.bytes, "is_measured": cost.is_measured}


def draw_plan(out: Console, made: Plan) -> None:
    if made.decisions:
        grid = new_grid("Table", "Will", "Reads", *(["Of", "Stale"] if out.width >= ROOMY else []), "Why")
        for decision in made.decisions:
            more = [_cost(decision.naive), score(decision.staleness)] if out.width >= ROOMY else []
            grid.add_row(
                escape(str(decision.table)), styled(decision.action), _reads(decision), *more, escape(_why(decision))
            )
        out.print(grid)
    draw_problems(out, made)
    out.print(escape(told(made)))


def _why(decision: Decision) -> str:
    said = why(decision.reason, decision.evidence)
    partitions = decision.snapshot.partitions if decision.snapshot else None
    return f"{said} of {len(partitions.parts):,}" if decision.action is Action.PARTIAL and partitions else said


def _reads(decision: Decision) -> str:
    """What it will read, which for a skip is known to be nothing."""
    return _cost(decision.cost) if decision.action.reads else "0"


def _cost(cost: Cost) -> str:
    return rows_of(cost.rows, "" if cost.is_measured else "~")


def draw_problems(out: Console, made: Plan) -> None:
    for name, trouble in made.troubles.items():
        out.print(f"[red]{trouble.reason}[/] {escape(name)}: {escape(trouble.message, lines=True)}")
    for each in made.unmatched:
        hint = f"; did you mean {each.instead}?" if each.instead else ""
        said = f"columns.{each.key} of {each.rule}: no column is called {each.pattern}{hint}"
        out.print(f"[yellow]warning[/] {escape(said)}")
    for missing in made.missing:
        hint = f"; did you mean {missing.instead}?" if missing.instead else ""
        out.print(f"[red]missing[/] {escape(f'{missing.name} is configured, but no warehouse has it{hint}')}")
