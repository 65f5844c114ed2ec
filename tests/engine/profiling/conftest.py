"""A warehouse of each type, empty, to write to and to profile."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines import Engine, duckdb_engine, postgres_engine, sqlite_engine
from tests.memory import Memory


@pytest.fixture
def duck(tmp_path: Path) -> Engine:
    return duckdb_engine(tmp_path / "shop.duckdb")


@pytest.fixture
def lite(tmp_path: Path) -> Engine:
    return sqlite_engine(tmp_path / "team.db")


@pytest.fixture
def postgres(postgres_server, postgres_database: str) -> Engine:
    return postgres_engine(postgres_server, postgres_database)


@pytest.fixture(params=["duck", "lite", "postgres"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each of the three in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def memory() -> Iterator[Memory]:
    opened = Memory()
    yield opened
    opened.scan.close()
