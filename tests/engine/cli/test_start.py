"""Commands start quickly: to list, describe and complete them nothing is imported that takes long."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from profilemesh.cli import main
from profilemesh.cli.commands import COMMANDS, SECTIONS

HEAVY = {"sqlalchemy", "duckdb", "alembic", "apprise", "numpy", "pyarrow", "marshmallow", "rich", "flask", "psycopg2"}
NAMES = main.list_commands(click.Context(main))


def imported_by(code: str) -> set[str]:
    """The modules that Python has after it."""
    program = f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize("words", [["--help"], ["--version"], []])
def test_the_list_of_commands_needs_no_driver(words: list[str]) -> None:
    assert imported_by(f"from profilemesh.cli import main; main({words})") & HEAVY == set()


@pytest.mark.parametrize("module", ["status", "steer", "alerts", "db", "names"])
def test_what_reads_the_storage_alone_needs_no_warehouse(module: str) -> None:
    assert imported_by(f"import profilemesh.cli.{module}") & {"duckdb", "pyarrow", "alembic", "apprise"} <= (
        {"alembic"} if module == "db" else set()
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_command_is_described_as_it_describes_itself(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None and command.help is not None
    said = command.help.replace("\b", "").split("\n\n")[0]
    assert " ".join(said.split()).startswith(COMMANDS[name].help.rstrip("."))
    assert COMMANDS[name].section in SECTIONS


def test_every_command_of_the_table_is_there() -> None:
    assert {*NAMES} == COMMANDS.keys()
