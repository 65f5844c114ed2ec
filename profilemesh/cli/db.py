"""`profilemesh db`: the storage database."""

from __future__ import annotations

from dataclasses import asdict

import click
from rich.console import Console

from profilemesh.cli.context import Context, config_option, json_option, opened_storage
from profilemesh.cli.terminal import escape
from profilemesh.cli.told import Told
from profilemesh.storage.adoption import UNKNOWN_WAREHOUSE
from profilemesh.storage.recount import Recounted, recount
from profilemesh.storage.upgrade import UpgradeReport, upgrade


@click.group()
def db() -> None:
    """Create, upgrade or recount the storage database."""


@db.command(
    "upgrade",
    cls=Told,
    examples=["profilemesh db upgrade"],
    exits={1: "the database cannot be upgraded; nothing was changed"},
    json="An object: `from_revision`, `to_revision`, `backup`, `command` that makes a backup, `adopted` tables.",
)
@config_option
@json_option
@click.option("--no-backup", is_flag=True, help="Do not copy a SQLite storage first.")
@click.pass_obj
def db_upgrade(context: Context, no_backup: bool) -> None:
    """Create the storage, or bring it to this version's schema.

    May be run twice and interrupted. It copies a SQLite storage first, and prints the pg_dump command for a PostgreSQL
    one. A database of the first ProfileMesh is adopted where it stands."""
    config = context.config()
    source = config.warehouses.get(config.source or "")
    whose = (source.name, source.type) if source else UNKNOWN_WAREHOUSE
    done = upgrade(config.storage.url, backup=not no_backup, adopted_warehouse=whose)
    context.show(asdict(done), lambda console: draw_upgrade(console, done, whose[0]))


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


@db.command(
    "recount",
    cls=Told,
    examples=["profilemesh db recount"],
    json="An object: `runs` and `drift`, how many there are; `runs_before` and `drift_before`, how many were counted.",
)
@config_option
@json_option
@click.pass_obj
def db_recount(context: Context) -> None:
    """Count runs and drift anew, in case another program wrote past the counts.

    The database counts by itself, whoever writes. What it cannot see is a row that an INSERT OR REPLACE takes away on
    SQLite, or a table restored alone. Writers wait until it is done."""
    with opened_storage(context.config()) as storage:
        done = recount(storage)
    context.show(asdict(done), lambda console: draw_recount(console, done))


def draw_recount(out: Console, done: Recounted) -> None:
    said = "Counted anew" if done.changed else "All was counted already"
    out.print(
        f"{said}: {done.runs:,} runs (before: {done.runs_before:,}), {done.drift:,} drift events (before: "
        f"{done.drift_before:,})."
    )
