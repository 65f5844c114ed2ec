from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy import event

from profilemesh.storage import Storage, summaries
from profilemesh.storage.models import Summary

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_each_partition_is_found_in_the_run_that_read_it(storage: Storage) -> None:
    with storage.begin() as session:
        for run_id in ("r1", "r2"):
            for key in ("", "a", "b\0"):
                summaries.save(session, run_id, key, NOW, f"{run_id} {key}".encode())
    with storage.read() as session:
        found = summaries.of_partitions(session, {"a": "r1", "b\0": "r2", "c": "r1", "d": "r9"})
        assert found == {"a": b"r1 a", "b\0": b"r2 b\0"}
        assert summaries.of_partitions(session, {}) == {}
        assert (summaries.whole(session, "r2"), summaries.whole(session, "r9")) == (b"r2 ", None)


def test_a_thousand_partitions_take_two_statements(storage: Storage) -> None:
    rows = [{"run_id": f"r{n % 7}", "partition_key": f'["{n}"]', "as_of": NOW, "payload": b"x"} for n in range(1000)]
    sent: list[str] = []
    with storage.begin() as session:
        session.execute(sa.insert(Summary), rows)
        event.listen(storage.engine, "before_cursor_execute", lambda c, cursor, sql, *rest: sent.append(sql))
        found = summaries.of_partitions(session, {str(row["partition_key"]): str(row["run_id"]) for row in rows})
    assert (len(found), len(sent)) == (1000, 2)
