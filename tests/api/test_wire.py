"""What a real server puts on the wire: names as asked for, a body only where one belongs, one connection for all."""

from __future__ import annotations

import gzip
import http.client
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.api.contract.conftest import opened
from tests.api.contract.shapes import strict
from tests.api.contract.world import NAMES
from tests.servers import Server, running
from tests.web import ORIGIN, make_app

TIDY = ("a//b", "/a", "a/", "..", ".", "a/../b", "a\tb", " ", "%2F", "%", "+", "é", "a;b", "?", "#")
EVERY = (*NAMES, *TIDY)


@pytest.fixture(scope="module")
def server(empty_storage: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    url = f"sqlite:///{shutil.copy(empty_storage, tmp_path_factory.mktemp('wire') / 'storage.db')}"
    with opened(make_app(url)) as world:
        for i, name in enumerate(EVERY):
            world.run(f"r{i}", name, rows=100 + i)
        for i, other in enumerate(("a", "b", "e\u0301", "A")):
            world.run(f"other{i}", other, rows=7)
        world.session.commit()
    with running(url) as server:
        yield server


@pytest.fixture
def connection(server: Server) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    yield connection
    connection.close()


@pytest.mark.parametrize("name", EVERY)
def test_a_name_arrives_as_it_was_asked_for(server: Server, name: str) -> None:
    answer = server.get(f"/api/tables/{quote(name, safe='')}/metrics")
    assert answer.status == 200, answer.headers["Location"]
    found = strict(answer.body.decode())
    assert (found["table_name"], found["row_count"]) == (name, 100 + EVERY.index(name))


@pytest.mark.parametrize("name", ["a/b", "with space", "plus+plus", "per%41cent"])
def test_a_name_whose_slash_is_not_escaped_is_the_same(server: Server, name: str) -> None:
    assert server.get(f"/api/tables/{quote(name)}/metrics").status == 200


def ask(connection: http.client.HTTPConnection, method: str, path: str, **headers: str) -> tuple[int, bytes]:
    connection.request(method, path, headers={"Origin": ORIGIN, **headers})
    answer = connection.getresponse()
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN, path
    return answer.status, answer.read()


def test_one_connection_serves_answers_with_and_without_a_body(connection: http.client.HTTPConnection) -> None:
    """A body where none belongs, or a wrong length, would spoil the next answer."""
    connection.request("GET", "/api/runs")
    answer = connection.getresponse()
    body, tag = answer.read(), answer.headers["ETag"]
    for _ in range(2):
        assert ask(connection, "HEAD", "/api/runs") == (200, b"")
        assert ask(connection, "GET", "/api/runs", **{"If-None-Match": tag}) == (304, b"")
        assert ask(connection, "GET", "/api/runs") == (200, body)
        status, packed = ask(connection, "GET", "/api/runs", **{"Accept-Encoding": "gzip"})
        assert (status, gzip.decompress(packed)) == (200, body)
        for path, wanted in (("/api/runs?days=x", 422), ("/api/nope", 404), ("/api/runs/", 308)):
            assert ask(connection, "GET", path)[0] == wanted
        assert ask(connection, "POST", "/api/runs")[0] == 405
        assert ask(connection, "HEAD", "/api/export/runs?format=csv") == (200, b"")
        assert ask(connection, "GET", "/api/export/runs?format=csv")[1].count(b"r1,") >= 1


def test_lengths_are_those_of_the_body(connection: http.client.HTTPConnection) -> None:
    for path in ("/api/runs", "/api/runs?days=x", "/api/tables", "/health/live"):
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.headers["Content-Length"] == str(len(answer.read())), path


def test_answers_tell_nothing_of_the_software(connection: http.client.HTTPConnection) -> None:
    connection.request("GET", "/api/nope")
    answer = connection.getresponse()
    answer.read()
    assert "werkzeug" not in str(answer.headers).lower() and "python" not in str(answer.headers).lower()
