"""The tables that fail are those of the runs, whatever became of them, on both databases."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.queries.failures import failing
from profilemesh.storage import open_storage
from profilemesh.storage.models import Run, TableState
from profilemesh.storage.upgrade import upgrade
from tests.factories import add_run

START = datetime(2026, 3, 1, tzinfo=UTC)
TABLES = ("a", "b", "c", "d", "e", "f")
STATUSES = ("running", "success", "failed", "failed")


def change(session: Session, dice: random.Random) -> None:
    """A few runs, one that ends, moves or goes, and a look that proves a table unchanged."""
    for _ in range(4):
        at, environment = START + timedelta(minutes=dice.randrange(9000)), dice.choice(["production", "test"])
        add_run(session, dice.choice(TABLES), at=at, status=dice.choice(STATUSES), environment=environment, columns={})
    session.flush()
    run = dice.choice(session.scalars(sa.select(Run).order_by(Run.profiled_at, Run.run_id)).all())
    match dice.randrange(4):
        case 0:
            session.delete(run)
        case 1:
            run.profiled_at += timedelta(minutes=dice.randrange(-3000, 3000))
        case 2:
            run.status = dice.choice(STATUSES)
        case _:
            same = TableState.table_name == run.dataset_name
            session.execute(sa.update(TableState).where(same).values(last_verified_at=run.profiled_at))


def by_hand(session: Session, environment: str | None) -> set[tuple[str, datetime]]:
    """The last failure of each table, of this environment, after which nothing ended and nothing was proved."""
    found = set()
    for state in session.scalars(sa.select(TableState)):
        runs = session.scalars(sa.select(Run).where(Run.dataset_name == state.table_name)).all()
        failed = [run for run in runs if run.status == "failed" and environment in (None, run.environment)]
        last = max((run.profiled_at for run in failed), default=None)
        proofs = [*filter(None, (state.last_verified_at, state.last_profiled_at))]
        ends = [run.profiled_at for run in runs if run.status != "running"]
        if last is not None and last >= max(ends) and all(last > proof for proof in proofs):
            found.add((state.table_name, last))
    return found


def test_failing_tables_are_those_of_the_runs(storage_url: str) -> None:
    upgrade(storage_url)
    storage, dice, seen = open_storage(storage_url), random.Random(11), 0
    for _ in range(25):
        with Session(storage.engine) as session:
            change(session, dice)
            session.commit()
            for environment in (None, "test"):
                narrowed = [Run.environment == environment] if environment else []
                told = {(row.dataset_name, row.at) for row in session.execute(failing(*narrowed))}
                assert told == by_hand(session, environment)
                seen += len(told)
    storage.close()
    assert seen > 40
