from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from profilemesh.planning.costs import UNKNOWN, Cost
from profilemesh.planning.decisions import Action, Decision, Reason
from profilemesh.planning.snapshots import Snapshot
from profilemesh.storage import Storage, decisions, open_storage, states
from profilemesh.storage.models import Event, LoggedDecision, TableState
from profilemesh.storage.savings import Spared
from profilemesh.storage.upgrade import upgrade
from profilemesh.tables import TableRef
from tests.engine.storage.kept import kept_savings

TABLE = TableRef("shop", "main", "orders")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
TOMORROW = NOW + timedelta(days=1)
MEASURED, ESTIMATED = Cost(100, 1000, True), Cost(100, 1000)


def decision(action: Action, reason: Reason, *, table: TableRef = TABLE, **values: Any) -> Decision:
    return Decision(table, action, reason, values.pop("evidence", {}), **values)


def skip(reason: Reason = Reason.SNAPSHOT_MATCH, **values: Any) -> Decision:
    return decision(Action.SKIP, reason, **values)


def record(storage: Storage, at: datetime, *made: Decision, plan: str = "plan 1") -> None:
    with storage.begin() as session:
        decisions.record(session, plan, made, at)


def settle(storage: Storage, outcome: str = "success", plan: str = "plan 1", **values: Any) -> bool:
    with storage.begin() as session:
        return decisions.settle(session, plan, TABLE, outcome=outcome, **values)


def state(storage: Storage) -> TableState:
    with storage.read() as session:
        return session.scalars(sa.select(TableState)).one()


def log(storage: Storage, **wanted: Any) -> list[LoggedDecision]:
    with storage.read() as session:
        return list(session.scalars(decisions.listing(**wanted)))


def spared(storage: Storage) -> list[Spared]:
    with storage.read() as session:
        return kept_savings(session)


def events(storage: Storage) -> list[str]:
    with storage.read() as session:
        return list(session.scalars(sa.select(Event.event_type).order_by(Event.timestamp)))


def remember(storage: Storage, **values: Any) -> None:
    with storage.begin() as session:
        states.ensure(session, TABLE)
        session.execute(sa.update(TableState).values(values))


@pytest.mark.parametrize("reason", [Reason.SNAPSHOT_MATCH, Reason.SNAPSHOT_CHANGED, Reason.PAUSED])
def test_a_decision_moves_neither_snapshot_nor_profile_nor_claim(storage: Storage, reason: Reason) -> None:
    profiled = {"change_token": "a", "snapshot_id": "b", "probe_token": "p", "last_run_id": "r1", "manifest": {"a": 1}}
    remember(storage, **profiled, last_profiled_at=NOW, last_verified_at=NOW, claimed_by="x", claimed_until=LATER)
    before = state(storage)
    record(storage, LATER, skip(reason, evidence={"token": "another", "text": "\0"}, staleness=3, due_at=LATER))
    after = state(storage)
    moved = {c.key for c in sa.inspect(TableState).columns if getattr(before, c.key) != getattr(after, c.key)}
    made = {"decision", "decision_reason", "evidence", "decided_at", "decision_id", "staleness_score", "due_at"}
    assert moved == made | ({"last_verified_at"} if reason is Reason.SNAPSHOT_MATCH else set())
    assert (after.decision, after.decision_reason, after.decided_at) == ("skip", reason.value, LATER)
    assert (after.evidence, after.staleness_score) == ({"token": "another", "text": "\u2400"}, 3)


@pytest.mark.parametrize(
    ("lag", "verified"), [(timedelta(minutes=1), LATER - timedelta(minutes=1)), (timedelta(days=9), NOW)]
)
def test_unchanged_is_proved_only_up_to_what_the_token_knows(
    storage: Storage, lag: timedelta, verified: datetime
) -> None:
    remember(storage, last_verified_at=NOW)
    record(storage, LATER, skip(snapshot=Snapshot(TABLE, (), "token 1", verified_as_of=LATER - lag)))
    assert state(storage).last_verified_at == verified


