from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from profilemesh.storage import Storage, leases, open_storage
from profilemesh.storage.claims import new_holder, retire
from profilemesh.storage.upgrade import upgrade

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TERM = timedelta(seconds=30)
HERE, THERE = "host-a:1:1:one", "host-b:1:1:two"


def take(storage: Storage, holder: str, now: datetime | None = NOW) -> bool:
    with storage.begin() as session:
        return leases.take(session, "scheduler", holder, TERM, now=now)


def renew(storage: Storage, holder: str, now: datetime = NOW) -> bool:
    with storage.begin() as session:
        return leases.renew(session, "scheduler", holder, TERM, now=now)


def held(storage: Storage, now: datetime | None = NOW) -> tuple[str, datetime] | None:
    with storage.read() as session:
        return leases.held_by(session, "scheduler", now=now)


def test_one_holder_at_a_time_who_may_take_it_again(storage: Storage) -> None:
    assert held(storage) is None
    assert take(storage, HERE)
    assert not take(storage, THERE)
    assert take(storage, HERE, NOW + timedelta(seconds=10))
    assert held(storage) == (HERE, NOW + timedelta(seconds=40))


def test_leases_of_other_names_are_apart(storage: Storage) -> None:
    take(storage, HERE)
    with storage.begin() as session:
        assert leases.take(session, "alerts", THERE, TERM, now=NOW)
    assert held(storage) == (HERE, NOW + TERM)


def test_a_holder_that_does_not_renew_is_replaced_when_its_term_is_over(storage: Storage) -> None:
    take(storage, HERE)
    assert not take(storage, THERE, NOW + TERM - timedelta(microseconds=1))
    assert held(storage, NOW + TERM) is None
    assert take(storage, THERE, NOW + TERM)
    assert not renew(storage, HERE, NOW + TERM)


def test_a_holder_that_renews_stays(storage: Storage) -> None:
    take(storage, HERE)
    assert renew(storage, HERE, NOW + timedelta(seconds=20))
    assert not take(storage, THERE, NOW + TERM)


def test_a_lease_given_back_is_free_and_only_its_holder_gives_it_back(storage: Storage) -> None:
    take(storage, HERE)
    for holder, free in ((THERE, False), (HERE, True)):
        with storage.begin() as session:
            leases.release(session, "scheduler", holder)
        assert (held(storage) is None) is free
    assert take(storage, THERE)


def test_a_holder_known_to_be_dead_is_replaced_at_once(storage: Storage) -> None:
    dead = new_holder()
    take(storage, dead)
    assert not take(storage, THERE)
    retire(dead)
    assert held(storage) is None
    assert take(storage, THERE)


def test_terms_are_measured_by_the_storages_clock(storage: Storage) -> None:
    before = datetime.now(UTC)
    assert take(storage, HERE, None)
    holder, until = held(storage, None) or ("", before)
    assert holder == HERE
    # This PostgreSQL runs on this machine.
    assert timedelta(0) <= until - TERM - before < timedelta(seconds=5)
    assert not take(storage, THERE, None)


def test_of_processes_that_take_at_once_one_wins(storage: Storage, migrated_url: str, actor) -> None:
    processes = [actor("take_lease", migrated_url) for _ in range(3)]
    for process in processes:
        assert process.says() == "ready"
    for process in processes:
        process.go_on()
    assert sorted(process.says() for process in processes) == [False, False, True]


class TwoHolders(RuleBasedStateMachine):
    """Against a model: who holds the lease, until when."""

    storage: Storage

    def __init__(self) -> None:
        super().__init__()
        self.now, self.holder, self.until = NOW, "", NOW
        with self.storage.begin() as session:
            for holder in (HERE, THERE):
                leases.release(session, "scheduler", holder)

    @rule(holder=st.sampled_from([HERE, THERE]))
    def take(self, holder: str) -> None:
        wins = self.holder in ("", holder) or self.until <= self.now
        assert take(self.storage, holder, self.now) is wins
        if wins:
            self.holder, self.until = holder, self.now + TERM

    @rule(holder=st.sampled_from([HERE, THERE]))
    def renew(self, holder: str) -> None:
        assert renew(self.storage, holder, self.now) is (holder == self.holder)
        if holder == self.holder:
            self.until = self.now + TERM

    @rule(holder=st.sampled_from([HERE, THERE]))
    def release(self, holder: str) -> None:
        with self.storage.begin() as session:
            leases.release(session, "scheduler", holder)
        self.holder = "" if holder == self.holder else self.holder

    @rule(seconds=st.sampled_from([1, 29, 30, 31]))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @invariant()
    def is_as_modelled(self) -> None:
        is_held = self.holder != "" and self.until > self.now
        assert held(self.storage, self.now) == ((self.holder, self.until) if is_held else None)


def test_two_holders_in_any_order(tmp_path_factory: pytest.TempPathFactory) -> None:
    url = f"sqlite:///{tmp_path_factory.mktemp('lease') / 'storage.db'}"
    upgrade(url)
    TwoHolders.storage = open_storage(url)
    case = TwoHolders.TestCase()
    case.settings = settings(max_examples=12, stateful_step_count=15, deadline=None)
    case.runTest()
    TwoHolders.storage.close()
