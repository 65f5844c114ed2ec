import re
from datetime import timedelta
from html import unescape
from urllib.parse import parse_qsl

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from tests.factories import NOW, add_many, add_run
from tests.web import counted


def names(page: str) -> list[str]:
    return [part.split("</bdi>")[0].split("<bdi>")[-1] for part in page.split('class="name"')[1:]]


def links(page: str) -> dict[str, dict[str, str]]:
    """The parameters that each link leads to, by its words."""
    found = re.findall(r'<a [^>]*?href="/runs\?([^"]*)"[^>]*>([^<]*)</a>', page)
    return {words: dict(parse_qsl(unescape(query))) for query, words in found}


def test_without_data_three_steps_lead_to_it(client: FlaskClient) -> None:
    assert "Nothing has been profiled yet" in client.get("/runs").text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["new", "orders", "events"]),
        ("q=ORD", ["orders"]),
        ("q=%25", []),
        ("table=new", ["new"]),
        ("warehouse=clicks", ["events"]),
        ("schema=public", ["events"]),
        ("status=failed", ["orders"]),
        ("environment=staging", ["new"]),
        ("days=1", ["new"]),
        ("days=90", ["new", "orders", "events", "old"]),
    ],
)
def test_filters(client: FlaskClient, session: Session, query: str, found: list[str]) -> None:
    add_run(session, "new", environment="staging", columns={})
    add_run(session, at=NOW - timedelta(days=2), status="failed")
    add_run(session, "events", at=NOW - timedelta(days=3), warehouse="clicks", schema="public", columns={})
    add_run(session, "old", at=NOW - timedelta(days=50), columns={})
    session.commit()
    assert names(client.get(f"/runs?{query}").text) == found


def test_no_match_says_what_to_do(client: FlaskClient, session: Session) -> None:
    add_run(session, columns={})
    session.commit()
    page = client.get("/runs?q=nope&days=7").text
    assert "No run matches" in page
    assert links(page)["Look further back"] == {"q": "nope", "days": "3650"}


def test_pages_follow_each_other_and_keep_the_filters(client: FlaskClient, session: Session) -> None:
    add_many(session, [f"table{i}" for i in range(120)])
    session.commit()
    first = client.get("/runs?q=table&days=7").text
    assert "120 runs" in first and "1 to 50" in first and len(names(first)) == 50
    assert links(first)["2"] == {"q": "table", "days": "7", "page": "2"}
    assert len(names(client.get("/runs?page=3").text)) == 20
    assert "There is no page 9" in client.get("/runs?page=9").text


def test_htmx_gets_the_rows_alone(client: FlaskClient, session: Session) -> None:
    add_run(session, columns={})
    session.commit()
    answer = client.get("/runs", headers={"HX-Request": "true"})
    assert answer.text.startswith('<div id="rows">') and "HX-Request" in answer.vary
    assert "HX-Request" in client.get("/runs").vary


def test_what_was_chosen_stays_chosen(client: FlaskClient, session: Session) -> None:
    add_run(session, columns={})
    session.commit()
    page = client.get("/runs?warehouse=duckdb&status=failed&days=14&q=a").text
    for kept in ("<option selected>duckdb</option>", "<option selected>failed</option>", 'value="14" selected'):
        assert kept in page
    assert 'value="a"' in page


@pytest.mark.parametrize("query", ["days=abc", "page=0", "status=sucess", "q=%00"])
def test_a_bad_filter_is_refused_and_named(client: FlaskClient, query: str) -> None:
    answer = client.get(f"/runs?{query}")
    assert answer.status_code == 422
    assert f"<code>{query.split('=')[0]}</code>" in answer.text


def test_a_failure_tells_the_first_line_of_its_error(client: FlaskClient, session: Session) -> None:
    add_run(session, status="failed", error="permission denied for table orders\nSTATEMENT: SELECT")
    session.commit()
    page = client.get("/runs").text
    assert "permission denied for table orders" in page and "STATEMENT" not in page


def test_statements_do_not_grow_with_the_rows(app: Flask, client: FlaskClient, session: Session) -> None:
    add_many(session, ["t"] * 60)
    session.commit()
    client.get("/runs")
    with counted(app) as sent:
        client.get("/runs")
    assert len(sent) == 4
