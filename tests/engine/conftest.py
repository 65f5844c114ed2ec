"""A project to run ticks in."""

from pathlib import Path

import pytest

from tests.engine.loads import Calm
from tests.engine.ticks import Project, copied


@pytest.fixture
def project(empty_storage: Path, tmp_path: Path) -> Project:
    """A storage that is up to date, and no warehouses yet."""
    return copied(empty_storage, tmp_path)


@pytest.fixture(params=["sqlite", "postgres"])
def project_on_both(request: pytest.FixtureRequest, project: Project) -> Project:
    """The same, with its storage on SQLite and on PostgreSQL in turn."""
    if request.param == "postgres":
        project.postgres_url = request.getfixturevalue("postgres_storage")
    return project


@pytest.fixture(scope="session")
def calm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Calm:
    """Gives a project a past of calm days."""
    return Calm(tmp_path_factory.mktemp("calm"), lambda: request.getfixturevalue("postgres_server").execute)
