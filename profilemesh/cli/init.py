"""`profilemesh init`: a configuration to begin with, made of what a database says of itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from profilemesh.cli.context import Context, json_option
from profilemesh.cli.terminal import escape
from profilemesh.cli.told import command
from profilemesh.config.loader import load_config
from profilemesh.config.written import Connection, connection_of, written
from profilemesh.errors import ConfigError, WarehouseError
from profilemesh.planning.snapshots import Snapshot
from profilemesh.warehouses import open_warehouse


@command(
    examples=[
        "profilemesh init duckdb:///shop.duckdb",
        "profilemesh init sqlite:///team.sqlite -o team.yml",
        "SHOP_PASSWORD=... profilemesh init postgresql://reader@db.example.com/shop",
    ],
    exits={
        1: "the database cannot be reached or read; nothing was written",
        2: "the URL cannot be read, or the file exists already; nothing was written",
    },
    json="An object: `path`, `warehouse`, `tables`, `password_variable` (null where none is needed), `next`.",
)
@json_option
@click.argument("url")
@click.option("--name", help="What the database is called in ProfileMesh. [default: its file's or its own name]")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("profilemesh.yml"),
    show_default=True,
    help="The file to write.",
)
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.pass_obj
def init(context: Context, url: str, name: str | None, output: Path, force: bool) -> None:
    """Write a configuration from a connection URL, its tables discovered.

    The file is commented, loads, and passes `check`. A password in the URL is not written: the file takes it from the
    environment, and what is printed names the variable.
    """
    if output.exists() and not output.is_file():
        raise ConfigError(f"{output} is no file that could be written over; -o names another")
    if output.exists() and not force:
        raise ConfigError(f"{output} is there already; --force writes over it, -o names another")
    connection = connection_of(url, name, Path.cwd(), os.environ)
    found = _looked_at(connection)
    _write(output, written(connection, found, output.absolute().parent), connection)
    data = {
        "path": str(output),
        "warehouse": connection.name,
        "tables": [str(each.table) for each in found],
        "password_variable": connection.variable,
        "next": _next(connection, output),
    }
    context.show(data, lambda console: _draw(console, data))


def _looked_at(connection: Connection) -> Sequence[Snapshot]:
    warehouse = open_warehouse(connection.config)
    try:
        bad = [result for result in warehouse.check() if not result.ok]
        if bad:
            raise WarehouseError("; ".join(filter(None, (bad[0].message, bad[0].remedy))))
        return warehouse.catalogue()
    finally:
        warehouse.close()


def _write(output: Path, text: str, connection: Connection) -> None:
    """The file has its name when it is whole, and is known to load."""
    target = output.resolve()
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.unfinished")
    try:
        unfinished.write_text(text)
        load_config(unfinished, {**os.environ, **connection.environ})
        os.replace(unfinished, target)
    except OSError as error:
        raise click.FileError(str(output), error.strerror or str(error)) from error
    finally:
        with suppress(OSError):
            unfinished.unlink()


def _next(connection: Connection, output: Path) -> list[str]:
    """The commands that lead to the first profile."""
    chosen = "" if output.name == "profilemesh.yml" and output.parent == Path() else f" -c {output}"
    export = [f"export {connection.variable}=..."] if connection.variable else []
    return [*export, *(f"profilemesh{chosen} {each}" for each in ("check", "db upgrade", "profile", "serve"))]


def _draw(out: Console, data: dict[str, Any]) -> None:
    tables = data["tables"]
    count = f"{len(tables):,} {'table' if len(tables) == 1 else 'tables'}"
    out.print(f"Wrote {escape(data['path'])}: {escape(data['warehouse'])}, {count}.")
    for name in tables[:10]:
        out.print(f"  {escape(name)}")
    if len(tables) > 10:
        out.print(f"  and {len(tables) - 10:,} more")
    out.print("Next:")
    for line in data["next"]:
        out.print(f"  {escape(line)}")
