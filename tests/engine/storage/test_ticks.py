from __future__ import annotations

from datetime import UTC, datetime, timedelta

from profilemesh.storage import Storage, ticks
from profilemesh.storage.claims import new_holder, retire
from profilemesh.storage.models import Tick

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ELSEWHERE = "other-host:1:1:9d1ce8a2-6f5d-4a51-8f3a-0ad4a4f3b001"
MINUTE = timedelta(minutes=1)


def begin(storage: Storage, tick_id: str = "t1", at: datetime | None = NOW, holder: str = ELSEWHERE) -> None:
    tick = Tick(tick_id=tick_id, plan_id="p1", asked_by="scheduler", holder=holder, tables_to_read=3)
    tick.started_at = tick.seen_at = at
    with storage.begin() as session:
        ticks.begin(session, tick)


def running(storage: Storage, now: datetime = NOW) -> list[str]:
    with storage.read() as session:
        return [tick.tick_id for tick in ticks.running(session, now=now)]


def bury(storage: Storage, now: datetime = NOW) -> int:
    with storage.begin() as session:
        return ticks.bury(session, now=now)


def newest(storage: Storage) -> Tick:
    with storage.read() as session:
        return ticks.latest(session, 1)[0]


def test_a_tick_shows_how_far_it_is_and_how_it_ended(storage: Storage) -> None:
    begin(storage)
    current = [{"table": "shop.main.orders", "rows": 5}]
    with storage.begin() as session:
        assert ticks.progress(session, "t1", now=NOW + MINUTE, tables_done=1, rows_read=7, current=current)
    tick = newest(storage)
    assert (tick.status, tick.tables_done, tick.rows_read, tick.seen_at) == ("running", 1, 7, NOW + MINUTE)
    assert (tick.tables_to_read, tick.current, tick.ended_at) == (3, current, None)
    with storage.begin() as session:
        assert ticks.end(session, "t1", ticks.FAILED, "out of memory", now=NOW + 2 * MINUTE, tables_failed=1)
    tick = newest(storage)
    assert (tick.status, tick.error, tick.ended_at) == ("failed", "out of memory", NOW + 2 * MINUTE)
    assert (tick.tables_done, tick.tables_failed, tick.current) == (1, 1, None)


def test_what_has_ended_neither_goes_on_nor_ends_again(storage: Storage) -> None:
    begin(storage)
    with storage.begin() as session:
        assert ticks.end(session, "t1", ticks.DONE, now=NOW)
        assert not ticks.progress(session, "t1", tables_done=9)
        assert not ticks.end(session, "t1", ticks.FAILED, "no")
        assert not ticks.progress(session, "unknown", tables_done=9)
    assert (newest(storage).status, newest(storage).tables_done) == ("done", 0)


def test_the_last_ticks_come_newest_first(storage: Storage) -> None:
    for number in range(3):
        begin(storage, f"t{number}", NOW + number * MINUTE)
    with storage.read() as session:
        assert [tick.tick_id for tick in ticks.latest(session, 2)] == ["t2", "t1"]


def test_a_tick_unseen_for_over_a_minute_is_not_running_and_is_buried(storage: Storage) -> None:
    begin(storage)
    assert running(storage, NOW + MINUTE) == ["t1"]
    assert bury(storage, NOW + MINUTE) == 0
    assert running(storage, NOW + MINUTE * 1.1) == []
    assert bury(storage, NOW + MINUTE * 1.1) == 1
    tick = newest(storage)
    assert (tick.status, tick.ended_at) == ("interrupted", NOW + MINUTE * 1.1)


def test_a_tick_of_a_dead_process_is_buried_at_once(storage: Storage) -> None:
    dead = new_holder()
    begin(storage, "t1", NOW, dead)
    begin(storage, "t2", NOW)
    assert running(storage) == ["t1", "t2"]
    retire(dead)
    assert running(storage) == ["t2"]
    assert (bury(storage), running(storage)) == (1, ["t2"])


def test_a_tick_that_was_only_silent_goes_on_after_its_burial(storage: Storage) -> None:
    begin(storage)
    bury(storage, NOW + 2 * MINUTE)
    with storage.begin() as session:
        assert ticks.progress(session, "t1", now=NOW + 3 * MINUTE, tables_done=2)
    assert running(storage, NOW + 3 * MINUTE) == ["t1"]
    assert (newest(storage).error, newest(storage).ended_at) == (None, None)


def test_a_tick_begins_by_the_storages_clock(storage: Storage) -> None:
    before = datetime.now(UTC)
    begin(storage, at=None)
    # This PostgreSQL runs on this machine.
    assert timedelta(0) <= newest(storage).started_at - before < timedelta(seconds=5)
    with storage.begin() as session:
        assert (len(ticks.running(session)), ticks.bury(session)) == (1, 0)
