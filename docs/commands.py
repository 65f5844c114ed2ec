"""Writes docs/cli.md from what the commands say of themselves; a test holds the two equal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from profilemesh.cli import main
from profilemesh.cli.commands import COMMANDS, SECTIONS
from profilemesh.cli.told import EXITS, Told

PAGE = Path(__file__).with_name("cli.md")
HEAD = """\
# Commands

<!-- Made by docs/commands.py from the commands themselves: change them, and run it. -->

`profilemesh COMMAND`, with `-c FILE` (else `PROFILEMESH_CONFIG`, else `profilemesh.yml`; a `.env` in the current
directory is read first), `--json` and `--debug` before or after the command's name. `profilemesh COMMAND --help` says
what stands here.

**For people** on a terminal: colours (`NO_COLOR` turns them off), progress, and as many columns as it is wide.
**In a pipe**: plain lines of a fixed width. **With `--json`**: stable, keys are added and never renamed; times are UTC
in ISO 8601, what is unknown is null. A reader that goes away (`| head`) stops no work and changes no exit code.

| exit code | meaning |
|---|---|
"""
TAIL = """
Errors name themselves and what to do about them on standard error, as do warnings, which change no exit code.
"""
MORE = {
    "plan": "[Planning](planning.md)",
    "status": "[Staleness](planning.md#staleness)",
    "show": "[Metrics](metrics.md)",
    "drift": "[Drift](drift.md), [back-tests](drift.md#replay)",
    "alerts": "[Alerts](alerts.md)",
    "serve": "[Settings](api.md#settings)",
    "schedule": "[Settings](api.md#settings)",
    "init": "[Configuration](config.md)",
    "db": "[From Phase 1](adoption.md)",
}
"""Where a command's subject has a page of its own."""
SHARED = {"--config", "--json", "--debug", "--help"}


def page() -> str:
    """The whole of docs/cli.md."""
    exits = "".join(f"| {code} | {words} |\n" for code, words in EXITS.items())
    parts = [HEAD + exits + TAIL]
    context = click.Context(main, info_name="profilemesh")
    for section in SECTIONS:
        parts.append(f"\n## {section}\n")
        for name, listed in COMMANDS.items():
            command = main.get_command(context, name) if listed.section == section else None
            if command is not None:
                parts += _described(command, click.Context(command, parent=context, info_name=name), 3)
    return "".join(parts)


def _described(command: click.Command, context: click.Context, level: int) -> Iterator[str]:
    name = context.command_path.removeprefix("profilemesh ")
    yield f"\n{'#' * level} `{name}`\n\n{_prose(command)}"
    if name in MORE:
        yield f"\nMore: {MORE[name]}.\n"
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            inner = command.get_command(context, each)
            assert inner is not None
            yield from _described(inner, click.Context(inner, parent=context, info_name=each), level + 1)
        return
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"\n`profilemesh {name} {usage}`\n"
    rows = [row for parameter in command.params if (row := _row(parameter, context))]
    if rows:
        yield "\n| option | |\n|---|---|\n" + "".join(rows)
    if isinstance(command, Told):
        yield from _told(command)


def _prose(command: click.Command) -> str:
    paragraphs = (command.help or "").split("\n\n")
    return "\n\n".join(" ".join(each.split()) for each in paragraphs) + "\n"


def _row(parameter: click.Parameter, context: click.Context) -> str | None:
    record = parameter.get_help_record(context)
    if record is None or SHARED & {*parameter.opts}:
        return None
    name, words = (text.replace("|", r"\|") for text in record)
    return f"| `{name}` | {words} |\n"


def _told(command: Told) -> Iterator[str]:
    if command.examples:
        yield "\n```sh\n" + "\n".join(command.examples) + "\n```\n"
    own = {code: words for code, words in command.exits.items() if EXITS.get(code) != words}
    if own:
        yield "\nExit codes: " + "; ".join(f"{code} {words}" for code, words in sorted(own.items())) + ".\n"
    if command.json:
        yield f"\nWith `--json`: {command.json[0].lower()}{command.json[1:]}\n"


if __name__ == "__main__":
    PAGE.write_text(page())
