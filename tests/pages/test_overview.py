import re
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.extensions import db
from tests.factories import (
    NOW,
    add_decision,
    add_drift,
    add_finding,
    add_run,
    add_saving,
    add_shop,
    add_state,
    add_tick,
)
from tests.web import Served, counted, served

__all__ = ["served"]

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
    assert "Nothing has been profiled yet" in page and len(re.findall(r"<li[ >]", page)) == 3
    assert "profilemesh init" in page and "profilemesh check" in page and "profilemesh profile" in page
    assert 'class="done"' not in page


def test_of_the_three_steps_those_that_are_done_are_known(served: Served) -> None:
    with served.app.app_context():
        page = overview(served.app.test_client())
        assert page.count('class="done"') == 1 and "names 1 warehouse: <bdi>shop</bdi>" in page
        assert "Run now" in page
        add_tick(db.session())
        db.session.commit()
        assert overview(served.app.test_client()).count('class="done"') == 2


def test_tiles_count_the_period_and_the_change_against_the_one_before(client: FlaskClient, session: Session) -> None:
    for days in (1, 2, 3, 40, 61):
        add_run(session, at=NOW - timedelta(days=days), rows=20_000, columns={})
    bad = add_run(session, "postings", at=NOW - timedelta(days=1), status="failed")
    add_drift(session, bad)
    session.commit()
    page = overview(client)
    assert tile(page, "Runs") == "4+300%"
    assert tile(page, "Failed") == "1+1"
    assert tile(page, "Open drift") == "0+1·1found"
    assert tile(page, "Rows read") == "60k+200%"
    assert tile(page, "Tables") == "2+1·2withruns"


def test_against_a_period_that_is_not_all_on_record_nothing_is_told(client: FlaskClient, session: Session) -> None:
    for days in (1, 2, 40):
        add_run(session, at=NOW - timedelta(days=days), rows=20_000, columns={})
    session.commit()
    page = overview(client)
    assert [tile(page, name) for name in ("Runs", "Failed", "Rows read")] == ["2–", "0–", "40k–"]
    assert tile(page, "Tables") == "1±0·1withruns"
    assert "does not go back through the period before" in page
    assert tile(overview(client, "days=7"), "Runs") == "2+2"
    assert tile(overview(client, "days=90"), "Tables") == "1–·1withruns"


@pytest.mark.parametrize("days", [1, 30])
def test_what_a_clock_that_ran_ahead_dated_counts_as_now(client: FlaskClient, session: Session, days: int) -> None:
    for hours, status in ((-1, "success"), (2, "success"), (50, "failed")):
        run = add_run(session, at=NOW + timedelta(hours=hours), status=status, rows=10, columns={})
        add_drift(session, run)
    session.commit()
    page = overview(client, f"days={days}")
    assert tile(page, "Runs").startswith("3") and tile(page, "Failed").startswith("1")
    last = re.findall(r"<title>[^<]*: (\d+) (run|finding)s? \(", page)
    assert sum(int(count) for count, noun in last if noun == "run") == 3
    assert sum(int(count) for count, noun in last if noun == "finding") == 3


def test_open_findings_are_told_with_what_was_found(client: FlaskClient, session: Session) -> None:
    run = add_run(session, columns={})
    other = add_run(session, "b", warehouse="clicks", columns={})
    for one, severity in ((run, "high"), (run, "low"), (other, "low")):
        add_finding(session, one, severity=severity)
        add_drift(session, one)
    add_finding(session, run, state="resolved")
    session.commit()
    assert tile(overview(client), "Open drift") == "3–·3found"
    assert tile(overview(client, "warehouse=clicks"), "Open drift") == "1–·1found"
    assert tile(overview(client, "environment=production"), "Open drift") == "3–·3found"
    staged = add_run(session, "c", environment="staging", columns={})
    add_finding(session, staged)
    for days in (0, 3, 9):
        add_drift(session, staged, at=NOW - timedelta(days=days))
    session.commit()
    assert tile(overview(client), "Open drift") == "4–·6found"
    assert tile(overview(client, "environment=production"), "Open drift") == "3–·3found"
    assert tile(overview(client, "environment=production&warehouse=clicks"), "Open drift") == "1–·1found"
    assert tile(overview(client, "environment=staging"), "Open drift") == "1–·3found"
    assert tile(overview(client, "environment=staging&days=7"), "Open drift") == "1–·2found"
    assert 'href="/drift?environment=staging"' in overview(client, "environment=staging")
    assert tile(overview(client, "environment=staging"), "Runs") == "1–"


def test_rows_spared_are_counted_by_day(client: FlaskClient, session: Session) -> None:
    add_run(session, columns={})
    add_saving(session, NOW.date(), rows_measured=30_000, rows_estimated=20_000, rows_read=50_000)
    add_saving(session, NOW.date() - timedelta(days=59), rows_measured=25_000)
    session.commit()
    page = overview(client)
    assert tile(page, "Rows spared") == "50k+100%·50%ofall"
    assert tile(overview(client, "days=1"), "Rows spared") == "50k–·today"
    add_run(session, "b", environment="staging", columns={})
    session.commit()
    assert "Rows spared" not in overview(client, "environment=production")


