import pytest
from flask.testing import FlaskClient

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "application/json, text/plain, */*"])
def test_a_program_gets_a_sign_of_life(client: FlaskClient, accept: str | None) -> None:
    answer = client.get("/", headers={"Accept": accept} if accept else {})
    assert answer.json == {"status": "healthy", "service": "ProfileMesh", "version": "2.0.0"}


@pytest.mark.parametrize("accept", [BROWSER, "text/html"])
def test_a_browser_gets_the_dashboard(client: FlaskClient, accept: str) -> None:
    answer = client.get("/", headers={"Accept": accept})
    assert answer.content_type.startswith("text/html") and "<h1>Overview</h1>" in answer.text


def test_caches_are_told_that_it_depends_on_who_asks(client: FlaskClient) -> None:
    for accept in (BROWSER, "*/*"):
        assert "Accept" in client.get("/", headers={"Accept": accept}).vary
