import re
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from profilemesh.storage.models import StoredFinding, TriageEntry
from tests.factories import HOSTILE, NOW, add_drift, add_finding, add_run, number_metrics
from tests.web import counted

HTMX = {"HX-Request": "true"}
ELSEWHERE = {"REMOTE_ADDR": "192.0.2.7"}


def page_of(client: FlaskClient, query: str = "") -> str:
    answer = client.get(f"/drift?{query}")
    assert answer.status_code == 200
    return " ".join(answer.text.split())


def token_in(page: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found
    return found[1]


def columns_in(page: str) -> list[str]:
    return re.findall(r"<b><bdi>\w+\.(\w+)</bdi></b>", page.split('id="findings"')[1])


def count(page: str, name: str) -> str:
    """What a counter or a state says."""
    found = re.search(rf'<span class="value">(\d+)</span><span class="label">{name}', page)
    return found[1] if found else re.findall(rf">{name} <i>(\d+)</i>", page)[0]


def chosen(session: Session, *columns: str) -> list[str]:
    wanted = sa.select(StoredFinding.finding_id).where(StoredFinding.column_name.in_(columns))
    return list(session.scalars(wanted))


def states(session: Session) -> dict[str, str]:
    session.rollback()
    return {name: state for name, state in session.execute(sa.select(StoredFinding.column_name, StoredFinding.state))}


@pytest.fixture
def drifting(session: Session) -> None:
    orders = add_run(session, run_id="r1", at=NOW - timedelta(days=1), columns={})
    web = {"warehouse": "web", "warehouse_type": "postgres", "schema": "public", "environment": "staging"}
    clicks = add_run(session, "clicks", **web, columns={})
    add_finding(session, orders, "a", severity="low")
    add_finding(session, orders, "b", severity="medium", state="acknowledged", owner="sales")
    add_finding(session, orders, "c", state="snoozed", snoozed_until=NOW + timedelta(days=3), assignee="ann")
    add_finding(session, orders, "d", state="snoozed", snoozed_until=NOW - timedelta(days=3), severity="low")
    add_finding(session, orders, "e", state="expected")
    add_finding(session, orders, "f", state="resolved", resolved_at=NOW)
    old = add_run(session, at=NOW - timedelta(days=50), columns={})
    add_finding(session, old, "g", severity="medium")
    add_finding(session, clicks, "h")
    session.commit()


def test_a_finding_is_a_sentence_with_its_evidence(client: FlaskClient, session: Session) -> None:
    early, run = add_run(session, at=NOW - timedelta(days=2), columns={}), add_run(session, columns={})
    found = add_finding(session, run, earlier=[early], owner="sales", assignee="ann")
    session.commit()
    page = page_of(client)
    assert f'<a href="/drift/{found.finding_id}">Null share of <b><bdi>orders.email</bdi></b> rose from 0.2 %' in page
    told = re.sub(r"<[^>]+>", "", page.split('class="sub basics">')[1].split("</p>")[0])
    assert " ".join(told.split()) == (
        "0.2 % → 14.1 % +13.9 points first seen 2 d ago, 2 runs owner sales assigned to ann"
    )
    assert 'class="mark high" title="high" role="img" aria-label="high"' in page


def test_what_it_is_about_stands_in_its_place(client: FlaskClient, session: Session) -> None:
    run = add_run(session, columns={})
    add_finding(session, run, "", "row_count", sentence="orders received 41 % of a usual Saturday's rows")
    session.commit()
    assert "<b><bdi>orders</bdi></b> received 41 %" in page_of(client)


@pytest.mark.parametrize(
    ("query", "columns"),
    [
        ("", "abcdegh"),
        ("state=open", "adgh"),
        ("state=acknowledged", "b"),
        ("state=snoozed", "c"),
        ("state=expected", "e"),
        ("state=resolved", "f"),
        ("state=all", "abcdefgh"),
        ("state=&severity=", "abcdegh"),
        ("severity=high", "ceh"),
        ("severity=low&state=open", "ad"),
        ("warehouse=web", "h"),
        ("warehouse=postgres", "h"),
        ("environment=staging", "h"),
        ("environment=production&severity=high", "ce"),
        ("environment=elsewhere", ""),
        ("q=LICK", "h"),
        ("table=orders&schema=main&days=30", "abcde"),
        ("owner=sales", "b"),
        ("owner=ann", "c"),
        ("days=", "abcdegh"),
        ("days=30", "abcdeh"),
        ("table=nope", ""),
    ],
)
def test_filters_narrow_the_list(client: FlaskClient, drifting: None, query: str, columns: str) -> None:
    assert sorted(columns_in(page_of(client, query))) == sorted(columns)


def test_environments_can_be_chosen_where_there_are_several(client: FlaskClient, drifting: None) -> None:
    page = page_of(client, "environment=staging")
    chosen = page.split('id="choose-environment"')[1].split("</select>")[0]
    assert re.sub(r"<[^>]+>", " ", chosen).split(">", 1)[1].split() == ["All", "environments", "production", "staging"]
    assert "selected>staging<" in chosen and "selected>production<" not in chosen


def test_one_environment_alone_is_no_choice(client: FlaskClient, session: Session) -> None:
    add_finding(session, add_run(session, columns={}))
    session.commit()
    assert "All environments" not in page_of(client)


@pytest.mark.parametrize("query", ["days=x", "days=0", "state=gone", "severity=huge", "page=0", "q=%00"])
def test_a_filter_that_makes_no_sense_is_refused(client: FlaskClient, query: str) -> None:
    assert client.get(f"/drift?{query}").status_code == 422


def test_the_counters_say_what_each_choice_would_show(client: FlaskClient, drifting: None) -> None:
    page = page_of(client)
    assert [count(page, name) for name in ("High", "Medium", "Low")] == ["3", "2", "2"]
    names = ("Unresolved", "Open", "Acknowledged", "Snoozed", "Expected")
    assert [count(page, name) for name in names] == ["7", "4", "1", "1", "1"]
    assert re.search(r">Resolved</a>\s*<a [^>]*>All</a>", page)
    page = page_of(client, "state=all")
    assert [count(page, name) for name in (*names, "Resolved", "All")] == ["7", "4", "1", "1", "1", "1", "8"]
    narrowed = page_of(client, "severity=high&state=all")
    assert [count(narrowed, name) for name in ("High", "Medium", "Low", "Unresolved", "All")] == [
        "4",
        "2",
        "2",
        "3",
        "4",
    ]


def test_links_keep_the_filters_and_leave_out_what_goes_without_saying(client: FlaskClient, drifting: None) -> None:
    page = page_of(client, "days=30&warehouse=shop&state=open")
    assert 'href="/drift?warehouse=shop&amp;severity=low&amp;state=open&amp;days=30"' in page
    assert 'href="/drift?warehouse=shop&amp;days=30"' in page


def test_tables_with_the_worst_of_what_is_open_come_first(client: FlaskClient, drifting: None) -> None:
    page = page_of(client)
    assert re.findall(r'<h2>.*?<a href="/tables/(\w+)', page) == ["clicks", "orders"]
    assert re.fullmatch("hg[ad]{2}b[ce]{2}", "".join(columns_in(page)))


def test_of_what_is_over_the_newest_comes_first(client: FlaskClient, session: Session) -> None:
    for days, table, severity in ((3, "a", "high"), (2, "b", "low"), (1, "a", "low"), (0, "c", "medium")):
        run = add_run(session, table, at=NOW - timedelta(days=days), columns={})
        add_finding(session, run, f"{table}{days}", state="resolved", severity=severity)
    session.commit()
    for query in ("state=resolved", "state=all"):
        page = page_of(client, query)
        assert columns_in(page) == ["c0", "a1", "a3", "b2"]
        assert page.count("1 finding</span>") == 2 and "2 findings</span>" in page


def test_findings_are_turned_by_pages(client: FlaskClient, session: Session) -> None:
    run = add_run(session, columns={})
    for n in range(31):
        add_finding(session, run, f"c{n}")
    session.commit()
    assert len(columns_in(page_of(client))) == 30 and "30 of 31 findings" in page_of(client)
    assert len(columns_in(page_of(client, "page=2"))) == 1 and 'href="/drift?page=2"' in page_of(client)
    assert "There is no page 3" in page_of(client, "page=3")


def test_without_anything_the_way_to_begin_is_told(client: FlaskClient, session: Session) -> None:
    assert "Three steps" in page_of(client)
    add_run(session, columns={})
    session.commit()
    assert "No drift has been found" in page_of(client) and "drift_detection:" in page_of(client)


def test_where_all_is_resolved_nothing_drifts(client: FlaskClient, session: Session) -> None:
    add_finding(session, add_run(session, columns={}), state="resolved", resolved_at=NOW)
    session.commit()
    assert "Nothing drifts" in page_of(client) and "No finding matches" in page_of(client, "q=zzz")


def test_htmx_gets_the_list_alone(client: FlaskClient, drifting: None) -> None:
    answer = client.get("/drift?state=all", headers=HTMX)
    assert answer.text.lstrip().startswith('<div id="findings"') and "<html" not in answer.text
    assert "HX-Request" in answer.vary
    assert '<input type="hidden" form="drift-filter" name="state" value="all">' in answer.text


def test_a_course_is_drawn_beside_a_metric_that_is_kept(client: FlaskClient, session: Session) -> None:
    for days, nulls in ((3, 0), (2, 0), (1, 140)):
        run = add_run(session, at=NOW - timedelta(days=days), columns={("email", "TEXT"): number_metrics(1000, nulls)})
    add_finding(session, run)
    session.commit()
    assert 'aria-label="Null percent in 3 runs: from 0 % to 14 %"' in page_of(client)


@pytest.mark.parametrize(
    ("action", "state"),
    [("acknowledge", "acknowledged"), ("snooze-7", "snoozed"), ("expect", "expected"), ("resolve", "resolved")],
)
def test_many_are_dealt_with_by_one_form(
    client: FlaskClient, session: Session, drifting: None, action: str, state: str
) -> None:
    page, ids = page_of(client, "q=ord&severity=low"), chosen(session, "a", "g")
    data = {"csrf_token": token_in(page), "finding": ids, "action": action}
    answer = client.post("/drift/triage?q=ord&severity=low&page=1", data=data)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/drift?q=ord&severity=low")
    found = states(session)
    assert found["a"] == found["g"] == state and found["h"] == "open"
    assert "2 findings" in page_of(client).split('class="said"')[1][:200]
    assert 'class="said"' not in page_of(client)


def test_a_snooze_counts_its_days_from_now(client: FlaskClient, session: Session, drifting: None) -> None:
    data = {"csrf_token": token_in(page_of(client)), "finding": chosen(session, "a"), "action": "snooze-30"}
    client.post("/drift/triage", data=data)
    session.rollback()
    until = session.scalars(sa.select(StoredFinding.snoozed_until).where(StoredFinding.column_name == "a")).one()
    assert until is not None and timedelta(days=29, hours=23) < until - NOW < timedelta(days=30, hours=1)


def test_htmx_follows_to_the_list_with_what_was_done(client: FlaskClient, session: Session, drifting: None) -> None:
    data = {"csrf_token": token_in(page_of(client)), "finding": chosen(session, "a"), "action": "resolve"}
    answer = client.post("/drift/triage?state=open", data=data, headers=HTMX)
    assert answer.status_code == 303
    shown = client.get(answer.headers["Location"], headers=HTMX).text
    assert "1 finding resolved." in shown and "<html" not in shown and "a" not in columns_in(shown)


def test_what_changes_nothing_says_so(client: FlaskClient, session: Session, drifting: None) -> None:
    data = {"csrf_token": token_in(page_of(client)), "action": "acknowledge"}
    client.post("/drift/triage", data=data)
    assert "Nothing was chosen" in page_of(client)
    client.post("/drift/triage", data=data | {"finding": [*chosen(session, "b"), "nope"]})
    assert "Nothing changed, 1 left as it was, 1 not found." in page_of(client)


@pytest.mark.parametrize("action", ["", "nap", "snooze", "snooze-x", "snooze-0", "comment", "snooze-99999"])
def test_an_action_that_makes_no_sense_is_refused(
    client: FlaskClient, session: Session, drifting: None, action: str
) -> None:
    before = states(session)
    data = {"csrf_token": token_in(page_of(client)), "finding": chosen(session, "a"), "action": action}
    assert client.post("/drift/triage", data=data).status_code == 422
    assert states(session) == before


def test_a_form_without_its_token_is_refused(client: FlaskClient, session: Session, drifting: None) -> None:
    (found,) = chosen(session, "a")
    data = {"finding": found, "action": "resolve"}
    assert {client.post(path, data=data).status_code for path in ("/drift/triage", f"/drift/{found}/triage")} == {400}


@pytest.mark.parametrize(
    "where", [{"environ_base": ELSEWHERE}, {"headers": {"X-Forwarded-For": "::1"}}, {"headers": {"Host": "a.b"}}]
)
def test_nobody_elsewhere_triages(client: FlaskClient, session: Session, drifting: None, where: dict) -> None:
    client.application.config["WTF_CSRF_ENABLED"] = False
    (found,) = chosen(session, "a")
    data = {"finding": found, "action": "resolve"}
    for path in ("/drift/triage", f"/drift/{found}/triage"):
        assert client.post(path, data=data, **where).status_code == 403
    assert states(session)["a"] == "open"


def test_who_may_not_triage_sees_no_boxes(client: FlaskClient, drifting: None) -> None:
    assert 'type="checkbox"' in page_of(client)
    elsewhere = client.get("/drift", environ_base=ELSEWHERE).text
    assert 'type="checkbox"' not in elsewhere and 'method="post"' not in elsewhere


def test_what_comes_from_elsewhere_is_harmless(client: FlaskClient, session: Session) -> None:
    run = add_run(session, HOSTILE, schema=HOSTILE, columns={})
    said = f"null share of {HOSTILE}.{HOSTILE} rose \u202efrom {HOSTILE}" + "x" * 2000
    add_finding(session, run, HOSTILE, sentence=said, owner=HOSTILE, assignee=HOSTILE)
    add_finding(session, run, "y" * 2000, sentence=f"mean of {HOSTILE}.{'y' * 2000} rose", severity="medium")
    session.commit()
    page = page_of(client)
    assert "<script>alert" not in page and "\u202e" not in page and "&lt;script&gt;alert" in page
    assert "x" * 700 not in page and "y" * 700 not in page


def test_few_statements_however_much_there_is(app: Flask, client: FlaskClient, session: Session) -> None:
    run = add_run(session, columns={})
    add_run(session, at=NOW - timedelta(days=1), columns={})
    add_finding(session, run)
    session.commit()
    page_of(client)
    with counted(app) as few:
        page_of(client)
    for n in range(40):
        later = add_run(session, f"t{n}", columns={})
        add_run(session, f"t{n}", at=NOW - timedelta(days=1), columns={})
        add_finding(session, later)
    session.commit()
    with counted(app) as many:
        page_of(client)
    assert len(many) == len(few) <= 10


def test_the_tile_of_the_overview_leads_here(client: FlaskClient, session: Session) -> None:
    add_drift(session, add_run(session, columns={}))
    session.commit()
    page = client.get("/?warehouse=shop&days=7", headers={"Accept": "text/html"}).text
    assert 'class="tile" href="/drift?warehouse=shop"' in page


def test_what_is_open_needs_attention(client: FlaskClient, drifting: None) -> None:
    def attention(query: str = "") -> list[str]:
        page = client.get(f"/?{query}", headers={"Accept": "text/html"}).text
        return re.findall(r"<b><bdi>\w+\.(\w+)</bdi></b>", page.split('class="attention"')[1].split("</ul>")[0])

    assert attention()[:2] == ["h", "g"] and sorted(attention()[2:]) == ["a", "d"]
    assert attention("warehouse=web") == ["h"]


def test_a_run_and_a_table_list_their_findings(client: FlaskClient, session: Session, drifting: None) -> None:
    run = client.get("/runs/r1").text
    assert len(columns_in('id="findings"' + run)) == 6 and "6 findings" in run
    table = client.get("/tables/orders").text
    assert "6 unresolved" in table and 'href="/drift?table=orders' in table
    for found in chosen(session, "a", "e"):
        assert f'href="/drift/{found}"' in run and f'href="/drift/{found}"' in table


def test_the_history_tells_who_did_it(client: FlaskClient, session: Session, drifting: None) -> None:
    data = {"csrf_token": token_in(page_of(client)), "finding": chosen(session, "a"), "action": "resolve"}
    client.post("/drift/triage", data=data)
    session.rollback()
    wanted = sa.select(TriageEntry.who).where(TriageEntry.action == "resolved")
    assert session.scalars(wanted).all() == ["a form on this machine"]
