"""A table over time, its columns as a list, its partitions as a calendar, its schema as it was."""

import gzip
import html
import json
import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.queries import histories
from profilemesh.storage.models import Event
from profilemesh.tables import TableRef
from tests.factories import HOSTILE, NOW, add_finding, add_run, add_shop, add_state, number_metrics, text_metrics, top
from tests.web import counted

ORDERS = TableRef("shop", "main", "orders")


def page_of(client: FlaskClient, address: str = "orders", **headers: str) -> str:
    answer = client.get(f"/tables/{address}", headers=headers)
    assert answer.status_code == 200, answer.text
    return " ".join(answer.text.split())


def series(page: str) -> list[dict[str, Any]]:
    return [json.loads(html.unescape(told)) for told in re.findall(r'data-series="([^"]*)"', page)]


def column_names(page: str) -> list[str]:
    return re.findall(r'<a class="name" href="/tables/[^"]*/columns/[^"]*"><bdi[^>]*>([^<]*)', page)


def many(nulls: dict[str, int]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(name, "INT"): number_metrics(1000, count) for name, count in nulls.items()}


def test_the_script_gets_the_numbers_of_the_runs(client: FlaskClient, session: Session) -> None:
    times = [NOW - timedelta(days=days) for days in (3, 2, 1)]
    for at, rows, nulls in zip(times, (100, 300, 200), (10, 60, 0), strict=True):
        add_run(
            session,
            at=at,
            rows=rows,
            columns={("a", "INT"): number_metrics(rows, nulls), ("b", "INT"): number_metrics(rows)},
        )
    session.commit()
    rows_told, nulls_told = series(page_of(client))
    assert rows_told["x"] == nulls_told["x"] == [round(at.timestamp()) for at in times]
    assert rows_told["lines"] == [{"name": "Row count", "y": [100, 300, 200]}]
    assert nulls_told["lines"][0]["y"] == [5, 10, 0] and nulls_told["unit"] == "%"


def test_drift_is_marked_where_it_was_found(client: FlaskClient, session: Session) -> None:
    runs = [add_run(session, at=NOW - timedelta(days=days)) for days in (3, 2, 1)]
    add_finding(session, runs[1], "email", severity="medium")
    add_finding(session, runs[1], "", "row_count", severity="high")
    session.commit()
    page = page_of(client)
    rows_told, nulls_told = series(page)
    assert rows_told["marks"][0]["i"] == 1 and rows_told["marks"][0]["kind"] == "high"
    assert {"email null percent", "row count"} == set(rows_told["marks"][0]["tip"].removeprefix("drift: ").split(", "))
    assert nulls_told["marks"] == [{"i": 1, "kind": "medium", "tip": "drift: email null percent"}]
    assert page.count('<path class="high"') == 1 and page.count('<path class="medium"') == 1


def test_the_numbers_stand_one_click_away(client: FlaskClient, session: Session) -> None:
    run = add_run(session, at=NOW - timedelta(days=1), rows=1_234_567)
    add_run(session, at=NOW - timedelta(days=2), rows=5, columns={})
    add_run(session, at=NOW - timedelta(days=3), rows=None, columns={})
    session.commit()
    folded = page_of(client, "orders").split("The numbers of these runs</summary>")[1].split("</details>")[0]
    assert f"/runs/{run.run_id}" in folded and ">1,234,567<" in folded and '<span class="unknown">–</span>' in folded


def test_the_range_is_in_the_address(client: FlaskClient, session: Session) -> None:
    for days in (80, 20, 5, 1):
        add_run(session, at=NOW - timedelta(days=days), rows=days)
    session.commit()
    assert series(page_of(client))[0]["lines"][0]["y"] == [20, 5, 1]
    assert series(page_of(client, "orders?days=7"))[0]["lines"][0]["y"] == [5, 1]
    page = page_of(client, "orders?days=90&warehouse=shop")
    assert series(page)[0]["lines"][0]["y"] == [80, 20, 5, 1]
    assert 'href="/tables/orders?warehouse=shop&amp;days=365"' in page


