"""What a pipeline of your own tells ProfileMesh, as the first ProfileMesh was told."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from profilemesh.config import find_config
from profilemesh.errors import ConfigError
from profilemesh.events import EventType, Occurrence
from profilemesh.integrations.dagster.resource import ProfileMeshResource
from profilemesh.planning import is_asked_for
from profilemesh.runner import utc_now
from profilemesh.storage import Storage, events, states
from profilemesh.tables import TableRef

NAMES = {
    "profiling_started": EventType.PROFILING_STARTED,
    "profiling_completed": EventType.PROFILING_COMPLETED,
    "profiling_failed": EventType.PROFILING_FAILED,
}
"""What events were called where they were told; any `EventType` goes by its own name too."""


def emit_profiling_event(
    context: Any,
    event_type: str,
    dataset_name: str | TableRef,
    *,
    run_id: str | None = None,
    config_path: str | None = None,
    **details: Any,
) -> None:
    """Log an event of a table, and store it in `profilemesh_events`.

    `context` is that of an op or asset, or None; `event_type` one of NAMES or an `EventType`; `dataset_name` a table,
    by its name, schema.table, or warehouse.schema.table. `details` are kept as the event's metadata; an event of a run
    is stored once. The project is `config_path`'s, else that of the resource `profilemesh`, else of PROFILEMESH_CONFIG.
    Raises ConfigError for an event or a table that nobody knows, StorageError if it cannot be stored.
    """
    kind = _kind(event_type)
    project = _project(context, config_path)
    with ExitStack() as stack:
        storage = stack.enter_context(project.storage())
        table = dataset_name if isinstance(dataset_name, TableRef) else _table(storage, dataset_name)
        with storage.begin() as session:
            events.save_event(session, Occurrence(kind, table, utc_now(), run_id, details))
    if context is not None:
        say = context.log.error if kind is EventType.PROFILING_FAILED else context.log.info
        say("%s: %s", kind.value, table)


def _kind(event_type: str) -> EventType:
    known = {**NAMES, **{kind.value: kind for kind in EventType}}
    if event_type not in known:
        raise ConfigError(f"event {event_type!r} is unknown; there are {', '.join(known)}")
    return known[event_type]


def _project(context: Any, config_path: str | None) -> ProfileMeshResource:
    if config_path is not None:
        return ProfileMeshResource(config_path=config_path)
    found = getattr(getattr(context, "resources", None), "profilemesh", None)
    return found if isinstance(found, ProfileMeshResource) else ProfileMeshResource(config_path=str(find_config(None)))


def _table(storage: Storage, name: str) -> TableRef:
    with storage.read() as session:
        found = sorted(table for table in states.latest_states(session) if is_asked_for(table, name))
    if len(found) != 1:
        several = f": it may be {' or '.join(str(table) for table in found[:3])}" if found else ""
        raise ConfigError(f"{name!r} names {len(found) or 'no'} known tables{several}; say warehouse.schema.table")
    return found[0]
