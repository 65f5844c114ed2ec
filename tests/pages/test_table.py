from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.extensions import db
from tests.factories import NOW, add_decision, add_run, add_shop, add_state, number_metrics, text_metrics
from tests.web import Served, counted


def page_of(client: FlaskClient, address: str = "orders") -> str:
    answer = client.get(f"/tables/{address}")
    assert answer.status_code == 200
    return " ".join(answer.text.split())


def fact(page: str, name: str) -> str:
    inside = page.split(f"<dt>{name}</dt><dd>")[1].split("</dd>")[0]
    return "".join(part.split(">")[-1] for part in inside.split("<"))


def test_the_three_times_are_kept_apart(client: FlaskClient, session: Session) -> None:
    run = add_run(session, at=NOW - timedelta(days=3))
    times = {"last_verified_at": NOW - timedelta(hours=5), "last_changed_at": NOW - timedelta(days=4)}
    add_state(session, run=run, **times)
    session.commit()
    page = page_of(client)
    assert "<b>not read, proved unchanged</b>" in page
    found = [fact(page, name) for name in ("Profiled", "Verified", "Data changed")]
    assert found == ["3 d ago", "5 h ago", "4 d ago"]


def test_what_is_unknown_is_a_dash(client: FlaskClient, session: Session) -> None:
    add_state(session, "planned", last_verified_at=None, decision="defer", decision_reason="warehouse_busy")
    session.commit()
    page = page_of(client, "planned")
    assert {fact(page, name) for name in ("Rows", "Columns", "Profiled", "Verified")} == {"–"}
    assert "No profile yet" in page and "profilemesh profile --table shop.main.planned" in page


def test_row_counts_are_drawn_over_time_and_told(client: FlaskClient, session: Session) -> None:
    for days, rows in ((3, 100), (2, 300), (1, 200)):
        add_run(session, at=NOW - timedelta(days=days), rows=rows)
    session.commit()
    page = page_of(client)
    first, last = (f"{NOW - timedelta(days=days):%Y-%m-%d}" for days in (3, 1))
    assert f"Row count in 3 runs from {first} to {last}: from 100 to 200, between 100 and 300" in page
    assert f"<title>{NOW - timedelta(days=3):%Y-%m-%d %H:%M}: 100</title>" in page
    assert "Null share, mean of all columns, in 3 runs" in page


def test_columns_are_of_the_latest_good_run(client: FlaskClient, session: Session) -> None:
    add_run(session, at=NOW - timedelta(days=2), columns={("a", "INT"): number_metrics(5)}, rows=55)
    add_run(session, at=NOW - timedelta(days=1), status="failed", error="locked")
    session.commit()
    page = page_of(client)
    assert fact(page, "Rows") == "55" and "<bdi>a</bdi>" in page
    assert "The newest run failed" in page and "locked" in page


def test_a_column_has_its_most_telling_trend(client: FlaskClient, session: Session) -> None:
    for days, nulls in ((2, 0), (1, 5)):
        columns = {
            ("email", "TEXT"): text_metrics(10, nulls),
            ("total", "INT"): number_metrics(10, high=100 * days),
            ("id", "TEXT"): text_metrics(10),
        }
        add_run(session, at=NOW - timedelta(days=days), columns=columns)
    session.commit()
    page = page_of(client)
    assert "Null share in 2 runs: from 0 % to 50 %" in page
    assert "Mean in 2 runs: from 80 to 40" in page
    assert "Distinct in 2 runs: from 10 to 10" in page


def test_a_name_in_several_places_shows_the_most_recent_and_links_the_others(
    client: FlaskClient, session: Session
) -> None:
    add_run(session, at=NOW - timedelta(days=1), rows=11, columns={})
    add_run(session, warehouse="clicks", warehouse_type="postgres", schema="public", rows=22, columns={})
    session.commit()
    page = page_of(client)
    assert fact(page, "Rows") == "22" and 'href="/tables/orders?warehouse=shop&amp;schema=main"' in page
    assert fact(page_of(client, "orders?warehouse=shop"), "Rows") == "11"
    assert fact(page_of(client, "orders?warehouse=duckdb"), "Rows") == "11"
    assert fact(page_of(client, "orders?schema=public"), "Rows") == "22"


@pytest.mark.parametrize("name", ["a/b", "with space", "ünï", "a%b", "a?b#c", "x.y", '"; DROP TABLE'])
def test_any_name_has_a_page_that_the_list_links_to(client: FlaskClient, session: Session, name: str) -> None:
    add_run(session, name, columns={})
    session.commit()
    link = client.get("/tables").text.split('class="name" href="')[1].split('"')[0].replace("&amp;", "&")
    assert client.get(link).status_code == 200


@pytest.mark.parametrize("address", ["nope", "orders?schema=nope", "orders?warehouse=nope", "%00"])
def test_an_unknown_table_is_a_404(client: FlaskClient, session: Session, address: str) -> None:
    add_run(session, columns={})
    session.commit()
    assert client.get(f"/tables/{address}").status_code == 404


