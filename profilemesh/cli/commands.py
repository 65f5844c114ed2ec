"""The names of all commands, and a group that imports one when it is called.

A command needs drivers, arrays and an ORM, which take far longer to import than most commands take to run: so names and
their lines of help stand here, and nothing else is loaded to list or to complete them. Further commands join by the
entry points `profilemesh.commands`.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

SECTIONS = ("Profiling", "Looking", "Running", "Setting up")


@dataclass(frozen=True)
class Listed:
    """A command as the list of all shows it. `place` is None where an entry point tells it."""

    section: str
    place: str | None
    help: str


COMMANDS = {
    "plan": Listed("Profiling", "plan:plan", "Show what the next tick would do and why."),
    "profile": Listed(
        "Profiling", "profile:profile", "Profile every table that changed, or that cannot be proved unchanged."
    ),
    "cancel": Listed("Profiling", "steer:cancel", "Stop the scan of TABLE, whichever process reads it."),
    "pause": Listed("Profiling", "steer:pause", "Read TABLE no more until `resume`."),
    "resume": Listed("Profiling", "steer:resume", "Take TABLE up again after `pause`."),
    "status": Listed("Looking", "status:status", "Show how every known table stands."),
    "tables": Listed("Looking", "tables:tables", "Show every table with its rows, columns and open drift, by name."),
    "show": Listed("Looking", "show:show", "Show TABLE: how it stands, its columns, and its open drift."),
    "compare": Listed(
        "Looking", "compare:compare", "Put two runs of a table side by side, the columns that moved most first."
    ),
    "decisions": Listed("Looking", "decisions:decisions", "Show what was decided, and what came of it, newest first."),
    "drift": Listed("Looking", "drift:drift", "Show what drift found and is not resolved, last seen first."),
    "export": Listed("Looking", "export:export", "Write all runs, or all drift, as CSV, JSON, JSON lines or Parquet."),
    "alerts": Listed("Running", "alerts:alerts", "Deliver messages about findings, try a route, see how they stand."),
    "schedule": Listed("Running", None, "Tick without the web, or print the line for cron."),
    "serve": Listed("Running", None, "Serve the dashboard and the API, and tick."),
    "init": Listed("Setting up", "init:init", "Write a configuration from a connection URL, its tables discovered."),
    "check": Listed("Setting up", "check:check", "Can each warehouse be reached and read?"),
    "db": Listed("Setting up", "db:db", "Create, upgrade or recount the storage database."),
    "completion": Listed("Setting up", "completion:completion", "Print the completion of a shell."),
}


class Commands(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        own = [name for name, listed in COMMANDS.items() if listed.place]
        return [*own, *sorted(_points().keys() - {*own})]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        listed = COMMANDS.get(name)
        if listed is not None and listed.place is not None:
            module, _, attribute = listed.place.partition(":")
            found: click.Command = getattr(import_module(f"profilemesh.cli.{module}"), attribute)
            return found
        point = _points().get(name)
        joined: click.Command | None = point.load() if point is not None else None
        return joined

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        names = self.list_commands(ctx)
        width = max(len(name) for name in names)
        for section in (*SECTIONS, None):
            found = [name for name in names if _section(name) == section]
            rows = [(name.ljust(width), self.short_help_of(ctx, name)) for name in _in_order(found)]
            if rows:
                with formatter.section(section or "More"):
                    formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        found = [CompletionItem(name, help=self.short_help_of(ctx, name)) for name in names]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def short_help_of(self, ctx: click.Context, name: str) -> str:
        """The line that describes it; only a command that nobody here knows is imported for it."""
        if name in COMMANDS:
            return COMMANDS[name].help
        command = self.get_command(ctx, name)
        return command.get_short_help_str(80) if command is not None else ""


def _section(name: str) -> str | None:
    return COMMANDS[name].section if name in COMMANDS else None


def _in_order(names: list[str]) -> list[str]:
    known = [*COMMANDS]
    return sorted(names, key=lambda name: (known.index(name) if name in COMMANDS else len(known), name))


def _points() -> dict[str, Any]:
    # Looking through every installed package for entry points takes as long as everything else at a start.
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group="profilemesh.commands")}
