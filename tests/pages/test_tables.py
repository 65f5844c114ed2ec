from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from tests.factories import NOW, add_run, add_shop, add_state
from tests.pages.test_runs import names
from tests.web import counted


def test_without_data_three_steps_lead_to_it(client: FlaskClient) -> None:
    assert "Nothing has been profiled yet" in client.get("/tables").text


def test_tables_that_ran_and_tables_that_were_planned_are_listed_once(client: FlaskClient, session: Session) -> None:
    add_state(session, "orders", run=add_run(session, rows=1_840_221))
    add_run(session, "adopted", columns={})
    add_state(session, "planned", decision="defer", decision_reason="warehouse_busy")
    session.commit()
    page = client.get("/tables").text
    assert names(page) == ["adopted", "orders", "planned"]
    assert "1.84 M" in page and "not read, proved unchanged" in page
    assert "put off, its file is locked by a writer" in page


def test_one_name_in_two_warehouses_is_two_tables(client: FlaskClient, session: Session) -> None:
    add_run(session, rows=11, columns={})
    add_run(session, rows=22, warehouse="clicks", columns={})
    session.commit()
    page = client.get("/tables").text
    assert names(page) == ["orders", "orders"] and ">11<" in page and ">22<" in page
    assert names(client.get("/tables?warehouse=clicks").text) == ["orders"]


def test_search_finds_parts_of_names(client: FlaskClient, session: Session) -> None:
    for table in ("orders", "order_lines", "customers"):
        add_run(session, table, columns={})
    session.commit()
    assert names(client.get("/tables?q=ORDER").text) == ["order_lines", "orders"]
    assert names(client.get("/tables?q=r_").text) == ["order_lines"]
    assert "No table matches" in client.get("/tables?q=zzz").text


def test_htmx_gets_the_rows_alone(client: FlaskClient, session: Session) -> None:
    add_run(session, columns={})
    session.commit()
    assert client.get("/tables", headers={"HX-Request": "true"}).text.startswith('<div id="tables">')


def test_a_failure_stands_before_the_decision(client: FlaskClient, session: Session) -> None:
    add_state(session, "orders", decision="full", decision_reason="first_profile")
    add_run(session, status="failed")
    session.commit()
    assert "never profiled before" not in client.get("/tables").text


def test_statements_do_not_grow_with_the_tables(app: Flask, client: FlaskClient, session: Session) -> None:
    add_shop(session, NOW, history=8)
    session.commit()
    client.get("/tables")
    with counted(app) as sent:
        client.get("/tables")
    assert len(sent) == 5