def test_one_run_is_no_course(client: FlaskClient, session: Session) -> None:
    add_run(session)
    session.commit()
    page = page_of(client)
    assert "One good run in the last 30 days: a course needs two." in page and not series(page)
    assert "No like run came before it" in page and len(column_names(page)) == 7


def test_a_range_without_runs_says_so(client: FlaskClient, session: Session) -> None:
    for days in (40, 50):
        add_run(session, at=NOW - timedelta(days=days))
    session.commit()
    page = page_of(client)
    assert "No good run in the last 30 days." in page and "Look at a year" in page and column_names(page)


def test_a_table_that_never_succeeded_has_no_profile(client: FlaskClient, session: Session) -> None:
    add_run(session, status="failed")
    session.commit()
    page = page_of(client)
    assert "No profile yet" in page and "The newest run failed" in page and "Over time" not in page


def test_a_good_run_behind_many_failures_is_found(client: FlaskClient, session: Session) -> None:
    add_run(session, at=NOW - timedelta(days=3), rows=77, columns={("a", "INT"): number_metrics(77)})
    for minutes in range(20):
        add_run(session, at=NOW - timedelta(minutes=minutes), status="failed")
    session.commit()
    page = page_of(client)
    assert column_names(page) == ["a"] and ">77<" in page and "All 21 runs" in page


def test_long_histories_are_thinned_evenly_and_keep_their_drift(session: Session) -> None:
    runs = [add_run(session, at=NOW - timedelta(minutes=i), rows=i, columns={}) for i in range(300)]
    runs[7].has_drift = True
    session.commit()
    span = histories.span_of(session, ORDERS, NOW - timedelta(days=1))
    kept = [int(run.row_count) for run in reversed(span.runs)]
    assert kept == sorted({*range(0, 300, 3), 7}) and span.total == 300 and span.is_thinned
    assert span.every(10)[-1].row_count == 0 and len(span.every(10)) <= 10


@pytest.mark.parametrize(("against", "days"), [("previous", 1), ("week", 8), ("month", 40), ("week", 8)])
def test_the_newest_is_laid_over_a_like_run_of_before(
    client: FlaskClient, session: Session, against: str, days: int
) -> None:
    runs = {days: add_run(session, at=NOW - timedelta(days=days)) for days in (0, 1, 6, 8, 40, 60)}
    add_run(session, at=NOW - timedelta(hours=2), scope="sample")
    add_run(session, at=NOW - timedelta(days=7, hours=1), is_expected=True)
    session.commit()
    over = page_of(client, f"orders?against={against}").split("Laid over the run of")[1].split("</a>")[0]
    assert f"/runs/{runs[days].run_id}?" in over


def test_without_a_run_so_old_the_oldest_is_the_baseline(client: FlaskClient, session: Session) -> None:
    runs = [add_run(session, at=NOW - timedelta(days=days)) for days in (0, 1, 2)]
    session.commit()
    assert f'Laid over the run of <a class="link" href="/runs/{runs[2].run_id}' in page_of(client)


def test_a_distribution_is_drawn_over_its_baseline(client: FlaskClient, session: Session) -> None:
    for days, low in ((8, 0), (0, 50)):
        tops = {("s", "TEXT"): text_metrics(10, top_values=top(("x", 9 - days), ("y", 1 + days)))}
        columns = {("n", "INT"): number_metrics(100, low=low, high=low + 100), **tops}
        add_run(session, at=NOW - timedelta(days=days), columns=columns)
    session.commit()
    page = page_of(client)
    assert "Shares of the values by size: from 0 to 100 before, from 50 to 150 now" in page
    assert "Shares of the 2 most frequent values, before and now" in page


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("place", ["b", "A", "d", "c"]),
        ("name", ["A", "b", "c", "d"]),
        ("nulls", ["c", "A", "b", "d"]),
        ("drift", ["d", "A", "b", "c"]),
    ],
)
def test_columns_are_sorted(client: FlaskClient, session: Session, sort: str, order: list[str]) -> None:
    run = add_run(session, columns=many({"b": 10, "A": 20, "d": 0, "c": 500}))
    add_finding(session, run, "d", severity="high")
    add_finding(session, run, "A", severity="low")
    add_finding(session, run, "c", severity="high", state="resolved")
    session.commit()
    assert column_names(page_of(client, f"orders?sort={sort}")) == order


