"""Answers that are given again: never after a change, whoever made it."""

from __future__ import annotations

import gzip
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask, Response
from flask.testing import FlaskClient

from app.extensions import db
from profilemesh.storage import open_storage
from profilemesh.storage.models import Run
from tests.factories import NOW, add_many, add_run
from tests.web import ORIGIN, counted, make_app


@pytest.fixture
def stored(fresh_url: str) -> Iterator[Flask]:
    """The app over a storage of either kind, with one run."""
    app = make_app(fresh_url)
    with app.app_context():
        add_run(db.session(), run_id="r1", rows=5)
        db.session.commit()
    yield app
    with app.app_context():
        db.engine.dispose()


def elsewhere(app: Flask, *statements: sa.Executable) -> None:
    """Another process's writes, for all that this one knows."""
    storage = open_storage(app.config["PROFILEMESH_DB_URL"])
    with storage.begin() as session:
        for statement in statements:
            session.execute(statement)
    storage.close()


def test_the_same_answer_costs_one_small_statement_at_most(stored: Flask) -> None:
    client = stored.test_client()
    first = client.get("/api/runs")
    with counted(stored) as sent:
        again = client.get("/api/runs")
    assert (again.data, again.headers["ETag"]) == (first.data, first.headers["ETag"])
    assert again.headers["X-Total-Count"] == "1"
    assert len(sent) <= 1


