from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.schemas.decisions import DecisionSchema
from tests.factories import HOSTILE, NOW, add_decision, add_oddities, add_run, add_state
from tests.web import counted


def test_a_decision_has_its_evidence_and_what_came_of_it(client: FlaskClient, session: Session) -> None:
    read = {"outcome": "success", "run_id": "r1", "rows_estimated": 9, "rows_actual": 8, "seconds_actual": 0.5}
    add_decision(session, action="partial", reason="partitions_changed", evidence={"changed": ["p"]}, **read)
    session.commit()
    (found,) = client.get("/api/decisions").json
    assert DecisionSchema().validate(found) == {}
    wanted = {"table_name": "orders", "schema_name": "main", "meaning": "only some of its partitions changed", **read}
    assert {name: found[name] for name in wanted} == wanted
    assert found["evidence"] == {"changed": ["p"]} and found["last_at"] == NOW.isoformat()


def test_newest_first_and_paging_neither_repeats_nor_skips(client: FlaskClient, session: Session) -> None:
    for n in range(7):
        add_decision(session, f"t{n}", at=NOW - timedelta(hours=n // 2))
    session.commit()
    whole = client.get("/api/decisions")
    names = [each["id"] for each in whole.json]
    paged = [each["id"] for o in (0, 3, 6) for each in client.get(f"/api/decisions?limit=3&offset={o}").json]
    assert paged == names and whole.headers["X-Total-Count"] == "7"
    times = [each["last_at"] for each in whole.json]
    assert times == sorted(times, reverse=True)
    assert 'rel="next"' in client.get("/api/decisions?limit=3").headers["Link"]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("warehouse=shop", 2),
        ("warehouse=duckdb", 1),
        ("warehouse=nope", 0),
        ("table=a", 2),
        ("table=a&warehouse=clicks", 1),
        ("table=a&schema=public", 1),
        ("schema=main", 2),
        ("action=full", 1),
        ("reason=snapshot_match", 2),
        ("table=", 3),
        ("unknown=1", 3),
        ("days=90", 4),
    ],
)
def test_filters_narrow_list_and_total(client: FlaskClient, session: Session, query: str, count: int) -> None:
    run = add_run(session, "a", warehouse="clicks", schema="public", columns={})
    add_state(session, "a", run=run)
    add_state(session, "a")
    add_decision(session, "a")
    add_decision(session, "b", action="full", reason="first_profile")
    add_decision(session, "a", warehouse="clicks", schema_name="public")
    add_decision(session, "b", at=NOW - timedelta(days=40))
    session.commit()
    answer = client.get(f"/api/decisions?{query}")
    assert (len(answer.json), answer.headers["X-Total-Count"]) == (count, str(count))


@pytest.mark.parametrize(
    "query", ["days=abc", "limit=-1", "limit=1.5", "limit=", "offset=-1", "action=x", "reason=x", "table=%00"]
)
def test_a_bad_parameter_is_refused(client: FlaskClient, query: str) -> None:
    answer = client.get(f"/api/decisions?{query}")
    assert (answer.status_code, answer.content_type) == (422, "application/problem+json")
    assert list(answer.json["errors"]) == [query.split("=")[0]]


def test_names_that_wish_us_ill_pass_unchanged(client: FlaskClient, session: Session) -> None:
    add_oddities(session, NOW)
    session.commit()
    (found,) = client.get("/api/decisions").json
    assert found["table_name"] == HOSTILE and found["evidence"]["message"] == HOSTILE


def test_few_statements_however_many(app: Flask, client: FlaskClient, session: Session) -> None:
    for n in range(300):
        add_decision(session, f"t{n}")
    session.commit()
    client.get("/api/decisions")
    with counted(app) as sent:
        client.get("/api/decisions?warehouse=shop&table=t1")
    assert len(sent) <= 4
