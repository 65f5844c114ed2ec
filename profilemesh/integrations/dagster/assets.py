"""An asset per table, and one that sums them up.

Every table is an op of its own, so that a failure, a retry and a log belong to one table; which tables run together in
one process is decided by whoever asks for the run. The ops of a warehouse share a pool, so that an operator can
say how many of its tables are read at once, over all machines.
"""

# No annotations of the future here: Dagster reads those of its functions as they are.
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    AssetSpec,
    Failure,
    MaterializeResult,
    asset,
    multi_asset,
)

from profilemesh.config import Config
from profilemesh.integrations.dagster.asking import ProfilingRun
from profilemesh.integrations.dagster.names import asset_key, op_name, plain, shown, summary_key
from profilemesh.integrations.dagster.partitions import events_of, partitioned_asset
from profilemesh.integrations.dagster.resource import ProfileMeshResource
from profilemesh.integrations.dagster.results import check_specs, checked, materialised, portrait
from profilemesh.integrations.dagster.summaries import delivered_briefly, totals
from profilemesh.integrations.dagster.tables import KnownTable, known_tables
from profilemesh.integrations.dagster.turns import Seat, Turn, take_turn
from profilemesh.planning import Action, Reason
from profilemesh.reasons import why
from profilemesh.runner import utc_now
from profilemesh.storage import Storage
from profilemesh.storage.models import Run
from profilemesh.tables import TableRef

LAST = "-1000"
"""The summary's priority: of the steps that could begin, it is the last, without waiting for any that fails."""


def create_profiling_assets(
    config_path: str,
    *,
    asset_name_prefix: str = "profilemesh",
    group_name: str = "profilemesh_profiling",
    default_tags: Mapping[str, str] | None = None,
    default_metadata: Mapping[str, Any] | None = None,
) -> list[AssetsDefinition]:
    """An asset for each table that the configuration selects, by the key [prefix, warehouse, schema, table], one more
    for each whose partitions are mapped to Dagster's, and the asset [prefix, "summary"].

    The warehouses' catalogues are read, no table is. `default_tags` and `default_metadata` are those of every asset.
    Raises ConfigError if the configuration cannot be used.
    """
    maker = _Maker(
        ProfileMeshResource(config_path=config_path),
        asset_name_prefix,
        group_name,
        dict(default_tags or {}),
        dict(default_metadata or {}),
    )
    return maker.all()