def test_a_column_of_which_only_strange_metrics_are_stored_is_listed(client: FlaskClient, session: Session) -> None:
    add_run(session, columns={("a", "INT"): {"of_my_own": 3}, ("b", "INT"): number_metrics(5)})
    session.commit()
    assert column_names(page_of(client)) == ["a", "b"]


def test_columns_are_searched(client: FlaskClient, session: Session) -> None:
    add_run(session, columns=many({"order_id": 0, "Total": 0, "subtotal": 0}))
    session.commit()
    page = page_of(client, "orders?q=TOTAL")
    assert column_names(page) == ["Total", "subtotal"] and "2 of 3 columns match" in page
    assert "No column's name has <b><bdi>zzz</bdi></b> in it" in page_of(client, "orders?q=zzz")


def test_htmx_gets_the_part_it_replaces(client: FlaskClient, session: Session) -> None:
    add_run(session, columns=many({"a": 1, "b": 2}))
    session.commit()
    columns = page_of(client, "orders?q=a", **{"HX-Request": "true", "HX-Target": "columns"})
    history = page_of(client, "orders?q=a", **{"HX-Request": "true", "HX-Target": "history"})
    assert columns.startswith('<div id="columns">') and column_names(columns) == ["a"]
    assert history.startswith('<div id="history"') and column_names(history) == ["a"]
    whole = client.get(
        "/tables/orders", headers={"HX-Request": "true", "HX-Target": "columns", "HX-History-Restore-Request": "true"}
    )
    assert whole.text.startswith("<!doctype") and {"HX-Request", "HX-Target"} <= set(whole.vary)


@pytest.mark.parametrize("query", ["days=0", "days=x", "sort=size", "against=never", "page=0"])
def test_what_is_not_understood_is_refused(client: FlaskClient, session: Session, query: str) -> None:
    add_run(session, columns={})
    session.commit()
    assert client.get(f"/tables/orders?{query}", headers={"Accept": "text/html"}).status_code == 422


def test_drifting_columns_are_marked_and_found_behind_the_first_page(client: FlaskClient, session: Session) -> None:
    run = add_run(session, columns=many({f"c{i:03}": 0 for i in range(50)}))
    add_finding(session, run, "c045", severity="medium")
    add_finding(session, run, "c045", "mean", severity="low")
    session.commit()
    page = page_of(client)
    assert len(column_names(page)) == 40 and "1 column drifts: show it first" in page and "medium drift" not in page
    first = page_of(client, "orders?sort=drift")
    assert column_names(first)[0] == "c045" and "medium drift, 2 findings" in first
    assert column_names(page_of(client, "orders?page=2"))[-1] == "c049"
    assert "There is no page 9" in page_of(client, "orders?page=9")


def days_of(session: Session, names: list[str], read: int = 1) -> None:
    run = add_run(session, run_id="r9", columns={})
    parts = {
        name: ["t", name, NOW.isoformat(), 1000 * (i + 1), "r9" if i >= len(names) - read else "r1"]
        for i, name in enumerate(names)
    }
    add_state(session, run=run, manifest={"frame": "f", "rest": None, "parts": parts})
    session.commit()


def test_partitions_of_days_are_a_calendar(client: FlaskClient, session: Session) -> None:
    days_of(session, ["2026-11-20", "2026-11-21", "2026-11-23"])
    page = page_of(client)
    cells = re.findall(
        r'<td(?: class="([^"]*)" title="([^"]*)")?>', page.split('<table class="days">')[1].split("</table>")[0]
    )
    assert [(kind, told[:22]) for kind, told in cells if kind] == [
        ("level2", "2026-11-20: 1,000 rows"),
        ("level4", "2026-11-21: 2,000 rows"),
        ("none", "2026-11-22: no partiti"),
        ("level5 read", "2026-11-23: 3,000 rows"),
    ]
    assert len(cells) == 14 and "1 day without a partition" in page


