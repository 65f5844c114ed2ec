"""A SQLite storage that is taken away under the app, and another put in its place."""

import shutil
from pathlib import Path

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
