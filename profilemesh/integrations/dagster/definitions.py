"""Everything at once: assets, job, sensor and resource of one configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster import Definitions

from profilemesh.integrations.dagster.assets import create_profiling_assets
from profilemesh.integrations.dagster.jobs import JOB_NAME, create_profiling_job
from profilemesh.integrations.dagster.resource import ProfileMeshResource
from profilemesh.integrations.dagster.sensors import profilemesh_plan_sensor


def build_profilemesh_definitions(
    config_path: str,
    *,
    asset_prefix: str = "profilemesh",
    job_name: str = JOB_NAME,
    enable_sensor: bool = True,
    group_name: str = "profilemesh_profiling",
    default_tags: Mapping[str, str] | None = None,
    default_metadata: Mapping[str, Any] | None = None,
) -> Definitions:
    """An asset per table, the job over all of them, the sensor that asks it for what must be read, and the resource
    `profilemesh`. Merge it with your own by `Definitions.merge`.

    Raises ConfigError if the configuration cannot be used. A warehouse that does not answer is no error.
    """
    assets = create_profiling_assets(
        config_path,
        asset_name_prefix=asset_prefix,
        group_name=group_name,
        default_tags=default_tags,
        default_metadata=default_metadata,
    )
    sensor = profilemesh_plan_sensor(config_path=config_path, job_name=job_name, asset_prefix=asset_prefix)
    return Definitions(
        assets=assets,
        jobs=[create_profiling_job(assets, job_name)],
        sensors=[sensor] if enable_sensor else [],
        resources={"profilemesh": ProfileMeshResource(config_path=config_path)},
    )
