"""What waits of alerts is sent, as the configuration is now. What prevents it is logged, never raised."""

from __future__ import annotations

import logging
import threading
from contextlib import closing

from jobs.tick import Project
from profilemesh.alerts.delivery import Delivered, deliver
from profilemesh.errors import ProfileMeshError
from profilemesh.storage import open_storage

log = logging.getLogger(__name__)


def deliver_alerts(project: Project, stop: threading.Event | None = None) -> Delivered | None:
    """What came of it; None if nothing could be tried. `stop`, set by another thread, ends it after the message in
    hand."""
    try:
        with closing(open_storage(project.storage_url)) as storage:
            return deliver(project.config(), storage, stop)
    except Exception as error:  # noqa: BLE001 - what waits is tried again, and the tick is not to fail of it
        log.error("alerts were not delivered: %s", error, exc_info=not isinstance(error, ProfileMeshError))
    return None
