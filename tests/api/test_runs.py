from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.schemas.runs import RunSchema
from tests.factories import NOW, add_many, add_run


def ids(client: FlaskClient, query: str = "") -> list[str]:
    return [run["run_id"] for run in client.get(f"/api/runs?{query}").json]


def test_no_runs_are_an_empty_array(client: FlaskClient) -> None:
    answer = client.get("/api/runs")
    assert (answer.status_code, answer.json, answer.headers["X-Total-Count"]) == (200, [], "0")
    assert answer.content_type == "application/json"


def test_a_run_has_every_field_of_the_contract(client: FlaskClient, session: Session) -> None:
    add_run(session, run_id="r1", rows=5, at=NOW, duration_seconds=0.25)
    session.commit()
    run = client.get("/api/runs").json[0]
    wanted = {
        "run_id": "r1",
        "dataset_name": "orders",
        "schema_name": "main",
        "warehouse_type": "duckdb",
        "profiled_at": NOW.isoformat(),
        "status": "success",
        "row_count": 5,
        "column_count": 7,
        "duration_seconds": 0.25,
        "has_drift": False,
    }
    assert {name: run[name] for name in wanted} == wanted
    assert run["profiled_at"].endswith("+00:00")


def test_a_run_is_as_its_schema_documents_it(client: FlaskClient, session: Session) -> None:
    add_run(session)
    add_run(session, "broken", status="failed")
    session.commit()
    for run in client.get("/api/runs").json:
        assert set(run) == set(RunSchema().fields)
        assert RunSchema().validate(run) == {}


def test_an_unknown_schema_is_null_and_not_empty(client: FlaskClient, session: Session) -> None:
    add_run(session, schema="")
    session.commit()
    assert client.get("/api/runs").json[0]["schema_name"] is None


def test_what_is_no_number_becomes_null(client: FlaskClient, session: Session) -> None:
    add_run(session, duration_seconds=float("inf"))
    session.commit()
    answer = client.get("/api/runs")
    assert answer.json[0]["duration_seconds"] is None
    assert b"Infinity" not in answer.data


def test_the_newest_come_first_and_ties_have_an_order(client: FlaskClient, session: Session) -> None:
    for run_id in ("b", "a", "c"):
        add_run(session, run_id=run_id, at=NOW, columns={})
    add_run(session, run_id="new", at=NOW + timedelta(seconds=1), columns={})
    session.commit()
    assert ids(client) == ["new", "c", "b", "a"]


def test_pages_neither_repeat_nor_skip(client: FlaskClient, session: Session) -> None:
    for i in range(7):
        add_run(session, run_id=f"r{i}", at=NOW, columns={})
    session.commit()
    pages = [ids(client, f"limit=3&offset={offset}") for offset in (0, 3, 6, 9)]
    assert [len(page) for page in pages] == [3, 3, 1, 0]
    assert sorted(sum(pages, [])) == [f"r{i}" for i in range(7)]


def test_links_lead_around_and_keep_the_filters(client: FlaskClient, session: Session) -> None:
    add_many(session, ["t"] * 7)
    session.commit()
    answer = client.get("/api/runs?limit=3&offset=3&table=t")
    links = dict(part.split("; rel=")[::-1] for part in answer.headers["Link"].split(", "))
    assert answer.headers["X-Total-Count"] == "7"
    assert set(links) == {'"first"', '"prev"', '"next"', '"last"'}
    assert links['"next"'] == "<http://localhost/api/runs?limit=3&table=t&offset=6>"
    assert links['"last"'] == "<http://localhost/api/runs?limit=3&table=t&offset=6>"
    assert "next" not in client.get("/api/runs?limit=3&offset=6&table=t").headers["Link"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("warehouse=shop", {"a"}),
        ("warehouse=duckdb", {"a"}),
        ("warehouse=postgres", {"b", "c"}),
        ("schema=public", {"b"}),
        ("table=events", {"b"}),
        ("status=failed", {"c"}),
        ("environment=staging", {"c"}),
        ("q=VENT", {"b"}),
        ("scope=sample", {"b"}),
        ("scope=sample&status=failed", set()),
        ("action=sample", {"b"}),
        ("drift=true", {"a"}),
        ("drift=false&q=event", {"b"}),
        ("warehouse=postgres&status=success", {"b"}),
        ("days=1", {"a", "b"}),
        ("days=90", {"a", "b", "c", "old"}),
        ("table=EVENTS", set()),
        ("table=", {"a", "b", "c"}),
        ("colour=blue", {"a", "b", "c"}),
    ],
)
def test_filters(client: FlaskClient, session: Session, query: str, found: set[str]) -> None:
    add_run(session, run_id="a", columns={}, has_drift=True)
    clicks = {"warehouse": "clicks", "warehouse_type": "postgres", "columns": {}}
    add_run(session, "events", run_id="b", schema="public", scope="sample", action="sample", **clicks)
    add_run(session, run_id="c", at=NOW - timedelta(days=3), status="failed", environment="staging", **clicks)
    add_run(session, run_id="old", at=NOW - timedelta(days=60), columns={})
    session.commit()
    assert set(ids(client, query)) == found


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("days=abc", "days"),
        ("days=0", "days"),
        ("days=9999999999", "days"),
        ("days=3651", "days"),
        ("limit=-1", "limit"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=1.5", "limit"),
        ("limit=1_0", "limit"),
        ("limit=", "limit"),
        ("limit=%D9%A1", "limit"),
        ("offset=-1", "offset"),
        ("offset=10000001", "offset"),
        ("status=sucess", "status"),
        ("table=a%00b", "table"),
        ("warehouse=%00", "warehouse"),
    ],
)
def test_bad_parameters_are_refused_and_named(client: FlaskClient, query: str, field: str) -> None:
    answer = client.get(f"/api/runs?{query}")
    assert answer.status_code == 422
    assert answer.content_type == "application/problem+json"
    assert set(answer.json) == {"type", "title", "status", "detail", "errors"}
    assert list(answer.json["errors"]) == [field]
    assert field in answer.json["detail"]


def test_every_bad_parameter_is_named_at_once(client: FlaskClient) -> None:
    assert set(client.get("/api/runs?days=x&limit=y&offset=z").json["errors"]) == {"days", "limit", "offset"}


def test_a_status_that_is_stored_can_be_filtered_by(client: FlaskClient, session: Session) -> None:
    add_run(session, run_id="odd", status="exploded", columns={})
    session.commit()
    assert ids(client, "status=exploded") == ["odd"]
    assert ids(client, "status=drift_detected") == []


def test_a_slash_at_the_end_leads_to_the_list(client: FlaskClient) -> None:
    answer = client.get("/api/runs/?limit=5&table=%C3%BC")
    assert (answer.status_code, answer.headers["Location"]) == (308, "/api/runs?limit=5&table=%C3%BC")
