"""Errors say what to do: to people as a page, to htmx as a fragment, to programs as JSON."""

import re
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.errors import ADVICE, HEADINGS, answer, way_out
from app.extensions import db

HTML = {"Accept": "text/html"}
HTMX = {"HX-Request": "true"}


def refused(client: FlaskClient, status: int, headers: dict[str, str]) -> TestResponse:
    """An answer of that status, by what really brings it."""
    if status == 400:
        return client.post("/plan/run", headers=headers)
    if status == 403:
        client.application.config["WTF_CSRF_ENABLED"] = False
        return client.post("/plan/run", headers={**headers, "X-Forwarded-For": "203.0.113.9"})
    if status == 413:
        return client.post("/drift/triage", data={"text": "x" * 1_100_000}, headers=headers)
    if status in (500, 503):
        if status == 503:
            path = Path(db.engine.url.database or "")
            db.engine.dispose()
            path.write_bytes(b"no database at all, but something else" * 40)
        else:
            with db.engine.begin() as connection:
                connection.execute(sa.text("ALTER TABLE profilemesh_run_counts RENAME COLUMN environment TO elsewhere"))
        return client.get("/runs?days=7", headers=headers)
    path, method = {404: ("/runs/nowhere", "GET"), 405: ("/runs", "DELETE"), 422: ("/runs?days=x", "GET")}[status]
    return client.open(path, method=method, headers=headers)


STATUSES = (400, 403, 404, 405, 413, 422, 500, 503)


@pytest.mark.parametrize("status", STATUSES)
def test_an_error_is_a_page_that_says_what_to_do(client: FlaskClient, status: int) -> None:
    got = refused(client, status, HTML)
    assert got.status_code == status
    assert got.text.startswith("<!doctype html>") and got.text.count("<h1") == 1
    assert HEADINGS[status] in got.text and ADVICE[status].split("'")[0] in got.text
    assert 'href="/"' in got.text and 'href="/help"' in got.text


@pytest.mark.parametrize("status", STATUSES)
def test_for_htmx_it_is_the_same_in_a_fragment(client: FlaskClient, status: int) -> None:
    got = refused(client, status, HTMX)
    assert got.status_code == status and got.text.startswith("<section") and HEADINGS[status] in got.text
    assert "<html" not in got.text and "HX-Request" in got.vary


@pytest.mark.parametrize("status", sorted(HEADINGS.keys() & ADVICE.keys()))
def test_every_status_has_its_words(app: Flask, status: int) -> None:
    with app.test_request_context("/plan", headers=HTML):
        page = answer(status, "name", "detail").get_data(as_text=True)
    assert HEADINGS[status] in page and "detail" in page


@pytest.mark.parametrize(
    ("path", "status", "label", "leads_to"),
    [
        ("/runs?days=x&q=%22%3E", 422, "The page without filters", "/runs"),
        ("/nope", 404, None, None),
        ("/runs?q=a", 503, "Try again", "/runs?q=a"),
        ("/a%22onx=%3Cb%3E", 429, "Try again", "/a%22onx=%3Cb%3E"),
    ],
)
def test_the_first_button_leads_out(app: Flask, path: str, status: int, label: str, leads_to: str) -> None:
    with app.test_request_context(path, headers=HTML):
        page = answer(status, "name", "detail").get_data(as_text=True)
    assert re.findall(r'<a class="button strong" href="([^"]*)">([^<]*)', page) == (
        [(leads_to, label)] if label else []
    )


def test_no_button_leads_to_another_machine(app: Flask) -> None:
    with app.test_request_context("/x", headers=HTML) as context:
        context.request.path = "//evil.example/x"
        assert way_out(500) == ("Try again", "/evil.example/x")


def test_what_was_asked_for_is_harmless_in_the_page(client: FlaskClient) -> None:
    page = client.get("/runs/<script>alert(1)</script>%E2%80%AE", headers=HTML).text
    assert "<script>alert" not in page and "\u202e" not in page


def test_an_error_tells_no_secret_of_the_storage(client: FlaskClient) -> None:
    page = refused(client, 503, HTML).text
    assert "storage.db" not in page and "sqlite" not in page.lower()
