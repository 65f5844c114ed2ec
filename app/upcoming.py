"""When this server ticks next, by its settings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from flask import current_app

MIDNIGHT = datetime(2000, 1, 1, tzinfo=UTC)


def next_tick(now: datetime) -> datetime | None:
    """None where this server schedules none: it is told not to, or has no configuration."""
    settings = current_app.config
    if not settings["PROFILEMESH_SCHEDULER"] or not Path(settings["PROFILEMESH_CONFIG"]).expanduser().exists():
        return None
    cron = settings["PROFILEMESH_TICK_CRON"]
    if cron:
        due: datetime | None = cron.get_next_fire_time(None, now)
        return due
    step = timedelta(minutes=settings["PROFILEMESH_TICK_MINUTES"])
    return MIDNIGHT + ((now - MIDNIGHT) // step + 1) * step
