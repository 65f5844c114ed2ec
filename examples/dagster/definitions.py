"""The code location: everything that Dagster needs to know of ProfileMesh."""

import os
from pathlib import Path

from profilemesh.integrations.dagster import build_profilemesh_definitions

defs = build_profilemesh_definitions(
    os.environ.get("PROFILEMESH_CONFIG", str(Path(__file__).with_name("profilemesh.yml"))),
    default_tags={"team": "data"},
)
