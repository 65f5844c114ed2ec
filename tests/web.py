"""What the tests of pages, API and browser share: the app over a storage of its own."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from jinja2.bccache import Bucket, BytecodeCache
from sqlalchemy.orm import Session

from app import create_app
from app.extensions import db
from app.remembered import Memory
from jobs.by_hand import ByHand
from jobs.tick import Project
from tests.engine.ticks import write_duckdb

ORIGIN = "https://dash.example.com"
NO_CONFIG = "/nowhere/profilemesh.yml"


class CompiledOnce(BytecodeCache):
    """Templates compiled for one app serve those of all tests: each test has an app of its own."""

    def __init__(self) -> None:
        self.known: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self.known:
            bucket.bytecode_from_string(self.known[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self.known[bucket.key] = bucket.bytecode_to_string()


TEMPLATES = CompiledOnce()


def make_app(url: str, **settings: Any) -> Flask:
    given = {"PROFILEMESH_DB_URL": url, "PROFILEMESH_CONFIG": NO_CONFIG, "CORS_ORIGINS": ORIGIN, **settings}
    app = create_app({"TESTING": True, "PROPAGATE_EXCEPTIONS": False, **given})
    app.jinja_env.bytecode_cache = TEMPLATES
    return app


@dataclass(frozen=True)
class Reused:
    """An app for many tests in turn: to make one, and to compile its statements, takes longer than most of them."""

    path: Path
    app: Flask
    extensions: dict[str, Any]
    config: dict[str, Any]

    @classmethod
    def over(cls, path: Path) -> "Reused":
        app = make_app(f"sqlite:///{path}")
        return cls(path, app, dict(app.extensions), dict(app.config))

    def like_new(self, storage: Path) -> Flask:
        """As it was made, over this storage: its path is a link, for who still has the last one open has its files."""
        app = self.app
        self.let_go()
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(storage)
        for held, made in ((app.config, self.config), (app.extensions, self.extensions)):
            held.clear()
            held.update(made)
        for name in ("looker", "checks"):
            app.extensions[name] = type(app.extensions[name])()
        app.wsgi_app.memory = Memory()  # type: ignore[attr-defined]
        return app

    def let_go(self) -> None:
        with self.app.app_context():
            db.engine.dispose()


@pytest.fixture(scope="session")
def reused(tmp_path_factory: pytest.TempPathFactory) -> Reused:
    return Reused.over(tmp_path_factory.mktemp("app") / "storage.db")


@pytest.fixture
def app(reused: Reused, empty_storage: Path, tmp_path: Path) -> Iterator[Flask]:
    """The app over an empty storage. It may not get further views: others have it after this test."""
    yield reused.like_new(Path(shutil.copy(empty_storage, tmp_path / "storage.db")))
    reused.let_go()


@contextmanager
def filled(empty_storage: Path, folder: Path, fill: Callable[[Session], object]) -> Iterator[Flask]:
    """An app over a storage that is filled once, for tests that only look at it."""
    app = make_app(f"sqlite:///{shutil.copy(empty_storage, folder / 'storage.db')}")
    with app.app_context():
        fill(db.session())
        db.session.commit()
        db.session.remove()
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


CONFIG = """
warehouses:
  shop: {{type: duckdb, filepath: shop.duckdb}}
storage: {{connection: "{url}"}}
incremental: {{enabled: true, adaptive_scheduling: {{enabled: false}}}}
{more}
"""


@dataclass(frozen=True)
class Served:
    """An app beside a real warehouse, in which runs can be asked for by hand."""

    app: Flask
    folder: Path
    by_hand: ByHand

    def write(self, *statements: str) -> None:
        write_duckdb(self.folder / "shop.duckdb", *statements)

    def configure(self, more: str) -> None:
        url = self.app.config["PROFILEMESH_DB_URL"]
        (self.folder / "profilemesh.yml").write_text(CONFIG.format(url=url, more=more))

    def finish(self) -> None:
        """Wait for what was asked for."""
        for thread, _ in list(self.by_hand.running.values()):
            thread.join(30)


def serve(folder: Path, url: str) -> Served:
    """The storage at `url` has its schema already."""
    (folder / "profilemesh.yml").write_text(CONFIG.format(url=url, more=""))
    app = make_app(url, PROFILEMESH_CONFIG=str(folder / "profilemesh.yml"))
    by_hand = ByHand(Project.of(app))
    app.extensions["run_now"] = by_hand.run_now
    return Served(app, folder, by_hand)


@pytest.fixture
def served(empty_storage: Path, tmp_path: Path) -> Iterator[Served]:
    path = Path(shutil.copy(empty_storage, tmp_path / "storage.db"))
    served = serve(tmp_path, f"sqlite:///{path}")
    yield served
    served.by_hand.stop()
    with served.app.app_context():
        db.engine.dispose()
