import csv
import io
import re
from datetime import timedelta
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from tests.factories import NOW, add_oddities, add_run, number_metrics, text_metrics
from tests.web import counted


def page_of(client: FlaskClient, run_id: str = "r1") -> str:
    answer = client.get(f"/runs/{run_id}")
    assert answer.status_code == 200
    return " ".join(answer.text.split())


def test_the_scope_is_told_in_words(client: FlaskClient, session: Session) -> None:
    add_run(session, run_id="r1", rows=1_840_221)
    session.commit()
    assert (
        "Read all 1,840,221 rows inside the warehouse in 0.21 s because its data may have changed. "
        "Every number is of the whole table." in page_of(client)
    )


def test_a_merged_run_says_what_it_read_of_the_whole(client: FlaskClient, session: Session) -> None:
    more = {"scope": "merged", "rows_scanned": 62_000, "strategy": "stream", "reason": "first_profile"}
    add_run(session, run_id="r1", rows=1_840_221, **more)
    session.commit()
    page = page_of(client)
    assert "Read 62,000 rows by streaming its rows through the profiler" in page
    assert "merged with what was known" in page and "never profiled before" in page


def test_a_merged_run_tells_its_partitions_and_their_times(client: FlaskClient, session: Session) -> None:
    old = (NOW - timedelta(days=2)).isoformat()
    parts = [
        {"name": "2026-11-20", "rows": 447, "as_of": old, "read": False},
        {"name": "2026-11-21", "rows": 500, "as_of": NOW.isoformat(), "read": True},
    ]
    rest = {"partitions": 61, "as_of": old}
    detail = {"partitions": parts, "rest": rest, "dropped": ["2026-09-01"], "confidence": "heuristic"}
    add_run(session, run_id="r1", rows=20_847, rows_scanned=500, scope="merged", action="partial", scope_detail=detail)
    session.commit()
    page = page_of(client)
    assert "Read 1 of 63 partitions (500 rows) inside the warehouse" in page
    assert "61 more partitions are carried as one closed rest, the oldest read at" in page
    assert "taken out: 2026-09-01." in page and "likely and not proved" in page
    assert page.index("2026-11-21") < page.index("2026-11-20") and "carried over" in page


def test_a_sample_tells_its_fraction_and_error_bound(client: FlaskClient, session: Session) -> None:
    detail = {"fraction": 0.05, "share_error_points": 0.462, "row_count": "estimated"}
    more = {"scope": "sample", "action": "sample", "reason": "cost_cap", "rows_scanned": 100_000}
    add_run(session, run_id="r1", rows=2_000_000, scope_detail=detail, **more)
    session.commit()
    page = page_of(client)
    assert (
        "Read a sample of 5 % (100,000 rows)" in page and "because reading all of it costs more than the limit" in page
    )
    assert "within ± 0.462 percentage points" in page and '<span title="Estimated from the sample">≈</span>' in page
    assert "a sample of 5 %, 100 k rows" in client.get("/runs").text


def test_a_reconciled_run_tells_how_far_the_merged_profile_was_off(client: FlaskClient, session: Session) -> None:
    detail = {"reconciled": {"rows_merged": 90, "rows_full": 100, "columns_off": {"total": ["mean", "max"]}}}
    add_run(session, run_id="r1", scope_detail=detail)
    session.commit()
    assert "The merged profile was off in 1 column: total (mean, max) (90 rows merged, 100 read)." in page_of(client)


def test_statements_are_shown_with_their_time(client: FlaskClient, session: Session) -> None:
    quick = {"sql": 'SELECT "<b>" FROM x', "seconds": 0.123, "rows": 1}
    sent = [quick, {"sql": "SELECT 2", "seconds": 61, "rows": 4096}]
    add_run(session, run_id="r1", statements=sent)
    session.commit()
    page = page_of(client)
    assert "SELECT &#34;&lt;b&gt;&#34; FROM x" in page
    assert "0.12 s" in page and "61 s" in page and "4,096 rows came back" in page


def test_a_column_shows_its_metrics(client: FlaskClient, session: Session) -> None:
    columns = {("total", "DECIMAL(12,2)"): number_metrics(1000, 141, low=-1, high=9812.4, distinct_count=83_000)}
    add_run(session, run_id="r1", columns=columns)
    session.commit()
    page = page_of(client)
    for shown in ("14.1 %", "83 k", "± 4.9 %", "−1", "9,812.4", "3,924", 'class="hist"', 'class="share"'):
        assert shown in page
    assert 'title="141 of 1,000 rows"' in page


