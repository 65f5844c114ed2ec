"""Run as a process of its own: a machine of a Dagster deployment, until its standard input ends.

Arguments: the configuration and a folder. It evaluates the sensor as the daemon does, and carries out what is asked for
as run workers do, with a Dagster instance of its own: so it knows nothing of what the others were asked.
"""

from __future__ import annotations

import logging
import sys
import threading

import dagster as dg

from profilemesh.integrations.dagster import build_profilemesh_definitions

JOB = "profilemesh_profile_all"

config_path, folder = sys.argv[1:]
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
logging.getLogger("dagster").setLevel(logging.ERROR)
definitions = build_profilemesh_definitions(config_path)
repository, job = definitions.get_repository_def(), definitions.resolve_job_def(JOB)
sensor = repository.get_sensor_def(f"{JOB}_plan_sensor")
instance, cursor = dg.DagsterInstance.ephemeral(folder), None
while not ended.is_set():
    with dg.build_sensor_context(instance, cursor, repository_def=repository) as context:
        found = sensor.evaluate_tick(context)
    cursor = found.cursor
    for request in found.run_requests or ():
        if ended.is_set():
            break
        job.execute_in_process(
            run_config=request.run_config,
            instance=instance,
            asset_selection=list(request.asset_selection or ()),
            tags={**request.tags, "dagster/run_key": str(request.run_key)},
            raise_on_error=False,
        )
