"""The sensor: a tick of the planner whose readings are runs of Dagster.

In time order: all tables are looked at from their metadata; what is left alone (skipped, put off) is recorded with its
reason, as a tick of the scheduler records it; for the rest runs are asked for, unless a run is about to read them;
alerts that wait are sent; the summary asset is told anew if something moved.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from dagster import (
    AssetMaterialization,
    DagsterInvariantViolationError,
    DagsterRunStatus,
    DefaultSensorStatus,
    RunRequest,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    sensor,
)

from profilemesh import reasons
from profilemesh.config import Config
from profilemesh.integrations.dagster.asking import asked_of
from profilemesh.integrations.dagster.names import asset_key, op_name, plain, shown, summary_key
from profilemesh.integrations.dagster.requests import (
    Asking,
    Request,
    Standing,
    asked,
    from_cursor,
    to_cursor,
    unsettled,
)
from profilemesh.integrations.dagster.resource import ProfileMeshResource
from profilemesh.integrations.dagster.summaries import delivered_briefly, totals
from profilemesh.integrations.dagster.turns import ASKED_BY
from profilemesh.planning import Decision, Plan
from profilemesh.runner import look, opened, run_plan, utc_now
from profilemesh.storage import Storage
from profilemesh.tables import TableRef
from profilemesh.warehouses.base import Warehouse

RUN_KEY = "dagster/run_key"
NAMES_TOLD = 20
_KEYS_PER_QUERY = 200
_FAILED = (DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED)


def profilemesh_plan_sensor(
    *,
    config_path: str,
    job_name: str,
    asset_prefix: str = "profilemesh",
    sensor_name: str | None = None,
    minimum_interval_seconds: int = 300,
    force_run: bool = False,
) -> SensorDefinition:
    """A sensor that asks `job_name` for exactly the tables that the planner wants read, each change once.

    `force_run` asks for every table at every tick, changed or not, as soon as its last run has ended. It runs from the
    start; the page of Dagster stops it.
    """
    ticker = _Ticker(
        ProfileMeshResource(config_path=config_path),
        asset_prefix,
        timedelta(seconds=minimum_interval_seconds),
        force_run,
    )

    @sensor(
        name=sensor_name or f"{job_name}_plan_sensor",
        job_name=job_name,
        minimum_interval_seconds=minimum_interval_seconds,
        default_status=DefaultSensorStatus.RUNNING,
        description="Asks for the tables that changed, or that cannot be proved unchanged.",
    )
    def plan_sensor(context: SensorEvaluationContext) -> SensorResult:
        return ticker.tick(context)

    return plan_sensor


class _Ticker:
    """What a sensor knows from one tick to the next, its cursor aside."""

    def __init__(self, project: ProfileMeshResource, prefix: str, interval: timedelta, force: bool) -> None:
        self.project, self.prefix, self.interval, self.force = project, prefix, interval, force

    def tick(self, context: SensorEvaluationContext) -> SensorResult:
        config = self.project.load_config()
        memory, told_before = from_cursor(context.cursor)
        with self.project.storage() as storage, opened(config) as warehouses:
            plan = look(config, storage, warehouses, utc_now(), force=self.force)
            without = self._without_asset(context, plan)
            plan = replace(plan, decisions=tuple(each for each in plan.decisions if each.table not in without))
            asking = asked(plan, memory, _standings(context, unsettled(plan, memory)), self.interval)
            _tell(context, plan, asking, without)
            _record_the_rest(plan, config, storage, warehouses)
            summary, told = self._summary(plan, asking, storage)
        delivered_briefly(config, context.log)
        return SensorResult(
            run_requests=[self._run_request(plan, request) for request in asking.requests],
            skip_reason=None if asking.requests else _nothing(plan, asking),
            cursor=to_cursor(asking.memory, told),
            asset_events=[] if told == told_before else [summary],
        )

    def _without_asset(self, context: SensorEvaluationContext, plan: Plan) -> set[TableRef]:
        """The tables to be read that the code location does not know yet; none where there is no code location."""
        try:
            repository = context.repository_def
        except DagsterInvariantViolationError:
            return set()
        known = repository.assets_defs_by_key if repository is not None else {}
        return {each.table for each in plan.to_read if known and asset_key(each.table, self.prefix) not in known}

    def _run_request(self, plan: Plan, request: Request) -> RunRequest:
        keys = {decision.table: asset_key(decision.table, self.prefix) for decision in request.decisions}
        [warehouse] = {table.warehouse for table in keys}
        return RunRequest(
            run_key=request.run_key,
            asset_selection=list(keys.values()),
            run_config={"ops": {op_name(keys[each.table].path): self._op(plan, each) for each in request.decisions}},
            tags={"profilemesh/plan_id": plan.plan_id, "profilemesh/warehouse": plain(warehouse)},
        )

    def _op(self, plan: Plan, decision: Decision) -> Mapping[str, Any]:
        return {"config": {"asked": asked_of(plan.plan_id, decision), **({"force": True} if self.force else {})}}

    def _summary(self, plan: Plan, asking: Asking, storage: Storage) -> tuple[AssetMaterialization, str]:
        """What is known of all tables, and a text that differs whenever it does."""
        found = totals(storage, [decision.table for decision in plan.decisions], plan.made_at)
        waits = {"profilemesh/to_read": len(plan.to_read), "profilemesh/under_way": len(asking.under_way)}
        metadata = {**found.told, **waits}
        return AssetMaterialization(summary_key(self.prefix), metadata=metadata), repr(sorted(metadata.items()))


def _standings(context: SensorEvaluationContext, run_keys: Collection[str]) -> dict[str, Standing]:
    """What became of the runs of these keys, as far as Dagster knows them."""
    found: dict[str, Standing] = {}
    ordered = sorted(run_keys)
    for start in range(0, len(ordered), _KEYS_PER_QUERY):
        wanted = RunsFilter(tags={RUN_KEY: ordered[start : start + _KEYS_PER_QUERY]})
        for run in context.instance.get_runs(wanted):
            found[run.tags[RUN_KEY]] = _standing(run.status)
    return found


def _standing(status: DagsterRunStatus) -> Standing:
    if status in _FAILED:
        return Standing.FAILED
    return Standing.ENDED if status is DagsterRunStatus.SUCCESS else Standing.UNDER_WAY


def _record_the_rest(plan: Plan, config: Config, storage: Storage, warehouses: Mapping[str, Warehouse]) -> None:
    """What is not read is recorded here, what is read by the run that reads it."""
    rest = tuple(decision for decision in plan.decisions if not decision.action.reads)
    run_plan(replace(plan, decisions=rest, reading={}), config, storage, warehouses, asked_by=ASKED_BY)


def _tell(context: SensorEvaluationContext, plan: Plan, asking: Asking, without: Collection[TableRef]) -> None:
    for name, trouble in plan.troubles.items():
        context.log.warning("warehouse %s: %s", shown(name), shown(trouble.message, 1000))
    for sentence in _sentences(plan, asking):
        context.log.info(sentence)
    if without:
        context.log.warning("no asset yet, reload the code location: %s", _named(without))


def _sentences(plan: Plan, asking: Asking) -> Iterator[str]:
    """A line for each action and reason, with as many tables as one can read."""
    groups: dict[tuple[str, str], list[TableRef]] = defaultdict(list)
    for decision in plan.decisions:
        key = decision.action.value, shown(reasons.why(decision.reason, decision.evidence), 500)
        groups[key].append(decision.table)
    for (action, why), tables in groups.items():
        yield f"{action}: {why}: {_named(tables)}"
    if asking.under_way:
        yield f"under way: {_named(asking.under_way)}"
    for table, until in asking.paused.items():
        yield f"failed, tried again at {until:%H:%M} UTC: {shown(str(table))}"


def _named(tables: Collection[TableRef]) -> str:
    names = [shown(str(table)) for table in sorted(tables)[:NAMES_TOLD]]
    more = len(tables) - len(names)
    return ", ".join(names) + (f" and {more:,} more" if more else "")


def _nothing(plan: Plan, asking: Asking) -> str:
    """Why nothing is asked for."""
    told = reasons.told(plan) if not plan.to_read else ""
    under_way = f"{reasons.tables(len(asking.under_way))} under way." if asking.under_way else ""
    paused = f"{reasons.tables(len(asking.paused))} failed and will be tried again." if asking.paused else ""
    troubles = " ".join(f"{shown(name)}: {shown(each.message)}." for name, each in plan.troubles.items())
    return " ".join(filter(None, (told, under_way, paused, troubles)))
