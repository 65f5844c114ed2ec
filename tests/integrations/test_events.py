"""What somebody's own pipeline tells of a table lands where the first ProfileMesh kept it."""

import json
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from profilemesh.errors import ConfigError
from profilemesh.integrations.dagster import ProfileMeshResource, emit_profiling_event
from profilemesh.storage.models import Event
from tests.integrations.deployment import CUSTOMERS, Deployment

MINE = Event.run_id == "mine"


def events(settled: Deployment, *where: Any) -> list[Event]:
    return settled.rows(sa.select(Event).where(*where))


@pytest.mark.parametrize("name", ["customers", "main.customers", "shop.main.customers", CUSTOMERS])
def test_an_event_is_stored_with_its_table(settled: Deployment, name: Any) -> None:
    emit_profiling_event(None, "profiling_completed", name, run_id="mine", config_path=settled.config_path, rows=5)
    [event] = events(settled, MINE)
    assert (event.event_type, event.warehouse, event.schema_name, event.table_name) == (
        "ProfilingCompleted",
        "shop",
        "main",
        "customers",
    )
    assert json.loads(event.details or "") == {"rows": 5}


def test_saying_it_again_of_the_same_run_changes_nothing(settled: Deployment) -> None:
    for _ in range(2):
        emit_profiling_event(None, "ProfilingStarted", "customers", run_id="mine", config_path=settled.config_path)
    assert len(events(settled, MINE)) == 1


def test_an_asset_tells_by_the_resource(settled: Deployment, capfd: pytest.CaptureFixture[str]) -> None:
    @dg.asset(required_resource_keys={"profilemesh"})
    def loaded(context: dg.AssetExecutionContext) -> None:
        emit_profiling_event(context, "profiling_failed", "customers", run_id="mine", error="out of disk")

    resources = {"profilemesh": ProfileMeshResource(config_path=settled.config_path)}
    assert dg.materialize([loaded], resources=resources, instance=settled.instance).success
    [event] = events(settled, MINE)
    assert json.loads(event.details or "") == {"error": "out of disk"}
    assert "ERROR - " in capfd.readouterr().err


def test_an_op_tells_by_the_environment(settled: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROFILEMESH_CONFIG", settled.config_path)
    emit_profiling_event(dg.build_op_context(), "profiling_started", "customers", run_id="mine")
    assert len(events(settled, MINE)) == 1


@pytest.mark.parametrize(
    ("event", "name", "told"),
    [
        ("profiling_exploded", "customers", "event 'profiling_exploded' is unknown; there are profiling_started"),
        ("profiling_started", "nobody", "'nobody' names no known tables; say warehouse.schema.table"),
        ("profiling_started", "main.*", "names 3 known tables: it may be desk.main.tickets or shop.main.customers"),
    ],
)
def test_what_nobody_knows_is_refused(settled: Deployment, event: str, name: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told.replace("*", r"\*").replace(".", r"\.")):
        emit_profiling_event(None, event, name, config_path=settled.config_path)
    assert events(settled, Event.event_type == "ProfilingStarted", MINE) == []
