"""A deployment to tick and run in."""

import shutil
from pathlib import Path

import pytest

from tests.engine.ticks import write_duckdb, write_sqlite
from tests.integrations.deployment import DESK, SHOP, Deployment, deployed


@pytest.fixture(scope="session")
def new(empty_storage: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shop and the desk, and a storage that is up to date."""
    folder = tmp_path_factory.mktemp("new")
    shutil.copy(empty_storage, folder / "profilemesh.db")
    write_duckdb(folder / "shop.duckdb", *SHOP)
    write_sqlite(folder / "desk.sqlite", *DESK)
    return folder


@pytest.fixture(scope="session")
def read(new: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same after the first tick and its runs."""
    made = deployed(new, tmp_path_factory.mktemp("read"))
    made.settle()
    return made.folder


@pytest.fixture
def deployment(new: Path, tmp_path: Path) -> Deployment:
    """Nothing has been read yet."""
    return deployed(new, tmp_path)


@pytest.fixture
def settled(read: Path, tmp_path: Path) -> Deployment:
    """All tables have been read once."""
    return deployed(read, tmp_path)
