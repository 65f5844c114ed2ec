"""A command that tells all of itself: examples, exit codes, what its JSON holds. docs/cli.md is made of the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click

from profilemesh.cli.context import BROKEN, DONE, FAILED, INTERRUPTED, MISUSED, debug_option

EXITS = {
    DONE: "done, or nothing to do",
    FAILED: "something failed; the message names it",
    MISUSED: "usage or configuration; nothing was done",
    BROKEN: "a bug of ProfileMesh; `--debug` or `PROFILEMESH_DEBUG=1` shows the whole trace",
    INTERRUPTED: "stopped by Ctrl-C, a polite kill or a closed terminal",
}
"""What every command may end with."""


class Told(click.Command):
    """A command with examples, what its exit codes mean beyond `EXITS`, and what `--json` prints."""

    def __init__(
        self,
        *args: Any,
        examples: Iterable[str] = (),
        exits: Mapping[int, str] | None = None,
        json: str | None = None,
        **more: Any,
    ) -> None:
        super().__init__(*args, **more)
        debug_option(self)
        self.examples, self.exits = tuple(examples), EXITS | dict(exits or {})
        self.json = " ".join(json.split()) if json else None

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"{'':>{formatter.current_indent}}{example}\n")
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), words) for code, words in sorted(self.exits.items())])
        if self.json:
            with formatter.section("With --json"):
                formatter.write_text(self.json.replace("`", ""))


def command(name: str | None = None, **more: Any) -> Callable[[Callable[..., Any]], Told]:
    """Makes a `Told` of a function."""
    return click.command(name, cls=Told, **more)