def test_equal_skips_extend_one_row_and_another_reason_begins_a_new_one(storage: Storage) -> None:
    for minute in range(3):
        evidence = {"tokens": ("a", "b"), "text": "\0"}
        record(storage, NOW + timedelta(minutes=minute), skip(evidence=evidence), plan=f"plan {minute}")
    record(storage, LATER, skip(Reason.PROBE_MATCH))
    told = [(row.reason, row.ticks, row.decided_at, row.last_at, row.plan_id) for row in log(storage)]
    assert told == [
        ("probe_match", 1, LATER, LATER, "plan 1"),
        ("snapshot_match", 3, NOW, NOW + timedelta(minutes=2), "plan 0"),
    ]


def test_other_evidence_and_every_deferral_begin_a_new_row(storage: Storage) -> None:
    record(storage, NOW, skip(evidence={"due_at": 1}))
    record(storage, NOW, skip(evidence={"due_at": 2}))
    for _ in range(2):
        record(storage, LATER, decision(Action.DEFER, Reason.COST_CAP))
    assert [row.ticks for row in log(storage)] == [1] * 4


def test_a_row_that_was_pruned_is_not_extended(storage: Storage) -> None:
    record(storage, NOW, skip())
    with storage.begin() as session:
        session.execute(sa.delete(LoggedDecision))
    record(storage, LATER, skip())
    assert [row.ticks for row in log(storage)] == [1]


def test_a_table_begins_to_be_skipped_once(storage: Storage) -> None:
    for minute, reason in enumerate([Reason.SNAPSHOT_MATCH] * 3 + [Reason.PAUSED, Reason.PROBE_MATCH]):
        record(storage, NOW + timedelta(minutes=minute), skip(reason))
    assert events(storage) == ["profile_skipped_no_change"] * 2
    with storage.read() as session:
        (told,) = session.scalars(sa.select(Event.details).where(Event.timestamp == NOW))
    assert json.loads(told or "") == {"plan_id": "plan 1", "reason": "snapshot_match"}


def test_a_deferral_begins_once_and_ends_with_a_proof(storage: Storage) -> None:
    record(storage, NOW, decision(Action.DEFER, Reason.COST_CAP))
    record(storage, LATER, decision(Action.DEFER, Reason.BUDGET_SPENT))
    record(storage, LATER, decision(Action.DEFER, Reason.WAREHOUSE_BUSY))
    record(storage, LATER, skip(Reason.FRESH_WITHIN_INTERVAL))
    assert (state(storage).deferred_since, events(storage)) == (NOW, ["profile_deferred_cost_cap"])
    record(storage, LATER, skip(Reason.SAMPLE_MATCH))
    assert state(storage).deferred_since is None


def test_a_table_is_gone_since_it_was_first_missed(storage: Storage) -> None:
    for at in (NOW, LATER):
        record(storage, at, skip(Reason.VANISHED))
    record(storage, LATER, decision(Action.FULL, Reason.REAPPEARED))
    assert state(storage).vanished_at == NOW
    assert [(day.action, day.decisions, day.unpriced) for day in spared(storage)] == [("full", 1, 1), ("skip", 2, 0)]


def test_a_skip_spares_the_full_scan_and_a_deferral_nothing(storage: Storage) -> None:
    tables = [TableRef("shop", "main", str(n)) for n in range(4)]
    made = [skip(table=table, naive=naive) for table, naive in zip(tables, [MEASURED, MEASURED, ESTIMATED, UNKNOWN])]  # noqa: B905
    record(storage, NOW, *made, decision(Action.DEFER, Reason.COST_CAP, naive=MEASURED))
    record(storage, TOMORROW, *made[:1])
    day = NOW.date()
    assert spared(storage) == [
        Spared(TOMORROW.date(), "shop", "skip", 1, 0, 100, 0, 1000, 0),
        Spared(day, "shop", "defer", 1),
        Spared(day, "shop", "skip", 4, 1, 200, 100, 2000, 1000),
    ]


