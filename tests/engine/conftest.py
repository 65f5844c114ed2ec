"""A project to run ticks in."""

from pathlib import Path

import pytest

from profilemesh.storage.upgrade import upgrade
from tests.engine.ticks import Project, copied


@pytest.fixture(scope="session")
def empty_storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("storage") / "empty.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def project(empty_storage: Path, tmp_path: Path) -> Project:
    """A storage that is up to date, and no warehouses yet."""
    return copied(empty_storage, tmp_path)
