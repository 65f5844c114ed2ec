"""A column's page: its measures over time, its values now over those of an earlier run, what is unknown and why."""

import html
import json
import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from profilemesh.storage.models import Run
from tests.factories import NOW, add_finding, add_run, add_shop, number_metrics, shares, text_metrics, top
from tests.web import counted

HTML = {"Accept": "text/html"}
QUANTILES = ("p05", "p25", "median", "p75", "p95")


def page_of(client: FlaskClient, column: str = "a", query: str = "", table: str = "orders") -> str:
    answer = client.get(f"/tables/{table}/columns/{column}{query}", headers=HTML)
    assert answer.status_code == 200, answer.text
    return " ".join(answer.text.split())


def series(page: str) -> dict[str, dict[str, Any]]:
    """By the name of their first line."""
    told = [json.loads(html.unescape(text)) for text in re.findall(r'data-series="([^"]*)"', page)]
    return {each["lines"][0]["name"]: each for each in told}


def add_course(session: Session, *metrics: dict[str, Any], name: str = "a", type_: str = "INT") -> list[Run]:
    """A run a day up to now, each with these metrics of one column."""
    return [
        add_run(session, at=NOW - timedelta(days=len(metrics) - 1 - i), columns={(name, type_): each})
        for i, each in enumerate(metrics)
    ]


def test_every_metric_that_moves_has_a_chart(client: FlaskClient, session: Session) -> None:
    runs = add_course(
        session, *(number_metrics(1000, nulls, high=high) for nulls, high in ((0, 50), (10, 60), (20, 80)))
    )
    session.commit()
    drawn = series(page_of(client))
    assert drawn["Null share"]["lines"][0]["y"] == [0, 1, 2] and drawn["Null share"]["unit"] == "%"
    assert drawn["Max"]["lines"][0]["y"] == [50, 60, 80] and drawn["Mean"]["lines"][0]["y"] == [20, 24, 32]
    assert drawn["Max"]["x"] == [round(run.profiled_at.timestamp()) for run in runs]


def test_what_stayed_the_same_is_told_in_a_word(client: FlaskClient, session: Session) -> None:
    add_course(session, *(number_metrics(1000, high=high) for high in (50, 60)))
    session.commit()
    page = page_of(client)
    still = page.split("Did not change")[1].split("</dl>")[0]
    told = dict(re.findall(r"<dt>([^<]*)</dt><dd>([^<]*)</dd>", still))
    assert told["Rows"] == "1,000" and told["Zeros"] == "0" and "Max" not in told
    assert "the same in both runs" in still and "Rows" not in series(page)


def test_quantiles_are_a_fan(client: FlaskClient, session: Session) -> None:
    spreads = [dict(zip(QUANTILES, values, strict=True)) for values in ((1, 2, 3, 4, 5), (2, 3, 4, 5, 60))]
    add_course(session, *(number_metrics(100, **spread) for spread in spreads))
    session.commit()
    page = page_of(client)
    fan = series(page)["p05"]
    assert {each["name"]: each["y"] for each in fan["lines"]} == {q: [s[q] for s in spreads] for q in QUANTILES}
    assert (
        fan["fan"] and page.count('class="chart trend fan"') == 1 and "Quantiles, p05 to p95. Median in 2 runs" in page
    )


def test_a_run_without_quantiles_leaves_a_gap(client: FlaskClient, session: Session) -> None:
    known = number_metrics(100, **dict.fromkeys(QUANTILES, 3.5))
    add_course(session, known, number_metrics(100), known)
    session.commit()
    assert series(page_of(client))["p05"]["lines"][4]["y"] == [3.5, None, 3.5]


def test_values_are_laid_over_those_of_before(client: FlaskClient, session: Session) -> None:
    runs = add_course(
        session,
        text_metrics(100, 0, top_values=top(("x", 80), ("y", 20))),
        text_metrics(200, 20, top_values=top(("x", 20), ("z", 160))),
        type_="TEXT",
    )
    session.commit()
    page = page_of(client)
    listed = page.split('<table class="shares">')[1].split("</table>")[0]
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>.*?quiet">([^<]*)</td><td class="num">([^<]*)</td>', listed)
    assert [(re.sub("<[^>]*>", "", name), was, now) for name, was, now in rows] == [
        ("x", "80 %", "10 %"),
        ("z", "0 %", "80 %"),
        ("y", "20 %", "0 %"),
        ("NULL", "0 %", "10 %"),
    ]
    before = page.split("Before: run of")[1].split("</a>")[0]
    assert f"/runs/{runs[0].run_id}?" in before


