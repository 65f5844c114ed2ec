from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from profilemesh.storage import Storage, states
from profilemesh.storage.claims import holder_is_dead, new_holder
from profilemesh.tables import TableRef

TABLE = TableRef("shop", "main", "orders")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TERM = timedelta(seconds=60)
ELSEWHERE = "other-host:1:1:9d1ce8a2-6f5d-4a51-8f3a-0ad4a4f3b001"


def claim(storage: Storage, holder: str, now: datetime = NOW) -> bool:
    with storage.begin() as session:
        return states.claim(session, TABLE, holder, now, TERM)


def test_a_live_claim_refuses_another(storage: Storage) -> None:
    assert claim(storage, ELSEWHERE)
    assert not claim(storage, new_holder())
    assert claim(storage, ELSEWHERE)


def test_an_expired_claim_is_taken_over_and_then_lost_to_the_first(storage: Storage) -> None:
    claim(storage, ELSEWHERE)
    mine = new_holder()
    assert claim(storage, mine, NOW + TERM)
    with storage.begin() as session:
        assert not states.renew(session, TABLE, ELSEWHERE, NOW + TERM, TERM)
        assert states.renew(session, TABLE, mine, NOW + TERM, TERM)


def test_a_renewed_claim_lasts_its_new_term(storage: Storage) -> None:
    claim(storage, ELSEWHERE)
    with storage.begin() as session:
        assert states.renew(session, TABLE, ELSEWHERE, NOW + timedelta(seconds=50), TERM)
    assert not claim(storage, new_holder(), NOW + TERM)


def test_only_the_holder_releases(storage: Storage) -> None:
    claim(storage, ELSEWHERE)
    with storage.begin() as session:
        states.release(session, TABLE, new_holder())
    assert not claim(storage, new_holder())
    with storage.begin() as session:
        states.release(session, TABLE, ELSEWHERE)
    assert claim(storage, new_holder())


def test_of_two_processes_exactly_one_wins_each_table(storage: Storage, migrated_url: str, actor) -> None:
    processes = [actor("claim_tables", migrated_url, "40") for _ in range(2)]
    for process in processes:
        assert process.says() == "ready"
    for process in processes:
        process.go_on()
    won = [word for process in processes for word in process.says().split(",") if word]
    assert sorted(won, key=int) == [str(number) for number in range(40)]


def test_the_claim_of_a_killed_process_is_taken_over_at_once(storage: Storage, migrated_url: str, actor) -> None:
    process = actor("claim_tables", migrated_url, "1")
    process.go_on()
    assert [process.says() for _ in range(2)] == ["ready", "0"]
    table = TableRef("shop", "main", "0")
    with storage.begin() as session:
        assert not states.claim(session, table, new_holder(), datetime.now(UTC), TERM)
    process.kill()
    with storage.begin() as session:
        assert states.claim(session, table, new_holder(), datetime.now(UTC), TERM)


def test_this_process_is_alive_and_no_two_holders_are_alike() -> None:
    assert not holder_is_dead(new_holder())
    assert new_holder() != new_holder()


def test_a_process_number_used_again_is_another_process() -> None:
    host, pid, started, rest = new_holder().rsplit(":", 3)
    assert holder_is_dead(f"{host}:{pid}:{int(started) - 1}:{rest}")


def test_a_dead_process_that_nobody_waited_for_is_dead() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        host, _, _, rest = new_holder().rsplit(":", 3)
        started = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
        holder = f"{host}:{process.pid}:{started}:{rest}"
        assert not holder_is_dead(holder)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert holder_is_dead(holder)


@pytest.mark.parametrize("holder", [ELSEWHERE, "", "nonsense", "a:b:c:d", "host:12::uuid"])
def test_what_cannot_be_known_is_not_dead(holder: str) -> None:
    assert not holder_is_dead(holder)
