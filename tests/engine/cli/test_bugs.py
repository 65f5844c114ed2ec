"""A fault that nobody foresaw: told in a line that says whose it is, with the way to its trace."""

from __future__ import annotations

from pathlib import Path

import pytest

from profilemesh.cli.told import EXITS
from tests.commands import Done, piped

SOURCES = {
    "broken.py": """
import click
from profilemesh.cli.told import command

@command()
def divide():
    "Divide."
    1 / 0

@command()
def shout():
    "Say more than a line, and what steers a terminal."
    raise ValueError("one\x1b[2J" + "e" * 5000 + "\\ntwo")
""",
    "unloadable.py": "import no_such_module",
    "broken-1.dist-info/METADATA": "Name: broken\nVersion: 1\n",
    "broken-1.dist-info/entry_points.txt": """
[profilemesh.commands]
divide = broken:divide
shout = broken:shout
unloadable = unloadable:main
""",
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package that joins commands, none of which works."""
    folder = tmp_path_factory.mktemp("installed")
    for name, text in SOURCES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


def called(installed: Path, *words: str, debug: str = "") -> Done:
    return piped(installed, *words, env={"PYTHONPATH": str(installed), "PROFILEMESH_DEBUG": debug})


def test_a_bug_is_one_line_and_an_exit_code_of_its_own(installed: Path) -> None:
    done = called(installed, "divide")
    assert done.code == 70 and 70 in EXITS
    assert done.output == (
        "error: this is a bug of ProfileMesh, in `profilemesh divide`: ZeroDivisionError: division by zero "
        f"({installed.name}/broken.py, line 8); --debug or PROFILEMESH_DEBUG=1 shows its whole trace\n"
    )


@pytest.mark.parametrize(
    ("words", "debug"), [(("divide", "--debug"), ""), (("--debug", "divide"), ""), (("divide",), "1")]
)
def test_asked_for_its_trace_comes_first(installed: Path, words: tuple[str, ...], debug: str) -> None:
    done = called(installed, *words, debug=debug)
    assert done.code == 70 and done.stdout == ""
    assert done.stderr.startswith("Traceback (most recent call last):") and "1 / 0\n" in done.stderr
    assert done.stderr.splitlines()[-1].endswith(f"({installed.name}/broken.py, line 8); its trace is above")


def test_a_long_text_stays_a_line_and_steers_nothing(installed: Path) -> None:
    [line] = called(installed, "shout").stderr.splitlines()
    assert "ValueError: one\\x1b[2Jeee" in line and "two" not in line and len(line) < 600


def test_a_command_that_cannot_be_loaded_is_one_too(installed: Path) -> None:
    done = called(installed, "unloadable")
    assert done.code == 70 and "ModuleNotFoundError: No module named 'no_such_module'" in done.stderr
    assert "Traceback" not in done.output
