"""Reading a table in parts, and putting the whole together from parts old and new.

Each partition that may change keeps a summary of its own, the rest of them one in common. A later run reads what
changed, takes the stored summaries of what did not, and merges: the profile of the whole table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from profilemesh.errors import ProfileMeshError, StatementFailed, SummariesIncompatible
from profilemesh.planning.division import Division
from profilemesh.planning.snapshots import KeptManifest, KeptPart, Snapshot
from profilemesh.profiling import Profile, Progress, Scope, profile_parts
from profilemesh.profiling.summary import ColumnSummary, TableSummary, shifts_of
from profilemesh.tables import Rows
from profilemesh.warehouses.base import Scan, Warehouse

TOGETHER = 16
"""Partitions that one reading tells apart: each needs registers of its own in the engine's memory."""
UNKNOWN = ""
"""The token of a partition that no look finds again."""
REST = "rest"
"""The key under which the merged summary of all other partitions is stored; theirs are JSON lists."""


class ChangedMeanwhile(ProfileMeshError):
    """The parts that were read do not fit together: the table changed while it was read."""


@dataclass(frozen=True)
class Parts:
    """What a reading in parts found. `payloads` are the new summaries by partition, the rest's under `REST`."""

    whole: TableSummary
    rows_read: int
    errors: Mapping[str, str]
    bytes_read: int | None
    payloads: Mapping[str, bytes] = field(default_factory=dict)
    manifest: KeptManifest | None = None


def undivided(found: Profile) -> Parts:
    """A reading of all rows at once."""
    return Parts(found.summary, found.summary.rows, found.errors, found.bytes_read)


@dataclass
class _Pile:
    """Readings as they come in: one summary of all, and the bytes of each."""

    whole: TableSummary | None = None
    errors: dict[str, str] = field(default_factory=dict)
    bytes_read: int | None = None
    payloads: dict[str, bytes] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)

    def add(self, key: str, summary: TableSummary) -> None:
        self.whole = summary if self.whole is None else self.whole.merge(summary)
        self.payloads[key] = summary.to_bytes()
        self.rows[key] = summary.rows

    def note(self, found: Profile) -> None:
        for name, message in found.errors.items():
            self.errors.setdefault(name, message)
        if found.bytes_read is not None:
            self.bytes_read = (self.bytes_read or 0) + found.bytes_read


def read_parts(
    warehouse: Warehouse, scan: Scan, scope: Scope, division: Division, run_id: str, as_of: datetime, progress: Progress
) -> Parts:
    """Read every part of the division, each for itself, in the scan's one session: the whole table, in parts.

    Raises ChangedMeanwhile if rows turn up that belong to none of its partitions.
    """
    pile = _read(warehouse, scan, scope, division, progress)
    apart = set(division.apart)
    closed = [key for key in division.manifest.parts if key not in apart]
    if not closed and pile.rows.get(REST):
        raise ChangedMeanwhile(f"table {scope.table}: a partition appeared while it was read")
    parts = {
        key: KeptPart(part.token, part.name, as_of, pile.rows.get(key, part.rows), run_id if key in apart else None)
        for key, part in division.manifest.parts.items()
    }
    if not closed:
        pile.payloads.pop(REST, None)
    manifest = KeptManifest(division.manifest.frame, parts, run_id if closed else None)
    assert pile.whole is not None
    return Parts(pile.whole, pile.whole.rows, pile.errors, pile.bytes_read, pile.payloads, manifest)


def merge_parts(
    warehouse: Warehouse,
    scan: Scan,
    scope: Scope,
    division: Division,
    kept: KeptManifest,
    stored: Callable[[Mapping[str, str]], Mapping[str, bytes]],
    run_id: str,
    as_of: datetime,
    progress: Progress,
) -> Parts:
    """Read the division's parts and merge them with the stored summaries of all others.

    `stored` gives the summaries of these partitions by (partition, run). Raises SummariesIncompatible if one of them
    is gone or of another kind; then nothing but reading all of the table helps.
    """
    carried = _carried(scope, division, kept, stored)
    pile = _read(warehouse, scan, scope, division, progress)
    read = dict(pile.rows)
    rest_run_id = kept.rest_run_id
    if division.folded:
        folded = [carried.pop(key) for key in (REST, *division.folded) if key in carried]
        pile.add(REST, _merged(folded))
        rest_run_id = run_id
    whole = _merged([*([pile.whole] if pile.whole else []), *carried.values()])
    manifest = KeptManifest(kept.frame, _parts_after(division, kept, read, run_id, as_of), rest_run_id)
    return Parts(whole, sum(read.values()), pile.errors, pile.bytes_read, pile.payloads, manifest)


def has_moved(division: Division, after: Snapshot | None) -> bool:
    """Whether the table, looked at again after the reading, shows that its parts do not fit together.

    What was read may have changed since: the next tick sees that. What was not read, or is new, may hold rows that
    moved out of or into what was.
    """
    manifest = after.partitions if after else None
    before = division.manifest
    if manifest is None or manifest.frame != before.frame or manifest.parts.keys() != before.parts.keys():
        return True
    if division.rest is not None:
        return False
    read = set(division.apart)
    return any(part.token != before.parts[key].token for key, part in manifest.parts.items() if key not in read)


