from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

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


@pytest.fixture(scope="session")
def empty_postgres(postgres_server: PostgresServer) -> str:
    """The name of a database to copy: that is faster than to upgrade another."""
    postgres_server.execute("CREATE DATABASE empty_storage")
    upgrade(postgres_server.url("empty_storage"))
    return "empty_storage"


@pytest.fixture(params=STORAGES)
def small(request: pytest.FixtureRequest, empty_storage: Path, tmp_path: Path) -> Iterator[World]:
    """An empty one to write to."""
    if request.param == "sqlite":
        path = Path(shutil.copy(empty_storage, tmp_path / "storage.db"))
        with opened(make_app(f"sqlite:///{path}")) as found:
            yield found
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    template, name = request.getfixturevalue("empty_postgres"), f"t{uuid.uuid4().hex[:12]}"
    server.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    with opened(make_app(server.url(name))) as found:
        yield found
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")
