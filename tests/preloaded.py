"""A process that has imported every command, and forks for each that is asked for.

So a command runs in a process of its own, in a real pipe or on a real terminal, without the second that its imports
take. Asked by a line of JSON, it answers with one.
"""

from __future__ import annotations

import fcntl
import gc
import json
import os
import pty
import selectors
import struct
import sys
import termios
from typing import Any

import click
from sqlalchemy.orm import configure_mappers

from profilemesh.cli import main, run
from profilemesh.storage import models  # noqa: F401
from profilemesh.warehouses import duckdb, sqlite  # noqa: F401


def child(ask: dict[str, Any]) -> None:
    """Be the command."""
    os.chdir(ask["folder"])
    os.environ.clear()
    os.environ.update(ask["environ"])
    sys.argv = ["profilemesh", *ask["words"]]
    # As Python opens them at a start.
    sys.stdout = open(1, "w", buffering=1 if os.isatty(1) else -1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    run()


def on_terminal(ask: dict[str, Any]) -> dict[str, Any]:
    pid, leader = pty.fork()
    if pid == 0:
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 40, ask["columns"], 0, 0))
        child(ask)
    shown = b""
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(leader)
    return {"code": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), "stdout": shown.decode(), "stderr": ""}


def in_pipe(ask: dict[str, Any]) -> dict[str, Any]:
    ends = {name: os.pipe() for name in ("stdout", "stderr")}
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(ends["stdout"][1], 1)
        os.dup2(ends["stderr"][1], 2)
        for pair in ends.values():
            os.close(pair[0]), os.close(pair[1])
        child(ask)
    said = dict.fromkeys(ends, b"")
    with selectors.DefaultSelector() as waiting:
        for name, (reading, writing) in ends.items():
            os.close(writing)
            waiting.register(reading, selectors.EVENT_READ, name)
        while waiting.get_map():
            for key, _events in waiting.select():
                piece = os.read(key.fd, 65536)
                said[key.data] += piece
                if not piece:
                    waiting.unregister(key.fd)
                    os.close(key.fd)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return {"code": code} | {name: text.decode() for name, text in said.items()}


def serve() -> None:
    context = click.Context(main)
    for name in main.list_commands(context):
        main.get_command(context, name)
    # What every command would do first; and no child copies what its collector only looks at.
    configure_mappers()
    gc.freeze()
    with os.fdopen(os.dup(1), "w") as answers:
        for line in sys.stdin:
            ask = json.loads(line)
            answer = on_terminal(ask) if ask["columns"] else in_pipe(ask)
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


if __name__ == "__main__":
    serve()
