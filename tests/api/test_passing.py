"""Deep in a list whole days and hours are passed over by their counts: the rows are those of a plain OFFSET."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from app.queries import lists
from app.queries.drift import Drift
from app.queries.runs import Runs
from profilemesh.storage import open_storage
from profilemesh.storage.models import Event, Run
from tests.factories import NOW

ROWS = 400
RUN_FILTERS = dict.fromkeys(("warehouse", "schema", "table", "status", "environment", "cursor"))
DRIFT_FILTERS = dict.fromkeys(("warehouse", "table", "severity", "cursor"))


def fill(session: Session) -> None:
    """Over ten days, crowded into some of their hours, some of them of the same moment, some right on the hour."""
    random = Random(7)
    hours = [NOW.replace(minute=0) - timedelta(hours=random.randrange(240)) for _ in range(40)]
    for n in range(ROWS):
        at = random.choice(hours) + timedelta(minutes=random.choice((0, 0, 5, 59)))
        place = {"warehouse": random.choice("ab"), "schema_name": "s"}
        status = random.choice(("success", "failed"))
        run = Run(run_id=f"r{n:03}", dataset_name="t", warehouse_type="duckdb", status=status, profiled_at=at, **place)
        session.add(run)
        session.flush()
        found = {"drift_severity": random.choice(("low", "high", None)), "event_type": "DataDriftDetected"}
        session.add(Event(event_id=f"e{n:03}", run_id=run.run_id, table_name="t", timestamp=at, **place, **found))


@pytest.mark.parametrize("kind", [Runs, Drift])
def test_rows_are_those_of_a_plain_offset(fresh_url: str, kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = open_storage(fresh_url)
    with storage.begin() as session:
        fill(session)
    nothing = RUN_FILTERS if kind is Runs else DRIFT_FILTERS
    chosen = st.fixed_dictionaries(
        {"days": st.integers(1, 12), "offset": st.integers(0, ROWS), "limit": st.integers(1, 30)},
        optional={"warehouse": st.sampled_from("abx"), "table": st.just("t")}
        | ({"status": st.just("failed")} if kind is Runs else {"severity": st.sampled_from(("low", "high"))}),
    )

    @settings(max_examples=120, deadline=None)
    @given(chosen, st.integers(-90, 90))
    def alike(wanted: dict[str, Any], minutes: int) -> None:
        with storage.read() as session:
            parts = []
            for far in (ROWS + 1, 0):
                monkeypatch.setattr(lists, "FAR", far)
                parts.append(kind(session, nothing | wanted, NOW + timedelta(minutes=minutes)).part())
        assert parts[0] == parts[1]

    alike()
    if fresh_url.startswith("postgresql"):
        with storage.begin() as session:
            session.execute(sa.text("SELECT profilemesh_fold()"))
        alike()
    storage.close()
