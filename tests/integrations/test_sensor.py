"""The sensor asks for what the planner wants read: each change once, whoever dies, and says why not otherwise."""

from __future__ import annotations

import json

import dagster as dg
import pytest
import sqlalchemy as sa

from profilemesh.integrations.dagster import asset_key, profilemesh_plan_sensor
from profilemesh.storage.models import LoggedDecision, Run, TableState, Tick
from tests.integrations.deployment import ALL, CUSTOMERS, EVERY_TICK, JOB, ORDERS, SENSOR, TICKETS, Deployment

FEW = "INSERT INTO customers VALUES (1000, 'new')"


def test_first_all_then_none_then_the_one_that_changed(deployment: Deployment) -> None:
    first = deployment.settle()
    assert first.asked == ALL
    assert {frozenset(request.asset_selection or ()) for request in first.requests} == {
        frozenset(asset_key(table) for table in ALL if table.warehouse == warehouse) for warehouse in ("shop", "desk")
    }
    assert len(json.loads(deployment.cursor or "")["asked"]) == 3
    nothing = deployment.tick()
    assert (nothing.asked, nothing.skipped) == (set(), "Nothing to do: 3 tables proved unchanged.")
    require_summary(nothing.told)
    assert json.loads(deployment.cursor or "")["asked"] == []
    still = deployment.tick()
    assert (still.asked, still.told) == (set(), [])
    require_recorded_skips(deployment, ticks=2)
    deployment.shop(FEW)
    assert deployment.settle().asked == {CUSTOMERS}
    assert deployment.tick().requests == []


def require_summary(told: list[dg.AssetMaterialization]) -> None:
    """Told by the sensor, for something moved."""
    [summary] = told
    assert summary.asset_key == dg.AssetKey(["profilemesh", "summary"])
    found = {name: value.value for name, value in summary.metadata.items()}
    assert (found["profilemesh/tables"], found["profilemesh/profiled"], found["profilemesh/rows"]) == (3, 3, 1302)


def require_recorded_skips(deployment: Deployment, ticks: int) -> None:
    """As the scheduler records them: in the log, and as the time up to which nothing changed."""
    skips = deployment.rows(sa.select(LoggedDecision).where(LoggedDecision.action == "skip"))
    found = {(each.table_name, each.reason, each.ticks) for each in skips}
    assert found == {(table.name, "snapshot_match", ticks) for table in ALL}
    verified = deployment.rows(sa.select(TableState.last_verified_at))
    assert min(verified) > max(deployment.rows(sa.select(TableState.last_profiled_at)))
    assert set(deployment.rows(sa.select(Tick.asked_by))) == {"dagster"}


def test_what_is_under_way_is_not_asked_for_again(deployment: Deployment) -> None:
    asked = deployment.tick()
    for request in asked.requests:
        job = deployment.definitions.resolve_job_def(JOB)
        deployment.instance.create_run_for_job(
            job, tags={"dagster/run_key": str(request.run_key)}, status=dg.DagsterRunStatus.STARTED
        )
    again = deployment.tick()
    assert (again.requests, again.skipped) == ([], "3 tables under way.")


def test_a_tick_that_is_repeated_asks_by_the_same_keys(deployment: Deployment) -> None:
    """The daemon died before it stored the cursor: Dagster launches a key once."""
    once, twice = deployment.tick(keep=False), deployment.tick(keep=False)
    assert [request.run_key for request in once.requests] == [request.run_key for request in twice.requests]
    assert len({request.run_key for request in once.requests}) == 2


def test_a_failed_run_is_asked_for_again_under_another_key_and_alone(settled: Deployment) -> None:
    settled.shop(FEW, "INSERT INTO orders VALUES (1, 1, DATE '2026-03-09')")
    asked = settled.tick()
    [request] = asked.requests
    job = settled.definitions.resolve_job_def(JOB)
    tags = {"dagster/run_key": str(request.run_key)}
    settled.instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.FAILURE)
    again = settled.settle()
    assert again.asked == {CUSTOMERS, ORDERS}
    assert [len(each.asset_selection or ()) for each in again.requests] == [1, 1]
    assert request.run_key not in {each.run_key for each in again.requests}
    assert settled.tick().requests == []


