import re
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from tests.factories import NOW, add_finding, add_run, add_shop, add_state
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
    assert len(sent) == 7


def columns_of(page: str, name: str) -> list[str]:
    """The texts of a row's cells."""
    row = page.split(f"<bdi>{name}</bdi>")[1].split("</tr>")[0]
    return [" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in row.split("<td")[1:]]


def cells(page: str, name: str) -> list[str]:
    return [cell.split(">", 1)[1].strip() if ">" in cell else cell for cell in columns_of(page, name)]


def test_rows_are_told_with_their_change(client: FlaskClient, session: Session) -> None:
    add_run(session, at=NOW - timedelta(days=2), rows=1000, columns={})
    add_run(session, at=NOW - timedelta(days=1), rows=55, scope="sample", columns={})
    add_run(session, rows=1128, columns={})
    add_run(session, "sampled", rows=70_000, scope="sample", columns={})
    session.commit()
    page = client.get("/tables").text
    assert 'title="from 1,000 to 1,128 rows">+128<' in page
    assert re.search(r'Estimated from a sample">≈</span> <span title="70,000">70 k', page)


def test_open_drift_is_counted_with_its_worst(client: FlaskClient, session: Session) -> None:
    run = add_run(session, columns={})
    for severity, state in (("low", "open"), ("medium", "open"), ("high", "resolved"), ("high", "acknowledged")):
        add_finding(session, run, severity=severity, state=state)
    add_run(session, "calm", columns={})
    session.commit()
    page = client.get("/tables").text
    assert 'href="/drift?table=orders&amp;schema=main&amp;warehouse=shop"' in page
    assert re.search(r'class="drifts"[^>]*><span class="mark medium"[^>]*></span>2</a>', page)
    assert page.count('class="drifts"') == 1
    assert names(client.get("/tables?state=drifting").text) == ["orders"]


@pytest.fixture
def five(session: Session) -> None:
    """a to e: each sort has an order of its own, and one of them nothing."""
    for place, (table, rows, columns, days, stale) in enumerate(
        (("a", 30, 1, 2, 10), ("b", 10, 3, 1, 90), ("c", 20, 2, 3, 50), ("d", 40, 4, 4, 0))
    ):
        run = add_run(session, table, at=NOW - timedelta(days=days), rows=rows, columns={})
        listed = [{"name": f"c{n}", "type": "INT"} for n in range(columns)]
        verified, decided = NOW - timedelta(hours=place), NOW - timedelta(minutes=1)
        more = {"columns": listed, "staleness_score": stale, "last_verified_at": verified, "decided_at": decided}
        add_state(session, table, run=run, **more)
        for _ in range(place):
            add_finding(session, run, severity="high" if table == "b" else "low")
    add_state(session, "e", decision=None, decision_reason=None, decided_at=None, last_verified_at=None)
    session.commit()


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("name", "abcde"),
        ("-name", "edcba"),
        ("rows", "bcade"),
        ("-rows", "dacbe"),
        ("columns", "acbde"),
        ("-columns", "dbcae"),
        ("last_profiled", "dcabe"),
        ("-last_profiled", "bacde"),
        ("last_verified", "dcbae"),
        ("-last_verified", "abcde"),
        ("staleness", "dacbe"),
        ("-staleness", "ebcad"),
        ("drift", "cdbae"),
        ("-drift", "bdcae"),
    ],
)
def test_every_column_sorts_and_says_so(client: FlaskClient, five: None, sort: str, order: str) -> None:
    page = client.get(f"/tables?sort={sort}").text
    assert "".join(names(page)) == order
    said = re.findall(r'aria-sort="(\w+)"><a href="([^"]+)"', page)
    opposite = sort.removeprefix("-") if sort.startswith("-") else f"-{sort}"
    target = "/tables" if opposite == "name" else f"/tables?sort={opposite}"
    assert said == [("descending" if sort.startswith("-") else "ascending", target)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("state=stale", ["b", "c", "e"]),
        ("state=unprofiled", ["e"]),
        ("state=drifting&sort=-drift", ["b", "d", "c"]),
        ("schema=main&q=d", ["d"]),
        ("schema=nope", []),
    ],
)
def test_tables_are_narrowed_by_how_they_stand(
    client: FlaskClient, five: None, query: str, expected: list[str]
) -> None:
    assert names(client.get(f"/tables?{query}").text) == expected


@pytest.mark.parametrize(
    ("query", "expected"), [("", "bdcae"), ("q=d", "d"), ("schema=main", "bdcae"), ("schema=x", "")]
)
def test_what_drifts_comes_first_however_it_is_cut(
    client: FlaskClient, five: None, monkeypatch: pytest.MonkeyPatch, query: str, expected: str
) -> None:
    monkeypatch.setattr("app.queries.catalogue.SIZE", 2)
    found = [names(client.get(f"/tables?sort=-drift&page={page}&{query}").text) for page in (1, 2, 3)]
    assert ["".join(each) for each in found] == [expected[:2], expected[2:4], expected[4:]]


def test_paused_gone_and_put_off_are_states(client: FlaskClient, session: Session) -> None:
    add_state(session, "a", paused_at=NOW)
    add_state(session, "b", decision_reason="paused")
    add_state(session, "c", vanished_at=NOW - timedelta(days=2))
    add_state(session, "d", deferred_since=NOW)
    session.commit()
    for state, expected in (("paused", ["a", "b"]), ("gone", ["c"]), ("put_off", ["d"])):
        assert names(client.get(f"/tables?state={state}").text) == expected
    assert "gone <time" in client.get("/tables").text


def test_failing_are_those_whose_newest_finished_run_failed(client: FlaskClient, session: Session) -> None:
    for table, statuses in (("a", "sf"), ("b", "fs"), ("c", "fr"), ("d", "f"), ("e", "f"), ("f", "sf")):
        for hours, status in zip((9, 2), statuses[::-1] if len(statuses) == 1 else statuses, strict=False):
            told = {"s": "success", "f": "failed", "r": "running"}[status]
            add_run(session, table, at=NOW - timedelta(hours=hours), status=told, columns={})
    add_state(session, "e", last_verified_at=NOW)
    add_state(session, "f", last_verified_at=None, last_profiled_at=NOW - timedelta(hours=9))
    session.commit()
    assert names(client.get("/tables?state=failing").text) == ["a", "c", "d", "f"]
    page = client.get("/tables").text
    assert {name for name in "abcdef" if "failed" in cells(page, name)[-1]} == {"a", "c", "d", "f"}


def test_what_was_read_since_it_was_scored_is_not_stale(client: FlaskClient, session: Session) -> None:
    run = add_run(session, columns={})
    add_state(session, run=run, staleness_score=80, decided_at=NOW - timedelta(minutes=1))
    session.commit()
    assert cells(client.get("/tables").text, "orders")[-2] == "0"
    assert names(client.get("/tables?state=stale").text) == []


def test_a_page_that_is_not_there_leads_to_the_first(client: FlaskClient, session: Session) -> None:
    add_run(session, columns={})
    session.commit()
    assert "There is no page 7" in client.get("/tables?page=7&sort=-rows").text


@pytest.mark.parametrize("query", ["sort=size", "state=odd", "page=0", "q=%00"])
def test_a_bad_filter_is_refused(client: FlaskClient, query: str) -> None:
    assert client.get(f"/tables?{query}").status_code == 422
