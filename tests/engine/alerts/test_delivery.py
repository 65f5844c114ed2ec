from __future__ import annotations

import threading
import uuid
from datetime import timedelta

import pytest
import sqlalchemy as sa

from profilemesh.alerts import channels, delivery
from profilemesh.alerts.delivery import deliver, pause_after
from profilemesh.alerts.outbox import enqueue
from profilemesh.alerts.standing import route_standings
from profilemesh.config import Config, QuietHours, Route
from profilemesh.storage import Storage, alerts, ticks
from profilemesh.storage.claims import new_holder
from profilemesh.storage.models import AlertDigest, AlertItem
from tests.engine.alerts.made import add_finding, add_tick, config_of, digests, tell
from tests.webhook import ERROR, LOST, OK, RESET, SLOW, Receiver

NEVER = QuietHours()


def routed(receiver: Receiver, **more: object) -> Config:
    return config_of(Route("team", (receiver.address("team"),), **more))  # type: ignore[arg-type]


def sentences(receiver: Receiver, path: str = "team") -> list[list[str]]:
    return [[each["sentence"] for each in one.body["profilemesh"]["entries"]] for one in receiver.on(path)]


def test_a_rolled_back_finding_leaves_no_alert(storage: Storage, receiver: Receiver) -> None:
    config = routed(receiver)
    with pytest.raises(ZeroDivisionError), storage.begin() as session:
        add_tick(session, "p1")
        assert enqueue(session, config, "p1", [(add_finding(session), "opened")]) == 1
        raise ZeroDivisionError
    with storage.read() as session:
        assert session.scalars(sa.select(AlertItem)).all() == []
    assert deliver(config, storage).total == 0


def test_an_unknown_change_is_refused(storage: Storage, receiver: Receiver) -> None:
    with pytest.raises(ValueError, match="'gone' is no change"), storage.begin() as session:
        enqueue(session, routed(receiver), "p1", [(add_finding(session), "gone")])


def test_a_tick_is_one_message_per_route(storage: Storage, receiver: Receiver) -> None:
    config = config_of(
        Route("team", (receiver.address("team"),)),
        Route("quality", (receiver.address("quality"),), min_severity="high"),
        Route("others", (receiver.address("others"),), table=("customers",)),
    )
    tell(storage, config, "a", "b", "c")
    tell(storage, config, "d")
    assert deliver(config, storage).sent == {"team": 2, "quality": 2}
    assert sentences(receiver) == sentences(receiver, "quality") == [["a", "b", "c"], ["d"]]
    assert deliver(config, storage).total == 0


def test_a_message_waits_for_the_end_of_its_tick(storage: Storage, receiver: Receiver) -> None:
    config = routed(receiver)
    with storage.begin() as session:
        add_tick(session, "p1", ticks.RUNNING)
        enqueue(session, config, "p1", [(add_finding(session), "opened")])
    assert deliver(config, storage).total == 0
    with storage.begin() as session:
        ticks.end(session, "p1", ticks.DONE)
    assert deliver(config, storage).total == 1


