"""ProfileMesh on Dagster: an asset per table, a sensor that asks for what the planner wants read, findings as checks.

In time order: the code location is loaded and makes an asset of every configured table. The sensor looks at all of
them from their metadata, records what is left alone, and asks for runs of the rest. Each run looks again, claims its
table as the scheduler does, reads it, and tells Dagster what was found. Whatever Dagster does, the storage has the
truth.
"""

from __future__ import annotations

import os

# It phones nobody. Whoever wants Dagster's telemetry sets the variable before.
os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")

try:
    import dagster as _dagster  # noqa: F401 - asked for by name, so that its absence is told in our words
except ModuleNotFoundError as error:
    if error.name != "dagster":
        raise
    raise ImportError(
        'profilemesh.integrations.dagster needs Dagster, which is not installed: pip install "profilemesh[dagster]"'
    ) from None

from profilemesh.integrations.dagster import _leaving
from profilemesh.integrations.dagster.assets import create_profiling_assets
from profilemesh.integrations.dagster.definitions import build_profilemesh_definitions
from profilemesh.integrations.dagster.events import emit_profiling_event
from profilemesh.integrations.dagster.jobs import create_profiling_job
from profilemesh.integrations.dagster.names import asset_key
from profilemesh.integrations.dagster.resource import ProfileMeshResource
from profilemesh.integrations.dagster.sensors import profilemesh_plan_sensor

_leaving.quietly()

__all__ = [
    "ProfileMeshResource",
    "asset_key",
    "build_profilemesh_definitions",
    "create_profiling_assets",
    "create_profiling_job",
    "emit_profiling_event",
    "profilemesh_plan_sensor",
]
