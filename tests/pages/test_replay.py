from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from tests.factories import NOW, add_finding, add_run
from tests.pages.test_drift import ELSEWHERE
from tests.web import Served


def page_of(client: FlaskClient, query: str = "") -> str:
    answer = client.get(f"/drift/replay?{query}")
    assert answer.status_code == 200
    return " ".join(answer.text.split())


@pytest.fixture
def shop(served: Served) -> Served:
    """Six runs of a table, the last with half of its values missing."""
    served.write("CREATE TABLE orders AS SELECT i AS id, 'x' || (i % 7) AS email FROM range(2000) t(i)")
    for n in range(6):
        change = "email = NULL WHERE id % 2 = 0" if n == 5 else f"id = id WHERE id = {n}"
        served.write(f"UPDATE orders SET {change}")
        assert served.by_hand.run_now(None, True) is None
        served.finish()
    return served


def test_it_asks_before_it_reads_the_whole_history(client: FlaskClient) -> None:
    page = page_of(client)
    assert "What would these rules have found?" in page and 'name="go" value="1"' in page


def test_without_a_configuration_there_are_no_rules(client: FlaskClient) -> None:
    assert "there is no configuration file" in page_of(client, "go=1")


def test_what_is_found_again_leads_to_what_is_stored(shop: Served) -> None:
    client = shop.app.test_client()
    (stored,) = client.get("/api/findings").json
    page = page_of(client, "go=1&days=7")
    assert "6 runs of 1 table since" in page and "<b>1 finding</b>, 0 of them new; <b>0</b>" in page
    assert f'<a href="/drift/{stored["finding_id"]}">Null share of <b><bdi>orders.email</bdi></b> rose' in page
    assert "found again" in page and "stored as open, untouched" in page


def test_other_rules_find_otherwise(shop: Served) -> None:
    shop.configure("drift_detection: {rules: [{column: email, enabled: false}]}")
    page = page_of(shop.app.test_client(), "go=1&days=7")
    assert "<b>0 findings</b>, 0 of them new; <b>1</b> that is stored would not be found." in page
    assert ">not found</span>" in page


def test_tables_are_chosen_by_name(shop: Served) -> None:
    assert "0 runs of 0 tables" in page_of(shop.app.test_client(), "go=1&q=zzz")
    assert "These rules find nothing" in page_of(shop.app.test_client(), "go=1&q=zzz")


def test_it_is_for_this_machine(client: FlaskClient, session: Session) -> None:
    add_finding(session, add_run(session, at=NOW - timedelta(days=1), columns={}))
    session.commit()
    assert client.get("/drift/replay?go=1", environ_base=ELSEWHERE).status_code == 403
    elsewhere = client.get("/drift/replay", environ_base=ELSEWHERE)
    assert elsewhere.status_code == 200 and 'name="go"' not in elsewhere.text


@pytest.mark.parametrize("query", ["days=0", "days=x", "go=2", "q=%00"])
def test_a_bad_parameter_is_refused(client: FlaskClient, query: str) -> None:
    assert client.get(f"/drift/replay?{query}").status_code == 422
