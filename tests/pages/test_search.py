import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from tests.factories import HOSTILE, add_run, add_shop, add_state
from tests.web import counted

HTMX = {"HX-Request": "true"}
COLUMNS = [{"name": "order_id", "type": "BIGINT"}, {"name": "email", "type": "VARCHAR"}]


def test_without_a_text_it_asks_for_one(client: FlaskClient, session: Session) -> None:
    assert "Nothing has been profiled yet" in client.get("/search").text
    add_run(session, columns={})
    session.commit()
    assert "What are you looking for?" in client.get("/search?q=%20").text


def test_tables_columns_and_runs_are_grouped(client: FlaskClient, session: Session) -> None:
    run = add_run(session, run_id="0rder-1", columns={})
    add_state(session, run=run, columns=COLUMNS)
    session.commit()
    page = client.get("/search?q=ORDER").text
    assert page.index("<h2>Tables") < page.index(">orders<") < page.index("<h2>Columns") < page.index(">order_id<")
    assert "<h2>Runs" not in page and ">email<" not in page
    assert 'href="/tables/orders/columns/order_id?warehouse=shop&amp;schema=main"' in page
    assert 'href="/runs/0rder-1?table=orders"' in client.get("/search?q=0rd").text


def test_what_is_called_so_comes_first(client: FlaskClient, session: Session) -> None:
    for table in ("a_orders", "orders_b", "orders"):
        add_run(session, table, columns={})
    session.commit()
    page = client.get("/search?q=orders").text
    assert page.index("<bdi>orders<") < page.index("<bdi>orders_b<") < page.index("<bdi>a_orders<")


def test_nothing_found_says_what_can_be(client: FlaskClient, session: Session) -> None:
    add_run(session, columns={})
    session.commit()
    assert "Nothing is called so" in client.get("/search?q=zzz").text
    assert "Nothing is called <b><bdi>zzz</bdi></b>" in client.get("/search?q=zzz", headers=HTMX).text


def test_the_box_gets_options_alone_six_of_a_kind(client: FlaskClient, session: Session) -> None:
    for number in range(9):
        add_run(session, f"orders_{number}", columns={})
    session.commit()
    options = client.get("/search?q=ord", headers=HTMX)
    assert options.text.count('role="option"') == 6 and "<html" not in options.text
    assert "HX-Request" in options.vary
    assert client.get("/search?q=ord").text.count('class="match"') == 9


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_names_and_the_text_itself_are_harmless(client: FlaskClient, session: Session, headers: dict[str, str]) -> None:
    add_run(session, HOSTILE, columns={})
    session.commit()
    answer = client.get("/search", query_string={"q": HOSTILE[:20]}, headers=headers)
    assert answer.status_code == 200 and "<script>alert" not in answer.text and "<img" not in answer.text


def test_what_is_too_long_or_broken_is_refused(client: FlaskClient) -> None:
    assert client.get(f"/search?q={'x' * 501}").status_code == 422
    assert client.get("/search?q=%00").status_code == 422


def test_it_sends_few_statements_and_looks_at_no_warehouse(app: Flask, client: FlaskClient, session: Session) -> None:
    add_shop(session, history=4)
    session.commit()
    client.get("/search?q=e")
    with counted(app) as sent:
        client.get("/search?q=e")
    assert len(sent) == 5
