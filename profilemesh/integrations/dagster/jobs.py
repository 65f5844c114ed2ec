"""The job that profiles everything, and that the sensor asks for tables of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dagster import AssetsDefinition, AssetSelection, define_asset_job, in_process_executor

from profilemesh.errors import ConfigError
from profilemesh.integrations.dagster.assets import asset_keys_of

JOB_NAME = "profilemesh_profile_all"


def create_profiling_job(
    assets: Sequence[AssetsDefinition],
    job_name: str = JOB_NAME,
    description: str = "Profiles every table that changed, or that cannot be proved unchanged.",
) -> Any:
    """A job over all of these assets. A run's tables are read one after another in one process; runs are what is spread
    over processes and machines. Raises ConfigError if there is no asset."""
    keys = asset_keys_of(assets)
    if not keys:
        raise ConfigError("there is no asset to make a job of")
    return define_asset_job(
        job_name, selection=AssetSelection.assets(*keys), description=description, executor_def=in_process_executor
    )
