"""What time it is, asked in one place by whoever begins something; everybody else is told."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    return datetime.now(UTC)
