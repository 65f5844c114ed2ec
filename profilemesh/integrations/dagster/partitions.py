"""A table's partitions as Dagster's: days or hours, for what is downstream by the day, and to be asked for by the day.

ProfileMesh profiles the table: the partitions that changed are read and merged with the others. So a run for a day is a
turn of its table, after which that day's profile is told as it is remembered: how many rows, and as of when.
"""

# No annotations of the future here: Dagster reads those of its functions as they are.
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetMaterialization,
    AssetsDefinition,
    AssetSpec,
    BackfillPolicy,
    DailyPartitionsDefinition,
    HourlyPartitionsDefinition,
    MetadataValue,
    TimeWindowPartitionsDefinition,
    multi_asset,
)

from profilemesh.config import Config
from profilemesh.integrations.dagster.asking import ProfilingRun
from profilemesh.integrations.dagster.names import op_name, plain
from profilemesh.integrations.dagster.resource import ProfileMeshResource
from profilemesh.integrations.dagster.tables import Division, KnownTable
from profilemesh.integrations.dagster.turns import Turn
from profilemesh.planning import State
from profilemesh.planning.snapshots import KeptManifest
from profilemesh.runner import utc_now
from profilemesh.storage import Storage, states
from profilemesh.storage.models import Run
from profilemesh.tables import TableRef

LEAF = {"daily": "days", "hourly": "hours"}
FORMAT = {"daily": "%Y-%m-%d", "hourly": "%Y-%m-%d-%H:%M"}

Take = Callable[[AssetExecutionContext, Config, Storage, TableRef, ProfilingRun], Turn]


@dataclass(frozen=True)
class Span:
    """What is remembered of one day or hour. `rows` is None where that of one of its partitions is unknown; `as_of` is
    when the first of them was read, `newest` when the last."""

    rows: int | None
    as_of: datetime
    newest: datetime

    def with_part(self, rows: int | None, as_of: datetime) -> "Span":
        both = None if self.rows is None or rows is None else self.rows + rows
        return Span(both, min(self.as_of, as_of), max(self.newest, as_of))


def partitioned_asset(project: ProfileMeshResource, known: KnownTable, of: AssetSpec, take: Take) -> AssetsDefinition:
    """The asset [..., "days"] or [..., "hours"] beside the table's own, whose partitions are those of the table."""
    division = known.division
    assert division is not None
    spec = divided_spec(of, division)

    @multi_asset(
        name=op_name(spec.key.path),
        specs=[spec],
        can_subset=True,
        pool=f"profilemesh_{plain(known.table.warehouse)}",
        # A month asked for is one turn of the table.
        backfill_policy=BackfillPolicy.single_run(),
    )
    def profile_partitions(context: AssetExecutionContext, config: ProfilingRun) -> Iterator[Any]:
        with project.storage() as storage:
            turn = take(context, project.load_config(), storage, known.table, config)
            found = spans(_manifest(storage, known.table), division)
        assert turn.decision is not None
        if turn.decision.action == "defer" or (turn.outcome is not None and turn.outcome.status != "success"):
            return
        if not found:
            context.log.warning("no partition of %s is remembered: the table is read whole", known.table)
        for partition in context.partition_keys:
            if found:
                # Each is an event of its own: a result would have one set of metadata for all of them.
                metadata = told_of(found.get(partition))
                context.log_event(AssetMaterialization(spec.key, partition=partition, metadata=metadata))
        yield from ()

    return profile_partitions


def divided_spec(of: AssetSpec, division: Division) -> AssetSpec:
    """The specification of a table's partitions, made from that of the table."""
    return of.replace_attributes(
        key=AssetKey([*of.key.path, LEAF[division.span]]),
        deps=[of.key],
        description=f"The {LEAF[division.span]} of {of.description}",
        partitions_def=definition(division),
    )


def definition(division: Division) -> TimeWindowPartitionsDefinition:
    """With the running day or hour: data arrive before it is over."""
    if division.span == "daily":
        return DailyPartitionsDefinition(start_date=division.start, end_offset=1)
    return HourlyPartitionsDefinition(start_date=division.start, end_offset=1)


def events_of(storage: Storage, known: KnownTable, key: AssetKey, run: Run) -> Iterator[AssetMaterialization]:
    """An event for each day or hour that this run read."""
    if known.division is None:
        return
    divided = AssetKey([*key.path, LEAF[known.division.span]])
    for partition, found in spans(_manifest(storage, known.table), known.division).items():
        if found.newest >= run.profiled_at:
            yield AssetMaterialization(divided, partition=partition, metadata=told_of(found))


def told_of(found: Span | None) -> Mapping[str, Any]:
    """A day that the table does not have has no rows."""
    if found is None:
        return {"dagster/partition_row_count": 0}
    rows = {} if found.rows is None else {"dagster/partition_row_count": found.rows}
    return {**rows, "profilemesh/as_of": MetadataValue.timestamp(found.as_of)}


def spans(manifest: KeptManifest | None, division: Division) -> dict[str, Span]:
    """What is remembered of each day or hour, by Dagster's key of it. Keys that name no time, NULL among them, belong
    to none; nor do times before the first partition, or to come."""
    found: dict[str, Span] = {}
    for key, part in (manifest.parts if manifest else {}).items():
        moment = _moment(key)
        if moment is None or not division.start <= moment.replace(tzinfo=None) <= utc_now().replace(tzinfo=None):
            continue
        name = moment.strftime(FORMAT[division.span])
        before = found.get(name)
        found[name] = before.with_part(part.rows, part.as_of) if before else Span(part.rows, *[part.as_of] * 2)
    return found


def _moment(key: str) -> datetime | None:
    """The time that a partition's key names, cut to the hour."""
    values = json.loads(key)
    try:
        moment = datetime.fromisoformat(values[0])
    except (ValueError, TypeError):
        return None
    return moment.replace(minute=0, second=0, microsecond=0)


def _manifest(storage: Storage, table: TableRef) -> KeptManifest | None:
    with storage.read() as session:
        return states.with_manifests(session, {table: State(table)}, [table])[table].manifest
