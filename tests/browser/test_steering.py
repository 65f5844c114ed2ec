"""What changes something, in a real browser beside a real warehouse."""

import re
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import expect
from werkzeug.serving import make_server

from app.extensions import db
from tests.browser.conftest import QuietHandler, Visit
from tests.browser.test_pages import CUT_OFF
from tests.engine.ticks import SLOW
from tests.web import Served, serve

Open = Callable[..., Visit]


@dataclass(frozen=True)
class Shop:
    served: Served
    site: str


@pytest.fixture
def shop(empty_storage: Path, tmp_path: Path) -> Iterator[Shop]:
    path = shutil.copy(empty_storage, tmp_path / "storage.db")
    served = serve(tmp_path, f"sqlite:///{path}")
    served.write("CREATE TABLE orders AS SELECT i AS id FROM range(500) t(i)")
    server = make_server("127.0.0.1", 0, served.app, threaded=True, request_handler=QuietHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Shop(served, f"http://127.0.0.1:{server.port}")
    served.by_hand.stop()
    server.shutdown()
    thread.join()
    server.server_close()
    with served.app.app_context():
        db.engine.dispose()


# The tab is closed before the server it looks at: hence the order of the arguments.


def test_run_now_shows_its_progress_and_then_what_came_of_it(shop: Shop, visit: Open) -> None:
    tab = visit()
    tab.site = shop.site
    page = tab.go("/plan")
    expect(page.locator("#preview")).to_contain_text("It reads 1 table")
    page.get_by_role("button", name="Run now").click()
    page.wait_for_url(re.compile(r"\?asked="))
    expect(page.locator("#progress")).to_contain_text("Nothing is running. The last tick, by hand")
    expect(page.locator("#preview")).to_contain_text("It reads nothing")
    expect(page.locator("#log")).to_contain_text("never profiled before")
    assert page.locator("#progress").get_attribute("hx-trigger") is None


def test_a_running_scan_is_seen_and_cancelled(shop: Shop, visit: Open) -> None:
    shop.served.write(f"CREATE VIEW slow AS {SLOW}")
    tab = visit(width=390)
    tab.site = shop.site
    page = tab.go("/plan")
    page.get_by_role("button", name="Run now").click()
    current = page.locator(".current li", has_text="shop.main.slow")
    expect(current).to_be_visible()
    assert page.evaluate(CUT_OFF) == []
    assert tab.overflow == 0
    current.get_by_role("button", name="Cancel").click()
    expect(page.locator("#progress")).to_contain_text("1 failed")
    page.goto(f"{shop.site}/tables/slow")
    expect(page.locator("main")).to_contain_text("cancelled by hand")


def test_a_table_is_paused_without_scripts(shop: Shop, visit: Open) -> None:
    tab = visit(java_script_enabled=False)
    tab.site = shop.site
    page = tab.go("/plan")
    page.get_by_role("link", name="Look at the warehouses").click()
    page.get_by_role("link", name="orders").or_(page.locator("#preview .name")).first.wait_for()
    page.locator("#preview").get_by_role("button", name="Run").click()
    shop.served.finish()
    page.goto(f"{shop.site}/tables/orders")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".next-run")).to_contain_text("Only a run by hand: paused since")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".next-run")).to_contain_text("The next tick reads it")
