"""`profilemesh pause`, `resume`, `cancel`: what a person says of a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import click
from rich.console import Console
from sqlalchemy.orm import Session

from profilemesh.cli.context import Context, config_option, json_option, opened_storage
from profilemesh.cli.names import known_tables, table_json
from profilemesh.cli.terminal import escape
from profilemesh.cli.told import command
from profilemesh.clock import utc_now
from profilemesh.storage import steering
from profilemesh.tables import TableRef

EXITS = {2: "no table is called so; the message has the names that are near"}
JSON = "A list of objects: `warehouse`, `schema`, `table`, `done` in words."


@command(examples=["profilemesh pause orders", "profilemesh pause 'shop.main.*'"], exits=EXITS, json=JSON)
@config_option
@json_option
@click.argument("table")
@click.pass_obj
def pause(context: Context, table: str) -> None:
    """Read TABLE no more until `resume`.

    TABLE is a name, schema.table, warehouse.schema.table, or a glob of them.
    """
    _steer(context, table, "is paused", lambda session, each: steering.pause(session, each, utc_now()))


@command(examples=["profilemesh resume orders"], exits=EXITS, json=JSON)
@config_option
@json_option
@click.argument("table")
@click.pass_obj
def resume(context: Context, table: str) -> None:
    """Take TABLE up again after `pause`.

    The next tick decides on it. What changed meanwhile was not forgotten.
    """
    _steer(context, table, "is taken up again", steering.resume)


@command(examples=["profilemesh cancel orders"], exits=EXITS, json=JSON)
@config_option
@json_option
@click.argument("table")
@click.pass_obj
def cancel(context: Context, table: str) -> None:
    """Stop the scan of TABLE, whichever process reads it.

    It ends within a second or two. Its run ends as failed, its last profile stays, and the next tick tries again:
    `pause` it to prevent that.
    """

    def ask(session: Session, each: TableRef) -> str:
        is_asked = steering.request_cancel(session, each, utc_now())
        return "is asked to stop" if is_asked else "is not being read"

    _steer(context, table, "", ask)


def _steer(context: Context, name: str, done: str, act: Callable[[Session, TableRef], str | None]) -> None:
    """Do it to every table of this name, and say what was done to each."""
    config = context.config()
    with opened_storage(config) as storage:
        tables = known_tables(config, storage, name)
        with storage.begin() as session:
            said = {table: act(session, table) or done for table in tables}
    data = [table_json(table) | {"done": words} for table, words in said.items()]
    context.show(data, lambda console: draw_steered(console, said))


def draw_steered(out: Console, said: Mapping[TableRef, str]) -> None:
    for table, words in said.items():
        out.print(escape(f"{table} {words}."))
