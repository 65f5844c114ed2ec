"""The `profilemesh` command in a folder: in this process, in a pipe of its own process, on a terminal."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner

from profilemesh.cli import main

TERMINAL = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")
COMMAND = str(Path(sys.executable).parent / "profilemesh")


@dataclass(frozen=True)
class Done:
    code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


def clean() -> dict[str, str]:
    """The environment without a developer's own settings, nor those of a terminal that the tests run on."""
    return {n: value for n, value in os.environ.items() if not n.startswith("PROFILEMESH") and n not in TERMINAL}


def called(folder: Path, *words: str, env: dict[str, str] | None = None) -> Done:
    """The command in this process, which saves its start. What it does not catch is raised."""
    mine: dict[str, str | None] = {name: None for name in os.environ if name.startswith("PROFILEMESH")}
    # Set by -c: named, so that it is taken back.
    settings = mine | {"PROFILEMESH_CONFIG": None} | (env or {})
    with chdir(folder):
        done = CliRunner().invoke(main, words, env=settings, catch_exceptions=False)
    return Done(done.exit_code, done.stdout, done.stderr)


def piped(folder: Path, *words: str, env: dict[str, str] | None = None) -> Done:
    """The command as a process of its own, in a pipe."""
    environ = clean() | (env or {})
    done = subprocess.run(
        [COMMAND, *words], cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    return Done(done.returncode, done.stdout, done.stderr)


def on_terminal(folder: Path, *words: str, columns: int = 100, env: dict[str, str] | None = None) -> tuple[int, str]:
    """The exit code and all that a terminal was shown."""
    leader, follower = pty.openpty()
    environ = clean() | {"TERM": "xterm-256color", "COLUMNS": str(columns)} | (env or {})
    process = subprocess.Popen(
        [COMMAND, *words], cwd=folder, env=environ, stdin=follower, stdout=follower, stderr=follower
    )
    os.close(follower)
    shown, deadline = b"", time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([leader], [], [], 0.2)[0]:
            try:
                shown += os.read(leader, 65536)
            except OSError:
                break
    os.close(leader)
    return process.wait(10), shown.decode()


class Preloaded:
    """The commands in a pipe or on a terminal, each a process of its own that is forked from one with all imports."""

    def __init__(self) -> None:
        root = Path(__file__).parent.parent
        environ = clean() | {"PYTHONPATH": str(root)}
        words = [sys.executable, "-m", "tests.preloaded"]
        self.process = subprocess.Popen(
            words, cwd=root, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def piped(self, folder: Path, *words: str) -> Done:
        return self._asked(folder, words, None, {})

    def on_terminal(
        self, folder: Path, *words: str, columns: int = 100, env: dict[str, str] | None = None
    ) -> tuple[int, str]:
        """The exit code, and all that a terminal of so many columns was shown."""
        done = self._asked(folder, words, columns, {"TERM": "xterm-256color"} | (env or {}))
        return done.code, done.stdout

    def _asked(self, folder: Path, words: tuple[str, ...], columns: int | None, env: dict[str, str]) -> Done:
        assert self.process.stdin is not None and self.process.stdout is not None
        ask = {"folder": str(folder), "words": words, "columns": columns, "environ": clean() | env}
        self.process.stdin.write(json.dumps(ask) + "\n")
        self.process.stdin.flush()
        return Done(**json.loads(self.process.stdout.readline()))

    def stop(self) -> None:
        self.process.communicate()
