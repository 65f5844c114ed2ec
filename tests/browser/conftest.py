"""The app in a real server and a real browser; a missing browser fails the tests."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright
from werkzeug.serving import WSGIRequestHandler, make_server

from app.extensions import db
from tests.factories import add_shop
from tests.web import make_app


class QuietHandler(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="session")
def app(empty_storage: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    path = shutil.copy(empty_storage, tmp_path_factory.mktemp("browser") / "storage.db")
    app = make_app(f"sqlite:///{path}")
    with app.app_context():
        add_shop(db.session(), history=35)
        db.session.commit()
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture(scope="session")
def site(app: Flask) -> Iterator[str]:
    """The address of the running app."""
    with serving(app) as address:
        yield address


@contextmanager
def serving(app: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=QuietHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Of each file its own: while Playwright is awake, nothing else in its process may run a loop of events."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Visit:
    """A tab, and all that went wrong in it."""

    page: Page
    site: str
    troubles: list[str] = field(default_factory=list)

    def go(self, path: str) -> Page:
        self.page.goto(self.site + path)
        return self.page

    def on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.troubles.append(f"console: {message.text}")

    def on_request(self, request: Request) -> None:
        if not request.url.startswith((self.site, "data:", "blob:")):
            self.troubles.append(f"outside request: {request.url}")

    def widen(self, width: int) -> None:
        """To this width, and until what is drawn by scripts has followed."""
        self.page.set_viewport_size({"width": width, "height": 900})
        self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    @property
    def overflow(self) -> int:
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@pytest.fixture
def visit(browser: Browser, site: str) -> Iterator[Callable[..., Visit]]:
    """`visit(width=..., color_scheme=...)` opens a tab; whatever goes wrong in any of them fails the test."""
    opened: list[tuple[BrowserContext, Visit]] = []

    def open_tab(width: int = 1400, **options: Any) -> Visit:
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        context.set_default_timeout(8000)
        tab = Visit(context.new_page(), site)
        tab.page.on("console", tab.on_console)
        tab.page.on("pageerror", lambda error: tab.troubles.append(f"page error: {error}"))
        tab.page.on("request", tab.on_request)
        opened.append((context, tab))
        return tab

    yield open_tab
    for context, _ in opened:
        context.close()
    assert [trouble for _, tab in opened for trouble in tab.troubles] == []
