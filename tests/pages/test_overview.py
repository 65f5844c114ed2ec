from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from tests.factories import NOW, add_decision, add_drift, add_run, add_saving, add_shop, add_state
from tests.web import counted

HTML = {"Accept": "text/html"}


def overview(client: FlaskClient, query: str = "") -> str:
    answer = client.get(f"/?{query}", headers=HTML)
    assert answer.status_code == 200
    return " ".join(answer.text.split())


def tile(page: str, label: str) -> str:
    """The text of a tile, tags left out."""
    inside = page.split(f'<span class="label">{label}</span>')[1].split("</a>")[0].split("<svg")[0]
    return "".join("".join(part.split(">")[-1] for part in inside.split("<")).split())


def test_without_data_three_steps_lead_to_it(client: FlaskClient) -> None:
    page = overview(client)
    assert "Nothing has been profiled yet" in page and page.count("<li>") == 3
    assert "profilemesh check" in page


def test_tiles_count_the_period_and_the_change_against_the_one_before(client: FlaskClient, session: Session) -> None:
    for days in (1, 2, 3, 40):
        add_run(session, at=NOW - timedelta(days=days), rows=20_000, columns={})
    bad = add_run(session, "postings", at=NOW - timedelta(days=1), status="failed")
    add_drift(session, bad)
    session.commit()
    page = overview(client)
    assert tile(page, "Runs") == "4+300%"
    assert tile(page, "Failed") == "1+1"
    assert tile(page, "Drift found") == "1+1"
    assert tile(page, "Rows read") == "60k+200%"
    assert tile(page, "Tables profiled") == "1±0·2known"


def test_rows_spared_are_counted_by_day(client: FlaskClient, session: Session) -> None:
    add_run(session, columns={})
    add_saving(session, NOW.date(), rows_measured=30_000, rows_estimated=20_000, rows_read=50_000)
    add_saving(session, NOW.date() - timedelta(days=40), rows_measured=25_000)
    session.commit()
    page = overview(client)
    assert tile(page, "Rows spared") == "50k+100%·50%ofall"
    assert tile(overview(client, "days=1"), "Rows spared") == "50k+50ktoday"
    assert "Rows spared" not in overview(client, "environment=production")


def test_todays_decisions_are_counted_by_reason(client: FlaskClient, session: Session) -> None:
    add_run(session, columns={})
    for table in ("a", "b"):
        add_decision(session, table, at=NOW - timedelta(days=3), last_at=NOW)
    add_decision(session, "c", at=NOW - timedelta(days=3))
    session.commit()
    page = overview(client)
    assert "<b>2</b> not read: proved unchanged</a>" in page
    assert 'href="/plan?action=skip&amp;reason=snapshot_match&amp;days=1#log"' in page


@pytest.mark.parametrize(
    ("query", "runs"), [("", "3"), ("warehouse=clicks", "1"), ("warehouse=duckdb", "2"), ("environment=staging", "1")]
)
def test_filters_narrow_every_figure(client: FlaskClient, session: Session, query: str, runs: str) -> None:
    add_run(session, columns={})
    add_run(session, "b", environment="staging", columns={})
    add_run(session, "c", warehouse="clicks", warehouse_type="postgres", columns={})
    session.commit()
    page = overview(client, query)
    assert tile(page, "Runs").startswith(f"{runs}+")
    assert page.count('class="name"') == int(runs)


def test_drift_obeys_the_filters(client: FlaskClient, session: Session) -> None:
    add_drift(session, add_run(session, columns={}))
    add_drift(session, add_run(session, "b", warehouse="clicks", columns={}))
    session.commit()
    assert tile(overview(client), "Drift found").startswith("2")
    assert tile(overview(client, "warehouse=clicks"), "Drift found").startswith("1")
    assert tile(overview(client, "environment=staging"), "Drift found").startswith("0")


def test_runs_per_day_are_stacked_by_outcome(client: FlaskClient, session: Session) -> None:
    add_run(session, columns={})
    add_run(session, "b", scope="merged", columns={})
    add_run(session, "c", status="failed")
    session.commit()
    page = overview(client)
    assert "in all 1 full, 1 partial, 1 failed" in page
    assert f"{NOW:%-d %b}: 3 runs (1 full, 1 partial, 1 failed)" in page