def test_each_column_leads_to_its_page(client: FlaskClient, session: Session) -> None:
    add_run(session, run_id="r1", columns={("total", "DOUBLE"): number_metrics(1000)})
    session.commit()
    (link,) = re.findall(r'<a class="name" href="([^"]*/columns/[^"]*)">', page_of(client))
    assert client.get(unescape(link)).status_code == 200 and "/tables/orders/columns/total?" in link


def test_an_exact_distinct_count_shows_no_error(client: FlaskClient, session: Session) -> None:
    listed = [{"value": "a", "count": 7}, {"value": "b", "count": 2}]
    add_run(session, run_id="r1", columns={("x", "TEXT"): text_metrics(9, top_values=listed)})
    session.commit()
    page = page_of(client)
    assert "4.9" not in page and "77.8 %" in page and "22.2 %" in page


def test_an_old_profile_counted_and_did_not_estimate(client: FlaskClient, session: Session) -> None:
    add_run(session, run_id="r1", hash_family=None, columns={("x", "TEXT"): text_metrics(9)})
    session.commit()
    assert "4.9" not in page_of(client)


def test_a_failed_run_shows_its_error_and_the_way_on(client: FlaskClient, session: Session) -> None:
    add_run(session, run_id="r1", status="failed", error="permission denied for table orders")
    session.commit()
    page = page_of(client)
    assert "This run failed" in page and "<pre>permission denied for table orders</pre>" in page
    assert "profilemesh profile --table shop.main.orders" in page


def test_columns_that_could_not_be_read_are_named(client: FlaskClient, session: Session) -> None:
    add_run(session, run_id="r1", column_errors={"email": "invalid byte sequence", "gone": "no such column"})
    session.commit()
    page = page_of(client)
    assert "2 columns could not be read in full" in page
    assert "invalid byte sequence" in page and "no such column" in page
    assert page.count("not all could be read") == 1


def test_what_comes_from_a_warehouse_is_harmless(client: FlaskClient, session: Session) -> None:
    add_oddities(session, NOW)
    session.commit()
    run_id = client.get("/api/runs").json[0]["run_id"]
    for path in (f"/runs/{run_id}", "/runs", "/tables", "/"):
        page = client.get(path, headers={"Accept": "text/html"}).text
        assert "<script>alert" not in page and "<b>bold" not in page and "<i>nope" not in page
        assert "&lt;script&gt;alert" in page


def test_unprintable_characters_do_not_turn_the_page_around(client: FlaskClient, session: Session) -> None:
    columns = {("x", "TEXT"): text_metrics(3, low="\u202eevil", high="\x07bell")}
    add_run(session, "a\u202eb", run_id="r1", columns=columns)
    session.commit()
    page = page_of(client)
    assert "\u202e" not in page and "\x07" not in page and "evil" in page


def test_the_other_tables_of_an_old_run_are_linked(client: FlaskClient, session: Session) -> None:
    add_run(session, "a", run_id="r1", columns={})
    add_run(session, "b", run_id="r1", columns={})
    session.commit()
    assert "covers 1 more table" in page_of(client)
    assert '<h1><a href="/tables/b' in page_of(client, "r1?table=b")


@pytest.mark.parametrize("run_id", ["nope", "%00", "x" * 300])
def test_an_unknown_run_is_a_404_page(client: FlaskClient, run_id: str) -> None:
    answer = client.get(f"/runs/{run_id}")
    assert answer.status_code == 404 and answer.content_type.startswith("text/html")
    assert 'href="/runs"' in answer.text


def test_statements_do_not_grow_with_the_columns_or_the_history(
    app: Flask, client: FlaskClient, session: Session
) -> None:
    columns = {(f"c{i}", "INTEGER"): number_metrics(9) for i in range(60)}
    for i in range(20):
        add_run(session, run_id=f"r{i}", at=NOW - timedelta(hours=i), columns=columns)
    session.commit()
    page_of(client)
    with counted(app) as sent:
        page_of(client)
    assert len(sent) <= 8


def moving(mean: float) -> dict[tuple[str, str], dict[str, object]]:
    return {
        ("total", "DOUBLE"): number_metrics(1000, mean=mean, stddev=10.0),
        ("still", "DOUBLE"): number_metrics(1000),
    }


