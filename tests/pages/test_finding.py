import re
from datetime import timedelta
from html import unescape
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from profilemesh.storage.models import FindingOccurrence, Run, StoredFinding, TriageEntry
from tests.factories import HOSTILE, NOW, add_finding, add_oddities, add_run, bell, number_metrics, text_metrics, top
from tests.pages.test_drift import ELSEWHERE, token_in
from tests.web import counted

Columns = dict[tuple[str, str], dict[str, Any]]


def page_of(client: FlaskClient, found: StoredFinding) -> str:
    answer = client.get(f"/drift/{found.finding_id}")
    assert answer.status_code == 200
    return " ".join(answer.text.split())


def fact(page: str, name: str) -> str:
    inside = page.split(f"<dt>{name}</dt><dd")[1].split(">", 1)[1].split("</dd>")[0]
    return re.sub(r"<[^>]+>", "", inside)


def history(session: Session, days: int, *columns: Columns) -> list[Run]:
    """A run a day, the last with the last of these columns and so on."""
    shapes = [columns[0]] * (days - len(columns)) + list(columns)
    return [
        add_run(session, at=NOW - timedelta(days=days - 1 - day), columns=shape) for day, shape in enumerate(shapes)
    ]


def nulls(share: int) -> Columns:
    return {("email", "TEXT"): text_metrics(1000, share * 10)}


def act(client: FlaskClient, found: StoredFinding, **data: str) -> Any:
    sent = {"csrf_token": token_in(page_of(client, found)), **data}
    return client.post(f"/drift/{found.finding_id}/triage", data=sent)


@pytest.fixture
def found(session: Session) -> StoredFinding:
    runs = history(session, 6, nulls(0), nulls(14), nulls(14))
    found = add_finding(session, runs[-1], earlier=runs[-2:-1], baseline=runs[:-2], before=0, now=14, owner="sales")
    session.commit()
    return found


def test_what_moved_how_far_and_since_when(client: FlaskClient, found: StoredFinding) -> None:
    page = page_of(client, found)
    assert "<span>Null share of <b><bdi>orders.email</bdi></b> rose from" in page
    assert "/tables/orders/columns/email?" in page.split("<h1")[0]
    names = ("Before", "Now", "Moved by", "Severity", "First found", "Runs", "Owner", "Assigned to")
    assert [fact(page, name) for name in names] == [
        "0 %", "14 %", "+13.9 points", "high", "24 h ago", "2", "sales", "–"
    ]  # fmt: skip


def test_its_metric_is_drawn_with_the_runs_that_found_it(client: FlaskClient, found: StoredFinding) -> None:
    page = page_of(client, found)
    days = f"from {NOW - timedelta(days=5):%Y-%m-%d} to {NOW:%Y-%m-%d}"
    about = "found in 2 of them, baseline 0 %"
    told = f"Null share in 6 runs {days}, {about}: from 0 % to 14 %, between 0 % and 14 %"
    assert f'aria-label="{told}"' in page and page.count('<path class="high"') == 2
    assert f"<title>{NOW:%Y-%m-%d %H:%M}: 14 %, found, high</title>" in page and '<line class="level"' in page


def test_its_chart_has_what_a_script_brings_to_life(client: FlaskClient, found: StoredFinding) -> None:
    page = page_of(client, found)
    told = orjson.loads(unescape(page.split('data-series="')[1].split('"')[0]))
    assert told["lines"] == [{"name": "Null share", "y": [0, 0, 0, 0, 14, 14]}] and told["level"] == 0
    assert told["marks"] == [{"i": i, "kind": "high", "tip": "found, high"} for i in (4, 5)]


