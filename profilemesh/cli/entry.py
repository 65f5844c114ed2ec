"""The console script: options for all commands, errors as exit codes, and the way out."""

from __future__ import annotations

import atexit
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import click

from profilemesh.cli.commands import Commands
from profilemesh.cli.context import (
    BROKEN,
    FAILED,
    INTERRUPTED,
    MISUSED,
    complain,
    config_option,
    debug_option,
    is_debugged,
    json_option,
)
from profilemesh.errors import ConfigError, ProfileMeshError, StorageOutdated


class Main(Commands):
    """All commands; their errors are told in a line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (ProfileMeshError, KeyboardInterrupt) as error:
            code = _complain(error)
        except Exception as error:
            error.add_note(f"in `{ctx.command_path} {ctx.invoked_subcommand or '...'}`")
            raise
        # Outside the handler: an exit that carries the traceback keeps the drivers' objects alive to the very end.
        sys.exit(code)


def _complain(error: BaseException) -> int:
    """Say what went wrong, and tell the exit code."""
    if isinstance(error, KeyboardInterrupt):
        complain("stopped; tables that were being read keep their last profile")
        return INTERRUPTED
    complain(f"error: {error}")
    return MISUSED if isinstance(error, ConfigError | StorageOutdated) else FAILED


@click.group(cls=Main, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@config_option
@json_option
@debug_option
@click.version_option(package_name="profilemesh")
def main() -> None:
    """Tells what is in your warehouse tables and how it changes, reading as little as possible.

    Exit codes: 0 done or nothing to do, 1 something failed, 2 usage or configuration, 70 a bug of ProfileMesh, 130
    interrupted.
    """
    try:
        path = Path.cwd() / ".env"
    except FileNotFoundError:
        raise ConfigError("the current directory is gone; change to another one") from None
    if path.exists():
        from dotenv import load_dotenv

        try:
            load_dotenv(path)
        except ValueError:
            raise ConfigError(f"{path}: this is no text in UTF-8 without NUL bytes") from None


def run() -> None:
    """The console script: `main`, then out without tearing the interpreter down.

    DuckDB's binding prints a page of "leaked" objects when the interpreter frees modules in an order it does not like.
    """
    code = 0
    _make_writable()
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except OSError as error:
        code = _out_of_order(error)
    except Exception as error:  # noqa: BLE001 - what nobody expected is told in a line, with the way to its trace
        code = _bug(error)
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        pass
    except OSError as error:
        code = code or _out_of_order(error)
    os._exit(code)


def _make_writable() -> None:
    """What is closed swallows what is said, and what a locale has no letters for is told by a question mark."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - it is open to the end
        else:
            stream.reconfigure(errors="replace")


def _out_of_order(error: OSError) -> int:
    """What the machine refuses, such as room on the disk that the output goes to: no error of ours."""
    where = f"{error.filename}: " if error.filename else ""
    complain(f"error: {where}{error.strerror or error}")
    return FAILED


MOST_SAID = 300
"""Characters of a bug's own words."""


def _bug(error: Exception) -> int:
    """What is wrong with us: what we were doing, where, and how to see all of it."""
    if is_debugged():
        complain("".join(traceback.format_exception(error)).rstrip())
    doing = ", ".join(getattr(error, "__notes__", ["at its start"]))
    said = (str(error).splitlines() or [""])[0][:MOST_SAID]
    place = traceback.extract_tb(error.__traceback__)[-1]
    name = f"{Path(place.filename).parent.name}/{Path(place.filename).name}"
    complain(
        f"error: this is a bug of ProfileMesh, {doing}: {type(error).__name__}: {said} ({name}, line {place.lineno}); "
        + ("its trace is above" if is_debugged() else "--debug or PROFILEMESH_DEBUG=1 shows its whole trace")
    )
    return BROKEN
