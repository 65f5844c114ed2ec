"""Findings, routes and what is told of them, for the tests of alerts."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from profilemesh.alerts.messages import Entry
from profilemesh.alerts.outbox import enqueue
from profilemesh.config import AlertsConfig, Config, Route, StorageConfig
from profilemesh.storage import Storage
from profilemesh.storage.claims import new_holder
from profilemesh.storage.models import AlertDigest, StoredFinding, Tick

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
SENTENCE = "null share of orders.email rose from 0.2 % to 14 %"


def config_of(*routes: Route, **alerts: Any) -> Config:
    return Config(None, {}, StorageConfig("sqlite://"), alerts=AlertsConfig(routes, **alerts))


def entry(**changed: Any) -> Entry:
    given: dict[str, Any] = {
        "finding_id": "f1",
        "change": "opened",
        "severity": "high",
        "kind": "metric",
        "warehouse": "shop",
        "schema": "main",
        "table": "orders",
        "column": "email",
        "metric": "null_percent",
        "sentence": SENTENCE,
    }
    return Entry(**given | changed)


def add_finding(session: Session, **changed: Any) -> str:
    finding_id = changed.pop("finding_id", None) or str(uuid.uuid4())
    given: dict[str, Any] = {
        "fingerprint": uuid.uuid4().hex,
        "warehouse": "shop",
        "schema_name": "main",
        "table_name": "orders",
        "column_name": "email",
        "metric_name": "null_percent",
        "kind": "metric",
        "state": "open",
        "severity": "high",
        "sentence": SENTENCE,
        "opened_at": NOW,
        "last_seen_at": NOW,
    }
    session.add(StoredFinding(finding_id=finding_id, **given | changed))
    return finding_id


def add_tick(session: Session, plan_id: str, status: str = "done") -> None:
    now = datetime.now(UTC)
    tick = Tick(tick_id=plan_id, plan_id=plan_id, asked_by="hand", holder=new_holder(), status=status)
    tick.started_at, tick.seen_at = now - timedelta(seconds=1), now
    session.add(tick)


def tell(storage: Storage, config: Config, *sentences: str, plan: str | None = None, change: str = "opened") -> str:
    """A tick that is over and found these; its plan's id."""
    plan_id = plan or str(uuid.uuid4())
    with storage.begin() as session:
        if plan is None:
            add_tick(session, plan_id)
        found = [add_finding(session, sentence=sentence) for sentence in sentences or (SENTENCE,)]
        enqueue(session, config, plan_id, [(each, change) for each in found])
    return plan_id


def digests(storage: Storage) -> Sequence[AlertDigest]:
    with storage.read() as session:
        return session.scalars(sa.select(AlertDigest).order_by(AlertDigest.id)).all()