class _Maker:
    """What all assets of one configuration have in common."""

    def __init__(
        self,
        project: ProfileMeshResource,
        prefix: str,
        group: str,
        tags: Mapping[str, str],
        metadata: Mapping[str, Any],
    ) -> None:
        self.project, self.prefix, self.group = project, prefix, group
        self.tags, self.metadata = tags, metadata
        self.config = project.load_config()
        self.tables = known_tables(self.config)
        self.keys = {each.table: asset_key(each.table, prefix) for each in self.tables}

    def all(self) -> list[AssetsDefinition]:
        made = [self._of(known) for known in self.tables]
        divided = [
            partitioned_asset(self.project, known, self._spec(known), self.take)
            for known in self.tables
            if known.division is not None
        ]
        return [*made, *divided, self._summary()]

    def _spec(self, known: KnownTable) -> AssetSpec:
        table = known.table
        return AssetSpec(
            self.keys[table],
            # Put off, it has nothing to show, and that is no failure.
            skippable=True,
            description=f"The profile of the table {shown(str(table))}.",
            group_name=self.group,
            kinds={"profilemesh", plain(known.warehouse_type)},
            owners=[_owner(known.owner)] if known.owner else [],
            tags={**{plain(tag): "" for tag in known.tags}, **self.tags},
            metadata={**self.metadata, "profilemesh/table": shown(str(table))},
        )

    def _of(self, known: KnownTable) -> AssetsDefinition:
        spec = self._spec(known)

        @multi_asset(
            name=op_name(spec.key.path),
            specs=[spec],
            check_specs=check_specs(spec.key) if self.config.drift_detection.enabled else [],
            # So that its output and its checks may be absent, and the checks be asked for alone.
            can_subset=True,
            pool=f"profilemesh_{plain(known.table.warehouse)}",
        )
        def profile(context: AssetExecutionContext, config: ProfilingRun) -> Iterator[Any]:
            yield from self._profiled(context, config, known)

        return profile

    def _profiled(self, context: AssetExecutionContext, wanted: ProfilingRun, known: KnownTable) -> Iterator[Any]:
        """The table's turn, unless only its checks are asked for, and what storage says of it then."""
        key, settings = self.keys[known.table], self.project.load_config()
        with self.project.storage() as storage:
            turn = self.take(context, settings, storage, known.table, wanted) if context.selected_asset_keys else None
            found = portrait(storage, known.table, utc_now())
            if turn is not None and not _is_answered(turn, found.run):
                return
            if found.run is not None and turn is not None and turn.outcome is not None:
                for event in events_of(storage, known, key, found.run):
                    context.log_event(event)
        if turn is not None:
            yield materialised(key, found, turn.decision, settings.alerts.dashboard_url)
        asked_for = {check.name for check in context.selected_asset_check_keys}
        yield from (result for result in checked(key, found) if result.check_name in asked_for)

    def take(
        self,
        context: AssetExecutionContext,
        settings: Config,
        storage: Storage,
        table: TableRef,
        wanted: ProfilingRun,
    ) -> Turn:
        """The table's turn, told in the run's log. A failed one fails the step."""
        seat = Seat(context.run.run_id, table, self._beside(context, table))
        turn = take_turn(settings, storage, seat, wanted)
        _require_success(turn, table)
        assert turn.decision is not None
        told = shown(why(turn.decision.reason, turn.decision.evidence), 500)
        context.log.info("%s: %s, %s%s", shown(str(table)), turn.decision.action, told, _taken(turn))
        if turn.outcome is not None and turn.outcome.status == "deferred":
            context.log.warning("%s was put off: %s", shown(str(table)), shown(turn.outcome.error or "", 500))
        return turn

    def _beside(self, context: AssetExecutionContext, table: TableRef) -> Collection[TableRef]:
        """The tables of the same warehouse in the same run."""
        selected = context.run.asset_selection
        return [
            other
            for other, key in self.keys.items()
            if other.warehouse == table.warehouse and (not selected or key in selected)
        ]

    def _summary(self) -> AssetsDefinition:
        key = summary_key(self.prefix)

        @asset(
            key=key,
            name=None,
            group_name=self.group,
            kinds={"profilemesh"},
            tags=dict(self.tags),
            metadata=dict(self.metadata),
            description="What is known of all tables: how many are profiled, how old, and what drift stands open.",
            op_tags={"dagster/priority": LAST},
        )
        def summary(context: AssetExecutionContext) -> MaterializeResult[Any]:
            settings = self.project.load_config()
            with self.project.storage() as storage:
                found = totals(storage, [each.table for each in self.tables], utc_now())
            delivered_briefly(settings, context.log)
            return MaterializeResult(asset_key=key, metadata=found.told)

        return summary


def _taken(turn: Turn) -> str:
    """What a reading took; nothing where nothing was read."""
    outcome = turn.outcome
    if outcome is None or outcome.rows_read is None:
        return ""
    return f": {outcome.rows_read:,} rows read in {outcome.seconds:.1f} s"


def _is_answered(turn: Turn, run: Run | None) -> bool:
    """Whether the stored profile is an answer: it was just made, or another process made it since this one looked, or
    the planner says that no other is needed. Of a table that is put off, or gone, it is none."""
    if run is None or turn.decision is None:
        return False
    if turn.outcome is None:
        return turn.decision.action is Action.SKIP and turn.decision.reason is not Reason.VANISHED
    is_done = turn.outcome.status == "success"
    return is_done or (turn.looked_at is not None and run.profiled_at >= turn.looked_at)


def _require_success(turn: Turn, table: TableRef) -> None:
    if turn.decision is None:
        why_not = turn.trouble.message if turn.trouble else "its warehouse has no such table, or the configuration"
        raise Failure(f"{shown(str(table))} is not known: {shown(why_not, 1000)}")
    if turn.outcome is not None and turn.outcome.status == "failed":
        metadata = {"profilemesh/run_id": turn.outcome.run_id} if turn.outcome.run_id else {}
        raise Failure(shown(turn.outcome.error or "failed", 2000), metadata=metadata)


def _owner(owner: str) -> str:
    """Dagster knows people by address, and teams."""
    return owner if "@" in owner and " " not in owner else f"team:{plain(owner)}"


def asset_keys_of(assets: Sequence[AssetsDefinition]) -> list[AssetKey]:
    """The keys of all that a job can ask for at once: those with partitions are asked for by partition."""
    return sorted(key for each in assets if each.partitions_def is None for key in each.keys)
