from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.extensions import db
from app.schemas.decisions import StateSchema
from tests.factories import NOW, add_run, add_state
from tests.web import Served


def test_a_state_tells_times_reason_and_what_comes_next(client: FlaskClient, session: Session) -> None:
    run = add_run(session, run_id="r1", at=NOW - timedelta(days=1), rows=42, columns={})
    add_state(session, run=run, evidence={"token_after": "t"}, staleness_score=36, paused_at=NOW)
    session.commit()
    found = client.get("/api/tables/orders/state").json
    assert StateSchema().validate(found) == {}
    assert (found["decision"], found["reason"], found["meaning"]) == ("skip", "snapshot_match", "proved unchanged")
    assert found["last_profiled_at"] == (NOW - timedelta(days=1)).isoformat()
    assert (found["row_count"], found["staleness_score"], found["is_paused"]) == (42, 36, True)
    assert found["next_run"].startswith("Only a run by hand")


def test_a_table_without_a_state_is_all_unknown(client: FlaskClient, session: Session) -> None:
    add_run(session, columns={})
    session.commit()
    found = client.get("/api/tables/orders/state").json
    assert StateSchema().validate(found) == {}
    assert (found["decision"], found["evidence"], found["partitions"], found["is_paused"]) == (None, {}, [], False)


def test_partitions_are_told_apart(client: FlaskClient, session: Session) -> None:
    run = add_run(session, run_id="r2", columns={})
    at = NOW.isoformat()
    parts = {"a": ["t", "old", at, None, None], "b": ["t", "new", at, 7, "r2"]}
    add_state(session, run=run, manifest={"frame": "f", "rest": "r1", "parts": parts})
    session.commit()
    found = client.get("/api/tables/orders/state").json["partitions"]
    assert found == [
        {"name": "old", "rows": None, "as_of": at, "is_apart": False, "is_of_last_run": False},
        {"name": "new", "rows": 7, "as_of": at, "is_apart": True, "is_of_last_run": True},
    ]


def test_a_name_in_several_places_is_chosen_among(client: FlaskClient, session: Session) -> None:
    add_run(session, at=NOW - timedelta(days=1), columns={})
    add_run(session, warehouse="clicks", warehouse_type="postgres", schema="public", columns={})
    session.commit()
    found = client.get("/api/tables/orders/state").json
    assert (found["warehouse"], found["also_in"]) == ("clicks", [{"warehouse": "shop", "schema_name": "main"}])
    assert client.get("/api/tables/orders/state?warehouse=duckdb").json["warehouse"] == "shop"
    assert client.get("/api/tables/orders/state?schema=public").json["also_in"] == []


def test_when_it_is_due_depends_on_the_configuration(served: Served) -> None:
    served.configure("")
    path = served.folder / "profilemesh.yml"
    path.write_text(path.read_text().replace("{enabled: false}", "{default_interval_minutes: 90}"))
    with served.app.app_context():
        add_state(db.session(), last_profiled_at=NOW, sampled_at=NOW + timedelta(minutes=5))
        db.session.commit()
    found = served.app.test_client().get("/api/tables/orders/state").json
    assert found["due_at"] == (NOW + timedelta(minutes=95)).isoformat()


@pytest.mark.parametrize("name", ["a/b", "with space", "ünï", "x.y", "state"])
def test_any_name_is_found(client: FlaskClient, session: Session, name: str) -> None:
    add_state(session, name)
    session.commit()
    assert client.get(f"/api/tables/{name}/state").json["table_name"] == name


@pytest.mark.parametrize("path", ["nope/state", "orders/state?schema=nope", "%00/state"])
def test_an_unknown_table_is_a_404_in_json(client: FlaskClient, path: str) -> None:
    answer = client.get(f"/api/tables/{path}")
    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")
    assert answer.json["detail"].endswith("not found")
