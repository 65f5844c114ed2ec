"""Takes the screenshots of the docs from a running dashboard: `.venv/bin/python docs/screenshots/make.py [URL]`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
PAGES = {
    "overview": "/",
    "tables": "/tables",
    "table": "/tables/web_events",
    "column": "/tables/products/columns/price",
    "runs": "/runs?drift=true",
    "run": "/runs/",
    "compare": "/compare?table=products",
    "drift": "/drift?state=all",
    "finding": "/drift/",
    "replay": "/drift/replay",
    "plan": "/plan?preview=1",
    "warehouses": "/warehouses",
    "warehouse": "/warehouses/shop",
    "search": "/search?q=order",
    "help": "/help",
}
ONE_OF = {"finding": '.finding a[href^="/drift/"]', "run": 'a[href^="/runs/"]'}
"""Where an address ends with a slash: of these, the first that the list shows."""
NAMES = ("chromium", "chromium-browser", "google-chrome")


def main(url: str) -> None:
    browser_path = next((path for path in map(shutil.which, NAMES) if path), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": 1400, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
            for name, path in PAGES.items():
                page.goto(url + path.rstrip("/"))
                if name in ONE_OF:
                    page.goto(url + str(page.locator(ONE_OF[name]).first.get_attribute("href")))
                # What the page asks for by itself, and charts that come alive.
                page.wait_for_load_state("networkidle")
                page.screenshot(path=HERE / f"{name}-{scheme}.png")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
