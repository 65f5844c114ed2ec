"""`profilemesh alerts`: deliver what waits, try a route, see how they stand."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
from rich.console import Console

from profilemesh.alerts.delivery import Delivered, deliver
from profilemesh.alerts.messages import Message
from profilemesh.alerts.standing import RouteStanding, route_standings
from profilemesh.cli.context import DONE, FAILED, Context, config_option, json_option, opened_storage
from profilemesh.cli.terminal import DASH, ago, escape, new_grid
from profilemesh.cli.told import Told
from profilemesh.config import Config, Route
from profilemesh.config.problems import did_you_mean
from profilemesh.errors import ConfigError

if TYPE_CHECKING:
    from profilemesh.alerts.channels import Sent

_COLOURS = {"failing": "red", "waiting": "yellow", "quiet": "blue", "idle": "green"}


@click.group()
def alerts() -> None:
    """Deliver messages about findings, try a route, see how they stand."""


@alerts.command(
    "deliver",
    cls=Told,
    examples=["profilemesh alerts deliver"],
    exits={1: "a route fails; it is tried again later"},
    json="An object: messages `sent`, errors of `failed` and messages `given_up`, each by route.",
)
@config_option
@json_option
@click.pass_obj
def deliver_now(context: Context) -> None:
    """Send what waits on every route, now.

    `profile` does the same at its end, `schedule` and `serve` after each tick and every half minute.
    """
    config = context.config()
    with opened_storage(config) as storage:
        done = deliver(config, storage)
    context.show(asdict(done), lambda console: draw_delivered(console, done))
    sys.exit(FAILED if done.failed or done.given_up else DONE)


@alerts.command(
    "test",
    cls=Told,
    examples=["profilemesh alerts test data-team"],
    exits={1: "a channel of the route did not take it"},
    json="An object: `route`, `key`, `channels` (each with `label` and `error`, null where it went).",
)
@config_option
@json_option
@click.argument("route")
@click.pass_obj
def send_test(context: Context, route: str) -> None:
    """Send a test message on ROUTE at once, whatever its filters and quiet hours.

    Says of each of its channels whether it went.
    """
    from profilemesh.alerts import channels

    config = context.config()
    wanted = _route(config, route)
    note = f"This is a test of the route {wanted.name}. Nothing is wrong."
    message = Message(str(uuid.uuid4()), wanted.name, note=note, dashboard=config.alerts.dashboard_url)
    sent = [channels.send(url, message) for url in wanted.to]
    data = {"route": wanted.name, "key": message.key, "channels": [asdict(each) for each in sent]}
    context.show(data, lambda console: draw_test(console, sent))
    sys.exit(DONE if all(each.error is None for each in sent) else FAILED)


@alerts.command(
    "status",
    cls=Told,
    examples=["profilemesh alerts status --json"],
    json="""A list of objects: `route`, `state` (idle, waiting, quiet, failing, disabled, or gone where the
    configuration has it no more), `items`, `waiting`, `waiting_since`, `given_up`, `last_given_up_at`,
    `last_sent_at`, `next_at`, `attempts`, `error`, `channels`.""",
)
@config_option
@json_option
@click.pass_obj
def status(context: Context) -> None:
    """Show what waits on each route, what fails and why, and what was sent last.

    Also how many messages were given up, and when what fails is tried again.
    """
    config = context.config()
    with opened_storage(config) as storage:
        rows = route_standings(config, storage)
    context.show([asdict(row) for row in rows], lambda console: draw_standings(console, rows))


def _route(config: Config, name: str) -> Route:
    found = {route.name: route for route in config.alerts.routes}
    if name not in found:
        known = ", ".join(found) or "none; write some under `alerts.routes`"
        raise ConfigError(f"there is no route {name!r}{did_you_mean(name, found)}; routes: {known}")
    return found[name]


def draw_delivered(out: Console, done: Delivered) -> None:
    if not (done.sent or done.failed or done.given_up):
        out.print("Nothing to send.")
    for name, count in done.sent.items():
        out.print(f"{escape(name)}: {count} message{'s' if count != 1 else ''} sent")
    for name, count in done.given_up.items():
        out.print(f"[red]{escape(name)}[/]: {count} message{'s' if count != 1 else ''} given up")
    for name, error in done.failed.items():
        out.print(f"[red]{escape(name)}[/]: {escape(error, lines=True)}; tried again later")


def draw_test(out: Console, sent: Sequence[Sent]) -> None:
    for each in sent:
        mark = "[green]sent  [/]" if each.error is None else "[red]failed[/]"
        out.print(f"{mark} {escape(each.label)}{': ' + escape(each.error, lines=True) if each.error else ''}")


def draw_standings(out: Console, rows: Sequence[RouteStanding]) -> None:
    if not rows:
        out.print("No routes: write some under `alerts.routes`.")
        return
    table = new_grid("Route", "State", "Findings", "Messages", "Last sent", "Given up", "To")
    for row in rows:
        state = f"[{_COLOURS.get(row.state, 'dim')}]{row.state}[/]"
        counts = (str(row.items), str(row.waiting), ago(row.last_sent_at) if row.last_sent_at else DASH)
        table.add_row(escape(row.route), state, *counts, str(row.given_up), escape(", ".join(row.channels)))
    out.print(table)
    for row in rows:
        if row.error:
            when = f"; again at {row.next_at:%Y-%m-%d %H:%M} UTC" if row.next_at else ""
            out.print(f"[red]{escape(row.route)}[/]: {escape(row.error, lines=True)} ({row.attempts} tries{when})")
        elif row.next_at:
            out.print(f"{escape(row.route)} is quiet until {row.next_at:%Y-%m-%d %H:%M} UTC")