def test_a_day_is_shown_by_the_hour(client: FlaskClient, session: Session) -> None:
    add_run(session, at=NOW, columns={})
    session.commit()
    page = overview(client, "days=1")
    assert "Runs per hour" in page and f"{NOW:%H}:00: 1 run (1 full)" in page


def test_a_table_whose_newest_run_failed_needs_attention(client: FlaskClient, session: Session) -> None:
    add_run(session, "postings", at=NOW - timedelta(days=5), columns={})
    for days in (3, 2, 1):
        add_run(session, "postings", at=NOW - timedelta(days=days), status="failed", error="permission denied\ntrace")
    session.commit()
    page = overview(client)
    assert "permission denied" in page and "3 times in a row" in page
    assert "last good profile <time" in page and "5 d ago" in page


def test_a_table_that_recovered_needs_none(client: FlaskClient, session: Session) -> None:
    add_run(session, "postings", at=NOW - timedelta(days=2), status="failed")
    add_run(session, "postings", at=NOW - timedelta(days=1), columns={})
    session.commit()
    assert "No table is failing" in overview(client)


def test_a_table_proved_unchanged_after_its_failed_run_needs_none(client: FlaskClient, session: Session) -> None:
    add_run(session, "postings", at=NOW - timedelta(hours=2), status="failed")
    state = add_state(session, "postings", last_verified_at=NOW - timedelta(hours=3))
    session.commit()
    assert "<bdi>postings</bdi></a> could not be read" in overview(client)
    state.last_verified_at = NOW - timedelta(hours=1)
    session.commit()
    assert "could not be read" not in overview(client)


def test_drift_is_not_said_to_be_none_where_nobody_looked_for_it(client: FlaskClient, session: Session) -> None:
    run = add_run(session, columns={})
    session.commit()
    assert "Drift found" not in overview(client)
    add_drift(session, run)
    session.commit()
    assert tile(overview(client), "Drift found") == "1+1"


def test_unreachable_and_paused_tables_need_attention(client: FlaskClient, session: Session) -> None:
    add_run(session, columns={})
    add_state(session, "a", warehouse="crm", decision_reason="warehouse_unreachable")
    add_state(session, "b", warehouse="crm", decision_reason="warehouse_unreachable")
    add_state(session, "c", decision_reason="paused")
    session.commit()
    page = overview(client)
    assert "2 tables of <bdi>crm</bdi></a>: the warehouse cannot be reached" in page
    assert "<bdi>c</bdi></a>: paused" in page


def test_an_empty_period_says_where_the_newest_run_is(client: FlaskClient, session: Session) -> None:
    add_run(session, at=NOW - timedelta(days=50), columns={})
    session.commit()
    page = overview(client)
    assert "No runs in this period" in page and "50 d ago" in page


def test_htmx_gets_the_body_alone(client: FlaskClient, session: Session) -> None:
    add_run(session, columns={})
    session.commit()
    answer = client.get("/?days=7", headers={"HX-Request": "true"})
    assert answer.text.startswith('<div id="overview"') and "<html" not in answer.text
    assert "HX-Request" in answer.vary
    assert "<html" in client.get("/", headers={"HX-Request": "true", "HX-History-Restore-Request": "true"}).text


@pytest.mark.parametrize("query", ["days=2", "days=x", "days=", "warehouse=%00"])
def test_a_bad_filter_is_refused(client: FlaskClient, query: str) -> None:
    assert client.get(f"/?{query}", headers=HTML).status_code == 422


def test_it_sends_few_statements_however_much_there_is(app: Flask, client: FlaskClient, session: Session) -> None:
    add_shop(session, history=12)
    session.commit()
    client.get("/", headers=HTML)
    with counted(app) as sent:
        overview(client)
    assert len(sent) <= 13


@pytest.mark.parametrize("days", [1, 7, 30, 90])
def test_tile_chart_and_list_count_the_same_runs(client: FlaskClient, session: Session, days: int) -> None:
    for part in range(1, 9):
        add_run(session, at=NOW - timedelta(days=days) * part / 8 + timedelta(minutes=10), columns={})
    session.commit()
    page = overview(client, f"days={days}")
    bars = sum(int(tip.split(" run")[0].split(": ")[1]) for tip in page.split("<g><title>")[1:] if ": " in tip)
    listed = int(client.get(f"/api/runs?days={days}").headers["X-Total-Count"])
    assert tile(page, "Runs").startswith("8+") and bars == listed == 8
