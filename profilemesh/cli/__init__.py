"""The `profilemesh` command: a file per command or family, each imported when it is called."""

from __future__ import annotations

import signal
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from profilemesh.cli.entry import main

__all__ = ["main", "run"]


def run() -> None:
    """The console script. Until there is somebody to tell of a Ctrl-C, it ends the process as it is."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    entry = import_module("profilemesh.cli.entry")
    signal.signal(signal.SIGINT, before)
    entry.run()


def __getattr__(name: str) -> Any:
    if name == "main":
        return import_module("profilemesh.cli.entry").main
    raise AttributeError(name)