def test_who_has_the_answer_gets_304_without_a_body(stored: Flask) -> None:
    client = stored.test_client()
    tag = client.get("/api/runs/r1").headers["ETag"]
    answer = client.get("/api/runs/r1", headers={"If-None-Match": tag})
    assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", tag)
    assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize(
    "change",
    [
        sa.update(Run).values(row_count=6),
        sa.update(Run).values(has_drift=True),
        sa.delete(Run),
        sa.text("UPDATE profilemesh_runs SET status = 'failed'"),
    ],
)
def test_a_change_by_anybody_makes_an_answer_old_at_once(stored: Flask, change: sa.Executable) -> None:
    client = stored.test_client()
    before = client.get("/api/runs")
    elsewhere(stored, change)
    after = client.get("/api/runs", headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200 and after.data != before.data


def test_what_is_not_committed_is_not_shown_and_what_is_taken_back_changes_nothing(stored: Flask) -> None:
    client = stored.test_client()
    before = client.get("/api/runs")
    storage = open_storage(stored.config["PROFILEMESH_DB_URL"])
    with pytest.raises(ZeroDivisionError), storage.begin() as session:
        session.execute(sa.delete(Run))
        assert client.get("/api/runs").data == before.data
        raise ZeroDivisionError
    storage.close()
    assert client.get("/api/runs", headers={"If-None-Match": before.headers["ETag"]}).status_code == 304


def test_a_change_elsewhere_leaves_an_etag_valid(stored: Flask) -> None:
    client = stored.test_client()
    tag = client.get("/api/runs/r1").headers["ETag"]
    elsewhere(stored, sa.text("UPDATE profilemesh_leases SET holder = NULL"), sa.text("DELETE FROM profilemesh_ticks"))
    with stored.app_context():
        add_run(db.session(), "other", run_id="r2")
        db.session.commit()
    assert client.get("/api/runs/r1", headers={"If-None-Match": tag}).status_code == 304


def test_another_process_gives_the_same_etag(stored: Flask) -> None:
    other = make_app(stored.config["PROFILEMESH_DB_URL"])
    tags = {app.test_client().get("/api/dashboard/metrics").headers["ETag"] for app in (stored, other)}
    assert len(tags) == 1
    with other.app_context():
        db.engine.dispose()


def test_what_falls_out_of_the_days_is_gone_within_a_minute(stored: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    client = stored.test_client()
    assert client.get("/api/runs?days=1").json != []
    for module in ("app.remembered", "app.api.runs"):
        monkeypatch.setattr(f"{module}.this_minute", lambda: NOW + timedelta(days=1, minutes=1))
    assert client.get("/api/runs?days=1").json == []


def test_no_cache_has_it_computed_anew(stored: Flask) -> None:
    client = stored.test_client()
    client.get("/api/runs")
    with counted(stored) as sent:
        assert client.get("/api/runs", headers={"Cache-Control": "no-cache"}).status_code == 200
    assert len(sent) > 1 or stored.config["PROFILEMESH_DB_URL"].startswith("sqlite")
    assert sent


def test_filters_are_answers_of_their_own(stored: Flask) -> None:
    client = stored.test_client()
    assert [len(client.get(f"/api/runs?table={name}").json) for name in ("orders", "none", "orders")] == [1, 0, 1]


def test_a_file_that_was_replaced_is_seen(empty_storage: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(empty_storage, tmp_path / "a.db"))
    app = make_app(f"sqlite:///{path}")
    client = app.test_client()
    assert client.get("/api/runs").json == []
    with app.app_context():
        db.engine.dispose()
    other = Path(shutil.copy(empty_storage, tmp_path / "b.db"))
    with sqlite3.connect(other) as connection:
        connection.execute(
            "INSERT INTO profilemesh_runs (run_id, dataset_name, status, profiled_at) VALUES ('r', 't', 'x', ?)",
            [f"{NOW:%Y-%m-%d %H:%M:%S.%f}"],
        )
    connection.close()
    for ending in ("-wal", "-shm"):
        Path(f"{path}{ending}").unlink(missing_ok=True)
    other.replace(path)
    assert [run["run_id"] for run in client.get("/api/runs").json] == ["r"]
    with app.app_context():
        db.engine.dispose()


def test_large_answers_are_compressed_for_who_takes_it(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        add_many(db.session(), ["orders"] * 40)
        db.session.commit()
    plain = client.get("/api/runs")
    packed = client.get("/api/runs", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in plain.headers and packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data and len(packed.data) < len(plain.data) / 4
    assert packed.headers["ETag"] == plain.headers["ETag"]
    assert all("Accept-Encoding" in answer.headers["Vary"] for answer in (plain, packed))


def test_exports_are_compressed_while_they_are_sent(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        add_many(db.session(), ["orders"] * 40)
        db.session.commit()
    plain = client.get("/api/export/runs?format=csv")
    packed = client.get("/api/export/runs?format=csv", headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(packed.data) == plain.data


def test_small_answers_and_refusals_of_gzip_are_left_alone(client: FlaskClient) -> None:
    assert "Content-Encoding" not in client.get("/api/runs", headers={"Accept-Encoding": "gzip"}).headers
    page = client.get("/docs", headers={"Accept-Encoding": "identity, gzip;q=0"})
    assert "Content-Encoding" not in page.headers


def test_what_is_given_again_is_the_answer_to_who_asks(stored: Flask) -> None:
    client = stored.test_client()
    for _ in range(2):
        refused = client.get("/api/runs", headers={"Origin": "https://evil.example.com"})
        assert "Access-Control-Allow-Origin" not in refused.headers
        allowed = client.get("/api/runs", headers={"Origin": ORIGIN})
        assert allowed.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert allowed.headers["X-Content-Type-Options"] == "nosniff"
        elsewhere = client.get("/api/runs", base_url="http://dash:8000")
        assert elsewhere.headers["Link"].startswith("<http://dash:8000/api/runs?")


@pytest.mark.parametrize("wanted", ["*", '"x", {tag}', "{strong}"])
def test_a_tag_is_found_however_it_is_sent(stored: Flask, wanted: str) -> None:
    client = stored.test_client()
    tag = client.get("/api/runs").headers["ETag"]
    headers = {"If-None-Match": wanted.format(tag=tag, strong=tag.removeprefix("W/"))}
    assert client.get("/api/runs", headers=headers).status_code == 304
    assert client.get("/api/runs", headers={"If-None-Match": '"x"'}).status_code == 200


def test_a_failure_after_the_view_is_not_remembered(stored: Flask) -> None:
    fails = [True, False, False]

    @stored.after_request
    def fail(response: Response) -> Response:
        if fails.pop(0):
            raise RuntimeError
        return response

    client = stored.test_client()
    assert [client.get("/api/runs").status_code for _ in range(2)] == [500, 200]
