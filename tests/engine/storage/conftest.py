from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from profilemesh.storage import Storage, open_storage
from profilemesh.storage.upgrade import upgrade

ROOT = Path(__file__).parents[3]
ACTORS = Path(__file__).with_name("actors.py")


@pytest.fixture
def storage(storage_url: str) -> Iterator[Storage]:
    upgrade(storage_url)
    storage = open_storage(storage_url)
    yield storage
    storage.close()


Actor = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def actor() -> Iterator[Actor]:
    """Starts a real process that plays a part from actors.py; what still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(part: str, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(ACTORS), part, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
