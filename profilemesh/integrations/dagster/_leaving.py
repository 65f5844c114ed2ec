"""The end of Dagster's own processes.

DuckDB's binding prints a page of "leaked" objects when the interpreter frees modules in an order it does not like:
after every run, into the terminal of `dagster dev`. It does so when everything else has been said.
"""

from __future__ import annotations

import atexit
import os
import sys
from pathlib import Path


def quietly() -> None:
    """Let a run worker or a code server, whose process is Dagster's alone, say nothing after its last exit hook."""
    if _is_dagsters(sys.argv[0]):
        # Hooks run from the last to the first: those of the modules that come after this one have had their say.
        atexit.register(_silence)


def _is_dagsters(program: str) -> bool:
    """Whether the process was started as `python -m dagster`, as Dagster starts its own."""
    return Path(program).parts[-2:] == ("dagster", "__main__.py")


def _silence() -> None:
    sys.stderr.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
