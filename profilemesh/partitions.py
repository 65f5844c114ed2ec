"""The summaries of a table's partitions, now and in an earlier run: they tell which partitions a change lies in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

from profilemesh.parts import REST, Parts
from profilemesh.planning.snapshots import KeptManifest
from profilemesh.profiling.summary import TableSummary
from profilemesh.storage import Storage, runs, summaries
from profilemesh.storage.models import Run
from profilemesh.tables import TableRef

MERGED = "merged"
OLDER = "older partitions"
"""What all those are called that have no summary of their own."""


def now(storage: Storage, found: Parts) -> dict[str, TableSummary]:
    """The current partitions' summaries by name."""
    manifest = found.manifest
    if manifest is None:
        return {}
    wanted = {key: part.run_id for key, part in manifest.parts.items() if part.run_id is not None}
    if manifest.rest_run_id is not None:
        wanted[REST] = manifest.rest_run_id
    payloads = {key: found.payloads[key] for key in wanted if key in found.payloads}
    with storage.read() as session:
        payloads |= summaries.of_partitions(session, {key: run for key, run in wanted.items() if key not in payloads})
    names = {key: part.name for key, part in manifest.parts.items()}
    return {_name(key, names): TableSummary.from_bytes(payload) for key, payload in payloads.items()}


def before(
    storage: Storage, table: TableRef, run_id: str, found: Parts, kept: KeptManifest | None
) -> dict[str, TableSummary]:
    """Those of an earlier run, as far as they can be put together to all of its rows; else nothing.

    What has a summary of its own no more is one with the rest, as it is now.
    """
    manifest = found.manifest
    if manifest is None:
        return {}
    payloads, rows = _stored(storage, table, run_id)
    parts = {key: TableSummary.from_bytes(payload) for key, payload in payloads.items()}
    if not parts or sum(part.rows for part in parts.values()) != rows:
        return {}
    names = {key: part.name for each in (kept, manifest) if each for key, part in each.parts.items()}
    closed = {key for key, part in manifest.parts.items() if part.run_id is None}
    merged: dict[str, TableSummary] = {}
    for key, part in parts.items():
        name = OLDER if key in closed else _name(key, names)
        merged[name] = merged[name].merge(part) if name in merged else part
    return merged


def _stored(storage: Storage, table: TableRef, run_id: str) -> tuple[Mapping[str, bytes], int | None]:
    """The summaries behind a run's profile by partition, and its rows."""
    with storage.read() as session:
        run = runs.of_table(session, table, run_id)
        if run is None:
            return {}, None
        kept = _taken_over(run)
        wanted: dict[str, str] = {}
        for part in summaries.parts_until(session, table, run.profiled_at):
            is_taken_over = part.key == REST or (_told(part.key), part.as_of) in kept
            if part.run_id == run_id or (run.scope == MERGED and is_taken_over):
                wanted[part.key] = part.run_id
        return summaries.of_partitions(session, wanted), run.row_count


def _taken_over(run: Run) -> set[tuple[str, datetime]]:
    """The partitions that a merged profile tells of, each with the time that it is of."""
    told = (run.scope_detail or {}).get("partitions")
    parts = told if isinstance(told, list) else []
    return {(part["name"], datetime.fromisoformat(part["as_of"])) for part in parts}


def _name(key: str, names: Mapping[str, str]) -> str:
    return OLDER if key == REST else names.get(key) or _told(key)


def _told(key: str) -> str:
    """A partition by the list of its values, or by the name of its table."""
    values = json.loads(key) if key.startswith("[") else [key]
    return ", ".join("NULL" if value is None else value for value in values)
