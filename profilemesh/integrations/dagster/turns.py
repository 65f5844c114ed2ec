"""One table's turn in a run of Dagster: looked at, claimed, read, saved, as the scheduler does it.

All tables of a run are looked at together when the first of them is due, so that a run of a hundred asks the warehouse
what one would. A look is good for LOOK_SECONDS; after that the next table's turn begins with another.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from profilemesh.config import Config
from profilemesh.integrations.dagster.asking import ProfilingRun, only_of, unlimited
from profilemesh.planning import Decision, Plan
from profilemesh.planning.snapshots import Trouble
from profilemesh.runner import Outcome, look, run_plan, utc_now
from profilemesh.storage import Storage, decisions
from profilemesh.tables import TableRef
from profilemesh.warehouses import open_warehouse
from profilemesh.warehouses.base import Warehouse

ASKED_BY = "dagster"
LOOK_SECONDS = 300.0
_MOST_LOOKS = 8


@dataclass(frozen=True)
class Turn:
    """How it ended. Without an outcome nothing was read; without a decision the table is not known, which `trouble`
    explains if its warehouse did not answer."""

    decision: Decision | None
    outcome: Outcome | None = None
    trouble: Trouble | None = None
    looked_at: datetime | None = None


@dataclass(frozen=True)
class Seat:
    """Whose turn it is, and the tables that the same run has in the same warehouse."""

    run_id: str
    table: TableRef
    beside: Collection[TableRef]


def take_turn(config: Config, storage: Storage, seat: Seat, wanted: ProfilingRun) -> Turn:
    """Do with the table what its plan says. Raises StorageError if that cannot be stored."""
    table = seat.table
    config = unlimited(config) if wanted.asked is not None else config
    warehouse = open_warehouse(config.warehouses[table.warehouse], config.execution)
    try:
        plan = _looks.at(config, storage, warehouse, seat, wanted)
        alone = only_of(plan, table, wanted.asked)
        if alone is None:
            return Turn(None, trouble=plan.troubles.get(table.warehouse))
        [decision] = alone.decisions
        if not decision.action.reads:
            with storage.begin() as session:
                decisions.record(session, alone.plan_id, alone.decisions, utc_now())
            return Turn(decision)
        report = run_plan(alone, config, storage, {table.warehouse: warehouse}, asked_by=ASKED_BY)
        return Turn(decision, report.outcomes[0], looked_at=plan.made_at)
    finally:
        warehouse.close()


class Looks:
    """The plans of the runs of this process, the last few of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[tuple[str, str, bool, bool], tuple[float, Plan]] = {}

    def at(self, config: Config, storage: Storage, warehouse: Warehouse, seat: Seat, wanted: ProfilingRun) -> Plan:
        key = (seat.run_id, warehouse.name, wanted.force, wanted.asked is not None)
        with self._lock:
            made = self._made.get(key)
            if made is not None and time.monotonic() - made[0] < LOOK_SECONDS:
                return made[1]
            only = {seat.table, *seat.beside}
            open_one = {warehouse.name: warehouse}
            plan = look(config, storage, open_one, utc_now(), only=only, force=wanted.force)
            self._made[key] = (time.monotonic(), plan)
            while len(self._made) > _MOST_LOOKS:
                del self._made[next(iter(self._made))]
            return plan


_looks = Looks()
