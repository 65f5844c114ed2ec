"""An answer that is known already is not sent again, and one that changed is; large ones are packed."""

import gzip

import pytest
import sqlalchemy as sa

from tests.api.contract.test_transport import is_readable
from tests.api.contract.world import World

LISTS = ("/api/runs", "/api/drift", "/api/tables")
DETAILS = (
    "/api/runs/r1",
    "/api/tables/orders/metrics",
    "/api/tables/orders/columns/total/metrics",
    "/api/runs/r1/compare/r2",
)


@pytest.fixture
def stored(small: World) -> World:
    small.drift(small.run("r1", back=1, rows=10, has_drift=True))
    small.run("r2", rows=20)
    small.session.commit()
    return small


def change(world: World, statement: str) -> None:
    world.session.execute(sa.text(statement))
    world.session.commit()


@pytest.mark.parametrize("path", [*LISTS, *DETAILS])
def test_what_is_known_is_not_sent_again(stored: World, path: str) -> None:
    tag = stored.get(path).headers["ETag"]
    assert tag.startswith('W/"')
    for known in (tag, f'"x", {tag}', tag.removeprefix("W/"), "*"):
        answer = stored.get(path, **{"If-None-Match": known})
        assert (answer.status_code, answer.data) == (304, b""), known
        assert answer.headers["ETag"] == tag and is_readable(answer)
    assert stored.get(path, **{"If-None-Match": 'W/"other"'}).status_code == 200


@pytest.mark.parametrize("path", [*LISTS, *DETAILS])
def test_a_change_that_keeps_every_count_is_seen(stored: World, path: str) -> None:
    tag = stored.get(path).headers["ETag"]
    change(stored, "UPDATE profilemesh_runs SET row_count = 21, column_count = 3 WHERE run_id = 'r2'")
    change(stored, "UPDATE profilemesh_runs SET row_count = 11, column_count = 3 WHERE run_id = 'r1'")
    change(stored, "UPDATE profilemesh_results SET metric_value = '1', metric_number = 1")
    change(stored, "UPDATE profilemesh_events SET drift_severity = 'low'")
    assert stored.get(path, **{"If-None-Match": tag}).status_code == 200


def test_a_run_that_ends_is_seen(small: World) -> None:
    small.run("r1", status="running", rows=None, columns={})
    small.session.commit()
    tags = {path: small.get(path).headers["ETag"] for path in ("/api/runs", "/api/runs/r1", "/api/tables")}
    change(small, "UPDATE profilemesh_runs SET status = 'failed' WHERE run_id = 'r1'")
    for path, tag in tags.items():
        assert small.get(path, **{"If-None-Match": tag}).status_code == 200, path


@pytest.mark.parametrize("path", LISTS)
def test_what_is_added_or_gone_is_seen(stored: World, path: str) -> None:
    tag = stored.get(path).headers["ETag"]
    stored.drift(stored.run("r3", "more", has_drift=True))
    stored.session.commit()
    second = stored.get(path, **{"If-None-Match": tag})
    assert second.status_code == 200
    change(stored, "DELETE FROM profilemesh_events")
    change(stored, "DELETE FROM profilemesh_runs WHERE run_id = 'r3'")
    assert stored.get(path, **{"If-None-Match": second.headers["ETag"]}).status_code == 200


def test_the_total_is_part_of_what_is_known(stored: World) -> None:
    tag = stored.get("/api/runs", "limit=1").headers["ETag"]
    change(stored, "DELETE FROM profilemesh_runs WHERE run_id = 'r1'")
    answer = stored.get("/api/runs", "limit=1", **{"If-None-Match": tag})
    assert (answer.status_code, answer.headers["X-Total-Count"]) == (200, "1")


@pytest.mark.parametrize("path", [*LISTS, "/api/runs/nope", "/api/export/runs"])
def test_other_questions_have_other_tags(stored: World, path: str) -> None:
    tag = stored.get("/api/runs").headers["ETag"]
    if path != "/api/runs":
        assert stored.get(path, **{"If-None-Match": tag}).status_code != 304
    assert stored.get("/api/runs", "days=x", **{"If-None-Match": "*"}).status_code == 422


@pytest.mark.parametrize(
    "path", ["/api/runs?days=90", "/api/runs/n00", "/api/tables", "/api/dashboard/metrics?days=365"]
)
def test_a_large_answer_is_packed_for_who_takes_it(world: World, path: str) -> None:
    plain, packed = world.get(path), world.get(path, **{"Accept-Encoding": "gzip, br"})
    assert "Content-Encoding" not in plain.headers and len(plain.data) > 4000
    assert packed.headers["Content-Encoding"] == "gzip" and gzip.decompress(packed.data) == plain.data
    assert len(packed.data) < len(plain.data) / 2
    assert packed.headers["Content-Length"] == str(len(packed.data))
    for answer in (plain, packed):
        assert "Accept-Encoding" in answer.headers["Vary"] and is_readable(answer)


@pytest.mark.parametrize("accepted", ["", "identity", "gzip;q=0", "br", "*;q=0, identity"])
def test_who_does_not_take_it_gets_it_plain(world: World, accepted: str) -> None:
    answer = world.get("/api/runs", **{"Accept-Encoding": accepted})
    assert "Content-Encoding" not in answer.headers and answer.json


@pytest.mark.parametrize("what", ["runs", "drift"])
@pytest.mark.parametrize("format_", ["json", "csv", "jsonl"])
def test_an_export_may_be_packed_and_is_the_same(world: World, what: str, format_: str) -> None:
    path = f"/api/export/{what}?format={format_}&days=3650"
    plain, packed = world.get(path), world.get(path, **{"Accept-Encoding": "gzip"})
    is_packed = packed.headers.get("Content-Encoding") == "gzip"
    assert (gzip.decompress(packed.data) if is_packed else packed.data) == plain.data
    assert not is_packed or "Accept-Encoding" in plain.headers["Vary"]


def test_what_is_known_is_known_packed_too(world: World) -> None:
    tag = world.get("/api/runs").headers["ETag"]
    answer = world.get("/api/runs", **{"If-None-Match": tag, "Accept-Encoding": "gzip"})
    assert (answer.status_code, answer.data) == (304, b"")
    packed = world.get("/api/runs", **{"Accept-Encoding": "gzip"})
    assert world.get("/api/runs", **{"If-None-Match": packed.headers["ETag"]}).status_code == 304
