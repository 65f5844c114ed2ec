"""Takes the screenshots of the docs from a running dashboard: `.venv/bin/python docs/screenshots/make.py [URL]`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
PAGES = {
    "overview": "/",
    "drift": "/drift?state=all",
    "finding": "/drift",
    "plan": "/plan?preview=1",
    "table": "/tables/web_events",
    "column": "/tables/products/columns/price",
    "run": "/runs",
    "runs": "/runs?drift=true",
    "compare": "/compare?table=products",
    "warehouse": "/warehouses/shop",
    "help": "/help",
}
# Of these the first that the page lists.
ONE_OF = {"finding": '.finding a[href^="/drift/"]', "run": 'a[href^="/runs/"]'}
NAMES = ("chromium", "chromium-browser", "google-chrome")


def main(url: str) -> None:
    browser_path = next((path for path in map(shutil.which, NAMES) if path), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": 1400, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
            for name, path in PAGES.items():
                page.goto(url + path)
                if name in ONE_OF:
                    page.goto(url + (page.locator(ONE_OF[name]).first.get_attribute("href") or path))
                page.screenshot(path=HERE / f"{name}-{scheme}.png")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000")
