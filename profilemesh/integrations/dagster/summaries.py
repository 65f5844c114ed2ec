"""All tables summed up, and the alerts that wait, sent."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from profilemesh.alerts.delivery import deliver
from profilemesh.config import Config
from profilemesh.drift.findings import Severity
from profilemesh.errors import StorageError
from profilemesh.integrations.dagster.names import shown
from profilemesh.storage import Storage, findings, open_storage, states
from profilemesh.tables import TableRef

DELIVER_SECONDS = 15.0
"""How long a tick or a step waits for alerts to be sent. What takes longer goes on beside it."""


@dataclass(frozen=True)
class Totals:
    """What is known of some tables together. `rows` are of those whose number is known."""

    tables: int
    profiled: int
    rows: int
    findings: Mapping[str, int]
    oldest: datetime | None

    @property
    def told(self) -> dict[str, Any]:
        told: dict[str, Any] = {
            "profilemesh/tables": self.tables,
            "profilemesh/profiled": self.profiled,
            "profilemesh/rows": self.rows,
            **{f"profilemesh/findings_{severity}": self.findings.get(severity, 0) for severity in Severity},
        }
        return told | ({"profilemesh/oldest_profile": self.oldest.isoformat()} if self.oldest else {})


def totals(storage: Storage, tables: Collection[TableRef], now: datetime) -> Totals:
    """Two statements, however many tables."""
    wanted = set(tables)
    with storage.read() as session:
        known = [state for table, state in states.latest_states(session).items() if table in wanted]
        standing = findings.standing_by_severity(session, now)
    by_severity: Counter[str] = Counter()
    for (table, severity), count in standing.items():
        by_severity[severity] += count if table in wanted else 0
    profiled = [state for state in known if state.last_read_at is not None]
    return Totals(
        tables=len(wanted),
        profiled=len(profiled),
        rows=sum(state.row_count or 0 for state in profiled),
        findings=by_severity,
        oldest=min((state.last_read_at for state in profiled if state.last_read_at), default=None),
    )


def delivered_briefly(config: Config, log: logging.Logger) -> None:
    """Send what waits. A server that is slow to take a message holds nothing up: the storage knows what is left."""
    if not config.alerts.routes:
        return
    stop, said = threading.Event(), list[str]()

    def send() -> None:
        try:
            with closing(open_storage(config.storage.url)) as storage:
                done = deliver(config, storage, stop)
        except StorageError as trouble:
            said.append(f"alerts could not be sent: {trouble}")
            return
        said.extend(f"alerts of {route} wait: {error}" for route, error in done.failed.items())

    thread = threading.Thread(target=send, name="profilemesh-alerts", daemon=True)
    thread.start()
    thread.join(DELIVER_SECONDS)
    stop.set()
    # By this thread: the log of a tick or a step ends with it.
    for sentence in [*said, *(["alerts are still being sent"] if thread.is_alive() else [])]:
        log.warning("%s", shown(sentence, 1000))