def test_a_histogram_is_laid_over_that_of_before(client: FlaskClient, session: Session) -> None:
    add_course(session, number_metrics(100, low=0, high=100), number_metrics(100, low=50, high=150))
    session.commit()
    page = page_of(client)
    assert "Shares of the values by size: from 0 to 100 before, from 50 to 150 now" in page
    assert 'class="chart overlay"' in page


def test_the_first_run_has_nothing_to_be_laid_over(client: FlaskClient, session: Session) -> None:
    add_course(session, number_metrics(100))
    session.commit()
    page = page_of(client)
    assert "No like run came before the newest." in page and 'class="hist"' in page
    assert "One run: a course needs two." in page and "Did not change" not in page


def test_a_baseline_without_the_column_says_so(client: FlaskClient, session: Session) -> None:
    add_run(session, at=NOW - timedelta(days=1), columns={("b", "INT"): number_metrics(5)})
    add_run(session, columns={("a", "INT"): number_metrics(5), ("b", "INT"): number_metrics(5)})
    session.commit()
    assert "which had no such column" in page_of(client)


def test_drift_of_the_column_is_listed_and_marked(client: FlaskClient, session: Session) -> None:
    runs = add_course(session, *(number_metrics(100, n) for n in (1, 2, 30)))
    add_finding(session, runs[2], "a", severity="high", sentence="null share of orders.a rose")
    add_finding(session, runs[1], "a", "mean", severity="low", state="resolved", sentence="mean of orders.a fell")
    add_finding(session, runs[1], "other", severity="high", sentence="nothing to do with it")
    session.commit()
    page = page_of(client)
    assert "Null share of <b><bdi>orders.a</bdi></b>" in page and "Mean of <b><bdi>orders.a</bdi></b>" in page
    assert "nothing to do with it" not in page
    marks = series(page)["Null share"]["marks"]
    assert [(each["i"], each["kind"]) for each in marks] == [(2, "high")] and page.count('<path class="high"') == 1


def test_types_are_told_in_order(client: FlaskClient, session: Session) -> None:
    for days, type_ in ((3, "INT"), (2, "INT"), (1, "TEXT")):
        add_run(session, at=NOW - timedelta(days=days), columns={("a", type_): {"count": 5, "null_percent": days}})
    session.commit()
    told = page_of(client).split('<ol class="versions">')[1].split("</ol>")[0]
    assert re.findall(r"<b><bdi>(\w+)</bdi></b>.*?in (\d) run", told) == [("TEXT", "1"), ("INT", "2")]


def test_one_type_needs_no_history(client: FlaskClient, session: Session) -> None:
    add_course(session, number_metrics(5), number_metrics(6))
    session.commit()
    assert "<h2>Type" not in page_of(client)


def test_a_sensitive_column_says_why_it_is_bare(client: FlaskClient, session: Session) -> None:
    add_run(session, columns={("a", "TEXT"): shares(100, 3, 90)}, scope_detail={"sensitive": ["a"]})
    session.commit()
    page = page_of(client)
    assert (
        "The column is sensitive: only counts of it are kept" in page
        and '<dt>Min</dt><dd><span class="unknown"' in page
    )
    assert '<span class="sub" title="Only counts of it' in client.get("/tables/orders").text


def test_what_could_not_be_read_says_why(client: FlaskClient, session: Session) -> None:
    add_run(session, columns={("a", "TEXT"): {"count": 5}}, column_errors={"a": "bad <byte>"})
    session.commit()
    assert "Not all of it could be read by the newest run: bad &lt;byte&gt;" in page_of(client)


def test_a_sample_says_so(client: FlaskClient, session: Session) -> None:
    add_run(session, columns={("a", "INT"): number_metrics(50)}, scope="sample")
    session.commit()
    assert "minimum, maximum and distinct count are the sample&#39;s" in page_of(client)


def test_values_beyond_a_thousand_are_not_listed(client: FlaskClient, session: Session) -> None:
    add_run(session, columns={("a", "TEXT"): text_metrics(5000)})
    session.commit()
    assert "there are more than the 1,000 different ones" in page_of(client)


