import re
from datetime import timedelta
from html import unescape
from urllib.parse import parse_qsl

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.queries.run_pages import SORTS
from profilemesh.storage.models import Run
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
        ("scope=sample", ["events"]),
        ("scope=full", ["new"]),
        ("action=sample", ["events"]),
        ("drift=true", ["new"]),
        ("drift=false", ["orders", "events"]),
        ("days=1", ["new"]),
        ("days=90", ["new", "orders", "events", "old"]),
    ],
)
def test_filters(client: FlaskClient, session: Session, query: str, found: list[str]) -> None:
    add_run(session, "new", environment="staging", columns={}, has_drift=True)
    sampled = {"scope": "sample", "action": "sample"}
    add_run(session, at=NOW - timedelta(days=2), status="failed")
    add_run(session, "events", at=NOW - timedelta(days=3), warehouse="clicks", schema="public", columns={}, **sampled)
    add_run(session, "old", at=NOW - timedelta(days=50), columns={})
    session.commit()
    assert names(client.get(f"/runs?{query}").text) == found


def test_no_match_says_what_to_do(client: FlaskClient, session: Session) -> None:
    add_run(session, columns={})
    session.commit()
    page = client.get("/runs?q=nope&days=7").text
    assert "No run matches" in page
    assert links(page)["Look further back"] == {"q": "nope", "days": "3650"}


def turns(page: str) -> dict[str, str]:
    """Where the buttons below the list lead, by their tips."""
    found = re.findall(r'<a class="button small" href="([^"]*)" title="([^"]*)"', page)
    return {said: unescape(href) for href, said in found}


BEFORE, AFTER = "The runs before these", "The runs after these"


@pytest.mark.parametrize("narrowed", ["", "q=table&"])
@pytest.mark.parametrize("sort", SORTS)
def test_the_list_is_turned_there_and_back_in_every_order(
    client: FlaskClient, session: Session, sort: str, narrowed: str
) -> None:
    for i in range(120):
        # Many are equal in what is sorted by, some are unknown.
        known = {"rows": i // 40, "rows_scanned": i // 50, "duration_seconds": (i // 30) / 7}
        more = {"rows": None, "rows_scanned": None, "duration_seconds": None} if i % 9 == 0 else known
        at = NOW - timedelta(minutes=i // 3)
        add_run(session, f"table{i // 25}", at=at, run_id=f"{i * 7 % 120:03}", columns={}, **more)
    session.commit()
    pages = [client.get(f"/runs?{narrowed}sort={sort}").text]
    while AFTER in turns(pages[-1]):
        pages.append(client.get(turns(pages[-1])[AFTER]).text)
    forth = [ids(page) for page in pages]
    assert [len(each) for each in forth] == [50, 50, 20]
    listed = [run_id for each in forth for run_id in each]
    assert sorted(listed) == sorted(f"{i:03}" for i in range(120))
    assert listed == in_order(session, sort)
    page, back = pages[-1], [forth[-1]]
    while BEFORE in turns(page):
        page = client.get(turns(page)[BEFORE]).text
        back.append(ids(page))
    assert back == forth[::-1]


def ids(page: str) -> list[str]:
    return re.findall(r'name="run" value="([^"]+)"', page)


def in_order(session: Session, sort: str) -> list[str]:
    """Sorted by hand; what is unknown is less than anything known."""
    key = {
        "when": lambda run: (),
        "table": lambda run: (run.dataset_name,),
        "rows": lambda run: (-1 if run.row_count is None else run.row_count,),
        "read": lambda run: (-1 if run.rows_scanned is None else run.rows_scanned,),
        "took": lambda run: (-1 if run.duration_seconds is None else run.duration_seconds,),
    }[sort.removeprefix("-")]
    runs = sorted(session.query(Run), key=lambda run: (*key(run), run.profiled_at, run.run_id))
    return [run.run_id for run in (runs[::-1] if sort.startswith("-") else runs)]


def test_a_cursor_keeps_the_filters_and_of_another_order_is_refused(client: FlaskClient, session: Session) -> None:
    add_many(session, [f"table{i}" for i in range(60)])
    session.commit()
    older = turns(client.get("/runs?q=table&days=7").text)[AFTER]
    assert dict(parse_qsl(older.partition("?")[2])).keys() == {"q", "days", "cursor"}
    assert client.get(f"{older}&sort=took").status_code == 422


def test_more_than_ten_thousand_are_not_counted(
    client: FlaskClient, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.queries.run_pages.COUNTED", 70)
    add_many(session, [f"table{i}" for i in range(80)])
    session.commit()
    assert "More than 70 runs" in client.get("/runs?q=table").text
    assert "80 runs" in client.get("/runs").text


def test_a_sorted_column_says_so_and_turns_round(client: FlaskClient, session: Session) -> None:
    add_run(session, columns={})
    session.commit()
    page = client.get("/runs?sort=-took&days=7").text
    heads = re.findall(r'<th scope="col"[^>]*aria-sort="(\w+)"><a class="sort" href="([^"]*)"', page)
    assert heads == [("descending", "/runs?days=7&amp;sort=took")]
    assert re.findall(r'aria-sort="(\w+)"', client.get("/runs").text) == ["descending"]


def test_what_is_downloaded_is_what_is_listed(client: FlaskClient, session: Session) -> None:
    add_run(session, "orders", columns={}, has_drift=True)
    add_run(session, "orders", at=NOW - timedelta(hours=1), columns={})
    add_run(session, "events", columns={}, has_drift=True)
    session.commit()
    page = client.get("/runs?q=ORD&drift=true&sort=took").text
    link = unescape(re.findall(r'href="(/api/export/runs\?[^"]*)" download>csv', page)[0])
    assert len(client.get(link).text.splitlines()) == 2 and len(names(page)) == 1


def test_two_boxes_lead_to_a_comparison(client: FlaskClient, session: Session) -> None:
    add_run(session, run_id="a", at=NOW - timedelta(hours=1))
    add_run(session, run_id="b")
    add_run(session, run_id="c", status="failed")
    session.commit()
    page = client.get("/runs").text
    form = page.split('<form action="/compare"')[1].split("</form>")[0]
    assert ids(form) == ["b", "a"] and "<button" in form
    assert client.get("/compare?run=b&run=a").status_code == 200


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


@pytest.mark.parametrize(
    "query", ["days=abc", "cursor=x", "newer=x", "sort=x", "drift=maybe", "scope=x", "status=sucess", "q=%00"]
)
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
    assert len(sent) == 5
