from __future__ import annotations

import multiprocessing
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from profilemesh.storage import Base, Storage, open_storage
from profilemesh.storage.engine import make_engine
from profilemesh.storage.upgrade import upgrade
from tests.engine.storage import actors

FORKS = multiprocessing.get_context("forkserver")
"""Of a process that has imported all that the actors need, which takes longer than most of their parts."""
FORKS.set_forkserver_preload([actors.__name__])


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server) -> Iterator[str]:
    """One database for all tests of this folder that want the schema ready: making one takes longer than most tests."""
    name = f"storage_{uuid.uuid4().hex[:12]}"
    postgres_server.execute(f"CREATE DATABASE {name}")
    upgrade(postgres_server.url(name))
    yield postgres_server.url(name)
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgres"])
def migrated_url(request: pytest.FixtureRequest, empty_storage: Path, tmp_path: Path) -> str:
    """An up-to-date storage without rows."""
    if request.param == "sqlite":
        return f"sqlite:///{shutil.copy(empty_storage, tmp_path / 'storage.db')}"
    url = request.getfixturevalue("migrated_postgres")
    engine = make_engine(url)
    with engine.begin() as connection:
        for table in Base.metadata.tables.values():
            connection.execute(sa.delete(table))
    engine.dispose()
    return url


@pytest.fixture
def storage(migrated_url: str) -> Iterator[Storage]:
    storage = open_storage(migrated_url)
    yield storage
    storage.close()


class Actor:
    """A real process that plays a part from actors.py."""

    def __init__(self, part: str, *arguments: str) -> None:
        self.line, theirs = FORKS.Pipe()
        self.process = FORKS.Process(target=actors.play, args=(theirs, part, *arguments))
        self.process.start()
        theirs.close()

    def says(self) -> object:
        """What it says next."""
        assert self.line.poll(30)
        return self.line.recv()

    def go_on(self) -> None:
        self.line.send("go on")

    def ended(self) -> int | None:
        """How, as `Popen.returncode` tells it."""
        self.process.join(30)
        return self.process.exitcode

    def kill(self) -> None:
        self.process.kill()
        self.ended()


@pytest.fixture
def actor() -> Iterator[Callable[..., Actor]]:
    """Starts one; what still runs at the end is killed."""
    started: list[Actor] = []

    def start(part: str, *arguments: str) -> Actor:
        started.append(Actor(part, *arguments))
        return started[-1]

    yield start
    for each in started:
        each.kill()
        each.line.close()
