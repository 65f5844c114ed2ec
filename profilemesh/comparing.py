"""A run compared with the table's history, as part of its turn.

Before the transaction that stores the run: its profile is built, the history and what it is compared with are read,
and drift is computed. Inside: the profile's numbers, the findings and their events. A comparison that goes wrong never
costs the run: the run says so, and nothing else of it differs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from profilemesh import partitions
from profilemesh.alerts import outbox
from profilemesh.config.model import Config
from profilemesh.drift import Comparison, Finding, Profile, Rules, compare, profile_of, rules_for
from profilemesh.drift.profiles import Metrics
from profilemesh.parts import Parts
from profilemesh.planning.selection import owner_of
from profilemesh.planning.snapshots import KeptManifest
from profilemesh.profiling.summary import TableSummary
from profilemesh.storage import Storage, findings, profiles, summaries
from profilemesh.storage.findings import Recorded, Seen
from profilemesh.storage.models import Run
from profilemesh.storage.profiles import Wanted
from profilemesh.storage.runs import table_of
from profilemesh.tables import Column, TableRef

log = logging.getLogger(__name__)

TROUBLE = "drift_error"
"""The key of a run's scope detail that says why its drift could not be computed."""


@dataclass(frozen=True)
class Compared:
    """A run's profile and what was found; `trouble` says why nothing could be."""

    profile: Profile
    comparison: Comparison = Comparison()
    trouble: str | None = None


@dataclass(frozen=True)
class Reading:
    """What a turn read: the summaries, the columns that the table has, those that are sensitive, what was known of its
    partitions before, and its metrics where they are at hand."""

    found: Parts
    columns: tuple[Column, ...]
    sensitive: frozenset[str] = frozenset()
    kept: KeptManifest | None = None
    metrics: Metrics | None = None


def compared(config: Config, storage: Storage, run: Run, reading: Reading) -> Compared:
    """What changed in this run. Reads the storage, writes nothing, raises nothing."""
    profile = profile_of(
        reading.found.whole,
        run_id=run.run_id,
        at=run.profiled_at,
        scope=run.scope or "full",
        columns=reading.columns,
        sensitive=reading.sensitive,
        metrics=reading.metrics,
    )
    table = table_of(run)
    try:
        return Compared(
            profile, _comparison(storage, table, profile, reading, rules_for(config.drift_detection, table))
        )
    except Exception as error:  # noqa: BLE001 - whatever is wrong with drift, the profile itself is good and is kept
        log.warning("the drift of %s could not be computed", table, exc_info=True)
        return Compared(profile, trouble=f"drift could not be computed: {type(error).__name__}: {error}")


def _comparison(storage: Storage, table: TableRef, profile: Profile, reading: Reading, rules: Rules) -> Comparison:
    pinned = frozenset(entry.pinned_run for entry in rules.entries if entry.pinned_run)
    chosen: list[str] = []
    with storage.read() as session:

        def reference(run_id: str) -> TableSummary | None:
            chosen.append(run_id)
            payload = summaries.whole(session, run_id)
            return TableSummary.from_bytes(payload) if payload else None

        history = profiles.history(session, Wanted(table, profile.at, pinned))
        parts = _parts(storage, table, reading, chosen)
        return compare(table, profile, history, rules, summary=reference, parts=parts[0], parts_before=parts[1])


def _parts(
    storage: Storage, table: TableRef, reading: Reading, chosen: list[str]
) -> tuple[Mapping[str, TableSummary], Mapping[str, TableSummary]]:
    """The partitions' summaries now and in the run that was chosen to compare with."""
    if reading.found.manifest is None:
        return {}, {}

    def parts_now() -> Mapping[str, TableSummary]:
        return partitions.now(storage, reading.found)

    def parts_before() -> Mapping[str, TableSummary]:
        return partitions.before(storage, table, chosen[0], reading.found, reading.kept) if chosen else {}

    return Lazily(parts_now), Lazily(parts_before)


class Lazily(Mapping[str, TableSummary]):
    """Summaries that are read when somebody looks: where nothing is found nobody does."""

    def __init__(self, read: Callable[[], Mapping[str, TableSummary]]) -> None:
        self._read = read

    @cached_property
    def _found(self) -> Mapping[str, TableSummary]:
        return self._read()

    def __getitem__(self, name: str) -> TableSummary:
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


def keep(session: Session, config: Config, run: Run, this: Compared, *, has_moved: bool) -> None:
    """Store the numbers and the findings, and tell the run whether it has drift. Never fails the transaction.

    To be called before the run itself is finished: it writes `has_drift` and what went wrong.
    """
    profiles.save(session, this.profile)
    trouble = this.trouble
    if trouble is None:
        trouble = _recorded(session, config, run, this, has_moved=has_moved)
    if trouble is not None:
        run.scope_detail = (run.scope_detail or {}) | {TROUBLE: trouble}


def _recorded(session: Session, config: Config, run: Run, this: Compared, *, has_moved: bool) -> str | None:
    """None, or why the findings could not be stored."""
    table, comparison = table_of(run), this.comparison
    seen = Seen(
        table,
        run.environment,
        run.run_id,
        run.profiled_at,
        run.scope or "full",
        known=frozenset(name for name, metrics in this.profile.metrics.items() if metrics),
        columns=frozenset(column.name for column in this.profile.columns or ()),
        is_compared=comparison.runs > 0,
        has_moved=has_moved,
        owner=owner_of(config, table) if comparison.findings else None,
    )
    try:
        run.has_drift = record(session, config, run.plan_id, seen, comparison.findings).has_drift
    except Exception as error:  # noqa: BLE001 - the same: a finding that cannot be stored does not cost the run
        log.warning("the findings of %s could not be stored", table, exc_info=True)
        return f"drift could not be stored: {type(error).__name__}: {error}"
    return None


def record(session: Session, config: Config, plan_id: str | None, seen: Seen, found: tuple[Finding, ...]) -> Recorded:
    """Store findings and what alerts will tell of them: all of it, or nothing."""
    if not found and not findings.is_any_unresolved(session, seen.table):
        return Recorded()
    for is_last in (False, True):
        try:
            with session.begin_nested():
                recorded = findings.record(session, seen, found)
                outbox.enqueue(session, config, plan_id, [(each.finding_id, each.change) for each in recorded.told])
                return recorded
        except IntegrityError:
            # Somebody reopened a finding of the same fact just now; it is there to be joined the next time.
            if is_last:
                raise
    raise AssertionError("unreachable")