@pytest.mark.parametrize(
    ("action", "naive", "outcome", "expected"),
    [
        (Action.FULL, MEASURED, "success", Spared(NOW.date(), "shop", "full", 1, rows_read=90, bytes_read=900)),
        (Action.PARTIAL, MEASURED, "success", Spared(NOW.date(), "shop", "partial", 1, 0, 10, 0, 100, 0, 90, 900)),
        (Action.SAMPLE, ESTIMATED, "success", Spared(NOW.date(), "shop", "sample", 1, 0, 0, 10, 0, 100, 90, 900)),
        (Action.PARTIAL, MEASURED, "failed", Spared(NOW.date(), "shop", "partial", 1, rows_read=90, bytes_read=900)),
        (Action.PARTIAL, UNKNOWN, "success", Spared(NOW.date(), "shop", "partial", 1, 1, rows_read=90, bytes_read=900)),
        (Action.PARTIAL, Cost(5, 5), "success", Spared(NOW.date(), "shop", "partial", 1, rows_read=90, bytes_read=900)),
    ],
)
def test_what_a_reading_spared_is_known_at_its_end(
    storage: Storage, action: Action, naive: Cost, outcome: str, expected: Spared
) -> None:
    record(storage, NOW, decision(action, Reason.SNAPSHOT_CHANGED, naive=naive, cost=Cost(7, 70)))
    assert settle(storage, outcome, run_id="r1", rows=90, bytes=900, seconds=1.5)
    assert not settle(storage, outcome, rows=90, bytes=900)
    assert spared(storage) == [expected]
    (row,) = log(storage)
    assert (row.outcome, row.run_id, row.rows_estimated, row.rows_actual) == (outcome, "r1", 7, 90)
    assert (row.bytes_actual, row.seconds_actual) == (900, 1.5)


def test_only_the_plan_that_decided_is_settled(storage: Storage) -> None:
    record(storage, NOW, decision(Action.FULL, Reason.FIRST_PROFILE), plan="plan 1")
    record(storage, LATER, decision(Action.DEFER, Reason.CHANGED_MEANWHILE), plan="plan 1")
    assert not settle(storage, plan="plan 2")
    assert settle(storage, "deferred", plan="plan 1")
    assert [(row.reason, row.outcome) for row in log(storage)] == [
        ("changed_meanwhile", None),
        ("first_profile", "deferred"),
    ]


def test_the_log_is_listed_newest_first_by_what_is_asked(storage: Storage) -> None:
    other = TableRef("shop", "archive", "items")
    record(storage, NOW, skip(), decision(Action.FULL, Reason.FORCED, table=other))
    record(storage, LATER, decision(Action.FULL, Reason.FORCED), skip(table=TableRef("lake", "main", "orders")))
    assert [row.last_at for row in log(storage)] == [LATER, LATER, NOW, NOW]
    wanted: list[dict[str, Any]] = [
        {"warehouse": "lake"}, {"schema": "archive"}, {"table": "orders"}, {"action": "full"},
        {"reason": "snapshot_match"}, {"since": LATER}, {"warehouse": "shop", "action": "skip"},
    ]  # fmt: skip
    assert [len(log(storage, **each)) for each in wanted] == [1, 1, 3, 2, 2, 2, 1]
    with storage.read() as session:
        assert [row.action for row in session.scalars(decisions.of_table(TABLE))] == ["full", "skip"]


def test_no_decisions_write_nothing(storage: Storage) -> None:
    record(storage, NOW)
    assert (log(storage), spared(storage)) == ([], [])


