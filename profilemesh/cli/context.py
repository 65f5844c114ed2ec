"""What the commands share: the context, the options, the exit codes. Imports nothing that takes long."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

    from profilemesh.config import Config
    from profilemesh.storage import Storage

DONE, FAILED, MISUSED, DRIFTED, BROKEN, INTERRUPTED = 0, 1, 2, 3, 70, 130


MOST_LISTED = 2**31 - 1
"""More than any list has, and no more than a database counts to."""


@dataclass
class Context:
    """What every command knows: whether people or programs read the output."""

    as_json: bool = False

    def config(self) -> Config:
        from profilemesh.config.loader import find_config, load_config

        config = load_config(find_config(None))
        for warning in config.warnings:
            complain(f"warning: {warning}")
        return config

    def show(self, data: Any, draw: Callable[[Console], None]) -> None:
        """The data as JSON, or what `draw` makes of it for people."""
        if self.as_json:
            say(as_json(data))
        else:
            from profilemesh.cli.terminal import console

            draw(console())


def as_json(data: Any) -> str:
    import orjson

    return orjson.dumps(data, default=str, option=orjson.OPT_INDENT_2).decode()


def plain(text: str, keep: str = "") -> str:
    """The text with control and direction marks shown as what they are, but for those to keep."""
    return "".join(c if c.isprintable() or c in keep else repr(c)[1:-1] for c in text)


def complain(text: str) -> None:
    """What is wrong, on standard error."""
    click.echo(plain(text, keep="\n"), err=True)


def say(text: str) -> None:
    """Print a line for programs, in UTF-8 whatever the locale. A reader that is gone (`| head`) stops no work and
    changes no exit code."""
    try:
        click.echo(text.encode())
    except BrokenPipeError:
        fall_silent()


def fall_silent() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _choose_config(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
    # By the environment, so that commands of other packages and their worker processes find it too.
    if value:
        os.environ["PROFILEMESH_CONFIG"] = value


def _choose_json(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    ctx.ensure_object(Context).as_json |= value


def _choose_debug(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        os.environ["PROFILEMESH_DEBUG"] = "1"


def is_debugged() -> bool:
    return os.environ.get("PROFILEMESH_DEBUG", "").lower() not in ("", "0", "false", "no", "off")


config_option = click.option(
    "-c",
    "--config",
    metavar="FILE",
    expose_value=False,
    callback=_choose_config,
    help="Configuration; else PROFILEMESH_CONFIG, else profilemesh.yml.",
)
json_option = click.option(
    "--json", is_flag=True, expose_value=False, callback=_choose_json, help="Print JSON for programs."
)
debug_option = click.option(
    "--debug", is_flag=True, expose_value=False, callback=_choose_debug, help="Show the whole trace of a bug."
)
only_option = click.option(
    "--table", "only", metavar="GLOB", help="Only these: table, schema.table or warehouse.schema.table."
)
full_option = click.option("--full", "force", is_flag=True, help="Read even what did not change.")


@contextmanager
def opened_storage(config: Config) -> Iterator[Storage]:
    from profilemesh.storage import open_storage

    storage = open_storage(config.storage.url)
    try:
        yield storage
    finally:
        storage.close()


@contextmanager
def stoppable() -> Iterator[None]:
    """A polite kill or a closed terminal ends the work as Ctrl-C does: claims are released, failures stored."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        # Ignored means started by nohup.
        if handler is not signal.SIG_IGN:
            signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
