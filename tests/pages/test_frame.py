"""What every page has: safe headers, nothing inline, errors that say what to do."""

import gzip
import re
import runpy
import zlib
from collections.abc import Iterator
from datetime import timedelta
from hashlib import blake2b
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from tests.addresses import MORE, every_page, pages_of
from tests.factories import NOW, add_finding, add_run, add_shop
from tests.web import counted, filled

HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def shop(empty_storage: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    with filled(empty_storage, tmp_path_factory.mktemp("shop"), lambda session: add_shop(session, history=9)) as app:
        yield app


@pytest.fixture(scope="module")
def pages(shop: Flask) -> dict[str, str]:
    client = shop.test_client()
    return {path: client.get(path, headers=HTML).text for path in [*every_page(shop), *MORE]}


def test_nothing_is_inline(pages: dict[str, str]) -> None:
    for path, page in pages.items():
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=", page), path
        assert all(' src="' in tag for tag in re.findall(r"<script[^>]*>", page)), path


def test_nothing_is_asked_of_other_machines(pages: dict[str, str]) -> None:
    for path, page in pages.items():
        assert not re.search(r'(src|href|action)="(https?:)?//', page), path


def test_every_link_leads_somewhere(shop: Flask, pages: dict[str, str]) -> None:
    client = shop.test_client()
    links = {link.replace("&amp;", "&") for page in pages.values() for link in re.findall(r'href="(/[^"#]*)"', page)}
    for link in links:
        with client.get(link, headers=HTML) as answer:
            assert answer.status_code == 200, link


def test_every_picture_that_speaks_has_words(pages: dict[str, str]) -> None:
    for path, page in pages.items():
        for tag in re.findall(r"<svg[^>]*>", page):
            assert 'aria-hidden="true"' in tag or re.search(r'aria-label="[^"]+', tag), (path, tag)


def test_one_heading_of_the_first_order(pages: dict[str, str]) -> None:
    for path, page in pages.items():
        assert page.count("<h1") == 1, path


def test_headers_let_the_page_run_only_its_own_files(client: FlaskClient) -> None:
    headers = client.get("/runs").headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["X-Frame-Options"] == "DENY"


def test_the_lax_policy_is_for_the_two_documentation_pages_alone(client: FlaskClient) -> None:
    lax = {
        p
        for p in ("/", "/runs", "/docs", "/redoc", "/openapi.json", "/docs/x")
        if "unsafe" in client.get(p).headers["Content-Security-Policy"]
    }
    assert lax == {"/docs", "/redoc"}


def test_an_error_says_what_to_do(client: FlaskClient) -> None:
    answer = client.get("/nope", headers=HTML)
    assert answer.status_code == 404 and 'role="alert"' in answer.text
    assert 'href="/"' in answer.text and 'href="/runs"' in answer.text


def test_an_error_for_htmx_is_a_fragment(client: FlaskClient) -> None:
    answer = client.get("/runs?days=x", headers={"HX-Request": "true"})
    assert answer.status_code == 422 and answer.text.startswith("<section") and "<html" not in answer.text


def test_the_page_one_is_on_is_marked(client: FlaskClient) -> None:
    for path, name in (
        ("/", "Overview"),
        ("/runs", "Runs"),
        ("/tables", "Tables"),
        ("/drift", "Drift"),
        ("/plan", "Plan"),
        ("/warehouses", "Warehouses"),
    ):
        page = client.get(path, headers=HTML).text
        assert re.findall(r'aria-current="page">(\w+)', page) == [name]


def test_vendored_files_are_kept_by_the_browser_and_ours_are_asked_for_again(client: FlaskClient) -> None:
    with client.get("/static/vendor/htmx@2.0.11/htmx.min.js") as vendored, client.get("/static/css/base.css") as ours:
        assert "immutable" in vendored.headers["Cache-Control"]
        assert ours.headers["Cache-Control"] == "no-cache"


def test_pages_are_kept_for_nobody_else_and_asked_for_again(client: FlaskClient) -> None:
    answers = [
        client.get("/", headers=HTML),
        client.get("/drift", headers={"HX-Request": "true"}),
        client.get("/drift/nope", headers=HTML),
        client.get("/docs"),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 404, 200]
    assert {answer.headers["Cache-Control"] for answer in answers} == {"private, no-cache"}
    assert client.get("/api/runs").headers["Cache-Control"] == "no-cache"


def test_a_page_names_our_files_by_what_is_in_them(client: FlaskClient, pages: dict[str, str]) -> None:
    for path in re.findall(r'(?:href|src)="(/static/(?:css|js)/[^"]+)"', pages["/runs"]):
        with client.get(path) as answer:
            digest = blake2b(answer.data, digest_size=6).hexdigest()
            assert path.endswith(f"?v={digest}") and "immutable" in answer.headers["Cache-Control"]


def test_open_findings_are_counted_beside_drift(client: FlaskClient, session: Session) -> None:
    assert 'class="count' not in client.get("/runs").text
    run = add_run(session, columns={})
    for state, severity in (("open", "high"), ("open", "low"), ("acknowledged", "high"), ("snoozed", "high")):
        add_finding(session, run, state=state, severity=severity, snoozed_until=NOW + timedelta(days=1))
    add_finding(session, run, state="snoozed", severity="low", snoozed_until=NOW - timedelta(minutes=1))
    session.commit()
    assert '<span class="count severe" title="3 open, 1 of them high">3<' in client.get("/runs").text


def test_an_error_page_asks_the_storage_for_nothing(app: Flask, client: FlaskClient) -> None:
    client.get("/runs")
    with counted(app) as sent:
        assert client.get("/nope", headers=HTML).status_code == 404
    assert sent == []


def test_no_page_asks_more_than_twelve_times_or_is_larger_than_it_may_be(shop: Flask, pages: dict[str, str]) -> None:
    client, sent, large = shop.test_client(), dict[str, int](), dict[str, int]()
    for path in pages:
        with counted(shop) as statements:
            page = client.get(path, headers=HTML).data
        sent[path], large[path] = len(statements), len(zlib.compress(page))
    assert {path: count for path, count in sent.items() if count > 12} == {}
    assert {path: size for path, size in large.items() if size > 60_000} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_docs_have_a_picture_of_each_page(shop: Flask, scheme: str) -> None:
    shown = runpy.run_path("docs/screenshots/make.py")["PAGES"]
    router = shop.url_map.bind("localhost")
    endpoints = {
        router.match(f"{path.split('?')[0]}{'x' * (path != '/' and path.endswith('/'))}")[0] for path in shown.values()
    }
    assert endpoints == set(pages_of(shop))
    for name in shown:
        with Path(f"docs/screenshots/{name}-{scheme}.png").open("rb") as picture:
            assert (
                picture.read(8) == b"\x89PNG\r\n\x1a\n" and picture.seek(16) and picture.read(4) == (1400).to_bytes(4)
            ), name


def test_files_of_ours_are_sent_compressed_and_known_again(shop: Flask) -> None:
    client, path, packed = shop.test_client(), "/static/vendor/htmx@2.0.11/htmx.min.js", {"Accept-Encoding": "gzip"}
    whole = (Path(shop.static_folder or "") / "vendor/htmx@2.0.11/htmx.min.js").read_bytes()
    with client.get(path) as answer:
        assert answer.data == whole
    with client.get(path, headers=packed) as answer:
        assert gzip.decompress(answer.data) == whole and 2 * len(answer.data) < len(whole)
        assert answer.headers["Content-Encoding"] == "gzip" and "Accept-Encoding" in answer.vary
        assert answer.headers["Content-Length"] == str(len(answer.data))
        tag = answer.headers["ETag"]
    with client.get(path, headers={**packed, "If-None-Match": tag}) as answer:
        assert answer.status_code == 304
    with client.get(path, headers={**packed, "Range": "bytes=0-9"}) as answer:
        assert (answer.status_code, answer.data) == (206, whole[:10])
