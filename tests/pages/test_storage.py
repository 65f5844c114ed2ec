"""A SQLite storage that fails under the app: taken away, replaced, without room on its disk."""

import shutil
from pathlib import Path

import sqlalchemy as sa

from app.extensions import db
from profilemesh.storage import open_storage
from tests.factories import add_finding, add_run
from tests.web import make_app


def storage_of(path: Path, empty_storage: Path, table: str) -> Path:
    storage = open_storage(f"sqlite:///{shutil.copy(empty_storage, path)}")
    with storage.begin() as session:
        add_finding(session, add_run(session, table), finding_id="a")
    storage.close()
    return path


def test_nothing_is_shown_or_kept_of_a_file_that_is_gone(empty_storage: Path, tmp_path: Path) -> None:
    path = storage_of(tmp_path / "profilemesh.db", empty_storage, "orders")
    client = make_app(f"sqlite:///{path}").test_client()
    assert "orders" in client.get("/runs").text
    for file in tmp_path.iterdir():
        file.unlink()
    addresses = ("/tables", "/runs", "/api/runs", "/health/ready")
    assert {address: client.get(address).status_code for address in addresses} == dict.fromkeys(addresses, 503)
    assert client.post("/api/findings/a/triage", json={"action": "acknowledge"}).status_code == 503
    assert list(tmp_path.iterdir()) == [], "no empty one is made in its place"
    storage_of(path, empty_storage, "restored")
    assert [run["dataset_name"] for run in client.get("/api/runs").json] == ["restored"]
    assert "restored" in client.get("/runs").text


def test_a_full_disk_is_told_and_nothing_of_a_triage_is_kept(empty_storage: Path, tmp_path: Path) -> None:
    path = storage_of(tmp_path / "profilemesh.db", empty_storage, "orders")
    app = make_app(f"sqlite:///{path}")
    with app.app_context():
        # Fewer pages than it has: no further one is given.
        sa.event.listen(db.engine, "connect", lambda connection, _: connection.execute("PRAGMA max_page_count = 1"))
    client, before = app.test_client(), app.test_client().get("/api/findings/a").json
    for _ in range(2):
        sent = {"action": "comment", "text": "x" * 10_000}
        answer = client.post("/api/findings/a/triage", json=sent)
        assert (answer.status_code, answer.json["title"]) == (503, "Storage is not available")
    assert client.get("/api/findings/a", headers={"Cache-Control": "no-cache"}).json == before
    assert client.get("/drift").status_code == 200
