"""How a reading is divided by partitions: which are read, which keep a summary of their own. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from profilemesh.config.model import IncrementalConfig
from profilemesh.planning.decisions import Action, Decision
from profilemesh.planning.snapshots import KeptManifest, Manifest
from profilemesh.tables import Column, Rows


@dataclass(frozen=True)
class Division:
    """A reading in parts. Each of `apart` is read alone and keeps its summary; `rest`, if given, is read as one.

    `folded` had summaries of their own and join the rest, `manifest` is what the whole will consist of.
    """

    manifest: Manifest
    apart: tuple[str, ...]
    rest: Rows | None
    folded: tuple[str, ...] = ()
    key: tuple[Column, ...] = ()

    def rows(self, partitions: tuple[str, ...]) -> Rows:
        """The rows of these partitions, told apart."""
        return Rows(of=partitions, key=self.key, are_told_apart=True)


def division(decision: Decision, kept: KeptManifest | None, incremental: IncrementalConfig) -> Division | None:
    """How the reading that was decided is divided; None where it is not."""
    settings, snapshot = incremental.partial_profiling, decision.snapshot
    manifest = snapshot.partitions if snapshot else None
    if snapshot is None or manifest is None or not (settings.enabled and settings.allow_partition_pruning):
        return None
    columns = {column.name: column for column in snapshot.columns}
    key = tuple(columns[name] for name in manifest.key)
    own = own_summaries(tuple(manifest.parts), settings.max_partitions_per_run)
    if decision.action is Action.PARTIAL:
        assert decision.change is not None and kept is not None
        folded = tuple(part for part in kept.apart if part in manifest.parts and part not in own)
        read = decision.change.to_read
        return Division(manifest, read, None, tuple(part for part in folded if part not in read), key)
    if decision.action is not Action.FULL or not (manifest.parts or manifest.key):
        return None
    rows = decision.naive.rows
    if rows is not None and rows < settings.min_rows:
        return None
    closed = tuple(part for part in manifest.parts if part not in own)
    if not manifest.key:
        return Division(manifest, own, Rows(of=closed) if closed else None)
    # By key the rest is what is left, be it none: so no row can fall between the partitions.
    return Division(manifest, own, Rows(but=own, key=key), (), key)


def own_summaries(partitions: Sequence[str], limit: int) -> tuple[str, ...]:
    """The partitions, oldest first, that keep a summary of their own: those at both ends.

    The newest are those that change, the oldest those that are dropped next; the middle is one closed rest.
    """
    if len(partitions) <= limit:
        return tuple(partitions)
    newest = (limit + 1) // 2
    return tuple(partitions[: limit - newest]) + tuple(partitions[-newest:])
