from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from profilemesh.planning.decisions import State
from profilemesh.storage import Storage, states, steering
from profilemesh.storage.models import TableState
from profilemesh.tables import TableRef

TABLE, OTHER = TableRef("shop", "main", "orders"), TableRef("shop", "main", "items")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
TERM = timedelta(minutes=1)
MINE, YOURS = "host-a:1:1:one", "host-b:1:1:two"


def remembered(storage: Storage) -> dict[str, Any]:
    with storage.read() as session:
        state = session.scalars(sa.select(TableState).where(states.is_state_of(TABLE))).one()
    return {column.key: getattr(state, column.key) for column in sa.inspect(TableState).columns}


def claim(storage: Storage, holder: str = MINE, table: TableRef = TABLE, now: datetime = NOW) -> bool:
    with storage.begin() as session:
        return states.claim(session, table, holder, now, TERM)


def request(storage: Storage, now: datetime = NOW) -> bool:
    with storage.begin() as session:
        return steering.request_cancel(session, TABLE, now)


def requests(storage: Storage, holder: str = MINE) -> set[TableRef]:
    with storage.read() as session:
        return steering.cancel_requests(session, holder)


def test_a_pause_and_its_end_move_nothing_else(storage: Storage) -> None:
    claim(storage)
    with storage.begin() as session:
        session.execute(sa.update(TableState).values(snapshot_id="s", change_token="t", last_profiled_at=NOW))
    before = remembered(storage)
    for at in (NOW, LATER):
        with storage.begin() as session:
            steering.pause(session, TABLE, at)
    assert remembered(storage) == before | {"paused_at": NOW}
    with storage.begin() as session:
        steering.resume(session, TABLE)
    assert remembered(storage) == before


def test_a_table_that_nobody_knows_can_be_paused(storage: Storage) -> None:
    with storage.begin() as session:
        steering.pause(session, TABLE, NOW)
        steering.resume(session, OTHER)
        assert states.latest_states(session) == {TABLE: State(TABLE, paused_at=NOW)}


def test_only_a_running_scan_can_be_cancelled(storage: Storage) -> None:
    assert not request(storage)
    claim(storage)
    assert request(storage)
    assert not request(storage, NOW + TERM)


def test_whoever_reads_the_table_hears_of_the_request(storage: Storage) -> None:
    claim(storage)
    claim(storage, MINE, OTHER)
    assert requests(storage) == set()
    request(storage)
    assert (requests(storage), requests(storage, YOURS)) == ({TABLE}, set())
    claim(storage)
    assert requests(storage) == {TABLE}


def test_a_request_ends_with_the_claim_it_was_meant_for(storage: Storage) -> None:
    claim(storage)
    request(storage)
    assert claim(storage, YOURS, now=NOW + TERM)
    assert requests(storage, YOURS) == set()
    request(storage, NOW + TERM)
    with storage.begin() as session:
        states.release(session, TABLE, YOURS)
    assert remembered(storage)["cancel_requested_at"] is None