def test_the_numbers_of_its_chart_are_on_the_page(client: FlaskClient, found: StoredFinding) -> None:
    page = page_of(client, found).split("The numbers of these runs</summary>")[1].split("</details>")[0]
    cells = [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", page)]
    written = [f"{NOW - timedelta(days=day):%Y-%m-%d %H:%M:%S} UTC" for day in range(6)]
    assert cells[0::3] == written
    assert list(zip(cells[1::3], cells[2::3], strict=True)) == [("14", "high")] * 2 + [("0", "")] * 4


def test_severities_that_it_had_differ_by_their_shape(client: FlaskClient, session: Session) -> None:
    runs = history(session, 6, nulls(0), nulls(14), nulls(14))
    found = add_finding(session, runs[-1], earlier=runs[-2:-1], baseline=runs[:-2], before=0, now=14)
    session.flush()
    newest = session.scalars(sa.select(FindingOccurrence).order_by(FindingOccurrence.at.desc())).first()
    assert newest is not None
    newest.severity = "low"
    session.commit()
    page = page_of(client, found)
    assert page.count('<path class="high"') == page.count('<path class="low"') == 1
    assert '<span class="mark high"></span>found, high<span class="mark low"></span>found, low' in page


def test_why_it_is_told_in_plain_words(client: FlaskClient, found: StoredFinding) -> None:
    page = page_of(client, found)
    assert "Compared with the median of the 4 runs before it." in page
    assert "once in 3.23 M such comparisons (p = 3.1e-07). Counted among all tests of this run: p = 2.4e-05." in page
    assert "The 4 runs of the baseline" in page and page.split("of the baseline")[1].count("/runs/") >= 4


def test_the_partitions_at_fault_have_their_share(client: FlaskClient, found: StoredFinding) -> None:
    page = page_of(client, found)
    assert "<span><bdi>2026-11-21</bdi></span>" in page and "<b>96 %</b>" in page


def test_two_distributions_are_one_picture(client: FlaskClient, session: Session) -> None:
    old = {("total", "DOUBLE"): number_metrics(1000, high=100)}
    new = {("total", "DOUBLE"): number_metrics(1000, high=200, histogram=bell(low=0, high=200))}
    runs = history(session, 3, old, new)
    found = add_finding(
        session, runs[-1], "total", "distribution", kind="distribution", baseline=runs[-2:-1], before=None, now=None
    )
    session.commit()
    page = page_of(client, found)
    assert "Shares of the values by size: from 0 to 100 before, from 0 to 200 now" in page
    assert page.count('class="before"') > 10 and page.count('class="now"') > 20
    assert 'Mean <span class="sub">over time</span>' in page


def test_values_are_put_side_by_side_with_their_shares(client: FlaskClient, session: Session) -> None:
    old = {("status", "TEXT"): text_metrics(100, 20, top_values=top(("paid", 60), ("open", 20)))}
    new = {("status", "TEXT"): text_metrics(100, 0, top_values=top(("paid", 30), ("lost", 70)))}
    runs = history(session, 3, old, new)
    moved = {"moved": {"value": "paid", "before": 75.0, "now": 30.0}}
    found = add_finding(
        session,
        runs[-1],
        "status",
        "distribution",
        kind="distribution",
        baseline=runs[-2:-1],
        before=None,
        now=None,
        details={"details": moved},
    )
    session.commit()
    page = page_of(client, found)
    shares = re.findall(r'<th scope="row">(?:<[^>]+>)*(\w+)<.*?quiet">([^<]+)</td><td class="num">([^<]+)<', page)
    assert shares == [
        ("lost", "0 %", "70 %"),
        ("paid", "60 %", "30 %"),
        ("open", "20 %", "0 %"),
        ("NULL", "20 %", "0 %"),
    ]
    assert "Share of paid in 3 runs" in page and "found in 1 of them: from 75 % to 30 %" in page


def test_what_it_explains_is_told_with_it(client: FlaskClient, session: Session) -> None:
    runs = history(session, 3, {})
    follows = [{"sentence": "mean of orders.total fell", "severity": "medium"}]
    details = {"explains": follows, "baseline": "weekday", "effect": -59.0, "unit": "%", "culprits": []}
    arrivals = {"of": "arrivals", "rows_came": 98_214, "rows_usual": 240_000}
    found = add_finding(session, runs[-1], "", "row_count", details=details | {"details": arrivals, "p_value": None})
    session.commit()
    page = page_of(client, found)
    assert "What follows from it" in page and "mean of orders.total fell" in page
    assert (fact(page, "Before"), fact(page, "Now"), fact(page, "Moved by")) == ("240 k usual", "98.2 k came", "−59 %")
    assert (
        "Its size alone tells" in page
        and 'Row count <span class="sub">over time</span>' in page
        and "Where <" not in page
    )


def test_a_change_of_columns_tells_what_was(client: FlaskClient, session: Session) -> None:
    run = add_run(session, columns={})
    details = {"details": {"was": "VARCHAR", "now": "JSON"}, "effect": None, "baseline": "last", "p_value": None}
    found = add_finding(session, run, "x", "retyped", kind="schema", before=None, now=None, details=details)
    session.commit()
    page = page_of(client, found)
    assert (fact(page, "Before"), fact(page, "Now")) == ("VARCHAR", "JSON") and "over time" not in page


def test_runs_that_were_pruned_are_named_without_a_link(client: FlaskClient, session: Session) -> None:
    run = add_run(session, columns={})
    found = add_finding(session, run, details={"baseline_runs": ["0123456789abcdef", "gone"]})
    session.commit()
    session.execute(sa.delete(Run))
    session.commit()
    page = page_of(client, found)
    assert 'title="No longer on record">01234567…<' in page and 'href="/runs/' not in page


def test_an_occurrence_without_details_is_shown_all_the_same(client: FlaskClient, session: Session) -> None:
    found = add_finding(session, add_run(session, columns={}))
    found.last_run_id = None
    session.commit()
    page = page_of(client, found)
    assert "Its size alone tells" in page and "Moved by" not in page and "Before</dt>" not in page


VERBS = {"acknowledge": "acknowledged", "snooze-7": "snoozed", "expect": "expected", "resolve": "resolved"}


@pytest.mark.parametrize("action", VERBS)
def test_its_state_is_changed_by_a_plain_form(client: FlaskClient, found: StoredFinding, action: str) -> None:
    answer = act(client, found, action=action)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/drift/{found.finding_id}")
    page = page_of(client, found)
    assert f'class="chip state {VERBS[action]}"' in page and f"1 finding {VERBS[action]}." in page
    act(client, found, action="reopen")
    assert 'class="chip state open"' in page_of(client, found)


def test_it_is_snoozed_until_a_day(client: FlaskClient, found: StoredFinding) -> None:
    act(client, found, action="snooze", until=f"{NOW + timedelta(days=9):%Y-%m-%d}")
    assert f"Until {NOW + timedelta(days=9):%Y-%m-%d} 00:00:00 UTC" in page_of(client, found)
    assert act(client, found, action="snooze", until="2020-01-01").status_code == 422
    assert act(client, found, action="snooze", until="soon").status_code == 422


def test_it_is_assigned_and_taken_away(client: FlaskClient, found: StoredFinding) -> None:
    act(client, found, action="assign", to="ann")
    assert fact(page_of(client, found), "Assigned to") == "ann"
    act(client, found, action="assign", to=" ")
    assert fact(page_of(client, found), "Assigned to") == "–"


def test_what_is_said_of_it_stands_in_its_history(client: FlaskClient, session: Session, found: StoredFinding) -> None:
    act(client, found, action="comment", text="first line\nsecond line")
    page = client.get(f"/drift/{found.finding_id}").text
    assert '<p class="comment">first line\nsecond line</p>' in page
    assert act(client, found, action="comment", text="  ").status_code == 422
    wanted = sa.select(TriageEntry.action).order_by(TriageEntry.id)
    session.rollback()
    assert session.scalars(wanted).all() == ["opened", "commented"]


def test_buttons_fit_its_state_and_are_for_this_machine(client: FlaskClient, found: StoredFinding) -> None:
    def offered() -> set[str]:
        return set(re.findall(r'name="action" value="([\w]+)"', page_of(client, found)))

    assert offered() == {"acknowledge", "expect", "resolve", "snooze", "assign", "comment"}
    act(client, found, action="resolve")
    assert offered() == {"reopen", "assign", "comment"}
    assert 'method="post"' not in client.get(f"/drift/{found.finding_id}", environ_base=ELSEWHERE).text


@pytest.mark.parametrize("finding_id", ["nope", "%00", "x" * 300, "triage"])
def test_an_unknown_finding_is_a_404_page(client: FlaskClient, found: StoredFinding, finding_id: str) -> None:
    answer = client.get(f"/drift/{finding_id}")
    assert answer.status_code == 404 and answer.content_type.startswith("text/html")
    data = {"csrf_token": token_in(page_of(client, found)), "action": "resolve"}
    assert client.post(f"/drift/{finding_id}x/triage", data=data).status_code == 404


def test_what_comes_from_elsewhere_is_harmless(client: FlaskClient, session: Session) -> None:
    add_oddities(session, NOW)
    session.commit()
    odd = session.scalars(sa.select(StoredFinding)).one()
    page = page_of(client, odd)
    assert "<script>alert" not in page and "\u202e" not in page and "&lt;script&gt;alert" in page
    assert "250 %" in page and "x" * 700 not in page
    act(client, odd, action="assign", to=HOSTILE + "\u202e")
    assert "\u202e" not in page_of(client, odd).split("<form")[0]


def test_few_statements_however_often_it_was_found(app: Flask, client: FlaskClient, session: Session) -> None:
    runs = history(session, 8, nulls(0))
    one = add_finding(session, runs[-1], baseline=runs[-2:-1])
    often = add_finding(session, runs[-1], metric="mean", earlier=runs[2:-1], baseline=runs[:2])
    session.commit()
    addresses = [f"/drift/{found.finding_id}" for found in (one, one, often)]
    sent = []
    for address in addresses:
        with counted(app) as statements:
            assert client.get(address).status_code == 200
        sent.append(len(statements))
    _, few, many = sent
    assert many == few <= 9