def test_what_no_tick_is_known_of_is_told_after_a_while(
    storage: Storage, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = routed(receiver)
    tell(storage, config, plan="unknown")
    assert deliver(config, storage).total == 0
    monkeypatch.setattr(alerts, "UNKNOWN_PLAN_WAIT", timedelta())
    assert deliver(config, storage).total == 1


def test_a_failing_head_keeps_its_route_waiting_and_no_other(
    storage: Storage, receiver: Receiver, no_pauses: None
) -> None:
    config = config_of(*(Route(name, (receiver.address(name),)) for name in ("bad", "good")))
    for sentence in "abc":
        tell(storage, config, sentence)
    receiver.behaviour = lambda path: ERROR if path == "/bad" else OK
    done = deliver(config, storage)
    assert (done.sent, list(done.failed)) == ({"good": 3}, ["bad"])
    assert "error=500" in done.failed["bad"]
    assert [each for each in receiver.asked if each[0] == "/bad"] == [("/bad", ERROR)]
    receiver.behaviour = lambda path: OK
    assert deliver(config, storage).sent == {"bad": 3}
    assert sentences(receiver, "bad") == sentences(receiver, "good") == [["a"], ["b"], ["c"]]


def test_what_is_sent_again_has_the_same_key_and_words(storage: Storage, receiver: Receiver, no_pauses: None) -> None:
    config = routed(receiver)
    tell(storage, config)
    receiver.behaviour = lambda path: LOST if len(receiver.taken) < 2 else OK
    assert [deliver(config, storage).total for _ in range(3)] == [0, 0, 1]
    first, *others = receiver.on("team")
    assert first.key and all((each.key, each.body) == (first.key, first.body) for each in others)
    assert len(receiver.once("team")) == 1


def test_a_failure_is_tried_again_later_each_time(storage: Storage, receiver: Receiver) -> None:
    config = routed(receiver)
    tell(storage, config)
    receiver.behaviour = lambda path: RESET
    assert list(deliver(config, storage).failed) == ["team"]
    (digest,) = digests(storage)
    assert digest.next_at is not None
    assert (digest.attempts, digest.status, digest.next_at > digest.made_at) == (1, "waiting", True)
    # Not its time yet.
    assert deliver(config, storage).failed == {}
    (standing,) = route_standings(config, storage)
    assert (standing.state, standing.waiting, standing.next_at) == ("failing", 1, digest.next_at)
    assert "json://127.0.0.1" in (standing.error or "")


def test_pauses_double_up_to_half_an_hour_and_differ() -> None:
    assert [pause_after(n, lambda: 0.0).total_seconds() for n in (1, 2, 3, 7, 8, 10_000)] == [
        30,
        60,
        120,
        1800,
        1800,
        1800,
    ]
    assert pause_after(1, lambda: 1.0).total_seconds() == 15


def test_a_slow_channel_is_not_waited_for_beyond_its_time(receiver: Receiver) -> None:
    receiver.behaviour, receiver.seconds = (lambda path: SLOW), 1.0
    sent = channels.send(receiver.address("team", "?rto=5"), channels.Message("k", "team", note="x"), seconds=0.2)
    assert sent.error == "no answer within 0.2 s"


def test_of_two_channels_only_the_one_that_failed_gets_it_again(
    storage: Storage, receiver: Receiver, no_pauses: None
) -> None:
    config = config_of(Route("team", (receiver.address("one"), receiver.address("two"))))
    tell(storage, config)
    receiver.behaviour = lambda path: ERROR if path == "/two" else OK
    deliver(config, storage)
    receiver.behaviour = lambda path: OK
    assert deliver(config, storage).total == 1
    assert (len(receiver.on("one")), len(receiver.on("two"))) == (1, 1)
    assert digests(storage)[0].delivered is None


def test_quiet_hours_keep_messages_and_lose_none(storage: Storage, receiver: Receiver) -> None:
    quiet = routed(receiver, quiet_hours=(NEVER,))
    tell(storage, quiet, "a")
    tell(storage, quiet, "b")
    assert deliver(quiet, storage).total == 0
    assert digests(storage)[0].not_before is not None
    assert route_standings(quiet, storage)[0].state == "quiet"
    assert deliver(routed(receiver), storage).total == 2
    assert sentences(receiver) == [["a"], ["b"]]


def age(storage: Storage, hours: int) -> None:
    with storage.begin() as session:
        for digest in session.scalars(sa.select(AlertDigest)):
            digest.made_at -= timedelta(hours=hours)


def test_what_is_too_old_is_given_up_and_the_next_message_says_so(
    storage: Storage, receiver: Receiver, no_pauses: None
) -> None:
    config = routed(receiver)
    receiver.behaviour = lambda path: ERROR
    tell(storage, config, "a", "b")
    tell(storage, config, "c")
    assert list(deliver(config, storage).failed) == ["team"]
    age(storage, 73)
    done = deliver(config, storage)
    assert (done.given_up, list(done.failed)) == ({"team": 2}, ["team"])
    receiver.behaviour = lambda path: OK
    assert deliver(config, storage).total == 1
    (note,) = receiver.on("team")
    assert "2 messages about 3 findings" in note.body["message"]
    assert route_standings(config, storage)[0].given_up == 2


def test_a_route_that_is_gone_or_off_keeps_what_waits_and_says_why(storage: Storage, receiver: Receiver) -> None:
    config = routed(receiver)
    tell(storage, config, "a")
    off = routed(receiver, enabled=False)
    for other, state in ((config_of(), "gone"), (off, "disabled")):
        assert deliver(other, storage).total == 0
        assert [(each.state, each.waiting) for each in route_standings(other, storage)] == [(state, 1)]
    assert deliver(config, storage).total == 1


def test_the_messages_of_a_route_that_is_gone_are_given_up_at_last(storage: Storage, receiver: Receiver) -> None:
    tell(storage, routed(receiver), "a")
    deliver(config_of(), storage)
    age(storage, 73)
    assert deliver(config_of(), storage).given_up == {"team": 1}
    assert [(each.state, each.given_up) for each in route_standings(config_of(), storage)] == [("gone", 1)]


def test_another_living_sender_has_the_route_to_itself(storage: Storage, receiver: Receiver) -> None:
    config = routed(receiver)
    tell(storage, config)
    with storage.begin() as session:
        assert alerts.hold(session, "team", other := new_holder(), delivery.TERM)
    assert deliver(config, storage).total == 0
    with storage.begin() as session:
        alerts.let_go(session, "team", other)
    assert deliver(config, storage).total == 1


def test_a_dead_sender_is_replaced_at_once(storage: Storage, receiver: Receiver) -> None:
    config, dead = routed(receiver), new_holder().replace(":", ":", 1).rsplit(":", 2)
    tell(storage, config)
    with storage.begin() as session:
        assert alerts.hold(session, "team", f"{dead[0]}:1:{uuid.uuid4()}", delivery.TERM)
    assert deliver(config, storage).total == 1


def test_two_senders_at_once_send_each_message_once_and_in_order(storage: Storage, receiver: Receiver) -> None:
    config = config_of(*(Route(name, (receiver.address(name),)) for name in ("a", "b")))
    receiver.behaviour = lambda path: SLOW
    wanted = [[str(number)] for number in range(6)]
    for (number,) in wanted:
        tell(storage, config, number)
    senders = [threading.Thread(target=deliver, args=(config, storage)) for _ in range(3)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    deliver(config, storage)
    assert sentences(receiver, "a") == sentences(receiver, "b") == wanted


def test_what_was_sent_long_ago_is_forgotten(storage: Storage, receiver: Receiver) -> None:
    config = routed(receiver)
    tell(storage, config)
    deliver(config, storage)
    with storage.begin() as session:
        assert alerts.forget(session, digests(storage)[0].made_at) == 0
        assert alerts.forget(session, digests(storage)[0].made_at + timedelta(days=1)) == 1
        assert session.scalars(sa.select(AlertItem)).all() == []