def story(page: str) -> str:
    return page.split('class="next-run">')[1].split("</p>")[0]


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ({}, "The next tick reads it if its data may have changed."),
        ({"last_profiled_at": None}, "The next tick reads it for the first time."),
        ({"paused_at": NOW}, "Only a run by hand: paused since 20"),
        ({"vanished_at": NOW}, "Nothing: it is gone from its warehouse."),
        ({"due_at": NOW + timedelta(hours=3, minutes=20)}, "may have changed, once it is due in 3 h ("),
        (
            {"decision_reason": "fresh_within_interval", "evidence": {"data": "changed"}},
            "The next tick reads it because its data changed.",
        ),
        ({"deferred_since": NOW}, "if limits and budget allow: put off since"),
        ({"decision_reason": "warehouse_busy"}, "if its warehouse answers and"),
        ({"claimed_by": "x", "claimed_until": NOW + timedelta(hours=1)}, "It is being read now."),
        ({"claimed_by": "x", "claimed_until": NOW - timedelta(hours=1)}, "The next tick reads it if"),
    ],
)
def test_what_would_make_it_run_is_told(client: FlaskClient, session: Session, state: dict, told: str) -> None:
    add_state(session, **{"last_profiled_at": NOW - timedelta(days=1), **state})
    session.commit()
    assert told in story(page_of(client))


def test_the_configuration_has_its_say(served: Served) -> None:
    with served.app.app_context():
        add_state(db.session(), last_profiled_at=NOW - timedelta(days=1), deferred_since=NOW - timedelta(days=1))
        add_state(db.session(), "other", warehouse="gone", last_profiled_at=NOW)
        db.session.commit()
    client = served.app.test_client()
    assert f"sampled after {NOW + timedelta(days=6):%Y-%m-%d %H:%M:%S} UTC at the latest" in story(page_of(client))
    assert "the configuration does not select it" in story(page_of(client, "other"))
    for more, told in (("paused: true", "the configuration pauses it"), (f"window: {CLOSED}", "inside its window (")):
        served.configure("profiling: {tables: [{table: orders, " + more + "}]}")
        assert told in story(page_of(client))


CLOSED = '{{hours: "00:00-23:59", days: [{}]}}'.format(("tue", "wed", "thu", "fri", "sat", "sun", "mon")[NOW.weekday()])


def test_a_table_that_is_gone_says_so_and_cannot_be_run(served: Served) -> None:
    with served.app.app_context():
        add_state(db.session(), vanished_at=NOW - timedelta(days=2))
        db.session.commit()
    page = page_of(served.app.test_client())
    assert "<b>Gone from its warehouse</b> since" in page and "Run now" not in page


def test_buttons_fit_the_state(served: Served) -> None:
    client, reading = served.app.test_client(), {"claimed_by": "x", "claimed_until": NOW + timedelta(hours=1)}
    with served.app.app_context():
        add_state(db.session())
        add_state(db.session(), "held", paused_at=NOW, **reading)
        db.session.commit()
    names = ("Run now", "Read it whatever changed", "Pause", "Resume", "Cancel the scan")
    shown = {name for name in names if f">{name}</button>" in page_of(client)}
    held = {name for name in names if f">{name}</button>" in page_of(client, "held")}
    assert (shown, held) == ({"Run now", "Read it whatever changed", "Pause"}, {"Resume", "Cancel the scan"})
    assert (
        "<button" not in client.get("/tables/orders", environ_base={"REMOTE_ADDR": "192.0.2.7"}).text.split("main")[2]
    )


def test_partitions_are_shown_with_what_the_last_run_read(client: FlaskClient, session: Session) -> None:
    run = add_run(session, run_id="r9", columns={})
    as_of = (NOW - timedelta(days=3)).isoformat()
    parts = {"a": ["t", "2026-11-01", as_of, 300, None], "b": ["t", "2026-11-02", NOW.isoformat(), 62_000, "r9"]}
    add_state(session, run=run, manifest={"frame": "f", "rest": "r1", "parts": parts})
    session.commit()
    page = page_of(client)
    assert "2 behind the profile, 1 read by the last run" in page and "carried over, in the closed rest" in page
    assert page.index("2026-11-02</bdi>") < page.index("2026-11-01</bdi>") and "62 k" in page


def test_its_decisions_are_listed_with_a_way_to_all(client: FlaskClient, session: Session) -> None:
    for hours in range(30):
        add_decision(session, at=NOW - timedelta(hours=hours), action="full", reason="schema_changed")
    add_decision(session, "other")
    add_state(session)
    session.commit()
    page = page_of(client)
    assert page.count("its columns changed") == 20 and "12 before" in page
    assert 'href="/plan?table=orders&amp;schema=main&amp;warehouse=shop&amp;days=365#log"' in page


def test_few_statements_however_long_the_history(app: Flask, client: FlaskClient, session: Session) -> None:
    add_shop(session, history=6)
    session.commit()
    page_of(client)
    with counted(app) as sent:
        page_of(client)
    assert len(sent) <= 12
