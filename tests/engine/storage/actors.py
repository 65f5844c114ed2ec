"""The other processes of these tests. Each says a word when it got somewhere, and waits for one to go on."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection

import sqlalchemy as sa
from sqlalchemy import event

from profilemesh.storage import leases, open_storage, runs, states
from profilemesh.storage.claims import new_holder
from profilemesh.storage.models import Run
from profilemesh.storage.upgrade import upgrade
from profilemesh.tables import TableRef

TERM = timedelta(minutes=5)


line: Connection
"""To the test."""


def play(connection: Connection, part: str, *arguments: str) -> None:
    global line
    line = connection
    globals()[part](*arguments)


def say(word: object) -> None:
    line.send(word)


def hear() -> None:
    line.recv()


def claim_tables(url: str, count: str) -> None:
    """Claim tables 0 to count - 1 of `shop.main`, and say which were won."""
    storage, holder = open_storage(url), new_holder()
    say("ready")
    hear()
    won = []
    for number in range(int(count)):
        with storage.begin() as session:
            if states.claim(session, TableRef("shop", "main", str(number)), holder, datetime.now(UTC), TERM):
                won.append(str(number))
    say(",".join(won))
    hear()


def take_lease(url: str) -> None:
    storage = open_storage(url)
    say("ready")
    hear()
    with storage.begin() as session:
        won = leases.take(session, "scheduler", new_holder(), TERM)
    say(won)
    hear()


def stop_before_commit(url: str) -> None:
    """Finish a run and store a thousand metrics, but never commit."""
    storage, now = open_storage(url), datetime.now(UTC)
    with storage.begin() as session:
        run = session.scalars(sa.select(Run)).one()
        run.row_count = 1000
        runs.finish_run(session, run)
        runs.save_results(session, run, [runs.Metric("id", f"m{n}", str(now), n) for n in range(1000)])
        say("written")
        hear()


def upgrade_and_die(url: str, statement: str) -> None:
    """Upgrade, and be killed before the given statement that writes, counted from 1, or before the `commit`."""
    seen = 0

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def count(connection, cursor, sql, *rest):  # type: ignore[no-untyped-def]
        nonlocal seen
        seen += sql.lstrip().upper().startswith(("CREATE", "INSERT", "ALTER", "UPDATE"))
        if str(seen) == statement:
            die()

    if statement == "commit":
        event.listen(sa.Engine, "commit", die)
    event.listen(sa.Engine, "before_cursor_execute", count)
    upgrade(url)
    say(f"done after {seen} statements")


def upgrade_when_told(url: str) -> None:
    say("ready")
    hear()
    say("changed" if upgrade(url).changed else "nothing to do")
