"""The outbox: what is to be told is stored together with the finding, or not at all."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.orm import Session

from profilemesh.alerts.messages import Entry
from profilemesh.alerts.routes import routes_for
from profilemesh.config.model import AlertsConfig, Config
from profilemesh.storage import alerts
from profilemesh.storage.clock import storage_now
from profilemesh.storage.models import StoredFinding

OPENED, WORSENED, REOPENED, RESOLVED = CHANGES = ("opened", "worsened", "reopened", "resolved")


def enqueue(session: Session, config: Config, plan_id: str | None, told: Iterable[tuple[str, str]]) -> int:
    """Note for every route what it will tell of these findings; how many notes that makes.

    `told` are finding ids, each with what happened: opened, worsened, reopened or resolved. Call it in the transaction
    that stores the findings, after them: they are told as they stand in it. Sends nothing; `deliver` does, once the
    tick of the plan is over, of all its findings at once. Without a plan they are told after a minute.
    """
    if not config.alerts.routes:
        return 0
    changes = dict(told)
    unknown = sorted(set(changes.values()) - set(CHANGES))
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no change; {', '.join(CHANGES)} are")
    session.flush()
    found = alerts.findings_by_id(session, changes)
    now = storage_now(session)
    rows = []
    for finding_id, change in changes.items():
        entry = entry_of(found[finding_id], change, config.alerts)
        for route in routes_for(config.alerts.routes, entry):
            row = {"route": route.name, "plan_id": plan_id or "", "finding_id": finding_id, "at": now}
            rows.append(row | {"told": entry.data(), "digest_id": None})
    alerts.add_items(session, rows)
    return len(rows)


def entry_of(finding: StoredFinding, change: str, config: AlertsConfig) -> Entry:
    """The finding as it is now."""
    return Entry(
        finding.finding_id,
        change,
        finding.severity,
        finding.kind,
        finding.warehouse,
        finding.schema_name,
        finding.table_name,
        finding.column_name,
        finding.metric_name,
        finding.sentence,
        finding.owner,
        f"{config.dashboard_url}/drift/{finding.finding_id}" if config.dashboard_url else None,
    )
