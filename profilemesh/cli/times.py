"""Times as people write them on a command line."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from profilemesh.clock import utc_now

_SPANS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


class Since(click.ParamType[datetime]):
    """A time in ISO 8601, UTC unless it says otherwise, or how long ago: 36h, 30d, 6w."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            span = re.fullmatch(r"(\d{1,6})([hdw])", value.strip())
            if span is not None:
                return utc_now() - int(span[1]) * _SPANS[span[2]]
            found = datetime.fromisoformat(value.strip())
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no time; a day such as 2026-11-27, or 36h, 30d, 6w", param, ctx)
