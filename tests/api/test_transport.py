"""What holds for every answer: where it may be read from, and what an error looks like."""

from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.extensions import db
from profilemesh.storage.models import Run
from tests.factories import add_run
from tests.web import ORIGIN, make_app

HERE = {"Origin": ORIGIN}


@pytest.fixture
def broken(tmp_path: Path) -> Flask:
    """The app over a file that is no database."""
    (tmp_path / "broken.db").write_text("this was a database once, now it is a sentence" * 50)
    return make_app(f"sqlite:///{tmp_path / 'broken.db'}")


@pytest.fixture
def outdated(tmp_path: Path) -> Flask:
    return make_app(f"sqlite:///{tmp_path / 'empty.db'}")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/runs", 200),
        ("/api/runs/x", 404),
        ("/api/x", 404),
        ("/api/runs?days=x", 422),
        ("/api/runs/", 308),
        ("/", 200),
    ],
)
def test_allowed_origins_may_read_every_answer(client: FlaskClient, path: str, status: int) -> None:
    answer = client.get(path, headers=HERE)
    assert answer.status_code == status
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    exposed = set(answer.headers["Access-Control-Expose-Headers"].split(", "))
    assert exposed == {"X-Total-Count", "X-Next-Cursor", "Link", "ETag", "Content-Disposition", "Retry-After"}
    assert "Origin" in answer.headers["Vary"]


def test_other_origins_may_not(client: FlaskClient) -> None:
    answer = client.get("/api/runs", headers={"Origin": "https://evil.example.com"})
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_preflight_is_answered(client: FlaskClient) -> None:
    answer = client.options("/api/runs", headers={**HERE, "Access-Control-Request-Method": "GET"})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, ORIGIN)


def test_a_wrong_method_names_the_right_ones(client: FlaskClient) -> None:
    answer = client.post("/api/runs", headers=HERE)
    assert (answer.status_code, answer.content_type) == (405, "application/problem+json")
    assert "GET" in answer.headers["Allow"]
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN


@pytest.mark.parametrize("path", ["/api", "/api/nope", "/api/runs/x/y"])
def test_what_is_not_there_is_json(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.content_type == "application/problem+json"
    assert set(answer.json) == {"type", "title", "status", "detail"}
    assert answer.json["status"] == answer.status_code == 404


def test_an_outdated_storage_is_a_503_with_the_command(outdated: Flask) -> None:
    answer = outdated.test_client().get("/api/runs", headers=HERE)
    assert (answer.status_code, answer.content_type) == (503, "application/problem+json")
    assert "profilemesh db upgrade" in answer.json["detail"]
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "Retry-After" in answer.headers


def test_an_outdated_storage_is_a_page_with_the_command(outdated: Flask) -> None:
    answer = outdated.test_client().get("/runs")
    assert answer.status_code == 503
    assert "profilemesh db upgrade" in answer.text and answer.content_type.startswith("text/html")


def test_an_outdated_storage_still_has_its_stylesheets_and_documentation(outdated: Flask) -> None:
    client = outdated.test_client()
    for path in ("/static/css/base.css", "/docs", "/openapi.json"):
        with client.get(path) as answer:
            assert answer.status_code == 200


def test_an_upgrade_needs_no_restart(outdated: Flask, tmp_path: Path) -> None:
    from profilemesh.storage.upgrade import upgrade

    client = outdated.test_client()
    assert client.get("/api/runs").status_code == 503
    upgrade(f"sqlite:///{tmp_path / 'empty.db'}")
    assert client.get("/api/runs").status_code == 200


def test_a_storage_that_is_down_is_a_503_and_never_an_empty_list(broken: Flask) -> None:
    answer = broken.test_client().get("/api/runs", headers=HERE)
    assert (answer.status_code, answer.content_type) == (503, "application/problem+json")
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "broken.db" not in answer.text


def test_a_storage_that_is_down_is_a_page_too(broken: Flask) -> None:
    answer = broken.test_client().get("/", headers={"Accept": "text/html"})
    assert answer.status_code == 503 and "The storage database does not answer." in answer.text


def test_a_server_that_does_not_answer_is_a_503() -> None:
    app = make_app("postgresql://nobody@127.0.0.1:1/none?connect_timeout=1")
    answer = app.test_client().get("/api/runs")
    assert (answer.status_code, answer.json["title"]) == (503, "Storage is not available")


def test_our_own_fault_is_a_500_in_json_without_its_insides(fresh_url: str) -> None:
    app = make_app(fresh_url)

    @app.get("/api/fault")
    def fault() -> str:
        raise RuntimeError("the secret is 42")

    answer = app.test_client().get("/api/fault", headers=HERE)
    assert (answer.status_code, answer.content_type) == (500, "application/problem+json")
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "42" not in answer.text


def test_a_mistake_in_a_statement_is_our_fault(fresh_url: str) -> None:
    app = make_app(fresh_url)

    @app.get("/api/fault")
    def fault() -> str:
        return str(db.session.scalar(db.select(Run.row_count).where(db.text("no_such_column = 1"))))

    assert app.test_client().get("/api/fault").status_code == 500
    with app.app_context():
        db.engine.dispose()


def test_both_storages_answer_alike(fresh_url: str) -> None:

    app = make_app(fresh_url)
    with app.app_context():
        run = add_run(db.session(), run_id="r1", rows=77)
        db.session.commit()
        wanted = run.profiled_at.isoformat()
    client = app.test_client()
    listed = client.get("/api/runs?warehouse=duckdb").json
    assert [(r["run_id"], r["row_count"], r["profiled_at"]) for r in listed] == [("r1", 77, wanted)]
    assert client.get("/api/runs/r1").json["columns"][0]["max_value"] == 77
    for path in ("/", "/?days=1", "/runs?q=ord", "/runs/r1", "/tables", "/tables/orders"):
        answer = client.get(path, headers={"Accept": "text/html"})
        assert answer.status_code == 200 and "orders" in answer.text
        assert ("in all 1 full" in answer.text) is (path in ("/", "/?days=1"))
    with app.app_context():
        db.engine.dispose()