def test_a_change_while_a_run_goes_on_is_asked_for_once_the_table_is_read(deployment: Deployment) -> None:
    """Its run still goes on with other tables."""
    [shop] = [request for request in deployment.tick().requests if len(request.asset_selection or ()) == 2]
    assert deployment.launch(shop).success
    [record] = deployment.instance.get_run_records(dg.RunsFilter(tags={"dagster/run_key": str(shop.run_key)}))
    deployment.instance.run_storage.delete_run(record.dagster_run.run_id)
    job = deployment.definitions.resolve_job_def(JOB)
    tags = {"dagster/run_key": str(shop.run_key)}
    deployment.instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTED)
    deployment.shop(FEW)
    assert CUSTOMERS in deployment.tick().asked


def test_a_sample_travels_in_the_run_config_and_binds_the_run(deployment: Deployment) -> None:
    budget = {"max_rows_per_tick": 500, "fallback_strategy": "sample", "sample_fraction": 0.1}
    deployment.configure(incremental={**EVERY_TICK, "cost_controls": budget})
    tick = deployment.settle()
    fractions = {name: op.get("fraction") for name, op in tick.ops.items()}
    assert fractions.pop("orders") == pytest.approx(0.1)
    assert set(fractions.values()) == {None}
    [run] = deployment.rows(sa.select(Run).where(Run.dataset_name == "orders"))
    assert (run.action, run.scope_detail["fraction"]) == ("sample", pytest.approx(0.1))


def test_what_is_put_off_is_told_and_recorded_with_its_reason(
    deployment: Deployment, capfd: pytest.CaptureFixture[str]
) -> None:
    deployment.configure(
        incremental={**EVERY_TICK, "cost_controls": {"max_rows_scanned": 500, "fallback_strategy": "defer"}}
    )
    tick = deployment.settle()
    assert tick.asked == ALL - {ORDERS}
    told = deployment.tick().skipped
    assert told == "Nothing to do: 2 tables proved unchanged; 1 table left open (1 over a limit)."
    [deferred] = deployment.rows(sa.select(LoggedDecision).where(LoggedDecision.action == "defer").limit(1))
    assert (deferred.table_name, deferred.reason) == ("orders", "cost_cap")
    assert (
        "defer: reading it costs more than the limit: never profiled before; 1,000 rows, at most 500: shop.main.orders"
        in capfd.readouterr().err
    )


def test_a_warehouse_that_does_not_answer_is_told_and_the_others_go_on(settled: Deployment) -> None:
    (settled.folder / "shop.duckdb").unlink()
    settled.desk("INSERT INTO tickets VALUES (3, 'open')")
    assert settled.settle().asked == {TICKETS}
    told = settled.tick().skipped
    assert told is not None and "shop: " in told and "2 out of reach" in told


def test_a_table_without_an_asset_is_told_and_not_asked_for(
    settled: Deployment, capfd: pytest.CaptureFixture[str]
) -> None:
    assert settled.definitions
    settled.shop("CREATE TABLE later AS SELECT 1 AS a")
    assert settled.tick().requests == []
    assert "no asset yet, reload the code location: shop.main.later" in capfd.readouterr().err
    settled.configure()
    assert {table.name for table in settled.tick().asked} == {"later"}


def test_force_asks_for_all_at_every_tick_once_their_runs_have_ended(settled: Deployment) -> None:
    forcing = profilemesh_plan_sensor(
        config_path=settled.config_path, job_name=JOB, sensor_name="forcing", force_run=True
    )
    settled.definitions = dg.Definitions.merge(settled.definitions, dg.Definitions(sensors=[forcing]))
    first = settled.tick("forcing")
    assert first.asked == ALL
    [desk] = [request for request in first.requests if request.tags["profilemesh/warehouse"] == "desk"]
    assert settled.launch(desk).success
    assert settled.count(Run, Run.reason == "forced", Run.dataset_name == "tickets") == 1
    again = settled.tick("forcing")
    assert again.asked == ALL
    assert desk.run_key not in {request.run_key for request in again.requests}


def test_the_sensor_is_called_as_asked_and_runs_from_the_start(deployment: Deployment) -> None:
    made = deployment.definitions.get_repository_def().get_sensor_def(SENSOR)
    assert (made.minimum_interval_seconds, made.default_status) == (300, dg.DefaultSensorStatus.RUNNING)
    other = profilemesh_plan_sensor(config_path="x.yml", job_name="j", sensor_name="mine", minimum_interval_seconds=60)
    assert (other.name, other.job_name, other.minimum_interval_seconds) == ("mine", "j", 60)
