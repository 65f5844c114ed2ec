"""Every page over a storage full of hostile names in a real browser: nothing runs, nothing breaks out of its place."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask

from tests.addresses import MORE, every_page
from tests.browser.conftest import Visit, serving
from tests.browser.test_pages import CUT_OFF, REFUSED
from tests.hostile import NAMES, add_hostile
from tests.web import filled


@pytest.fixture(scope="module")
def hostile(empty_storage: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Flask, str]]:
    folder = tmp_path_factory.mktemp("hostile")
    with filled(empty_storage, folder, lambda session: add_hostile(session, NAMES[:4])) as app, serving(app) as site:
        yield app, site


def test_nothing_runs_and_nothing_overflows(visit: Callable[..., Visit], hostile: tuple[Flask, str]) -> None:
    app, site = hostile
    tab = visit()
    tab.site = site
    tab.page.on("dialog", lambda dialog: tab.troubles.append(f"dialog: {dialog.message}"))
    for address in [*every_page(app), *MORE]:
        if address in REFUSED:
            continue
        page = tab.go(address)
        for width in (1400, 390):
            tab.widen(width)
            assert tab.overflow == 0, (address[:160], width, page.evaluate(CUT_OFF))
            assert page.evaluate(CUT_OFF) == [], (address[:160], width)
