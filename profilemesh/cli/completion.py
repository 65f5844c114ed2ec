"""`profilemesh completion`: what a shell needs to complete commands and options."""

from __future__ import annotations

import click

from profilemesh.cli.context import say
from profilemesh.cli.told import command

SHELLS = {
    "bash": 'eval "$(profilemesh completion bash)"  # in ~/.bashrc',
    "zsh": 'eval "$(profilemesh completion zsh)"  # in ~/.zshrc, after compinit',
    "fish": "profilemesh completion fish > ~/.config/fish/completions/profilemesh.fish",
}


@command(examples=SHELLS.values())
@click.argument("shell", type=click.Choice(list(SHELLS)))
def completion(shell: str) -> None:
    """Print the completion of a shell: commands, options and their values.

    Completing asks `profilemesh` itself, which answers without opening anything.
    """
    from click.shell_completion import get_completion_class

    from profilemesh.cli.entry import main

    found = get_completion_class(shell)
    assert found is not None
    # Not by an object of it: bash's would ask the bash that is installed for its version.
    made = found.__new__(found)
    made.cli, made.ctx_args, made.prog_name, made.complete_var = main, {}, "profilemesh", "_PROFILEMESH_COMPLETE"
    say(made.source())