def test_many_weeks_are_squares(client: FlaskClient, session: Session) -> None:
    start = NOW.date() - timedelta(days=399)
    days_of(session, [str(start + timedelta(days=i)) for i in range(400)])
    page = page_of(client)
    drawn = page.split('<svg class="chart calendar"')[1].split("</svg>")[0]
    squares = drawn.count("<rect")
    assert 365 <= squares <= 371 and f"{400 - squares} days before are left out" in page


@pytest.mark.parametrize("names", [["2026-11", "2026-12"], ["eu", "us"], ["2026-11-20", HOSTILE], ["2026-11-20"]])
def test_other_partitions_are_a_list(client: FlaskClient, session: Session, names: list[str]) -> None:
    days_of(session, names)
    page = page_of(client)
    assert '<table class="days">' not in page and "calendar" not in page and f"{len(names)} behind the profile" in page


def test_changes_of_the_schema_are_told_by_run(client: FlaskClient, session: Session) -> None:
    run = add_run(session, at=NOW - timedelta(days=2))
    told = ("column a of orders was added (INT)", "column <b> of orders was removed (it was TEXT)")
    for i, sentence in enumerate(told):
        details = {"sentence": sentence, "metric": "added", "finding_id": None}
        add_event(session, run, f"e{i}", json.dumps(details))
    add_event(session, add_run(session, at=NOW - timedelta(days=9)), "old", "not json", metric="column_removed")
    session.commit()
    listed = page_of(client).split('<ol class="versions">')[1].split("</ol>")[0]
    assert listed.count('class="when"') == 2 and html.escape(told[1]) in listed
    assert "column_removed changed: x" in listed and listed.index("was added") < listed.index("column_removed")


def add_event(session: Session, run: Any, event_id: str, details: str, metric: str = "schema") -> None:
    session.add(
        Event(
            event_id=event_id,
            event_type="SchemaChangeDetected",
            run_id=run.run_id,
            warehouse=run.warehouse,
            schema_name=run.schema_name,
            table_name=run.dataset_name,
            column_name="x",
            metric_name=metric,
            timestamp=run.profiled_at,
            details=details,
        )
    )


def test_a_table_of_five_hundred_columns_stays_light(app: Flask, client: FlaskClient, session: Session) -> None:
    for days in range(2):
        columns = {(f"column_{i}", "INT"): {"null_percent": i / 5, "mean": i * 1.234567} for i in range(500)}
        add_run(session, at=NOW - timedelta(days=days), columns=columns)
    session.commit()
    page_of(client)
    with counted(app) as sent:
        answer = client.get("/tables/orders?warehouse=shop")
    assert len(sent) <= 12
    assert len(gzip.compress(answer.data)) < 60_000 and len(column_names(answer.text)) == 40
    assert "111 of 500 columns match" in page_of(client, "orders?q=column_1")


def test_statements_stay_few(app: Flask, client: FlaskClient, session: Session) -> None:
    add_shop(session, history=6)
    session.commit()
    page_of(client)
    for address in ("orders?warehouse=duckdb&days=365", "web_events?sort=drift", "orders?q=o&against=previous"):
        with counted(app) as sent:
            page_of(client, address)
        assert len(sent) <= 12, address


def test_hostile_columns_do_nothing(client: FlaskClient, session: Session) -> None:
    names = [HOSTILE, "x" * 2000, "‮evil‬", "a/columns/b", "  "]
    for days in (1, 0):
        columns = {
            (name, HOSTILE): text_metrics(5, 1, HOSTILE, HOSTILE, top_values=top((HOSTILE, 4))) for name in names
        }
        run = add_run(
            session, HOSTILE, at=NOW - timedelta(days=days), columns=columns, column_errors={HOSTILE: HOSTILE}
        )
    add_finding(session, run, HOSTILE, severity=HOSTILE, sentence=HOSTILE)
    session.commit()
    link = client.get("/tables").text.split('class="name" href="')[1].split('"')[0]
    page = client.get(html.unescape(link)).text
    assert "<script>" not in page and "‮" not in page
    links = re.findall(r'<a class="name" href="(/tables/[^"]*/columns/[^"]*)"', page)
    assert len(links) == 5
    for each in links:
        answer = client.get(html.unescape(each), headers={"Accept": "text/html"})
        assert answer.status_code == 200 and "<script>" not in answer.text and "‮" not in answer.text
