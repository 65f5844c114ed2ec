"""Tables with runs, told from their spans, are those of the runs themselves, whatever the period."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.queries.spans import first_runs, tables_with_runs
from profilemesh.storage import open_storage
from profilemesh.storage.models import Run
from profilemesh.storage.upgrade import upgrade
from tests.factories import add_run

START = datetime(2026, 3, 1, tzinfo=UTC)
TABLES = ("a", "b", "c", "d", "e")


@pytest.fixture
def history(storage_url: str) -> Iterator[Session]:
    """Tables that run daily, weekly, once, in bursts; written in any order, one at a time and many at once."""
    upgrade(storage_url)
    storage, dice = open_storage(storage_url), random.Random(3)
    days = [("a", n) for n in range(60)] + [("b", 7 * n) for n in range(9)] + [("c", 30)]
    days += [("d", dice.uniform(0, 8)) for _ in range(9)] + [("d", dice.uniform(40, 60)) for _ in range(9)]
    days += [("e", dice.uniform(0, 60)) for _ in range(6)]
    dice.shuffle(days)
    for place, (table, day) in enumerate(days):
        with Session(storage.engine) as session:
            environment, warehouse = dice.choice(["production", "test"]), dice.choice(["shop", "lake"])
            at = START + timedelta(days=day)
            add_run(session, table, at=at, environment=environment, warehouse=warehouse, columns={})
            # Some transactions hold several runs.
            if place % 3 == 0:
                add_run(session, table, at=at + timedelta(hours=2), warehouse=warehouse, columns={})
            session.commit()
    with Session(storage.engine) as session:
        yield session
    storage.close()


def by_hand(session: Session, since: datetime, until: datetime | None, wanted: dict[str, str]) -> int:
    runs = session.scalars(sa.select(Run).filter_by(**wanted))
    return len(
        {
            (run.warehouse, run.schema_name, run.dataset_name)
            for run in runs
            if run.profiled_at >= since and (until is None or run.profiled_at < until)
        }
    )


def assert_told(session: Session, dice: random.Random, tries: int) -> None:
    for _ in range(tries):
        since = START + timedelta(days=dice.uniform(-5, 62))
        until = dice.choice([None, since + timedelta(days=dice.choice([0.5, 2, 3, 7, 20, 45]))])
        wanted: dict[str, Any] = dice.choice(
            [{}, {"environment": "test"}, {"warehouse": "lake", "environment": "test"}]
        )
        told = tables_with_runs(since, until, lambda c, w=wanted: [getattr(c, name) == w[name] for name in w])
        assert session.scalar(sa.select(told)) == by_hand(session, since, until, wanted), (since, until, wanted)


def test_tables_with_runs_are_those_of_the_runs(history: Session) -> None:
    dice = random.Random(4)
    assert_told(history, dice, 60)
    for table in TABLES:
        middle = [START + timedelta(days=dice.uniform(5, 30)), START + timedelta(days=dice.uniform(30, 58))]
        gone = sa.delete(Run).where(Run.dataset_name == table, Run.profiled_at.between(*middle))
        history.execute(gone.execution_options(synchronize_session=False))
    history.execute(sa.update(Run).where(Run.dataset_name == "a").values(environment="test"))
    history.commit()
    assert_told(history, dice, 60)


def test_first_runs_are_counted_by_the_day(history: Session) -> None:
    firsts: dict[tuple[str, str], datetime] = {}
    for run in history.scalars(sa.select(Run)):
        key = run.warehouse, run.dataset_name
        firsts[key] = min(firsts.get(key, run.profiled_at), run.profiled_at)
    since = START + timedelta(days=5.3)
    expected: dict[int, int] = {}
    for first in firsts.values():
        if first >= START + timedelta(days=5):
            day = int(first.timestamp()) // 86400 * 86400
            expected[day] = expected.get(day, 0) + 1
    found = first_runs(history, 86400, since, lambda c: [])
    assert found.by_step == expected and found.before == len(firsts) - sum(expected.values()) > 0
    assert (found.first_at, found.active) == (min(firsts.values()), by_hand(history, since, None, {}))
