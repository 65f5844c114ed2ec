"""PostgreSQL stops under a server that is asked all the while: every answer says so in time, nothing is restarted."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta

import psycopg2
import pytest
from sqlalchemy.orm import Session

from app.extensions import db
from profilemesh.storage.engine import make_engine
from profilemesh.storage.upgrade import upgrade
from tests.conftest import PostgresServer, own_postgres
from tests.engine.ticks import wait_for
from tests.factories import NOW, add_run
from tests.servers import Answer, Server, running
from tests.web import make_app

CLIENTS = 6
PATIENCE = 2.0


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with own_postgres() as server:
        url = server.url("postgres")
        upgrade(url)
        engine = make_engine(url)
        with Session(engine) as session:
            for minutes in range(50):
                add_run(session, at=NOW - timedelta(minutes=minutes), columns={})
            session.commit()
        engine.dispose()
        yield server


@pytest.fixture(scope="module")
def server(postgres: PostgresServer) -> Iterator[Server]:
    with running(postgres.url("postgres"), workers=2) as server:
        yield server


@contextmanager
def asked(server: Server, **headers: str) -> Iterator[list[Answer]]:
    """Several clients ask all the time; one that gets no answer fails the test."""
    answers: list[Answer] = []
    failures: list[Exception] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            try:
                answers.append(server.get("/api/runs", **headers))
            except Exception as error:  # noqa: BLE001 - told in the test's own thread
                failures.append(error)
            time.sleep(0.01)

    clients = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield answers
    finally:
        done.set()
        for client in clients:
            client.join(30)
    assert failures == []


@contextmanager
def locked(postgres: PostgresServer) -> Iterator[None]:
    """Whoever reads the runs waits in the middle of a statement, until the server goes."""
    with ExitStack() as stack:
        holder = psycopg2.connect(postgres.url("postgres"))
        stack.callback(holder.close)
        holder.cursor().execute("LOCK TABLE profilemesh_runs IN ACCESS EXCLUSIVE MODE")
        yield


def is_refusal(answer: Answer) -> bool:
    if answer.status != 503 or answer.headers["Content-Type"] != "application/problem+json":
        return False
    problem = json.loads(answer.body)
    return int(answer.headers["Retry-After"]) > 0 and problem["status"] == 503 and bool(problem["detail"])


def others(answers: list[Answer]) -> list[tuple[int, bytes]]:
    """What is neither an answer nor a refusal."""
    return [(answer.status, answer.body) for answer in answers if answer.status != 200 and not is_refusal(answer)]


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_an_outage_is_told_in_time_and_its_end_needs_no_restart(
    postgres: PostgresServer, server: Server, mode: str
) -> None:
    workers = server.workers()
    with asked(server) as answers:
        wait_for(lambda: len(answers) >= 50, 10)
        assert {answer.status for answer in answers} == {200}
        postgres.stop(mode)
        stopped = time.monotonic()
        time.sleep(1.5)
        back = time.monotonic()
        postgres.start()
        started = time.monotonic()
        wait_for(lambda: sum(answer.asked_at > started for answer in answers) >= 50, 10)
    during = [answer for answer in answers if stopped < answer.asked_at and answer.asked_at + answer.seconds < back]
    assert len(during) > CLIENTS and all(is_refusal(answer) for answer in during)
    assert {answer.status for answer in answers if answer.asked_at > started} == {200}
    assert others(answers) == []
    assert max(answer.seconds for answer in answers) < PATIENCE
    assert server.workers() == workers


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_who_waits_in_a_statement_hears_of_the_outage_at_once(
    postgres: PostgresServer, server: Server, mode: str
) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with asked(server, **{"Cache-Control": "no-cache"}) as answers:
        with locked(postgres):
            wait_for(lambda: postgres.execute(waiting)[0][0] == CLIENTS, 10)
            before = len(answers)
            postgres.stop(mode)
            stopped = time.monotonic()
        wait_for(lambda: len(answers) >= before + CLIENTS, 10)
        postgres.start()
    held = answers[before : before + CLIENTS]
    # Who held the lock may go first: then a statement that waited for it still comes to its end.
    assert others(answers) == [] and all(is_refusal(answer) or answer.status == 200 for answer in held)
    assert all(answer.asked_at < stopped and answer.asked_at + answer.seconds < stopped + PATIENCE for answer in held)


def test_a_connection_that_is_lost_at_the_very_end_spoils_no_answer(postgres: PostgresServer) -> None:
    """After the answer is made, and before its connection is given back."""
    app = make_app(postgres.url("postgres"))

    @app.teardown_request
    def cut(error: BaseException | None) -> None:
        ours = "query ~ 'profilemesh_' AND pid <> pg_backend_pid()"
        postgres.execute(f"SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE {ours}")

    with app.app_context():
        engine = db.engine
    for path in ("/api/runs", "/api/drift", "/api/dashboard/metrics"):
        assert app.test_client().get(path).status_code == 200
    engine.dispose()
