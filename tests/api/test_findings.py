from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.schemas.findings import FindingDetailSchema, FindingSchema, TriagedSchema
from profilemesh.storage.models import StoredFinding, TriageEntry
from tests.factories import NOW, add_finding, add_run
from tests.web import ORIGIN

PROBLEM = "application/problem+json"


@pytest.fixture
def three(session: Session) -> None:
    for n, table in enumerate(("a", "b", "c")):
        run = add_run(session, table, at=NOW - timedelta(hours=n), columns={})
        add_finding(session, run, finding_id=table, severity=("high", "low", "medium")[n])
    gone = add_run(session, "d", at=NOW - timedelta(hours=9), columns={})
    add_finding(session, gone, finding_id="d", state="resolved", resolved_at=NOW, owner="sales")
    session.commit()


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200
    return [each["finding_id"] for each in answer.json]


def state(session: Session, finding_id: str) -> str:
    session.rollback()
    return session.scalars(sa.select(StoredFinding.state).where(StoredFinding.finding_id == finding_id)).one()


def test_findings_are_listed_the_last_seen_first(client: FlaskClient, three: None) -> None:
    answer = client.get("/api/findings")
    assert FindingSchema(many=True).validate(answer.json) == {}
    assert ids(answer) == ["a", "b", "c"]
    first = answer.json[0]
    assert (first["table_name"], first["column_name"], first["baseline_value"], first["state"]) == (
        "a",
        "email",
        0.2,
        "open",
    )
    assert first["environment"] == "production"
    assert first["sentence"].startswith("null share of a.email rose")


def test_what_is_empty_is_null(client: FlaskClient, session: Session) -> None:
    add_finding(session, add_run(session, schema="", columns={}), "", "row_count")
    session.commit()
    (found,) = client.get("/api/findings").json
    assert (found["column_name"], found["schema_name"], found["assignee"]) == (None, None, None)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("state=all", "abcd"),
        ("state=resolved", "d"),
        ("severity=low", "b"),
        ("table=c", "c"),
        ("q=A", "a"),
        ("owner=sales&state=all", "d"),
        ("warehouse=duckdb", "abc"),
        ("warehouse=nope", ""),
        ("environment=production&state=all", "abcd"),
        ("environment=staging", ""),
        ("days=1&state=all", "abcd"),
        ("limit=1&offset=1", "b"),
    ],
)
def test_they_are_filtered_as_the_page_is(client: FlaskClient, three: None, query: str, found: str) -> None:
    assert ids(client.get(f"/api/findings?{query}")) == list(found)


def test_parts_follow_each_other_by_cursor(client: FlaskClient, three: None) -> None:
    first = client.get("/api/findings?limit=2")
    assert first.headers["X-Total-Count"] == "3" and 'rel="next"' in first.headers["Link"]
    second = client.get(f"/api/findings?limit=2&cursor={first.headers['X-Next-Cursor']}")
    assert ids(first) + ids(second) == ["a", "b", "c"] and "X-Next-Cursor" not in second.headers


def test_an_answer_that_is_known_is_not_sent_again(client: FlaskClient, three: None) -> None:
    for path in ("/api/findings", "/api/findings/a"):
        tag = client.get(path).headers["ETag"]
        assert client.get(path, headers={"If-None-Match": tag}).status_code == 304
    client.post("/api/findings/a/triage", json={"action": "resolve"})
    assert client.get("/api/findings/a", headers={"If-None-Match": tag}).status_code == 200


@pytest.mark.parametrize(
    "query", ["limit=0", "days=0", "days=", "state=gone", "severity=huge", "cursor=x", "offset=-1"]
)
def test_a_bad_parameter_is_refused(client: FlaskClient, query: str) -> None:
    answer = client.get(f"/api/findings?{query}")
    assert (answer.status_code, answer.content_type) == (422, PROBLEM)


def test_one_is_shown_with_everything(client: FlaskClient, three: None) -> None:
    answer = client.get("/api/findings/a")
    assert FindingDetailSchema().validate(answer.json) == {}
    (seen,), (opened,) = answer.json["seen"], answer.json["history"]
    assert (seen["effect"], seen["unit"], seen["p_adjusted"], seen["baseline"]) == (13.9, "points", 2.4e-5, "median")
    assert seen["culprits"] == [{"partition": "2026-11-21", "share": 0.96}] and seen["explains"] == []
    assert (opened["who"], opened["action"], opened["text"]) == ("profilemesh", "opened", None)


@pytest.mark.parametrize("finding_id", ["nope", "%00", "x" * 300])
def test_an_unknown_one_is_a_404(client: FlaskClient, finding_id: str) -> None:
    assert client.get(f"/api/findings/{finding_id}").status_code == 404
    answer = client.post(f"/api/findings/{finding_id}/triage", json={"action": "resolve"})
    assert (answer.status_code, answer.content_type) == (404, PROBLEM)


TOMORROW = (NOW + timedelta(days=1)).isoformat()


