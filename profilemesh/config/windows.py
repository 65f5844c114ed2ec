"""Hours of the week: when a table may be read, and when a route keeps quiet."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

MOST_WINDOWS = 400
"""So many ends of windows in a row are followed; a year of nights has fewer."""


@dataclass(frozen=True)
class Window:
    """When a table may be scanned, in UTC: hours [start, end) that may wrap midnight, days 0 (Monday) to 6."""

    start_minute: int = 0
    end_minute: int = 1440
    days: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)

    def contains(self, moment: datetime) -> bool:
        """Whether an aware moment lies inside. A window that wraps midnight belongs to the day it begins on."""
        utc = moment.astimezone(UTC)
        minute, day = utc.hour * 60 + utc.minute, utc.weekday()
        if self.start_minute < self.end_minute:
            return self.start_minute <= minute < self.end_minute and day in self.days
        if minute < self.end_minute:
            return (day - 1) % 7 in self.days
        return minute >= self.start_minute and day in self.days

    def end_after(self, moment: datetime) -> datetime:
        """When the window that this moment lies in comes to its end, on the same clock."""
        midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        end = midnight + timedelta(minutes=self.end_minute)
        return end if end > moment else end + timedelta(days=1)

    def __str__(self) -> str:
        ends = (f"{minute // 60:02}:{minute % 60:02}" for minute in (self.start_minute, self.end_minute))
        names = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
        days = "every day" if len(self.days) == 7 else ", ".join(names[day] for day in self.days)
        return f"{'-'.join(ends)} UTC, {days}"


@dataclass(frozen=True)
class QuietHours:
    """When a route says nothing: hours and days as a window has them, by the clock on the wall of a time zone."""

    window: Window = field(default_factory=Window)
    time_zone: str = "UTC"

    def contains(self, moment: datetime) -> bool:
        return self.window.contains(self._on_the_wall(moment))

    def end_after(self, moment: datetime) -> datetime:
        """When they come to their end, of a moment inside."""
        wall = self._on_the_wall(moment)
        end = self.window.end_after(wall).replace(tzinfo=ZoneInfo(self.time_zone))
        # Where clocks are set back an hour comes twice, and its first end is past already.
        return max(end.replace(fold=fold).astimezone(UTC) for fold in ((0, 1) if end <= moment else (0,)))

    def _on_the_wall(self, moment: datetime) -> datetime:
        """What the clock there shows, as if it were UTC: what a window understands."""
        return moment.astimezone(ZoneInfo(self.time_zone)).replace(tzinfo=UTC, fold=0)


def quiet_until(quiet: tuple[QuietHours, ...], now: datetime) -> datetime | None:
    """When it may be told again, None if now. Hours that touch or overlap are one; those without end have none."""
    at = now
    for _ in range(MOST_WINDOWS):
        inside = next((hours for hours in quiet if hours.contains(at)), None)
        if inside is None:
            return None if at == now else at
        at = max(inside.end_after(at), at + timedelta(seconds=1))
    return at
