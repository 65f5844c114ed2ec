from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.extensions import db
from app.schemas.decisions import PlanSchema, TickSchema
from profilemesh.storage.models import Run, TableState
from tests.factories import NOW, add_tick
from tests.web import ORIGIN, Served

PROBLEM = "application/problem+json"


@pytest.fixture
def shop(served: Served) -> Served:
    served.write("CREATE TABLE a AS SELECT i AS id FROM range(50) t(i)", "CREATE TABLE b AS SELECT 1 AS x")
    return served


def asked(shop: Served, **sent: Any) -> Any:
    answer = shop.app.test_client().post("/api/plan/run", **sent)
    shop.finish()
    return answer


def test_the_plan_tells_what_would_be_done(shop: Served) -> None:
    answer = shop.app.test_client().get("/api/plan")
    assert PlanSchema().validate(answer.json) == {}
    assert answer.json["counts"] == {"full": 2, "partial": 0, "sample": 0, "skip": 0, "defer": 0}
    first = answer.json["decisions"][0]
    shown = {name: first[name] for name in ("warehouse", "schema_name", "table_name", "action", "reason", "rows_naive")}
    assert shown == {
        "warehouse": "shop",
        "schema_name": "main",
        "table_name": "a",
        "action": "full",
        "reason": "first_profile",
        "rows_naive": 50,
    }


def test_its_decisions_are_filtered_and_paged(shop: Served) -> None:
    client = shop.app.test_client()
    second = client.get("/api/plan?action=full&limit=1&offset=1")
    assert [each["table_name"] for each in second.json["decisions"]] == ["b"]
    assert second.headers["X-Total-Count"] == "2" and 'rel="prev"' in second.headers["Link"]
    assert client.get("/api/plan?action=skip").json["decisions"] == []


def test_troubles_and_missing_tables_are_told(shop: Served) -> None:
    shop.configure("profiling: {tables: [{table: aa}, {table: '*'}]}")
    assert shop.app.test_client().get("/api/plan").json["missing"] == [{"name": "aa", "instead": "shop.main.a"}]
    (shop.folder / "shop.duckdb").unlink()
    shop.app.extensions["looker"].forget()
    (trouble,) = shop.app.test_client().get("/api/plan").json["troubles"]
    assert (trouble["warehouse"], trouble["reason"]) == ("shop", "warehouse_unreachable")


@pytest.mark.parametrize("query", ["action=nap", "limit=0", "limit=1.5", "offset=-1"])
def test_a_bad_parameter_is_refused(client: FlaskClient, query: str) -> None:
    answer = client.get(f"/api/plan?{query}")
    assert (answer.status_code, answer.content_type) == (422, PROBLEM)
    assert list(answer.json["errors"]) == [query.split("=")[0]]


def test_without_a_configuration_there_is_no_plan(client: FlaskClient) -> None:
    answer = client.get("/api/plan", headers={"Origin": ORIGIN}, environ_base={"REMOTE_ADDR": "192.0.2.7"})
    assert (answer.status_code, answer.content_type) == (503, PROBLEM)
    assert "profilemesh.yml" not in answer.json["detail"]
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "profilemesh.yml" in client.get("/api/plan").json["detail"]


def test_a_broken_configuration_is_no_plan_either(shop: Served) -> None:
    shop.configure("nonsense: 1")
    assert shop.app.test_client().get("/api/plan").status_code == 503
    answer = asked(shop, json={})
    assert answer.status_code == 503 and "/api/ticks" in answer.json["detail"]


def test_a_run_begins_and_its_plan_is_named(shop: Served) -> None:
    answer = asked(shop, json={"table": "shop.main.a"})
    assert answer.status_code == 202
    with shop.app.app_context():
        runs = db.session.execute(sa.select(Run.dataset_name, Run.plan_id)).all()
    assert [tuple(run) for run in runs] == [("a", answer.json["plan_id"])]
    (tick,) = shop.app.test_client().get("/api/ticks").json
    assert (tick["plan_id"], tick["asked_by"], tick["tables_done"]) == (answer.json["plan_id"], "hand", 1)


def test_force_reads_what_did_not_change(shop: Served) -> None:
    for force in (False, False, True):
        asked(shop, json={"force": force})
    with shop.app.app_context():
        reasons = sorted(db.session.scalars(sa.select(Run.reason)))
    assert reasons == ["first_profile"] * 2 + ["forced"] * 2


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"data": "{}"}, 415),
        ({"data": {"table": "a"}}, 415),
        ({"data": "{}", "content_type": "text/plain"}, 415),
        ({"data": "{", "content_type": "application/json"}, 400),
        ({"json": {"table": 1}}, 422),
        ({"json": {"table": ""}}, 422),
        ({"json": {"table": "a\0"}}, 422),
        ({"json": {"forse": True}}, 422),
        ({"json": []}, 422),
        ({"json": {}, "environ_base": {"REMOTE_ADDR": "192.0.2.7"}}, 403),
        ({"json": {}, "headers": {"Host": "dash.example.com"}}, 403),
        ({"json": {}, "headers": {"Forwarded": "for=127.0.0.1"}}, 403),
    ],
)
def test_what_is_not_asked_properly_is_refused(shop: Served, sent: dict, status: int) -> None:
    answer = asked(shop, **sent)
    assert (answer.status_code, answer.content_type) == (status, PROBLEM)
    assert answer.json["detail"]
    with shop.app.app_context():
        assert db.session.scalars(sa.select(TableState)).all() == []


def test_pages_of_other_origins_may_not_post(shop: Served) -> None:
    wanted = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    answer = shop.app.test_client().options("/api/plan/run", headers={"Origin": ORIGIN, **wanted})
    assert "POST" not in answer.headers.get("Access-Control-Allow-Methods", "")


def test_the_same_twice_is_a_conflict(shop: Served) -> None:
    shop.app.extensions["run_now"] = lambda *asked: "a run of all tables is still going on"
    answer = asked(shop, json={})
    assert (answer.status_code, answer.json["detail"]) == (409, "A run of all tables is still going on.")


def test_a_server_that_only_shows_says_so(client: FlaskClient) -> None:
    answer = client.post("/api/plan/run", json={})
    assert answer.status_code == 503 and "only shows" in answer.json["detail"]


def test_ticks_are_listed_newest_first_with_their_progress(client: FlaskClient, session: Session) -> None:
    add_tick(session, tick_id="old", at=NOW - timedelta(hours=1))
    reading = [{"table": "shop.main.orders", "rows": 9}]
    add_tick(session, tick_id="new", status="running", tables_to_read=5, current=reading)
    session.commit()
    found = client.get("/api/ticks").json
    assert TickSchema(many=True).validate(found) == {}
    assert [tick["tick_id"] for tick in found] == ["new", "old"]
    assert (found[0]["current"], found[0]["ended_at"], found[1]["current"]) == (reading, None, [])
    assert len(client.get("/api/ticks?limit=1").json) == 1 and client.get("/api/ticks?limit=0").status_code == 422
