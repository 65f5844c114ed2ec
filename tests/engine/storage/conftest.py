from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from profilemesh.storage import Base, Storage, open_storage
from profilemesh.storage.engine import make_engine
from profilemesh.storage.upgrade import upgrade

ROOT = Path(__file__).parents[3]
ACTORS = Path(__file__).with_name("actors.py")


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server) -> Iterator[str]:
    """One database for all tests of this folder that want the schema ready: making one takes longer than most tests."""
    name = f"storage_{uuid.uuid4().hex[:12]}"
    postgres_server.execute(f"CREATE DATABASE {name}")
    upgrade(postgres_server.url(name))
    yield postgres_server.url(name)
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgres"])
def migrated_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An up-to-date storage without rows."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'storage.db'}"
        upgrade(url)
        return url
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
