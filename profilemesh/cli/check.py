"""`profilemesh check`: can each warehouse be reached and read?"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import click
from rich.console import Console

from profilemesh.cli.context import DONE, FAILED, Context, config_option, json_option
from profilemesh.cli.terminal import escape
from profilemesh.cli.told import command
from profilemesh.runner import opened
from profilemesh.warehouses.base import CheckResult


@command(
    examples=["profilemesh check", "profilemesh -c other.yml check --json"],
    exits={1: "something is wrong with a warehouse"},
    json="An object: for each warehouse a list of `subject`, `ok`, `message`, `remedy`.",
)
@config_option
@json_option
@click.pass_obj
def check(context: Context) -> None:
    """Can each warehouse be reached and read?

    Tells which metadata is missing too, what that costs, and what to do about it.
    """
    config = context.config()
    with opened(config) as warehouses:
        results = {name: list(warehouse.check()) for name, warehouse in warehouses.items()}
    data = {name: [asdict(result) for result in found] for name, found in results.items()}
    context.show(data, lambda console: draw_check(console, results))
    sys.exit(DONE if all(result.ok for found in results.values() for result in found) else FAILED)


def draw_check(out: Console, results: Mapping[str, Sequence[CheckResult]]) -> None:
    for name, found in results.items():
        out.print(f"[bold]{escape(name)}[/]")
        for result in found:
            mark = "[red]bad [/]" if not result.ok else "[yellow]note[/]" if result.remedy else "[green]ok  [/]"
            out.print(f"  {mark} {escape(result.subject)}: {escape(result.message, lines=True)}")
            if result.remedy:
                out.print(f"       {escape(result.remedy)}")