def test_todays_decisions_are_counted_by_reason(client: FlaskClient, session: Session) -> None:
    add_run(session, columns={})
    for table in ("a", "b"):
        add_decision(session, table, at=NOW - timedelta(days=3), last_at=NOW)
    add_decision(session, "c", at=NOW - timedelta(days=3))
    session.commit()
    page = overview(client)
    assert "<b>2</b> <span>not read: proved unchanged</span></a>" in page
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
    assert tile(page, "Runs").startswith(f"{runs}–")
    assert page.count('class="name"') == int(runs)


def test_drift_per_day_is_stacked_by_severity_and_obeys_the_filters(client: FlaskClient, session: Session) -> None:
    add_drift(session, add_run(session, columns={}))
    add_drift(session, add_run(session, "b", warehouse="clicks", columns={})).drift_severity = "low"
    session.commit()
    page = overview(client)
    assert "Findings per day by severity; in all 1 low, 1 high" in page
    assert f"{NOW:%-d %b}: 2 findings (1 low, 1 high)" in page
    assert 'in all 1 low"' in overview(client, "warehouse=clicks")
    assert "No drift was found in this period" in overview(client, "environment=staging")


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
    assert "Open drift" not in overview(client)
    add_drift(session, run)
    session.commit()
    assert tile(overview(client), "Open drift") == "0–·1found"


def test_the_stalest_need_attention_until_they_are_read(client: FlaskClient, session: Session) -> None:
    run = add_run(session, columns={})
    state = add_state(session, "orders", run=run, staleness_score=70, decided_at=NOW + timedelta(minutes=1))
    add_state(session, "fresh", staleness_score=49, decided_at=NOW)
    session.commit()
    page = overview(client)
    assert "<bdi>orders</bdi></a> is stale" in page and "staleness 70" in page and "<bdi>fresh" not in page
    state.last_profiled_at = NOW + timedelta(minutes=2)
    session.commit()
    assert "is stale" not in overview(client)


def test_the_next_tick_is_told_from_how_the_tables_stand(client: FlaskClient, session: Session) -> None:
    add_run(session, columns={})
    add_state(session, "orders", due_at=NOW + timedelta(days=400))
    add_state(session, "b", due_at=NOW - timedelta(hours=1))
    add_state(session, "c", due_at=NOW - timedelta(hours=1), deferred_since=NOW)
    add_state(session, "d", paused_at=NOW)
    add_state(session, "gone", vanished_at=NOW)
    session.commit()
    told = overview(client).split('class="next-tick"')[1].split("</p>")[0]
    assert "No tick is scheduled here" in told
    assert "<b>2</b> of 4 tables are due, 1 waits for budget, 1 paused." in told


def test_the_newest_drift_is_listed_whatever_became_of_it(client: FlaskClient, session: Session) -> None:
    early = add_run(session, at=NOW - timedelta(days=2), columns={})
    add_finding(session, early, "a", sentence="orders.a moved", severity="high")
    add_finding(session, add_run(session, columns={}), "b", sentence="orders.b moved", state="resolved")
    session.commit()
    page = overview(client)
    attention, newest = page.split("Needs attention")[1].split("Newest drift")
    assert "orders.a" in attention and "orders.b" not in attention
    assert newest.index("orders.b") < newest.index("orders.a")


def test_what_has_not_changed_is_not_sent_again(client: FlaskClient, session: Session) -> None:
    add_run(session, at=NOW - timedelta(hours=5), columns={})
    session.commit()
    headers = {**HTML, "HX-Request": "true"}
    tag = client.get("/", headers=headers).headers["ETag"]
    assert client.get("/", headers={**headers, "If-None-Match": tag}).status_code == 304
    add_run(session, "b", columns={})
    session.commit()
    assert client.get("/", headers={**headers, "If-None-Match": tag}).status_code == 200


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
    assert len(sent) <= 12
    with counted(app) as narrowed:
        overview(client, "warehouse=shop&environment=production")
    assert len(narrowed) <= 12


@pytest.mark.parametrize("days", [1, 7, 30, 90])
def test_tile_chart_and_list_count_the_same_runs(client: FlaskClient, session: Session, days: int) -> None:
    for part in range(1, 9):
        add_run(session, at=NOW - timedelta(days=days) * part / 8 + timedelta(hours=1), columns={})
    session.commit()
    page = overview(client, f"days={days}")
    bars = sum(int(tip.split(" run")[0].split(": ")[1]) for tip in page.split("<g><title>")[1:] if " run" in tip[:30])
    listed = int(client.get(f"/api/runs?days={days}").headers["X-Total-Count"])
    assert tile(page, "Runs").startswith("8–") and bars == listed == 8