def as_read(snapshot: Snapshot, after: Snapshot | None) -> Snapshot:
    """The snapshot without what its probe told, if the rows are others after the reading. When they become again what
    they were the answer would be equal, while what was read was neither."""
    probed, again = snapshot.probed, after.probed if after else None
    is_same = probed is not None and again is not None and probed.token == again.token
    return snapshot if is_same else replace(snapshot, probed=None)


def as_kept(kept: KeptManifest, division: Division, after: Snapshot | None) -> KeptManifest:
    """The manifest without the tokens of partitions that are others after the reading, for the same reason."""
    now = after.partitions.parts if after and after.partitions else {}
    moved = {key for key, part in division.manifest.parts.items() if key not in now or now[key].token != part.token}
    parts = {key: replace(part, token=UNKNOWN) if key in moved else part for key, part in kept.parts.items()}
    return replace(kept, parts=parts)


def _read(warehouse: Warehouse, scan: Scan, scope: Scope, division: Division, progress: Progress) -> _Pile:
    """Every part in one state of the data. A failure may make the session look anew: then from the start, without the
    columns at fault."""
    bad: dict[str, str] = {}
    while True:
        taken = scan.snapshots_taken
        columns = tuple(column for column in scope.columns if column.name not in bad)
        pile = _Pile(errors=dict(bad))
        for keys, rows in _turns(division):
            done = pile.whole.rows if pile.whole else 0
            some = replace(scope, columns=columns, rows=rows, shifts=_shifts(scope, pile))
            profiles = profile_parts(warehouse, scan, some, lambda n, done=done: progress(done + n))  # type: ignore[misc]
            for key, found in zip(keys, profiles, strict=True):
                pile.note(found)
                pile.add(key, _with_unknown(found.summary, scope))
            if scan.snapshots_taken != taken:
                break
        else:
            return pile
        if pile.errors.keys() == bad.keys():
            raise StatementFailed(f"table {scope.table}: its partitions could not be read in one piece")
        bad = pile.errors


def _turns(division: Division) -> Iterator[tuple[tuple[str, ...], Rows]]:
    for start in range(0, len(division.apart), TOGETHER):
        keys = division.apart[start : start + TOGETHER]
        yield keys, division.rows(keys)
    if division.rest is not None:
        yield (REST,), division.rest


def _shifts(scope: Scope, pile: _Pile) -> Mapping[str, float]:
    """The shifts of the first part hold for all, so that merged variances keep their digits."""
    if pile.whole is None:
        return scope.shifts
    found = {
        name: column.moments.shift for name, column in pile.whole.columns.items() if column.moments and column.moments.n
    }
    return {**found, **scope.shifts}


def _with_unknown(summary: TableSummary, scope: Scope) -> TableSummary:
    """The summary with all columns of the scope, in their order; of those that were left out nothing is known."""
    columns = {
        column.name: summary.columns.get(column.name) or ColumnSummary(column.kind, column.type, summary.rows, None)
        for column in scope.columns
    }
    return TableSummary(summary.rows, columns, summary.family)


def _carried(
    scope: Scope,
    division: Division,
    kept: KeptManifest,
    stored: Callable[[Mapping[str, str]], Mapping[str, bytes]],
) -> dict[str, TableSummary]:
    """The stored summaries of the partitions that stay as they are, and of the rest."""
    wanted = {
        key: part.run_id
        for key, part in kept.parts.items()
        if part.run_id is not None and key in division.manifest.parts and key not in division.apart
    }
    if kept.rest_run_id is not None:
        wanted[REST] = kept.rest_run_id
    payloads = stored(wanted)
    lost = wanted.keys() - payloads.keys()
    if lost:
        raise SummariesIncompatible(f"table {scope.table}: the summaries of {len(lost)} partitions are not stored")
    return {key: TableSummary.from_bytes(payload) for key, payload in payloads.items()}


def _merged(summaries: list[TableSummary]) -> TableSummary:
    if not summaries:
        raise SummariesIncompatible("nothing is left of the table to merge")
    whole, *others = summaries
    for other in others:
        whole = whole.merge(other)
    return whole


def _parts_after(
    division: Division, kept: KeptManifest, rows: Mapping[str, int], run_id: str, as_of: datetime
) -> dict[str, KeptPart]:
    """The manifest after the merge: what was read is new, what was folded is closed, the others stay."""
    parts = {}
    for key, part in division.manifest.parts.items():
        if key in rows:
            parts[key] = KeptPart(part.token, part.name, as_of, rows[key], run_id)
        elif key in division.folded:
            parts[key] = replace(kept.parts[key], run_id=None)
        else:
            parts[key] = kept.parts[key]
    return parts


def shifts_in(payload: bytes | None) -> Mapping[str, float]:
    """The shifts of a stored summary. One that cannot be read any more costs digits in merged variances, never the
    run."""
    try:
        return shifts_of(payload) if payload else {}
    except SummariesIncompatible:
        return {}
