"""Every page over a storage full of hostile names: escaped, and nothing turned around."""

import re
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.addresses import MORE, every_page
from tests.hostile import MARKUP, NAMES, add_hostile, raw_marks
from tests.web import filled

HTML = {"Accept": "text/html"}


class Alive(HTMLParser):
    """What a browser would carry out of a page, were it not for the policy."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {name: value or "" for name, value in attrs}
        acts = [name for name in names if name.startswith("on") or name == "style"]
        leads = [names[name] for name in ("href", "action", "src", "hx-get") if name in names]
        if acts or tag in ("img", "iframe", "object", "style") or (tag == "script" and not names.get("src")):
            self.found.append(f"{tag} {names}")
        self.found += [f"{tag} leads to {each}" for each in leads if not each.startswith(("/", "#", "?"))]


def alive(page: str) -> list[str]:
    parser = Alive()
    parser.feed(page)
    return parser.found


@pytest.fixture(scope="module")
def hostile(empty_storage: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    with filled(empty_storage, tmp_path_factory.mktemp("hostile"), add_hostile) as app:
        yield app


@pytest.fixture
def app(hostile: Flask) -> Flask:
    return hostile


@pytest.fixture
def addresses(hostile: Flask) -> list[str]:
    return [*every_page(hostile), *MORE]


def test_every_page_is_rendered_harmless(client: FlaskClient, addresses: list[str]) -> None:
    kinds = {address.split("/")[1].partition("?")[0] for address in addresses}
    assert {"runs", "tables", "drift", "plan", "compare", "warehouses", "help"} <= kinds
    seen = ""
    for address in addresses:
        answer = client.get(address, headers=HTML)
        assert answer.status_code in (200, 404, 422), (address[:200], answer.status_code)
        assert raw_marks(answer.text) == [], address[:200]
        assert alive(answer.text) == [], address[:200]
        title = unescape(answer.text.split("<title>")[1].split("</title>")[0])
        assert len(title) < 200 and title[0] not in " ·", (address[:200], title[:300])
        seen += answer.text
    assert "&lt;script&gt;alert(1)" in seen and "{{ 7 * 7 }}" in seen


def test_fragments_are_harmless_too(client: FlaskClient) -> None:
    for address in ("/runs", "/tables", "/drift", "/plan", "/", "/plan/progress", "/runs?q=%3Cscript%3Ealert(1)"):
        assert raw_marks(client.get(address, headers={"HX-Request": "true"}).text) == [], address


def test_a_table_of_any_name_is_reached_from_the_list(client: FlaskClient) -> None:
    links = re.findall(r'<a class="name" href="(/tables/[^"]*)"', client.get("/tables").text)
    assert len(set(links)) == len(NAMES)
    for link in links:
        assert client.get(unescape(link)).status_code == 200, link[:200]


def test_what_is_typed_comes_back_harmless(client: FlaskClient) -> None:
    for path in ("/runs", "/tables", "/drift", "/plan", "/compare"):
        page = client.get(path, query_string={"q": MARKUP, "table": MARKUP}, headers=HTML).text
        assert raw_marks(page) == [], path
