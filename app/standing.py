"""How a table stands between two ticks: what is remembered of it, and what the next tick waits for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.formats import ago, utc
from profilemesh.config.model import Config
from profilemesh.planning.intervals import due_at
from profilemesh.planning.selection import settings_for
from profilemesh.planning.snapshots import KeptManifest, Snapshot
from profilemesh.storage.claims import holder_is_dead
from profilemesh.storage.models import TableState
from profilemesh.tables import TableRef


@dataclass(frozen=True)
class Partition:
    """A partition behind the stored profile; `is_apart`: it has a summary of its own."""

    name: str
    rows: int | None
    as_of: datetime
    is_apart: bool
    is_of_last_run: bool


@dataclass(frozen=True)
class Standing:
    """`next_run` says what would make it run; `due_at` is None where nothing is known or intervals are off."""

    is_being_read: bool
    is_paused: bool
    is_paused_by_hand: bool
    due_at: datetime | None
    window: str | None
    next_run: str
    partitions: tuple[Partition, ...]

    @property
    def read_partitions(self) -> int:
        return sum(part.is_of_last_run for part in self.partitions)


def standing(table: TableRef, state: TableState | None, config: Config | None, now: datetime) -> Standing:
    """`config` is None where there is none that can be used; what only it could tell is then left out."""
    rule = _Rules(table, config)
    due = _due_at(table, state, config)
    is_read = is_being_read(state, now)
    return Standing(
        is_being_read=is_read,
        is_paused=rule.is_paused or (state is not None and state.paused_at is not None),
        is_paused_by_hand=state is not None and state.paused_at is not None,
        due_at=due,
        window=rule.window,
        next_run="It is being read now." if is_read else _next_run(state, rule, due, now),
        partitions=_partitions(state),
    )


class _Rules:
    """What the configuration says of a table."""

    def __init__(self, table: TableRef, config: Config | None) -> None:
        self.config = config
        settings = (
            settings_for(config, Snapshot(table, ())) if config and table.warehouse in config.warehouses else None
        )
        self.is_selected = config is None or settings is not None
        self.is_paused = settings is not None and settings.paused
        self.open = settings.window if settings else None
        self.window = str(self.open) if self.open else None
        self.is_incremental = config is None or config.incremental.enabled

    def is_closed(self, now: datetime) -> bool:
        return self.open is not None and not self.open.contains(now)


def is_being_read(state: TableState | None, now: datetime) -> bool:
    if state is None or state.claimed_by is None or state.claimed_until is None:
        return False
    return state.claimed_until > now and not holder_is_dead(state.claimed_by)


def _due_at(table: TableRef, state: TableState | None, config: Config | None) -> datetime | None:
    """The end of its interval since it was last read, by the settings as they are now."""
    if state is None or config is None or not config.incremental.enabled:
        return state.due_at if state and config is None else None
    settings = config.incremental.adaptive_scheduling
    read_at = max(filter(None, (state.last_profiled_at, state.sampled_at)), default=None)
    if read_at is None or not settings.enabled:
        return None
    return due_at(read_at, table, state.change_gap_minutes, settings)


def _next_run(state: TableState | None, rule: _Rules, due: datetime | None, now: datetime) -> str:
    if not rule.is_selected:
        return "Nothing: the configuration does not select it."
    if state is not None and state.vanished_at is not None:
        return "Nothing: it is gone from its warehouse. If it comes back, it is profiled afresh."
    if state is not None and state.paused_at is not None:
        return f"Only a run by hand: paused since {utc(state.paused_at)}."
    if rule.is_paused:
        return "Only a run by hand: the configuration pauses it."
    when = "The next tick" if not rule.is_closed(now) else f"The first tick inside its window ({rule.window})"
    return f"{when} reads it {_if(state, rule, due, now)}."


def _if(state: TableState | None, rule: _Rules, due: datetime | None, now: datetime) -> str:
    if state is None or (state.last_profiled_at is None and state.sampled_at is None):
        return "for the first time"
    if not rule.is_incremental:
        return "whatever changed: change detection is off"
    if state.deferred_since is not None:
        return f"if limits and budget allow: put off since {utc(state.deferred_since)}{_at_the_latest(state, rule)}"
    evidence = state.evidence or {}
    is_early = due is not None and now < due
    after = f", once it is due {ago(due, now)} ({utc(due)})" if is_early else ""
    if state.decision_reason == "fresh_within_interval" and evidence.get("data") == "changed":
        return f"because its data changed{after}"
    if state.decision_reason in ("warehouse_busy", "warehouse_unreachable", "changed_meanwhile"):
        return f"if its warehouse answers and its data may have changed{after}"
    return f"if its data may have changed{after}"


def _at_the_latest(state: TableState, rule: _Rules) -> str:
    if rule.config is None or state.deferred_since is None:
        return ""
    limit = timedelta(minutes=rule.config.incremental.cost_controls.max_deferral_minutes)
    return f", sampled after {utc(state.deferred_since + limit)} at the latest"


def _partitions(state: TableState | None) -> tuple[Partition, ...]:
    if state is None or not state.manifest:
        return ()
    return tuple(
        Partition(part.name, part.rows, part.as_of, part.run_id is not None, part.run_id == state.last_run_id)
        for part in KeptManifest.from_json(state.manifest).parts.values()
    )