def test_names_of_any_characters_are_recorded(storage: Storage) -> None:
    odd = TableRef("sh\0p", "m\ud800", "o'%s\"")
    for at in (NOW, LATER):
        record(storage, at, skip(table=odd, naive=ESTIMATED))
    (row,) = log(storage)
    assert (row.warehouse, row.schema_name, row.table_name, row.ticks) == ("sh\u2400p", "m\ufffd", "o'%s\"", 2)


def test_two_thousand_equal_skips_take_a_handful_of_statements(storage: Storage) -> None:
    made = [skip(table=TableRef("shop", "main", str(n)), evidence={"n": n}, naive=MEASURED) for n in range(2000)]
    record(storage, NOW, *made)
    sent: list[str] = []
    event.listen(storage.engine, "before_cursor_execute", lambda c, cursor, sql, *rest: sent.append(sql))
    record(storage, LATER, *made)
    assert len([sql for sql in sent if not sql.startswith(("BEGIN", "PRAGMA"))]) == 4
    with storage.read() as session:
        kept = sa.select(sa.func.count(), sa.func.min(TableState.decided_at), sa.func.min(TableState.last_verified_at))
        assert session.execute(kept).one() == (2000, LATER, LATER)
        assert session.execute(sa.select(sa.func.count(), sa.func.min(LoggedDecision.ticks))).one() == (2000, 2)
    assert spared(storage) == [Spared(NOW.date(), "shop", "skip", 4000, 0, 400_000, 0, 4_000_000)]


def test_equal_skips_of_unequal_staleness_are_each_stored(storage: Storage) -> None:
    for at, shift in ((NOW, 0), (LATER, 1)):
        made = [
            skip(Reason.PAUSED, table=TableRef("shop", "main", str(n)), staleness=min(n, 50) + shift)
            for n in range(100)
        ]
        record(storage, at, *made)
    with storage.read() as session:
        kept = session.execute(sa.select(TableState.table_name, TableState.staleness_score, TableState.decided_at))
        assert {tuple(row) for row in kept} == {(str(n), min(n, 50) + 1, LATER) for n in range(100)}


ACTIONS = st.sampled_from(
    [
        (Action.SKIP, Reason.SNAPSHOT_MATCH),
        (Action.SKIP, Reason.PAUSED),
        (Action.DEFER, Reason.COST_CAP),
        (Action.FULL, Reason.SNAPSHOT_CHANGED),
    ]
)
TICKS = st.lists(st.dictionaries(st.sampled_from("abc"), st.tuples(ACTIONS, st.integers(0, 1))), max_size=8)


@settings(max_examples=25, deadline=None)
@given(ticks=TICKS)
def test_the_log_tells_every_tick_of_every_table_in_order(ticks: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    storage = fresh(tmp_path_factory.mktemp("log") / "storage.db")
    for minute, tick in enumerate(ticks):
        made = [
            decision(action, reason, table=TableRef("shop", "main", name), evidence={"n": n}, naive=ESTIMATED)
            for name, ((action, reason), n) in tick.items()
        ]
        record(storage, NOW + timedelta(minutes=minute), *made)
    for name in "abc":
        told = [(*tick[name][0], tick[name][1]) for tick in ticks if name in tick]
        rows = reversed(log(storage, table=name))
        kept = [(row.action, row.reason, (row.evidence or {})["n"], row.ticks) for row in rows]
        assert [row[:3] for row in kept for _ in range(row[3])] == told
        assert not [1 for one, other in zip(kept, kept[1:], strict=False) if one[:3] == other[:3] and one[0] == "skip"]
    assert sum(day.decisions for day in spared(storage)) == sum(map(len, ticks))
    storage.close()


_template: list[bytes] = []


def fresh(path: Path) -> Storage:
    """An up-to-date storage: made once, then copied."""
    if not _template:
        upgrade(f"sqlite:///{path}")
        _template.append(path.read_bytes())
    path.write_bytes(_template[0])
    return open_storage(f"sqlite:///{path}")
