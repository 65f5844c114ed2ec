"""What a code location has: an asset per configured table, a job, a sensor, a resource, whatever tables are called."""

from __future__ import annotations

import dagster as dg
import pytest

from profilemesh.errors import ConfigError
from profilemesh.integrations.dagster import (
    ProfileMeshResource,
    build_profilemesh_definitions,
    create_profiling_assets,
    create_profiling_job,
)
from tests.integrations.deployment import JOB, SENSOR, Deployment

SUMMARY = dg.AssetKey(["profilemesh", "summary"])


def keys(deployment: Deployment, **more: object) -> set[str]:
    assets = create_profiling_assets(deployment.config_path, **more)
    return {key.to_user_string() for each in assets for key in each.keys}


def test_an_asset_per_table_and_a_summary(deployment: Deployment) -> None:
    names = {"shop/main/orders", "shop/main/customers", "desk/main/tickets", "summary"}
    assert keys(deployment) == {f"profilemesh/{name}" for name in names}
    assert keys(deployment, asset_name_prefix="other") == {f"other/{name}" for name in names}
    assert len(create_profiling_assets(deployment.config_path)) == 4


def test_everything_is_in_the_definitions(deployment: Deployment) -> None:
    repository = deployment.definitions.get_repository_def()
    assert {sensor.name for sensor in repository.sensor_defs} == {SENSOR}
    assert repository.get_sensor_def(SENSOR).job_name == JOB
    job = repository.get_job(JOB)
    assert job.asset_layer.executable_asset_keys == set(repository.assets_defs_by_key)
    assert isinstance((deployment.definitions.resources or {})["profilemesh"], ProfileMeshResource)
    dg.Definitions.validate_loadable(deployment.definitions)


def test_names_are_the_callers(deployment: Deployment) -> None:
    made = build_profilemesh_definitions(
        deployment.config_path,
        asset_prefix="pm",
        job_name="all_of_it",
        enable_sensor=False,
        group_name="quality",
        default_tags={"team": "data"},
        default_metadata={"runbook": "wiki"},
    )
    repository = made.get_repository_def()
    assert (repository.sensor_defs, repository.get_job("all_of_it").name) == ([], "all_of_it")
    for asset in repository.assets_defs_by_key.values():
        for spec in asset.specs:
            assert (spec.group_name, spec.tags["team"], spec.metadata["runbook"]) == ("quality", "data", "wiki")
            assert spec.key.path[0] == "pm"


def test_two_projects_live_in_one_code_location(deployment: Deployment) -> None:
    made = [
        build_profilemesh_definitions(deployment.config_path, asset_prefix=prefix, job_name=f"{prefix}_all")
        for prefix in ("one", "two")
    ]
    both = dg.Definitions(
        assets=[asset for each in made for asset in each.assets or ()],
        jobs=[job for each in made for job in each.jobs or ()],
        sensors=[sensor for each in made for sensor in each.sensors or ()],
    )
    assert len(both.get_repository_def().assets_defs_by_key) == 8


def test_a_job_of_some_assets(deployment: Deployment) -> None:
    assets = create_profiling_assets(deployment.config_path)
    made = create_profiling_job(assets[:1], "one")
    job = dg.Definitions(assets=assets, jobs=[made]).resolve_job_def("one")
    assert job.asset_layer.executable_asset_keys == set(assets[0].keys)
    with pytest.raises(ConfigError, match="no asset"):
        create_profiling_job([])


def test_owner_and_tags_are_those_of_the_configuration(deployment: Deployment) -> None:
    rules = [
        {"table": "orders", "owner": "sales team", "tags": ["facts", "sehr wichtig"]},
        {"table": "customers", "owner": "crm@example.com"},
    ]
    deployment.configure(profiling={"tables": rules})
    specs = {spec.key.path[-1]: spec for each in create_profiling_assets(deployment.config_path) for spec in each.specs}
    assert specs.keys() == {"orders", "customers", "summary"}
    [team] = specs["orders"].owners
    assert team.startswith("team:sales_team_x")
    assert list(specs["customers"].owners) == ["crm@example.com"]
    first, second = sorted(tag for tag in specs["orders"].tags if not tag.startswith("dagster/"))
    assert first == "facts" and second.startswith("sehr_wichtig_x")
    assert specs["orders"].kinds == {"profilemesh", "duckdb"}


def test_hostile_names_are_assets_like_others(deployment: Deployment) -> None:
    odd = ['<img src=x onerror="a">\u202e', "x" * 500, "A__B"]
    deployment.shop(*('CREATE TABLE "{}" AS SELECT 1 AS a'.format(name.replace('"', '""')) for name in odd))
    tick = deployment.tick()
    assert len({key for request in tick.requests for key in request.asset_selection or ()}) == 3 + len(odd)
    results = [deployment.launch(request) for request in tick.requests]
    assert all(result.success for result in results)
    assert deployment.tick().requests == []


def test_a_warehouse_that_is_away_keeps_its_assets(settled: Deployment) -> None:
    before = keys(settled)
    (settled.folder / "shop.duckdb").rename(settled.folder / "away")
    assert keys(settled) == before


def test_a_storage_that_is_away_does_not_keep_a_code_location_from_loading(deployment: Deployment) -> None:
    (deployment.folder / "profilemesh.db").unlink()
    (deployment.folder / "shop.duckdb").unlink()
    assert keys(deployment) == {"profilemesh/desk/main/tickets", "profilemesh/summary"}
    assert not (deployment.folder / "profilemesh.db").exists()


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"tags": ["dagster-daily=2026-01-01"]}, "needs a `partition.key` of one column"),
        ({"tags": ["dagster-daily=soon"], "partition": {"key": "day"}}, "names no day; write dagster-daily=2026-01-31"),
        ({"tags": ["dagster-daily=2026-01-01", "dagster-hourly=2026-01-01"], "partition": {"key": "day"}}, "only one"),
    ],
)
def test_partitions_that_cannot_be_mapped_are_refused(deployment: Deployment, rule: dict, told: str) -> None:
    deployment.configure(profiling={"tables": [{"table": "orders", **rule}]})
    with pytest.raises(ConfigError, match=f"table shop.main.orders: .*{told}"):
        create_profiling_assets(deployment.config_path)
