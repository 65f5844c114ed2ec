from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from app.extensions import db
from profilemesh.storage.upgrade import upgrade
from tests.api.contract.world import World, build
from tests.conftest import PostgresServer
from tests.web import make_app

STORAGES = ("sqlite", "postgres")


@contextmanager
def opened(app: Flask) -> Iterator[World]:
    with app.app_context():
        engine = db.engine
    with Session(engine) as session:
        yield World(app, app.test_client(), session)
    engine.dispose()


@pytest.fixture(scope="session")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    """Those that are built, by storage; each once per session, for nobody writes to them."""
    with ExitStack() as stack:
        yield Worlds(stack, tmp_path_factory)


class Worlds(dict[str, World]):
    def __init__(self, stack: ExitStack, folders: pytest.TempPathFactory) -> None:
        super().__init__()
        self.stack, self.folders = stack, folders

    def of(self, storage: str, request: pytest.FixtureRequest) -> World:
        if storage not in self:
            url = f"sqlite:///{self.folders.mktemp('world') / 'storage.db'}"
            if storage == "postgres":
                server: PostgresServer = request.getfixturevalue("postgres_server")
                server.execute("CREATE DATABASE world")
                url = server.url("world")
            upgrade(url)
            self[storage] = build(self.stack.enter_context(opened(make_app(url))))
        return self[storage]


@pytest.fixture(params=STORAGES)
def world(request: pytest.FixtureRequest, worlds: Worlds) -> World:
    return worlds.of(request.param, request)


@pytest.fixture
def small(fresh_url: str) -> Iterator[World]:
    """An empty one to write to."""
    with opened(make_app(fresh_url)) as found:
        yield found
