from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from profilemesh.config import QuietHours, Window
from profilemesh.config.windows import quiet_until

NIGHT = Window(20 * 60, 7 * 60)
WEEKEND = QuietHours(Window(days=(5, 6)))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


CASES = [
    # 2026-11-23 is a Monday.
    (QuietHours(NIGHT), "2026-11-23T12:00", None),
    (QuietHours(NIGHT), "2026-11-23T20:00", "2026-11-24T07:00"),
    (QuietHours(NIGHT), "2026-11-24T06:59", "2026-11-24T07:00"),
    (QuietHours(NIGHT), "2026-11-24T07:00", None),
    (QuietHours(Window(20 * 60, 7 * 60, (4,))), "2026-11-28T03:00", "2026-11-28T07:00"),
    (QuietHours(Window(20 * 60, 7 * 60, (4,))), "2026-11-28T21:00", None),
    (QuietHours(Window(12 * 60, 1440)), "2026-11-23T13:00", "2026-11-24T00:00"),
    (WEEKEND, "2026-11-28T10:00", "2026-11-30T00:00"),
    # Berlin is an hour ahead of UTC in winter, two in summer, and turns back at 2026-10-25 01:00 UTC.
    (QuietHours(NIGHT, "Europe/Berlin"), "2026-11-23T19:30", "2026-11-24T06:00"),
    (QuietHours(NIGHT, "Europe/Berlin"), "2026-07-01T19:30", "2026-07-02T05:00"),
    (QuietHours(NIGHT, "Europe/Berlin"), "2026-10-24T20:00", "2026-10-25T06:00"),
    (QuietHours(NIGHT, "Europe/Berlin"), "2026-03-28T20:00", "2026-03-29T05:00"),
    (QuietHours(Window(60, 150), "Europe/Berlin"), "2026-10-25T01:10", "2026-10-25T01:30"),
    (QuietHours(NIGHT, "Asia/Kolkata"), "2026-11-23T15:00", "2026-11-24T01:30"),
]


@pytest.mark.parametrize(("quiet", "now", "until"), CASES)
def test_quiet_hours_end_by_the_clock_on_the_wall(quiet: QuietHours, now: str, until: str | None) -> None:
    assert quiet_until((quiet,), at(now)) == (at(until) if until else None)


def test_hours_that_touch_are_one() -> None:
    quiet = (QuietHours(NIGHT), WEEKEND)
    assert quiet_until(quiet, at("2026-11-27T22:00")) == at("2026-11-30T07:00")


def test_hours_without_end_are_seen() -> None:
    now = at("2026-11-23T12:00")
    until = quiet_until((QuietHours(),), now)
    assert until is not None and until - now > timedelta(days=300)