def test_a_column_that_is_gone_keeps_its_page(client: FlaskClient, session: Session) -> None:
    last = add_run(session, at=NOW - timedelta(days=50), columns={("a", "INT"): number_metrics(5)})
    add_run(session, columns={("b", "INT"): number_metrics(5)})
    session.commit()
    page = page_of(client)
    assert "<b>Not in the newest profile</b>" in page
    assert f"/runs/{last.run_id}?" in page.split("Last seen in the run of")[1].split("</a>")[0]


@pytest.mark.parametrize(
    "address", ["orders/columns/nope", "nope/columns/a", "orders/columns/%00", "orders/columns/a?schema=no"]
)
def test_an_unknown_column_is_a_404(client: FlaskClient, session: Session, address: str) -> None:
    add_course(session, number_metrics(5))
    session.commit()
    assert client.get(f"/tables/{address}", headers=HTML).status_code == 404


def test_a_table_without_a_good_run_has_no_columns(client: FlaskClient, session: Session) -> None:
    add_run(session, status="failed")
    session.commit()
    assert client.get("/tables/orders/columns/a", headers=HTML).status_code == 404


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("t", "x/columns/y"),
        ("a/columns/b", "c"),
        ("a/b", "c/d"),
        ("t", "/"),
        ("t", "100%"),
        ("t", "a?b#c"),
        ("t", "%2F"),
    ],
)
def test_any_name_has_a_page_that_the_table_links_to(
    client: FlaskClient, session: Session, table: str, column: str
) -> None:
    add_run(session, table, columns={(column, "INT"): number_metrics(5)})
    session.commit()
    link = html.unescape(client.get("/tables").text.split('class="name" href="')[1].split('"')[0])
    table_page = client.get(link).text
    assert f"<h1><bdi>{html.escape(table)}</bdi></h1>" in table_page
    found = client.get(html.unescape(table_page.split('class="name" href="')[1].split('"')[0]), headers=HTML)
    assert found.status_code == 200 and f"<h1><bdi>{html.escape(column)}</bdi></h1>" in found.text


def test_neighbours_are_a_click_away(client: FlaskClient, session: Session) -> None:
    add_run(session, columns={(name, "INT"): number_metrics(5) for name in ("x", "a", "b")})
    session.commit()
    nav = page_of(client, query="?days=90").split('<nav class="neighbours"')[1].split("</nav>")[0]
    links = re.findall(r'rel="(\w+)" href="([^"]*)"', nav)
    assert [rel for rel, _ in links] == ["prev", "next"] and all("days=90" in link for _, link in links)
    assert "/columns/x?" in links[0][1] and "/columns/b?" in links[1][1]
    assert 'rel="prev"' not in page_of(client, "x")


def test_the_numbers_of_all_runs_are_in_a_table(client: FlaskClient, session: Session) -> None:
    add_course(
        session,
        *(
            {"count": 3, "null_percent": share, "mean": mean, "min": "aa"}
            for share, mean in ((0, 1.25), (50, 1234567.5))
        ),
    )
    session.commit()
    folded = page_of(client).split("The numbers of these runs</summary>")[1].split("</details>")[0]
    heads = re.findall(r'class="num">([^<]*)</th>', folded)
    cells = [re.sub("<[^>]*>", "", cell) for cell in re.findall(r'<td class="num">(.*?)</td>', folded)]
    assert heads == ["Rows", "Null share", "Min", "Mean"]
    assert cells == ["3", "50", "aa", "1234567.5", "3", "0", "aa", "1.25"]


def test_metrics_of_older_versions_are_drawn_as_well(client: FlaskClient, session: Session) -> None:
    add_course(session, *({"count": 3, "my_own_metric": value} for value in (1, 5)))
    session.commit()
    assert series(page_of(client))["my own metric"]["lines"][0]["y"] == [1, 5]


def test_htmx_gets_the_body_alone(client: FlaskClient, session: Session) -> None:
    add_course(session, number_metrics(5), number_metrics(6))
    session.commit()
    part = client.get("/tables/orders/columns/a?days=7", headers={"HX-Request": "true"}).text
    assert part.startswith('<div id="column"') and 'class="on" aria-current="true">7 d' in part


def test_statements_stay_few(app: Flask, client: FlaskClient, session: Session) -> None:
    add_shop(session, history=6)
    session.commit()
    for address in (
        "orders/columns/total?warehouse=duckdb&days=365",
        "orders/columns/email",
        "web_events/columns/path",
    ):
        client.get(f"/tables/{address}")
        with counted(app) as sent:
            client.get(f"/tables/{address}")
        assert len(sent) <= 11, address
