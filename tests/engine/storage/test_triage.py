"""What people do with findings: once each, whoever else does it too, and told in their history."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from profilemesh.storage import Storage, triage
from profilemesh.storage.models import Run, StoredFinding
from tests.engine.storage.test_findings import NULLS, START, only, run, stored

LATER = START + timedelta(1)


def act(storage: Storage, do: Callable[..., list[str]], *more: object, who: str = "ann", **words: object) -> list[str]:
    ids = [each.finding_id for each in stored(storage)]
    with storage.begin() as session:
        return do(session, ids, *more, who=who, now=LATER, **words)


def told(storage: Storage) -> list[tuple[str, str, str | None]]:
    with storage.read() as session:
        return [(e.action, e.who, e.text) for e in triage.history(session, only(storage).finding_id)]


def test_each_operation_changes_once_and_leaves_a_line(storage: Storage) -> None:
    run(storage, 0, NULLS)
    until = LATER + timedelta(7)
    steps: list[tuple[Callable[..., list[str]], tuple[object, ...], str]] = [
        (triage.acknowledge, (), "acknowledged"),
        (triage.snooze, (until,), "snoozed"),
        (triage.assign, ("bob",), "snoozed"),
        (triage.comment, ("the import again",), "snoozed"),
        (triage.expect, (), "expected"),
        (triage.reopen, (), "open"),
        (triage.resolve, (), "resolved"),
        (triage.reopen, (), "open"),
    ]
    for do, more, state in steps:
        assert len(act(storage, do, *more)) == 1
        assert act(storage, do, *more) == []
        assert only(storage).state == state
    assert only(storage).assignee == "bob"
    assert [action for action, _, _ in told(storage)] == [
        "opened", "acknowledged", "snoozed", "assigned", "commented", "expected", "reopened", "resolved", "reopened",
    ]  # fmt: skip
    assert ("snoozed", "ann", f"until {until:%Y-%m-%d %H:%M} UTC") in told(storage)


def test_expecting_takes_the_runs_out_of_baselines_and_reopening_puts_them_back(storage: Storage) -> None:
    run(storage, 0)
    run(storage, 1, NULLS)
    run(storage, 2, NULLS)
    act(storage, triage.expect, text="campaign")
    assert expected(storage) == {"run-orders-1": "campaign", "run-orders-2": "campaign"}
    act(storage, triage.reopen)
    assert expected(storage) == {}


def test_a_resolved_finding_may_still_have_been_expected(storage: Storage) -> None:
    run(storage, 0, NULLS)
    act(storage, triage.resolve)
    assert len(act(storage, triage.expect)) == 1
    assert act(storage, triage.expect) == []
    assert (only(storage).state, list(expected(storage))) == ("resolved", ["run-orders-0"])


def test_a_run_stays_expected_as_long_as_one_of_its_findings_is(storage: Storage) -> None:
    run(storage, 0, NULLS, replace(NULLS, column="total"))
    act(storage, triage.expect)
    one, other = (each.finding_id for each in stored(storage))
    with storage.begin() as session:
        triage.reopen(session, [one], who="ann", now=LATER)
    assert list(expected(storage)) == ["run-orders-0"]
    with storage.begin() as session:
        triage.reopen(session, [other], who="ann", now=LATER)
    assert expected(storage) == {}


def expected(storage: Storage) -> dict[str, str | None]:
    with storage.read() as session:
        rows = session.execute(sa.select(Run.run_id, Run.expected_note).where(Run.is_expected).order_by(Run.run_id))
        return {run_id: note for run_id, note in rows}


def test_an_old_finding_stays_resolved_while_the_fact_has_a_newer_one(storage: Storage) -> None:
    run(storage, 0, NULLS)
    act(storage, triage.resolve)
    run(storage, 40, NULLS)
    old, new = stored(storage)
    with storage.begin() as session:
        assert triage.reopen(session, [old.finding_id], who="ann", now=LATER) == []
        assert triage.resolve(session, [new.finding_id], who="ann", now=LATER + timedelta(60)) == [new.finding_id]
        assert triage.reopen(session, [old.finding_id, new.finding_id], who="ann", now=LATER) == [new.finding_id]


def test_unknown_findings_are_no_error(storage: Storage) -> None:
    with storage.begin() as session:
        assert triage.acknowledge(session, ["nobody"], who="ann", now=LATER) == []
        assert triage.comment(session, ["nobody"], "hello", who="ann", now=LATER) == []
        assert triage.expect(session, [], who="ann", now=LATER) == []


@pytest.mark.parametrize("do", [triage.acknowledge, triage.resolve, triage.expect])
def test_of_two_people_at_once_one_is_too_late(storage: Storage, do: Callable[..., list[str]]) -> None:
    for day in range(3):
        run(storage, day, NULLS)
    ids, start, changed = [only(storage).finding_id], threading.Barrier(4), []

    def person(name: str) -> None:
        start.wait()
        with storage.begin() as session:
            changed.extend(do(session, ids, who=name, now=LATER))

    people = [threading.Thread(target=person, args=(name,)) for name in ("ann", "bob", "cid", "dan")]
    for each in people:
        each.start()
    for each in people:
        each.join()
    assert changed == ids
    assert len(told(storage)) == 2


def test_bulk_operations_wait_for_each_other_in_one_order(storage: Storage) -> None:
    run(storage, 0, *(replace(NULLS, column=f"c{n}") for n in range(20)))
    ids, start = [each.finding_id for each in stored(storage)], threading.Barrier(2)

    def person(name: str, order: list[str]) -> None:
        start.wait()
        for n in range(20):
            with storage.begin() as session:
                triage.assign(session, order, f"{name}{n}", who=name, now=LATER)

    people = [threading.Thread(target=person, args=each) for each in (("ann", ids), ("bob", ids[::-1]))]
    for each in people:
        each.start()
    for each in people:
        each.join()
    with storage.read() as session:
        assert len(set(session.scalars(sa.select(StoredFinding.assignee)))) == 1
