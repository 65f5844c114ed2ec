from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from profilemesh.errors import StorageError
from profilemesh.planning.decisions import Action, Decision, Reason, State
from profilemesh.planning.snapshots import Confidence, Snapshot
from profilemesh.storage import Storage, decisions, runs, states, summaries
from profilemesh.storage.models import Run, Summary, TableState
from profilemesh.tables import Column, Kind, TableRef

TABLE = TableRef("shop", "main", "orders")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
HOLDER = "other-host:1:1:9d1ce8a2-6f5d-4a51-8f3a-0ad4a4f3b001"


def snapshot(token: str | None = "token 1") -> Snapshot:
    return Snapshot(TABLE, (Column("id", "BIGINT", Kind.INTEGER),), token, Confidence.EXACT)


def profile(storage: Storage, run_id: str, token: str | None, at: datetime, holder: str = HOLDER) -> None:
    """Claim as HOLDER, and store a profile in the name of `holder`."""
    run = Run(run_id=run_id, dataset_name=TABLE.name, schema_name=TABLE.schema, warehouse=TABLE.warehouse)
    run.profiled_at, run.row_count = at, 7
    with storage.begin() as session:
        assert states.claim(session, TABLE, HOLDER, at, timedelta(minutes=1))
        runs.start_run(session, run)
    with storage.begin() as session:
        runs.finish_run(session, run)
        summaries.save(session, run_id, "", at, run_id.encode())
        states.advance(session, TABLE, holder, snapshot(token), run, profile_key="key 1")


def kept(storage: Storage) -> TableState:
    with storage.read() as session:
        return session.scalars(sa.select(TableState)).one()


def decide(storage: Storage, action: Action, reason: Reason, at: datetime, **evidence: Any) -> None:
    with storage.begin() as session:
        decisions.record(session, "plan 1", [Decision(TABLE, action, reason, evidence)], at)


def test_advance_remembers_the_snapshot_and_frees_the_claim(storage: Storage) -> None:
    profile(storage, "r1", "token 1", NOW)
    with storage.read() as session:
        assert states.latest_states(session) == {
            TABLE: State(TABLE, "token 1", (("id", "BIGINT"),), "key 1", NOW, NOW, 7)
        }
    state = kept(storage)
    assert (state.claimed_by, state.claimed_until, state.last_run_id) == (None, None, "r1")


def test_last_changed_moves_only_where_two_known_tokens_differ(storage: Storage) -> None:
    seen = []
    for number, token in enumerate(["a", "a", "b", "b", None, "c"]):
        profile(storage, f"r{number}", token, NOW + timedelta(hours=number))
        seen.append(kept(storage).last_changed_at)
    change = NOW + timedelta(hours=2)
    assert seen == [None, None, change, change, change, change]


def test_a_lost_claim_rolls_the_whole_run_back(storage: Storage) -> None:
    profile(storage, "r1", "token 1", NOW)
    with pytest.raises(StorageError, match="claim lost: another process took shop.main.orders over"):
        profile(storage, "r2", "token 2", LATER, holder="someone:1:1:else")
    with storage.read() as session:
        assert session.execute(sa.select(Run.run_id, Run.status).order_by(Run.run_id)).all() == [
            ("r1", "success"),
            ("r2", "running"),
        ]
        assert session.scalars(sa.select(Summary.run_id)).all() == ["r1"]
    assert (kept(storage).change_token, kept(storage).claimed_by) == ("token 1", HOLDER)


def test_the_summary_of_the_last_profile_is_found(storage: Storage) -> None:
    with storage.read() as session:
        assert summaries.latest(session, TABLE) is None
    profile(storage, "r2", "a", NOW)
    profile(storage, "r1", "b", LATER)
    with storage.read() as session:
        assert summaries.latest(session, TABLE) == b"r1"


@pytest.mark.parametrize("reason", [Reason.SNAPSHOT_MATCH, Reason.SNAPSHOT_CHANGED, Reason.PAUSED])
def test_a_decision_moves_neither_snapshot_nor_profile_nor_claim(storage: Storage, reason: Reason) -> None:
    profile(storage, "r1", "token 1", NOW)
    with storage.begin() as session:
        states.claim(session, TABLE, HOLDER, LATER, timedelta(minutes=1))
    before = kept(storage)
    decide(storage, Action.SKIP, reason, LATER, token="another", text="\0")
    after = kept(storage)
    for name in (
        "snapshot_id",
        "change_token",
        "last_profiled_at",
        "last_run_id",
        "columns",
        "claimed_by",
        "row_count",
    ):
        assert getattr(after, name) == getattr(before, name)
    assert (after.decision, after.decision_reason, after.decided_at) == ("skip", reason.value, LATER)
    assert after.evidence == {"token": "another", "text": "\u2400"}
    assert after.last_verified_at == (LATER if reason is Reason.SNAPSHOT_MATCH else NOW)


@pytest.mark.parametrize(
    ("lag", "verified"), [(timedelta(minutes=1), LATER - timedelta(minutes=1)), (timedelta(days=9), NOW)]
)
def test_unchanged_is_proved_only_up_to_what_the_token_knows(
    storage: Storage, lag: timedelta, verified: datetime
) -> None:
    profile(storage, "r1", "token 1", NOW)
    snapshot = Snapshot(TABLE, (), "token 1", verified_as_of=LATER - lag)
    with storage.begin() as session:
        decision = Decision(TABLE, Action.SKIP, Reason.SNAPSHOT_MATCH, {}, snapshot)
        decisions.record(session, "plan 1", [decision], LATER)
    assert kept(storage).last_verified_at == verified


def test_a_decision_about_a_new_table_makes_its_state(storage: Storage) -> None:
    decide(storage, Action.FULL, Reason.FIRST_PROFILE, NOW)
    with storage.read() as session:
        assert states.latest_states(session) == {TABLE: State(TABLE)}


def test_decisions_take_one_statement_per_500_tables(storage: Storage) -> None:
    decisions = [
        Decision(TableRef("shop", "main", str(n)), Action.FULL, Reason.FIRST_PROFILE, {"n": n}) for n in range(1001)
    ]
    sent: list[str] = []
    event.listen(storage.engine, "before_cursor_execute", lambda c, cursor, sql, *rest: sent.append(sql))
    for at in (NOW, LATER):
        with storage.begin() as session:
            decisions.record(session, "plan 1", decisions, at)
    assert len([sql for sql in sent if sql.startswith("INSERT")]) == 6
    assert not [sql for sql in sent if sql.startswith(("UPDATE", "SELECT"))]
    with storage.read() as session:
        assert session.execute(sa.select(sa.func.count(), sa.func.min(TableState.decided_at))).one() == (1001, LATER)


def test_no_decisions_are_no_statement(storage: Storage) -> None:
    with storage.begin() as session:
        decisions.record(session, "plan 1", [], NOW)
    with storage.read() as session:
        assert states.latest_states(session) == {}
