"""Every page over a storage on PostgreSQL: other types, another order of texts, stricter unions."""

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.extensions import db
from app.queries.run_pages import SORTS
from tests.addresses import MORE, every_page
from tests.factories import NOW, add_run, add_shop
from tests.hostile import NAMES, add_hostile
from tests.web import make_app

HTML = {"Accept": "text/html"}


@pytest.fixture
def app(postgres_storage: str) -> Iterator[Flask]:
    app = make_app(postgres_storage)
    yield app
    with app.app_context():
        db.engine.dispose()


def test_every_page_is_shown(app: Flask, client: FlaskClient, session: Session) -> None:
    add_shop(session, history=5)
    add_hostile(session, NAMES[:3])
    session.commit()
    refused = {"/runs?days=x": 422, "/nowhere": 404}
    for address in [*every_page(app), *MORE]:
        assert client.get(address, headers=HTML).status_code == refused.get(address, 200), address[:200]


def test_the_list_of_runs_is_turned_in_every_order(client: FlaskClient, session: Session) -> None:
    for i in range(70):
        known = {"rows": i // 20, "rows_scanned": i // 30, "duration_seconds": (i // 10) / 7}
        unknown = dict.fromkeys(known)
        more = unknown if i % 9 == 0 else known
        at = NOW - timedelta(minutes=i // 3)
        add_run(session, "Täble-" + "abBA"[i % 4], at=at, run_id=f"{i * 11 % 70:03}", columns={}, **more)
    session.commit()
    for sort in SORTS:
        first = client.get(f"/runs?sort={sort}").text
        second = client.get(unescape(re.findall(r'href="([^"]*cursor=[^"]*)"', first)[0])).text
        back = client.get(unescape(re.findall(r'href="([^"]*newer=[^"]*)"', second)[0])).text
        assert [len(ids(first)), len(ids(second))] == [50, 20] and ids(back) == ids(first), sort
        assert len({*ids(first), *ids(second)}) == 70, sort


def ids(page: str) -> list[str]:
    return re.findall(r'name="run" value="([^"]+)"', page)
