"""Run as a process of its own: carries out ticks that die, each in a fork, which starts in no time.

A line on the standard input is a tick: `["step", n, seconds]`, killed where the step is passed for the n-th time, or
after so long. The answer is its process's status, less than 0 for the signal that killed it. Each step that a table
passes is a line in the file `steps`, each complaint one in the file `complaints`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import adbc_driver_postgresql.dbapi  # noqa: F401
import duckdb_engine  # noqa: F401
import psycopg2  # noqa: F401
import sqlalchemy as sa

from profilemesh import cli, parts, turn
from profilemesh.turn import Turn
from profilemesh.warehouses import duckdb, postgres  # noqa: F401

BEFORE, READ, BETWEEN, INSIDE, COMMIT, AFTER = STEPS = (
    "before the scan",
    "rows read, not merged",
    "between scan and save",
    "inside the save",
    "at the commit",
    "after it",
)

here = threading.local()
passed: Counter[str] = Counter()
lock = threading.Lock()


class Steps:
    """The steps as they are passed, and where to die."""

    def __init__(self, wanted: tuple[str, int]) -> None:
        self.wanted = wanted
        self.file = os.open("steps", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)

    def passes(self, step: str) -> None:
        os.write(self.file, f"{here.table} {step}\n".encode())
        with lock:
            passed[step] += 1
            if self.wanted == (step, passed[step]):
                os.kill(os.getpid(), signal.SIGKILL)


def watch(steps: Steps) -> None:
    """Every step of every turn is told of."""
    read, save = Turn._read, Turn._save

    def reading(self: Turn, *args: Any) -> Any:
        here.table, here.saves = self.table.name, False
        steps.passes(BEFORE)
        return read(self, *args)

    def saving(self: Turn, *args: Any) -> Any:
        steps.passes(BETWEEN)
        here.saves = True
        save(self, *args)
        here.saves = False
        steps.passes(AFTER)

    Turn._read, Turn._save = reading, saving  # type: ignore[method-assign]
    for module, name, step in (
        (parts, "profile_parts", READ),
        (turn.runs, "finish_run", INSIDE),
        (turn.runs, "save_results", INSIDE),
        (turn.summaries, "save", INSIDE),
        (turn.states, "advance", INSIDE),
        (turn.decisions, "settle", INSIDE),
        (turn.events, "save_event", INSIDE),
    ):
        setattr(module, name, told(getattr(module, name), step, steps))

    @sa.event.listens_for(sa.Engine, "commit")
    def about_to_commit(connection: sa.Connection) -> None:
        if getattr(here, "saves", False):
            steps.passes(COMMIT)


def told(function: Callable[..., Any], step: str, steps: Steps) -> Callable[..., Any]:
    def replaced(*args: Any, **named: Any) -> Any:
        found = function(*args, **named)
        if step != INSIDE or getattr(here, "saves", False):
            steps.passes(step)
        return found

    return replaced


def tick(wanted: tuple[str, int]) -> None:
    output = os.open(os.devnull, os.O_WRONLY)
    complaints = os.open("complaints", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(complaints, 2)
    watch(Steps(wanted))
    sys.argv[1:] = ["profile", "--json"]
    cli.run()


def ended(child: int, seconds: float) -> int:
    """The child's status, if need be by killing it after so long; its number is its own until it is waited for."""
    deadline = time.monotonic() + seconds
    while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() >= deadline:
            os.kill(child, signal.SIGKILL)
            break
        time.sleep(0.002)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


for line in sys.stdin:
    step, nth, seconds = json.loads(line)
    child = os.fork()
    if child == 0:
        tick((step, nth))
    sys.stdout.write(f"{ended(child, seconds)}\n")
    sys.stdout.flush()
