from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from profilemesh.events import EventType, Occurrence
from profilemesh.storage import Storage
from profilemesh.storage.events import save_event, save_events
from profilemesh.storage.models import Event
from profilemesh.tables import TableRef

TABLE = TableRef("shop", "main", "orders")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def stored(storage: Storage) -> list[Event]:
    with storage.read() as session:
        return list(session.scalars(sa.select(Event).order_by(Event.event_type)))


def test_one_happening_of_a_run_is_stored_once(storage: Storage) -> None:
    done = Occurrence(EventType.PROFILING_COMPLETED, TABLE, NOW, "r1", {"rows": 3, "mean": float("nan"), "text": "\0"})
    for _ in range(2):
        with storage.begin() as session:
            save_event(session, done)
    (kept,) = stored(storage)
    assert (kept.event_type, kept.run_id, kept.warehouse, kept.schema_name, kept.table_name, kept.timestamp) == (
        "ProfilingCompleted", "r1", "shop", "main", "orders", NOW,
    )  # fmt: skip
    assert json.loads(kept.details or "") == {"rows": 3, "mean": None, "text": "\u2400"}


def test_different_happenings_are_kept_apart(storage: Storage) -> None:
    with storage.begin() as session:
        for kind in (EventType.PROFILING_STARTED, EventType.PROFILING_FAILED):
            for run_id in ("r1", "r2"):
                save_event(session, Occurrence(kind, TABLE, NOW, run_id))
        save_event(session, Occurrence(EventType.PROFILING_STARTED, TableRef("shop", "main", "items"), NOW, "r1"))
    assert len(stored(storage)) == 5


def test_many_skips_are_stored_each(storage: Storage) -> None:
    skip = Occurrence(EventType.PROFILE_SKIPPED_NO_CHANGE, TABLE, NOW)
    with storage.begin() as session:
        save_events(session, [skip] * 1001)
    assert {kept.event_type for kept in stored(storage)} == {"profile_skipped_no_change"}
    assert len(stored(storage)) == 1001


@pytest.mark.parametrize("kind", list(EventType))
def test_every_event_type_has_a_meaning(kind: EventType) -> None:
    assert kind.meaning.endswith(".")
