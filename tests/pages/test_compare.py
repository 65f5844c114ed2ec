import math
import re
from datetime import timedelta
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from profilemesh.storage.models import Summary
from tests.factories import NOW, Columns, add_run, add_shop, number_metrics, text_metrics, top
from tests.web import Served, counted

BEFORE = NOW - timedelta(days=1)


def words(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def cards(page: str) -> list[str]:
    """The names of the columns that have a card, in their order."""
    return re.findall(
        r'<h2>(?:<span class="mark[^>]*></span>)?<a class="name" href="/tables/[^"]*/columns/[^"]*"><bdi[^>]*>([^<]*)',
        page,
    )


def two(session: Session, before: Columns, after: Columns, **later: object) -> None:
    add_run(session, run_id="a", at=BEFORE, columns=before)
    add_run(session, run_id="b", columns=after, **later)
    session.commit()


def total(mean: float = 40.0, nulls: int = 0, rows: int = 1000) -> Columns:
    return {("total", "DOUBLE"): number_metrics(rows, nulls, low=0, high=100, mean=mean, stddev=10.0)}


def test_moves_are_told_by_their_size(client: FlaskClient, session: Session) -> None:
    two(session, total(), total(mean=48.0, nulls=50))
    page = words(client.get("/compare?before=a&after=b").text)
    assert "mean +0.8 sd" in page and "null share +5 points" in page
    assert "1 of 1 column moved; 1 of them far enough to be called drift." in page


def test_columns_that_moved_most_come_first_and_still_ones_are_only_named(
    client: FlaskClient, session: Session
) -> None:
    def columns(nulls: int, mean: float) -> Columns:
        still = {("still", "DOUBLE"): number_metrics(1000), ("a", "TEXT"): text_metrics(1000, nulls)}
        return {**still, **total(mean)}

    two(session, columns(0, 40.0), columns(8, 60.0))
    page = client.get("/compare?before=a&after=b").text
    assert cards(page) == ["total", "a"]
    assert "1 column moved hardly, or not at all" in words(page)
    assert cards(client.get("/compare?before=a&after=b&q=STI").text) == ["still"]


def test_the_earlier_run_is_before_whatever_the_order_asked_for(client: FlaskClient, session: Session) -> None:
    two(session, total(), total(mean=48.0))
    for query in ("before=b&after=a", "run=b&run=a", "run=a&run=b"):
        assert "mean +0.8 sd" in words(client.get(f"/compare?{query}").text), query


def test_one_run_is_compared_with_the_like_one_before(client: FlaskClient, session: Session) -> None:
    two(session, total(), total(mean=48.0))
    add_run(session, at=NOW - timedelta(hours=2), status="failed")
    add_run(session, at=NOW - timedelta(hours=1), scope="sample", columns=total(mean=5.0))
    session.commit()
    assert "mean +0.8 sd" in words(client.get("/compare?run=b").text)
    assert "no earlier run that it could be measured against" in client.get("/compare?run=a").text


def test_a_table_is_enough_for_its_newest_two(client: FlaskClient, session: Session) -> None:
    two(session, total(), total(mean=48.0))
    add_run(session, "lonely", columns={})
    session.commit()
    assert "mean +0.8 sd" in words(client.get("/compare?table=orders&schema=main&warehouse=shop").text)
    assert "there is one." in client.get("/compare?table=lonely").text
    assert "there is none." in client.get("/compare?table=nowhere").text


def test_unlike_runs_stand_side_by_side_and_nothing_is_measured(client: FlaskClient, session: Session) -> None:
    two(session, total(), total(mean=48.0), scope="sample", rows=5000)
    answer = client.get("/compare?before=a&after=b")
    page = words(answer.text)
    assert answer.status_code == 200 and "read a sample" in page and "what differs may come of that alone" in page
    assert " sd" not in page and "Change" not in page and 'class="chart overlay"' not in answer.text
    assert "Mean 40 48" in page


def test_runs_of_before_scopes_were_noted_are_not_measured(client: FlaskClient, session: Session) -> None:
    two(session, total(), total(mean=48.0), scope=None)
    page = words(client.get("/compare?before=a&after=b").text)
    assert "is not on record" in page and " sd" not in page


def test_columns_come_go_and_change_their_type(client: FlaskClient, session: Session) -> None:
    old = {("gone", "TEXT"): text_metrics(10), ("kind", "INTEGER"): number_metrics(10)}
    two(session, old, {("new", "TEXT"): text_metrics(10), ("kind", "DOUBLE"): number_metrics(10)})
    page = client.get("/compare?before=a&after=b").text
    assert set(cards(page)) == {"gone", "kind", "new"}
    assert "INTEGER → DOUBLE retyped" in words(page) and "TEXT added" in words(page) and "TEXT removed" in words(page)


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("before=a&after=x", 404, "Run x not found"),
        ("run=a%00", 422, "NUL"),
        ("before=a&after=c", 422, "The two runs are of different tables."),
        ("run=a&run=b&run=d", 422, "3 runs are chosen; two are compared."),
        ("run=a&table=other", 404, "it is not of this table"),
        ("", 200, "Choose two runs of a table"),
        ("page=9&before=a&after=b", 200, "There is no page 9"),
    ],
)
def test_what_cannot_be_compared_says_so(
    client: FlaskClient, session: Session, query: str, status: int, said: str
) -> None:
    add_run(session, "other", run_id="c", columns={})
    add_run(session, run_id="d", at=NOW - timedelta(days=3), columns={})
    two(session, total(), total(mean=41.0))
    answer = client.get(f"/compare?{query}")
    assert answer.status_code == status and said in words(answer.text)