@pytest.mark.parametrize(
    ("sent", "becomes", "entry"),
    [
        ({"action": "acknowledge"}, "acknowledged", ("acknowledged", None)),
        ({"action": "acknowledge", "text": "mine"}, "acknowledged", ("acknowledged", "mine")),
        (
            {"action": "snooze", "until": TOMORROW},
            "snoozed",
            ("snoozed", f"until {TOMORROW[:16].replace('T', ' ')} UTC"),
        ),
        ({"action": "assign", "to": "ann"}, "open", ("assigned", "ann")),
        ({"action": "comment", "text": "why?"}, "open", ("commented", "why?")),
        ({"action": "expect"}, "expected", ("expected", None)),
        ({"action": "resolve"}, "resolved", ("resolved", None)),
    ],
)
def test_each_action_is_done_and_noted(
    client: FlaskClient, session: Session, three: None, sent: dict, becomes: str, entry: tuple
) -> None:
    answer = client.post("/api/findings/a/triage", json=sent)
    assert answer.status_code == 200 and TriagedSchema().validate(answer.json) == {}
    assert answer.json == {"finding_id": "a", "result": "done", "state": becomes}
    assert state(session, "a") == becomes
    last = session.scalars(sa.select(TriageEntry).order_by(TriageEntry.id.desc()).limit(1)).one()
    assert ((last.action, last.text), last.who) == (entry, "the API")


def test_what_is_so_already_is_a_conflict(client: FlaskClient, session: Session, three: None) -> None:
    assert client.post("/api/findings/d/triage", json={"action": "reopen"}).json["state"] == "open"
    for action in ("reopen", "acknowledge", "acknowledge"):
        answer = client.post("/api/findings/d/triage", json={"action": action})
    assert (answer.status_code, answer.content_type) == (409, PROBLEM)
    assert answer.json["detail"] == "Nothing to acknowledge: the finding is acknowledged."


def test_many_are_dealt_with_at_once(client: FlaskClient, session: Session, three: None) -> None:
    sent = {"findings": ["d", "a", "nope", "a", "b"], "action": "resolve"}
    answer = client.post("/api/findings/triage", json=sent)
    assert answer.status_code == 200 and TriagedSchema(many=True).validate(answer.json) == {}
    results = [(each["finding_id"], each["result"], each["state"]) for each in answer.json]
    assert results == [
        ("d", "unchanged", "resolved"),
        ("a", "done", "resolved"),
        ("nope", "missing", None),
        ("b", "done", "resolved"),
    ]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"data": "{}"}, 415),
        ({"data": {"action": "resolve"}}, 415),
        ({"data": "{}", "content_type": "text/plain"}, 415),
        ({"data": "{", "content_type": "application/json"}, 400),
        ({"data": '{"a":' * 100_000, "content_type": "application/json"}, 400),
        ({"json": {}}, 422),
        ({"json": []}, 422),
        ({"json": {"action": "nap"}}, 422),
        ({"json": {"action": "snooze"}}, 422),
        ({"json": {"action": "snooze", "until": "2126-01-01"}}, 422),
        ({"json": {"action": "snooze", "until": "2126-01-01T00:00:00"}}, 422),
        ({"json": {"action": "snooze", "until": "2020-01-01T00:00:00Z"}}, 422),
        ({"json": {"action": "comment"}}, 422),
        ({"json": {"action": "comment", "text": " "}}, 422),
        ({"json": {"action": "comment", "text": "a\0"}}, 422),
        ({"json": {"action": "comment", "text": "a" * 10_001}}, 422),
        ({"json": {"action": "assign", "to": "a" * 256}}, 422),
        ({"json": {"action": "resolve", "why": "x"}}, 422),
        ({"json": {"action": "resolve"}, "environ_base": {"REMOTE_ADDR": "192.0.2.7"}}, 403),
        ({"json": {"action": "resolve"}, "headers": {"Host": "dash.example.com"}}, 403),
        ({"json": {"action": "resolve"}, "headers": {"Forwarded": "for=127.0.0.1"}}, 403),
    ],
)
def test_what_is_not_asked_properly_is_refused(
    client: FlaskClient, session: Session, three: None, sent: dict, status: int
) -> None:
    many = sent if not isinstance(sent.get("json"), dict) else sent | {"json": sent["json"] | {"findings": ["a"]}}
    for path, asked in (("/api/findings/a/triage", sent), ("/api/findings/triage", many)):
        answer = client.post(path, **asked)
        assert (answer.status_code, answer.content_type) == (status, PROBLEM)
        assert answer.json["detail"]
    assert state(session, "a") == "open"


@pytest.mark.parametrize("findings", [None, [], ["a"] * 1001, [1], [""], "a"])
def test_many_are_a_list_of_ids(client: FlaskClient, findings: Any) -> None:
    answer = client.post("/api/findings/triage", json={"action": "resolve", "findings": findings})
    assert answer.status_code == 422 and all(isinstance(said, str) for said in answer.json["errors"]["findings"])


def test_pages_of_other_origins_may_not_post(client: FlaskClient) -> None:
    wanted = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    answer = client.options("/api/findings/a/triage", headers={"Origin": ORIGIN, **wanted})
    assert "POST" not in answer.headers.get("Access-Control-Allow-Methods", "")


def test_each_address_allows_what_it_does_and_nothing_else(client: FlaskClient) -> None:
    allowed = client.options("/api/findings/triage").headers["Allow"]
    assert set(allowed.split(", ")) == {"OPTIONS", "POST"}
    assert client.get("/api/findings/triage").status_code == 405
    assert client.get("/api/findings/triages").json["detail"] == "Finding triages not found"
