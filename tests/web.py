"""What the tests of pages, API and browser share: the app over a storage of its own."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from app import create_app
from app.extensions import db
from profilemesh.storage.upgrade import upgrade

ORIGIN = "https://dash.example.com"
NO_CONFIG = "/nowhere/profilemesh.yml"


def make_app(url: str, **settings: Any) -> Flask:
    given = {"PROFILEMESH_DB_URL": url, "PROFILEMESH_CONFIG": NO_CONFIG, "CORS_ORIGINS": ORIGIN, **settings}
    return create_app({"TESTING": True, "PROPAGATE_EXCEPTIONS": False, **given})


@pytest.fixture(scope="session")
def empty_storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("storage") / "empty.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def app(empty_storage: Path, tmp_path: Path) -> Iterator[Flask]:
    path = Path(shutil.copy(empty_storage, tmp_path / "storage.db"))
    app = make_app(f"sqlite:///{path}")
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def session(app: Flask) -> Session:
    """The session of the web, in the context that pytest-flask pushes around each test."""
    return db.session()


@contextmanager
def counted(app: Flask) -> Iterator[list[str]]:
    """The statements sent to the storage inside the block, settings of the connection aside."""
    sent: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if not statement.startswith(("PRAGMA", "BEGIN")):
            sent.append(statement)

    with app.app_context():
        engine = db.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