def test_one_adopted_run_may_cover_several_tables(client: FlaskClient, session: Session) -> None:
    for at, run_id, mean in ((BEFORE, "old", 40.0), (NOW, "new", 48.0)):
        for table, more in (("t1", 0.0), ("t2", 10.0)):
            add_run(session, table, run_id=run_id, at=at, columns=total(mean + more * (run_id == "new")))
    session.commit()
    assert "mean +1.8 sd" in words(client.get("/compare?before=old&after=new&table=t2").text)
    assert "mean +0.8 sd" in words(client.get("/compare?before=old&after=new&table=t1").text)


def test_htmx_gets_the_comparison_alone(client: FlaskClient, session: Session) -> None:
    two(session, total(), total(mean=48.0))
    part = client.get("/compare?before=a&after=b", headers={"HX-Request": "true"})
    assert part.text.lstrip().startswith('<div id="compared"') and "HX-Request" in part.vary


def test_columns_are_paged_and_statements_do_not_grow_with_them(
    app: Flask, client: FlaskClient, session: Session
) -> None:
    def columns(by: float) -> Columns:
        return {(f"c{i:03}", "DOUBLE"): number_metrics(100, mean=40.0 + by, stddev=10.0) for i in range(60)}

    two(session, columns(0), columns(20))
    with counted(app) as sent:
        page = client.get("/compare?before=a&after=b&page=2").text
    assert len(cards(page)) == 12 and "13 to 24 of 60" in words(page)
    assert len(sent) <= 9


@pytest.mark.parametrize(("column", "picture"), [("total", 'class="chart overlay"'), ("status", 'class="shares"')])
def test_both_distributions_are_in_one_picture(
    client: FlaskClient, session: Session, column: str, picture: str
) -> None:
    add_shop(session, history=3)
    session.commit()
    assert picture in client.get(f"/compare?table=orders&q={column}").text


@pytest.fixture
def real(served: Served) -> Served:
    """Two real runs of a table whose values move from halves to one in ten, and whose secret does too."""
    values = "CASE WHEN i % {} = 0 THEN 'paid' ELSE 'open' END"
    for divisor in (2, 10):
        picked = values.format(divisor)
        made = f"SELECT i AS id, {picked} AS state, {picked} AS secret FROM range(2000) r(i)"
        served.write(f"CREATE OR REPLACE TABLE orders AS {made}")
        assert served.app.extensions["run_now"](None, True, None) is None
        served.finish()
    return served


def test_real_distributions_move_as_the_engine_measures_them(real: Served) -> None:
    before, after = (1000, 1000), (200, 1800)
    middles = [(a + b) / 2 / 2000 for a, b in zip(before, after, strict=True)]
    w = math.sqrt(sum(((b - a) / 2000) ** 2 / m for a, b, m in zip(before, after, middles, strict=True)))
    w = math.sqrt(w * w - 1 * (1 / 2000 + 1 / 2000))
    page = real.app.test_client().get("/compare?table=orders").text
    assert cards(page)[0] in ("state", "secret") and "not measured" not in page
    told = re.findall(r"distribution (?:Cohen's w|Jensen-Shannon distance) ([0-9.]+)", words(page))
    assert told and any(math.isclose(float(each), w, abs_tol=0.001) for each in told)
    assert "paid" in words(page) and "50 % 10 %" in words(page)


def test_a_column_that_is_sensitive_now_shows_no_value_of_older_runs(real: Served) -> None:
    real.configure("profiling: {tables: [{table: orders, columns: {sensitive: [secret, state]}}]}")
    page = words(real.app.test_client().get("/compare?table=orders").text)
    assert "Sensitive: its values are not shown." in page
    assert "paid" not in page and "Shortest" not in page


def test_every_run_of_the_table_can_be_chosen(client: FlaskClient, session: Session) -> None:
    two(session, total(), total(mean=48.0))
    add_run(session, run_id="c", at=NOW - timedelta(days=2), columns=total())
    session.commit()
    page = client.get("/compare?before=a&after=b").text
    offered = re.findall(r'<option value="(\w+)"( selected)?', page)
    assert offered == [("b", ""), ("a", " selected"), ("c", ""), ("b", " selected"), ("a", ""), ("c", "")]


def test_top_values_are_put_side_by_side(client: FlaskClient, session: Session) -> None:
    def columns(paid: int) -> Columns:
        listed = top(("paid", paid), ("open", 100 - paid))
        return {("state", "TEXT"): text_metrics(100, 0, "open", "paid", top_values=listed, avg_length=paid)}

    two(session, columns(50), columns(90))
    assert "paid 50 % 90 %" in words(client.get("/compare?before=a&after=b").text)


@pytest.mark.parametrize("payload", [None, b"of another version"])
def test_without_both_summaries_the_rest_is_measured_and_the_page_says_so(
    client: FlaskClient, session: Session, payload: bytes | None
) -> None:
    two(session, total(), total(mean=48.0))
    if payload is not None:
        session.add(Summary(run_id="b", partition_key="", as_of=NOW, payload=payload))
        session.commit()
    page = words(client.get("/compare?before=a&after=b").text)
    assert "mean +0.8 sd" in page and "Distributions are drawn and not measured" in page
