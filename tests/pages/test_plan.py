import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.extensions import db
from profilemesh.storage.models import Base, Run, TableState, Tick
from tests.factories import NOW, add_decision, add_run, add_saving, add_shop, add_state, add_tick
from tests.web import Served, counted, serve

HTMX = {"HX-Request": "true"}
ELSEWHERE = {"REMOTE_ADDR": "192.0.2.7"}


def page_of(client: FlaskClient, query: str = "") -> str:
    answer = client.get(f"/plan?{query}")
    assert answer.status_code == 200
    return " ".join(answer.text.split())


def log_of(client: FlaskClient, query: str = "") -> str:
    return page_of(client, query).split('id="log"')[1].split("</section>")[0]


def token_in(page: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found
    return found[1]


@pytest.fixture
def shop(served: Served) -> Served:
    served.write("CREATE TABLE orders AS SELECT i AS id FROM range(500) t(i)")
    return served


def test_without_anything_each_part_says_so(client: FlaskClient) -> None:
    page = page_of(client)
    assert "no tick has run yet" in page and "No decision matches" in page and "nothing was spared" in page


def test_a_decision_is_told_in_words_with_its_evidence(client: FlaskClient, session: Session) -> None:
    changed = {"token_before": "a" * 40, "token_after": "b" * 40, "changed": ["2026-11-20"]}
    read = {"outcome": "success", "run_id": "r1", "rows_actual": 62_000, "rows_naive": 1_840_221}
    add_decision(session, action="partial", reason="partitions_changed", evidence=changed, **read)
    session.commit()
    log = log_of(client)
    assert "read in part" in log and "only some of its partitions changed" in log
    assert f'title="{"b" * 40}">…{"b" * 12}</dd>' in log and "<dt>changed</dt><dd>2026-11-20</dd>" in log
    assert 'href="/runs/r1?table=orders"' in log and "62 k" in log and "1.84 M" in log


def test_equal_skips_are_one_row_with_their_times(client: FlaskClient, session: Session) -> None:
    add_decision(session, at=NOW - timedelta(days=2), last_at=NOW - timedelta(hours=3), ticks=61)
    session.commit()
    log = log_of(client)
    assert log.count("<tr>") == 2 and ">3 h</time>" in log
    assert re.search(r"61 times since <time[^>]+>2 d</time>", log)


@pytest.mark.parametrize(
    ("query", "tables"),
    [
        ("", ["a", "b", "c"]),
        ("warehouse=clicks", ["c"]),
        ("warehouse=postgres", ["c"]),
        ("q=B", ["b"]),
        ("table=a&schema=main", ["a"]),
        ("table=a&schema=nope", []),
        ("action=full", ["b"]),
        ("reason=paused", ["c"]),
        ("action=&reason=", ["a", "b", "c"]),
        ("days=90", ["a", "b", "c", "old"]),
    ],
)
def test_filters_narrow_the_log(client: FlaskClient, session: Session, query: str, tables: list[str]) -> None:
    add_decision(session, "a")
    add_decision(session, "b", action="full", reason="first_profile")
    add_decision(session, "c", warehouse="clicks", schema_name="public", reason="paused")
    add_decision(session, "old", at=NOW - timedelta(days=40))
    clicks = {"warehouse": "clicks", "schema": "public", "warehouse_type": "postgres"}
    add_state(session, "c", run=add_run(session, "c", columns={}, **clicks))
    add_state(session, "a")
    session.commit()
    found = re.findall(r'class="name" href="[^"]+"><bdi>(\w+)', log_of(client, query))
    assert sorted(found) == tables


@pytest.mark.parametrize("query", ["days=x", "days=0", "action=nap", "reason=none", "page=0", "q=%00"])
def test_a_filter_that_makes_no_sense_is_refused(client: FlaskClient, query: str) -> None:
    assert client.get(f"/plan?{query}").status_code == 422


def test_the_log_is_turned_by_pages(client: FlaskClient, session: Session) -> None:
    for minutes in range(51):
        add_decision(session, f"t{minutes}", at=NOW - timedelta(minutes=minutes))
    session.commit()
    assert log_of(client).count("<tr>") == 51 and log_of(client, "page=2").count("<tr>") == 2
    assert 'href="/plan?page=2"' in log_of(client) and "There is no page 3" in log_of(client, "page=3")


def test_htmx_gets_the_log_alone(client: FlaskClient, session: Session) -> None:
    add_decision(session)
    session.commit()
    answer = client.get("/plan?days=7", headers=HTMX)
    assert answer.text.startswith('<section class="card" id="log"') and "<html" not in answer.text
    assert "HX-Request" in answer.headers["Vary"]


def test_savings_tell_measured_and_estimated_apart(client: FlaskClient, session: Session) -> None:
    add_saving(session, NOW.date(), rows_measured=900, unpriced=1)
    add_saving(session, NOW.date(), "partial", rows_estimated=70, rows_read=30)
    session.commit()
    page = page_of(client)
    tip = "30 rows read, 900 spared (measured), 70 spared (estimated)"
    assert tip in page and 'aria-label="Rows read and spared per day in 30 days: 30 read, 970 spared"' in page
    cells = "".join(f'<td class="num">{count}</td>' for count in (2, 30, 900, 70))
    assert f"<td>{NOW:%Y-%m-%d}</td>{cells}" in page and "1 decision spared what nobody can tell" in page


def test_a_running_tick_is_shown_and_asked_for_again(client: FlaskClient, session: Session) -> None:
    current = [{"table": "shop.main.orders", "rows": 120_000}]
    add_tick(session, at=NOW, status="running", tables_to_read=9, tables_done=4, tables_failed=1, current=current)
    add_state(session, claimed_by="someone", claimed_until=NOW + timedelta(minutes=1))
    session.commit()
    answer = client.get("/plan/progress", headers=HTMX)
    shown = " ".join(answer.text.split())
    assert "<b>4 of 9</b> tables done" in shown and "1 failed" in shown and 'max="9" value="4"' in shown
    assert "reading <b><bdi>shop.main.orders</bdi></b>" in shown and 'action="/plan/cancel"' in shown
    assert 'hx-trigger="every 2s, seen"' in shown and "HX-Trigger" not in answer.headers


def test_polling_ends_with_the_tick_and_wakes_the_rest(client: FlaskClient, session: Session) -> None:
    add_tick(session, at=NOW - timedelta(minutes=3))
    session.commit()
    answer = client.get("/plan/progress", headers=HTMX)
    shown = " ".join(answer.text.split())
    assert "hx-trigger" not in shown and answer.headers["HX-Trigger"] == "tick-ended"
    assert "read 2 of 141 tables" in shown and "in 1.2 s" in shown


def test_a_tick_nobody_hears_of_any_more_is_not_shown_as_running(client: FlaskClient, session: Session) -> None:
    add_tick(session, at=NOW, status="running", seen_at=NOW - timedelta(minutes=5))
    session.commit()
    assert "Nothing is running" in page_of(client)


def test_what_was_asked_for_is_awaited_until_it_begins(client: FlaskClient, session: Session) -> None:
    asked = int(datetime.now(UTC).timestamp())
    assert "A run was asked for" in client.get(f"/plan/progress?asked={asked}", headers=HTMX).text
    add_tick(session, at=datetime.now(UTC) + timedelta(seconds=1), asked_by="hand")
    session.commit()
    assert "A run was asked for" not in client.get(f"/plan/progress?asked={asked}", headers=HTMX).text
    assert "A run was asked for" not in client.get("/plan/progress?asked=5", headers=HTMX).text


@pytest.mark.parametrize(("part", "whole"), [("preview", "/plan?preview=1"), ("progress", "/plan")])
def test_a_part_asked_for_without_htmx_leads_to_the_page(client: FlaskClient, part: str, whole: str) -> None:
    answer = client.get(f"/plan/{part}")
    assert (answer.status_code, answer.headers["Location"]) == (302, whole)


def test_without_a_configuration_the_page_says_why_there_is_no_plan(client: FlaskClient) -> None:
    assert "there is no configuration file" in page_of(client, "preview=1")
    elsewhere = client.get("/plan?preview=1", environ_base=ELSEWHERE).text
    assert "No plan can be made" in elsewhere and "profilemesh.yml" not in elsewhere


def test_the_preview_tells_what_would_be_read_and_why(shop: Served) -> None:
    shop.configure("profiling: {tables: [{table: orderz}, {table: '*'}]}")
    page = page_of(shop.app.test_client(), "preview=1")
    assert "It reads <b>1 table</b>: <b>500 rows</b> are expected." in page
    assert "never profiled before" in page and "read in full" in page
    assert "orderz</bdi></b> is configured, and no warehouse has it" in page and "orders</bdi> meant?" in page


def test_what_needs_no_reading_is_folded_by_reason(shop: Served) -> None:
    client = shop.app.test_client()
    client.post("/plan/run", data={"csrf_token": token_in(page_of(client))})
    shop.finish()
    page = page_of(client, "preview=1")
    assert "It reads <b>nothing</b>. 1 table needs no reading now." in page
    assert '<b class="count">1</b> not read: proved unchanged' in page


def test_a_warehouse_in_trouble_is_named(shop: Served) -> None:
    (shop.folder / "shop.duckdb").unlink()
    page = page_of(shop.app.test_client(), "preview=1")
    assert "<b><bdi>shop</bdi></b>: the warehouse cannot be reached" in page


def dump(app: Flask) -> dict[str, list[tuple]]:
    with app.app_context(), db.engine.connect() as connection:
        tables = Base.metadata.sorted_tables
        return {table.name: sorted(map(str, connection.execute(sa.select(table)))) for table in tables}


def test_a_preview_changes_no_row_of_any_table(fresh_url: str, tmp_path: Path) -> None:
    served = serve(tmp_path, fresh_url)
    served.write("CREATE TABLE a AS SELECT i FROM range(9) t(i)", "CREATE TABLE b AS SELECT 1 AS x")
    assert served.by_hand.run_now() is None
    served.finish()
    served.write("INSERT INTO a VALUES (1)")
    before, client = dump(served.app), served.app.test_client()
    assert "It reads <b>1 table</b>" in page_of(client, "preview=1")
    assert client.get("/api/plan").json["counts"]["full"] == 1
    assert dump(served.app) == before and before["profilemesh_decisions"]
    with served.app.app_context():
        db.engine.dispose()


def test_ten_viewers_look_once(shop: Served) -> None:
    client = shop.app.test_client()
    made = {client.get("/api/plan").json["made_at"] for _ in range(10)}
    assert len(made) == 1


def test_a_run_is_asked_for_by_a_plain_form(shop: Served) -> None:
    client = shop.app.test_client()
    answer = client.post("/plan/run", data={"csrf_token": token_in(page_of(client))})
    assert answer.status_code == 303 and re.fullmatch(r"/plan\?asked=\d+", answer.headers["Location"])
    shop.finish()
    with shop.app.app_context():
        assert db.session.scalars(sa.select(Run.status)).all() == ["success"]
        assert db.session.scalars(sa.select(Tick.asked_by)).all() == ["hand"]


def test_one_table_is_read_whatever_changed(shop: Served) -> None:
    shop.write('CREATE TABLE "o*" AS SELECT 1 AS x', "CREATE TABLE odd AS SELECT 1 AS x")
    client = shop.app.test_client()
    named = {"warehouse": "shop", "schema": "main", "table": "o*", "force": "1"}
    for _ in range(2):
        client.post("/plan/run", data={"csrf_token": token_in(page_of(client)), **named})
        shop.finish()
    with shop.app.app_context():
        runs = db.session.execute(sa.select(Run.dataset_name, Run.reason)).all()
    assert [tuple(run) for run in runs] == [("o*", "forced")] * 2


def test_a_table_is_paused_and_resumed(shop: Served) -> None:
    client, named = shop.app.test_client(), {"warehouse": "shop", "schema": "main", "table": "orders"}
    for verb, is_paused in (("pause", True), ("resume", False)):
        answer = client.post(f"/plan/{verb}", data={"csrf_token": token_in(page_of(client)), **named})
        assert answer.headers["Location"] == "/tables/orders?warehouse=shop&schema=main"
        assert (client.get("/api/plan").json["decisions"][0]["reason"] == "paused") is is_paused


def test_a_running_scan_is_asked_to_stop(shop: Served) -> None:
    client, named = shop.app.test_client(), {"warehouse": "shop", "schema": "main", "table": "orders", "back": "plan"}
    with shop.app.app_context():
        add_state(db.session(), claimed_by="someone", claimed_until=datetime.now(UTC) + timedelta(minutes=1))
        db.session.commit()
    answer = client.post("/plan/cancel", data={"csrf_token": token_in(page_of(client)), **named})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/plan")
    with shop.app.app_context():
        assert db.session.scalars(sa.select(TableState.cancel_requested_at)).one() is not None


VERBS = ("run", "pause", "resume", "cancel")


def test_a_form_without_its_token_is_refused(shop: Served) -> None:
    client = shop.app.test_client()
    assert {client.post(f"/plan/{verb}").status_code for verb in VERBS} == {400}


@pytest.mark.parametrize(
    "where",
    [
        {"environ_base": ELSEWHERE},
        {"headers": {"X-Forwarded-For": "127.0.0.1"}},
        {"headers": {"Host": "dash.example.com"}},
    ],
)
def test_nobody_elsewhere_steers(shop: Served, where: dict) -> None:
    client, data = shop.app.test_client(), {"warehouse": "shop", "schema": "main", "table": "orders"}
    shop.app.config["WTF_CSRF_ENABLED"] = False
    assert {client.post(f"/plan/{verb}", data=data, **where).status_code for verb in VERBS} == {403}
    with shop.app.app_context():
        assert db.session.scalars(sa.select(TableState)).all() == []


def test_who_may_not_steer_sees_no_buttons(shop: Served) -> None:
    client = shop.app.test_client()
    assert 'method="post"' in page_of(client, "preview=1")
    assert 'method="post"' not in client.get("/plan?preview=1", environ_base=ELSEWHERE).text


@pytest.mark.parametrize("left_out", ["warehouse", "schema", "table"])
def test_a_form_that_names_no_table_is_refused(shop: Served, left_out: str) -> None:
    client = shop.app.test_client()
    data = {"warehouse": "shop", "schema": "main", "table": "orders", "csrf_token": token_in(page_of(client))}
    assert client.post("/plan/pause", data=data | {left_out: ""}).status_code == 422


def test_a_server_that_only_shows_says_so(client: FlaskClient) -> None:
    assert "Run now" not in page_of(client)
    client.application.config["WTF_CSRF_ENABLED"] = False
    answer = client.post("/plan/run")
    assert answer.status_code == 503 and "only shows" in answer.text


def test_few_statements_however_much_there_is(app: Flask, client: FlaskClient, session: Session) -> None:
    add_shop(session, history=3)
    session.commit()
    page_of(client)
    with counted(app) as few:
        page_of(client)
    for n in range(200):
        add_decision(session, f"t{n}")
        add_state(session, f"t{n}")
    session.commit()
    with counted(app) as many:
        page_of(client)
    assert len(many) == len(few) <= 8