def test_it_tells_what_moved_since_the_like_run_before(client: FlaskClient, session: Session) -> None:
    add_run(session, run_id="r0", at=NOW - timedelta(days=2), columns=moving(40.0))
    add_run(session, run_id="rs", at=NOW - timedelta(hours=2), columns=moving(90.0), scope="sample")
    add_run(session, run_id="r1", columns=moving(48.0))
    session.commit()
    since = page_of(client).split('class="card since"')[1].split("</section>")[0]
    assert "<bdi>total</bdi>" in since and "<b>+0.8 sd</b>" in since and "still" not in since
    assert 'href="/compare?before=r0&amp;after=r1&amp;table=orders&amp;warehouse=shop&amp;schema=main"' in since


def test_a_first_run_has_nothing_to_be_measured_against(client: FlaskClient, session: Session) -> None:
    add_run(session, run_id="r1")
    session.commit()
    page = page_of(client)
    assert "since" not in page.split("<main")[1].lower().split("columns</h2>")[0] and "the run before" not in page


def test_it_leads_to_the_runs_before_and_after(client: FlaskClient, session: Session) -> None:
    for i, run_id in enumerate(("r3", "r2", "r1", "r0")):
        add_run(session, run_id=run_id, at=NOW - timedelta(days=i), status="failed" if i == 3 else "success")
    add_run(session, "events", run_id="other", at=NOW - timedelta(days=2, minutes=1))
    session.commit()
    near = page_of(client).split('class="near"')[1].split("</nav>")[0]
    assert 'rel="prev" href="/runs/r0?' in near and 'rel="next" href="/runs/r2?' in near
    assert 'rel="next"' not in page_of(client, "r3") and 'rel="prev"' not in page_of(client, "r0")


def test_its_metrics_can_be_downloaded(client: FlaskClient, session: Session) -> None:
    add_run(session, run_id="r1", columns={("=x", "TEXT"): {"count": 7, "max": "=1+1"}, ("b", "TEXT"): {"count": 7}})
    add_run(session, "other", run_id="r1", columns={("c", "TEXT"): {"count": 7}})
    session.commit()
    page = page_of(client, "r1?table=orders")
    links = {
        kind: unescape(link) for link, kind in re.findall(r'href="(/api/export/metrics[^"]*)" download>(\w+)', page)
    }
    assert set(links) == {"json", "csv", "jsonl", "parquet"}
    rows = list(csv.DictReader(io.StringIO(client.get(links["csv"]).text)))
    told = [(row["column_name"], row["metric_name"], row["metric_value"], row["metric_number"]) for row in rows]
    assert told == [("'=x", "count", "7", "7.0"), ("'=x", "max", "'=1+1", ""), ("b", "count", "7", "7.0")]
    whole = client.get("/api/export/metrics?run_id=r1").json["metrics"]
    assert {row["dataset_name"] for row in whole} == {"orders", "other"}


@pytest.mark.parametrize("number", ["-5", "-0.25", "-1e-07", "-1.5E+300"])
def test_a_negative_number_is_no_formula(client: FlaskClient, session: Session, number: str) -> None:
    add_run(session, run_id="r1", columns={("a", "TEXT"): {"min": number}})
    session.commit()
    file = client.get("/api/export/metrics?run_id=r1&format=csv").text
    assert [row["metric_value"] for row in csv.DictReader(io.StringIO(file))] == [number]


@pytest.mark.parametrize(("query", "status"), [("", 422), ("run_id=nope", 404), ("run_id=r1&table=x", 404)])
def test_metrics_of_no_run_are_not_found(client: FlaskClient, session: Session, query: str, status: int) -> None:
    add_run(session, run_id="r1")
    session.commit()
    assert client.get(f"/api/export/metrics?{query}").status_code == status


def test_where_it_failed_is_for_this_machine_alone(client: FlaskClient, session: Session) -> None:
    add_run(session, run_id="r1", status="failed", error="boom", error_trace="Traceback\n  File x.py, <line 7>")
    session.commit()
    assert "Traceback File x.py, &lt;line 7&gt;" in page_of(client)
    far = client.get("/runs/r1", headers={"X-Forwarded-For": "203.0.113.9"}).text
    assert "boom" in far and "Traceback" not in far


def test_intervals_are_told_in_seconds(client: FlaskClient, session: Session) -> None:
    add_run(session, run_id="r1", columns={("took", "INTERVAL"): number_metrics(9, high=29_940, mean=50)})
    session.commit()
    page = page_of(client)
    assert ">29,940 s<" in page and ">50 s<" in page


def test_values_that_are_not_of_the_declared_type_are_told(client: FlaskClient, session: Session) -> None:
    add_run(session, run_id="r1", columns={("plz", "INTEGER"): {"count": 50_000, "invalid_count": 4546}})
    session.commit()
    assert "4,546 invalid" in page_of(client)
