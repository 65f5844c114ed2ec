"""What a reading costs, the limits, and who gets the tick's budget. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from profilemesh.config.model import CostControlsConfig
from profilemesh.planning.snapshots import Snapshot

if TYPE_CHECKING:
    from profilemesh.planning.decisions import State


@dataclass(frozen=True, slots=True)
class Cost:
    """Rows and bytes to be read, None where unknown. `is_measured`: a profile of this very snapshot counted them."""

    rows: int | None = None
    bytes: int | None = None
    is_measured: bool = False

    def sampled(self, fraction: float) -> Cost:
        rows, size = (None if whole is None else round(whole * fraction) for whole in (self.rows, self.bytes))
        return Cost(rows, size)


NOTHING, UNKNOWN = Cost(0, 0), Cost()


def cost_of(snapshot: Snapshot, state: State | None, partitions: Collection[str] | None = None) -> Cost:
    """Of reading a table, or some of its partitions: as last counted while nothing moved, else as metadata estimate,
    else as last counted."""
    if partitions is not None:
        manifest = snapshot.partitions
        assert manifest is not None
        parts = [manifest.parts[key] for key in partitions]
        return Cost(_sum(part.rows for part in parts), _sum(part.bytes for part in parts))
    rows, size = (state.row_count, state.bytes_scanned) if state else (None, None)
    if state is not None and rows is not None and snapshot.token is not None and snapshot.token == state.token:
        return Cost(rows, _first(snapshot.bytes_estimate, size), True)
    guess = snapshot.probed.rows if snapshot.probed else None
    return Cost(_first(snapshot.rows_estimate, guess, rows), _first(snapshot.bytes_estimate, size))


def _first(*sizes: int | None) -> int | None:
    return next((size for size in sizes if size is not None), None)


def _sum(sizes: Iterable[int | None]) -> int | None:
    found = list(sizes)
    known = [size for size in found if size is not None]
    return sum(known) if len(known) == len(found) else None


@dataclass(frozen=True)
class Limits:
    """The most rows and bytes that one reading may cost; None: no limit."""

    rows: int | None = None
    bytes: int | None = None

    @classmethod
    def per_table(cls, settings: CostControlsConfig) -> Limits:
        return cls(settings.max_rows_scanned, settings.max_bytes_scanned) if settings.enabled else cls()

    @classmethod
    def per_tick(cls, settings: CostControlsConfig) -> Limits:
        return cls(settings.max_rows_per_tick, settings.max_bytes_per_tick) if settings.enabled else cls()

    def allow(self, cost: Cost) -> bool:
        """An unknown cost is allowed: there is nothing to compare."""
        pairs = ((cost.rows, self.rows), (cost.bytes, self.bytes))
        return all(size is None or limit is None or size <= limit for size, limit in pairs)

    def share(self, cost: Cost) -> float:
        """The largest fraction of this cost that is allowed, at most 1."""
        pairs = ((cost.rows, self.rows), (cost.bytes, self.bytes))
        return min([1.0, *(limit / size for size, limit in pairs if size and limit is not None)])

    def less(self, cost: Cost) -> Limits:
        """What is left after this cost; what is unknown takes nothing."""
        return Limits(_left(self.rows, cost.rows), _left(self.bytes, cost.bytes))


def _left(limit: int | None, size: int | None) -> int | None:
    return None if limit is None else max(0, limit - (size or 0))
