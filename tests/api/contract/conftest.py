from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from app.extensions import db
from profilemesh.storage.upgrade import upgrade
from tests.api.contract.world import World, build
from tests.conftest import PostgresServer
from tests.web import make_app


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """On each storage database once per session: nobody writes to it."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('world') / 'storage.db'}"
    else:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        server.execute("DROP DATABASE IF EXISTS world", "CREATE DATABASE world")
        url = server.url("world")
    upgrade(url)
    with opened(make_app(url)) as found:
        yield build(found)


@contextmanager
def opened(app: Flask) -> Iterator[World]:
    with app.app_context():
        engine = db.engine
    with Session(engine) as session:
        yield World(app, app.test_client(), session)
    engine.dispose()


@pytest.fixture
def small(storage_url: str) -> Iterator[World]:
    """An empty one to write to."""
    upgrade(storage_url)
    with opened(make_app(storage_url)) as found:
        yield found
