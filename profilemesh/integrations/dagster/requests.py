"""Which runs a plan asks for, given what was asked before. Pure: no clock, no database, no Dagster instance.

A run takes a few seconds to begin, so small tables share one; a large one has its own, and so has one that failed,
which might be what ends its neighbours. What is asked for is remembered in the sensor's cursor until the plan wants it
no more. The daemon stores the cursor together with the requests, before it launches any: so a tick is asked for once,
whoever dies. A table that is wanted again after its run has ended is asked for under another key, for Dagster launches
a key once.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from profilemesh.planning import Decision, Plan
from profilemesh.tables import TableRef

TABLES_PER_RUN = 20
RUNS_PER_TICK = 100
"""About so many, however many tables there are."""
ROWS_PER_RUN = 20_000_000
LONGEST_PAUSE = timedelta(hours=1)
LONGEST_RUN = timedelta(days=1)
"""A run that has not ended by then was lost: where runs are not monitored, one that was killed says for ever that it
goes on. Should it be alive, its claims keep others from its tables."""


class Standing(StrEnum):
    """What became of a run that was asked for."""

    UNDER_WAY = "under way"
    ENDED = "ended"
    FAILED = "failed"


@dataclass(frozen=True)
class AskedBefore:
    """What was asked for a table: in which run, when, of which state of the table, and how often before."""

    run_key: str
    at: datetime
    wanted: str
    attempt: int = 0
    failures: int = 0

    def pause(self, interval: timedelta) -> timedelta:
        """How long after it a table that failed is asked for again: at once, then later and later."""
        if self.failures < 2:
            return timedelta()
        return min(interval * (1 << min(self.failures - 1, 20)), LONGEST_PAUSE)


Memory = Mapping[TableRef, AskedBefore]


@dataclass(frozen=True)
class Request:
    """One run."""

    run_key: str
    decisions: tuple[Decision, ...]

    @property
    def tables(self) -> tuple[TableRef, ...]:
        return tuple(decision.table for decision in self.decisions)


@dataclass(frozen=True)
class Asking:
    """What one tick asks for, what is under way, what waits after failures and until when, and what to remember."""

    requests: tuple[Request, ...]
    memory: Memory
    under_way: tuple[TableRef, ...] = ()
    paused: Mapping[TableRef, datetime] = field(default_factory=dict)


def unsettled(plan: Plan, memory: Memory) -> set[str]:
    """The runs whose standing decides what to ask for: those of tables that the plan wants and were asked for."""
    return {memory[decision.table].run_key for decision in plan.to_read if decision.table in memory}


def asked(plan: Plan, memory: Memory, standings: Mapping[str, Standing], interval: timedelta) -> Asking:
    """The requests for all that the plan wants read and no run is about to read. A run of which nothing is known never
    began."""
    wanted: list[tuple[Decision, AskedBefore]] = []
    kept: dict[TableRef, AskedBefore] = {}
    under_way, paused = [], {}
    for decision in plan.to_read:
        table, before = decision.table, memory.get(decision.table)
        standing = _standing(plan, before, standings)
        if before is not None and standing is Standing.UNDER_WAY and not _is_read_since(plan, table, before):
            kept[table] = before
            under_way.append(table)
            continue
        now = _next(plan, decision, before, standing)
        if before is not None and standing is Standing.FAILED and plan.made_at < before.at + now.pause(interval):
            kept[table] = before
            paused[table] = before.at + now.pause(interval)
            continue
        wanted.append((decision, now))
    requests = []
    for group in _groups(wanted):
        run_key = _hashed([[str(decision.table), now.wanted, now.attempt] for decision, now in group])
        requests.append(Request(run_key, tuple(decision for decision, _ in group)))
        kept |= {decision.table: replace(now, run_key=run_key) for decision, now in group}
    return Asking(tuple(requests), kept, tuple(under_way), paused)


def _standing(plan: Plan, before: AskedBefore | None, standings: Mapping[str, Standing]) -> Standing | None:
    standing = standings.get(before.run_key) if before else None
    is_lost = standing is Standing.UNDER_WAY and before is not None and plan.made_at - before.at >= LONGEST_RUN
    return Standing.FAILED if is_lost else standing


def _next(plan: Plan, decision: Decision, before: AskedBefore | None, standing: Standing | None) -> AskedBefore:
    """What is to be remembered of asking for this table now."""
    wanted = _wanted(plan, decision)
    if before is None:
        return AskedBefore("", plan.made_at, wanted)
    is_again = before.wanted == wanted
    # A run that nobody knows of never began: asked for once more, it is the same request.
    attempt = before.attempt + (standing is not None) if is_again else 0
    failures = (
        before.failures + 1 if standing is Standing.FAILED else 0 if standing is Standing.ENDED else before.failures
    )
    return AskedBefore("", plan.made_at, wanted, attempt, failures)


def _wanted(plan: Plan, decision: Decision) -> str:
    """Differs whenever another reading is wanted: by what is to be read, of which snapshot, since which profile."""
    snapshot = decision.snapshot
    probed = snapshot.probed if snapshot else None
    return _hashed(
        [
            decision.action,
            decision.fraction,
            sorted(decision.change.to_read) if decision.change else None,
            snapshot.token if snapshot else None,
            probed.token if probed else None,
            [each and each.isoformat() for each in plan.reading[decision.table].read_before],
        ]
    )[:16]


def _is_read_since(plan: Plan, table: TableRef, before: AskedBefore) -> bool:
    """Whether the run, though it goes on with other tables, is through with this one, which has changed again."""
    last = max(filter(None, plan.reading[table].read_before), default=None)
    return last is not None and last > before.at


_Group = Sequence[tuple[Decision, AskedBefore]]


def _groups(wanted: _Group) -> Iterator[_Group]:
    """The tables of each run: of one warehouse, the stalest first."""
    size = max(TABLES_PER_RUN, math.ceil(len(wanted) / RUNS_PER_TICK))
    by_warehouse: dict[str, list[tuple[Decision, AskedBefore]]] = {}
    for each in wanted:
        if each[1].failures:
            yield [each]
        else:
            by_warehouse.setdefault(each[0].table.warehouse, []).append(each)
    for group in by_warehouse.values():
        yield from _divided(group, size)


def _divided(group: _Group, size: int) -> Iterator[_Group]:
    run: list[tuple[Decision, AskedBefore]] = []
    rows = 0
    for each in group:
        more = each[0].cost.rows or 0
        if run and (len(run) == size or rows + more > ROWS_PER_RUN):
            yield run
            run, rows = [], 0
        run.append(each)
        rows += more
    if run:
        yield run


def _hashed(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def to_cursor(memory: Memory, told: str = "") -> str:
    """The memory as a text; `told` is what was last said of all tables together."""
    entries = [
        [table.warehouse, table.schema, table.name, {**asdict(before), "at": before.at.isoformat()}]
        for table, before in sorted(memory.items())
    ]
    return json.dumps({"version": 1, "asked": entries, "told": told})


def from_cursor(cursor: str | None) -> tuple[Memory, str]:
    """What `to_cursor` made; nothing of a cursor that somebody else wrote."""
    try:
        found = json.loads(cursor or "{}")
        entries = found["asked"] if found.get("version") == 1 else []
        memory = {
            TableRef(*names): AskedBefore(**{**told, "at": datetime.fromisoformat(told["at"])})
            for *names, told in entries
        }
        return memory, str(found.get("told", ""))
    except (ValueError, TypeError, AttributeError, KeyError):
        return {}, ""
