import re
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.checks import KEPT, Checks
from profilemesh.config import Config, load_config
from profilemesh.config.model import WarehouseConfig
from profilemesh.warehouses.base import CheckResult
from tests.factories import NOW, add_run, add_state
from tests.web import Served, counted

TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


def words(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def ask(client: FlaskClient, name: str, **headers: str) -> str:
    """The answer to the form of the warehouse's page."""
    page = client.get(f"/warehouses/{name}").text
    form = {"csrf_token": TOKEN.findall(page)[0], "warehouse": name}
    return client.post("/warehouses/check", data=form, headers=headers).text


@pytest.fixture
def remembered(session: Session) -> None:
    add_state(session, run=add_run(session, at=NOW - timedelta(hours=3), columns={}), confidence="exact")
    add_state(session, "items", warehouse="shop", last_profiled_at=NOW - timedelta(hours=4), confidence="none")
    add_state(session, "gone", warehouse="shop", vanished_at=NOW)
    bad = {"decision": "defer", "decision_reason": "warehouse_unreachable", "decided_at": NOW - timedelta(hours=5)}
    add_state(session, "facts", warehouse="dwh", warehouse_type="postgres", last_verified_at=None, **bad)
    add_run(session, "facts", warehouse="dwh", warehouse_type="postgres", at=NOW - timedelta(days=1), status="failed")
    add_state(session, "dims", warehouse="dwh", last_profiled_at=NOW - timedelta(days=3), **bad)
    session.commit()


def test_without_configuration_it_says_so_and_tells_what_is_remembered(client: FlaskClient, remembered: None) -> None:
    page = words(client.get("/warehouses").text)
    assert "No configuration can be read there is no configuration file /nowhere/profilemesh.yml" in page
    assert "shop duckdb 2 1 gone" in page and "1 proved, 1 not provable" in page
    assert "dwh postgres 2 out of reach 5 h ago last reached 3 d ago" in page


def test_elsewhere_nobody_hears_of_files(client: FlaskClient, remembered: None) -> None:
    page = words(client.get("/warehouses", headers={"X-Forwarded-For": "203.0.113.9"}).text)
    assert "/nowhere" not in page and "The server's log has the reason." in page


def test_a_configured_warehouse_is_listed_before_its_first_run(served: Served) -> None:
    page = words(served.app.test_client().get("/warehouses").text)
    assert re.search(r"shop /\S+ duckdb – never", page)


def test_no_page_connects_by_itself(served: Served) -> None:
    client = served.app.test_client()
    for path in ("/warehouses", "/warehouses/shop"):
        assert client.get(path).status_code == 200
    assert "Nobody has asked lately" in client.get("/warehouses/shop").text


def test_one_is_asked_by_its_button(served: Served) -> None:
    (served.folder / "x.csv").write_text("a\n1\n")
    outside = f"CREATE VIEW v AS SELECT * FROM read_csv('{served.folder}/x.csv')"
    served.write("CREATE TABLE orders (id INTEGER)", outside)
    client = served.app.test_client()
    answer = ask(client, "shop", **{"HX-Request": "true"})
    assert answer.lstrip().startswith('<section class="card" id="check"')
    assert "shop.duckdb opened read-only: 2 tables" in words(answer)
    assert "every tick reads it What would help: pause it in profiling.tables" in words(answer)


def test_it_is_asked_without_scripts(served: Served) -> None:
    served.write("CREATE TABLE orders (id INTEGER)")
    client = served.app.test_client()
    assert "Redirecting" in ask(client, "shop")
    page = words(client.get("/warehouses/shop").text)
    assert "opened read-only: 1 table" in page and "Ask again" in page


def test_a_missing_file_is_told(served: Served) -> None:
    answer = words(ask(served.app.test_client(), "shop", **{"HX-Request": "true"}))
    assert "there is no file" in answer and "check `filepath`" in answer


def test_only_this_machine_may_ask(served: Served) -> None:
    client = served.app.test_client()
    token = TOKEN.findall(client.get("/warehouses/shop").text)[0]
    form, far = {"csrf_token": token, "warehouse": "shop"}, {"X-Forwarded-For": "203.0.113.9"}
    assert client.post("/warehouses/check", data=form, headers=far).status_code == 403
    page = client.get("/warehouses/shop", headers=far).text
    assert "shop.duckdb" not in page and "<form" not in page.split('id="check"')[1].split("</section>")[0]
    assert client.post("/warehouses/check", data={**form, "warehouse": "other"}).status_code == 422
    assert client.post("/warehouses/check", data={"warehouse": "shop"}).status_code == 400


def test_no_secret_is_shown(served: Served, tmp_path: Path) -> None:
    secret = "hunter2-very-secret"
    more = f"""
  nasty: {{type: postgres, host: 127.0.0.1, port: 1, username: ann, password: "{secret}",
    database: "postgresql://ann:{secret}@127.0.0.1:1/db?token={secret}", extra_params: {{sslpassword: "{secret}"}}}}
"""
    path = served.folder / "profilemesh.yml"
    path.write_text(path.read_text().replace("storage:", f"{more.strip(chr(10))}\nstorage:", 1))
    client = served.app.test_client()
    pages = [client.get(p).text for p in ("/warehouses", "/warehouses/nasty")]
    pages.append(ask(client, "nasty", **{"HX-Request": "true"}))
    assert "127.0.0.1:1/" in pages[0]
    assert "no connection" in words(pages[2]) or "could not" in words(pages[2]) or "server" in words(pages[2])
    assert all(secret not in page for page in pages)


def test_an_unknown_one_is_not_found(client: FlaskClient, remembered: None) -> None:
    for name in ("nowhere", "a%00", "shop/main"):
        assert client.get(f"/warehouses/{name}").status_code == 404


def test_what_is_read_at_every_tick_says_why(client: FlaskClient, session: Session) -> None:
    doubt = {"doubt": "a view that reads other files"}
    add_state(session, "v", last_profiled_at=NOW, confidence="none", decision_reason="unknown_state", evidence=doubt)
    session.commit()
    page = words(client.get("/warehouses/shop").text)
    assert "Read at every tick" in page and "a view that reads other files" in page


def test_statements_do_not_grow_with_the_warehouses(app: Flask, client: FlaskClient, session: Session) -> None:
    for i in range(30):
        add_state(session, run=add_run(session, warehouse=f"w{i}", columns={}))
    session.commit()
    for path, most in (("/warehouses", 3), ("/warehouses/w3", 5)):
        client.get(path)
        with counted(app) as sent:
            page = client.get(path).text
        assert len(sent) <= most and "w3" in page


@pytest.fixture
def config(served: Served) -> Config:
    return load_config(served.folder / "profilemesh.yml", {})


@pytest.fixture
def slow() -> Iterator[tuple[Checks, threading.Event, list[str]]]:
    """Looks that take until the event is set, and the names that were looked at."""
    go_on, looked = threading.Event(), list[str]()

    def look(config: Config, warehouse: WarehouseConfig) -> list[CheckResult]:
        looked.append(warehouse.name)
        go_on.wait(10)
        return [CheckResult(warehouse.name, True, "fine")]

    yield Checks(look, patience_seconds=0.1), go_on, looked
    go_on.set()


def test_who_clicks_again_and_again_looks_once(config: Config, slow: tuple[Checks, threading.Event, list[str]]) -> None:
    checks, go_on, looked = slow
    warehouse, now = config.warehouses["shop"], datetime.now(UTC)
    waiting = [checks.ask(config, warehouse, now) for _ in range(5)]
    assert [each.seconds for each in waiting] == [None] * 5 and looked == ["shop"]
    # However long it takes, there is no second one beside it.
    checks.ask(config, warehouse, now + 10 * KEPT)
    assert looked == ["shop"]
    go_on.set()
    deadline = time.monotonic() + 5
    while (found := checks.ask(config, warehouse, now)).seconds is None and time.monotonic() < deadline:
        pass
    assert found.results[0].ok and looked == ["shop"]
    checks.ask(config, warehouse, now + KEPT)
    assert looked == ["shop", "shop"]


def test_a_look_that_breaks_frees_its_place(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, told = list[int](), list[str]()
    monkeypatch.setattr(threading, "excepthook", lambda broke: told.append(str(broke.exc_value)))

    def broken(config: Config, warehouse: WarehouseConfig) -> list[CheckResult]:
        calls.append(1)
        raise ConnectionError("boom")

    checks, now = Checks(broken), datetime.now(UTC)
    found = checks.ask(config, config.warehouses["shop"], now)
    assert found.seconds is not None and not found.results
    assert checks.ask(config, config.warehouses["shop"], now + KEPT).began_at == now + KEPT and len(calls) == 2
    assert told == ["boom", "boom"]
