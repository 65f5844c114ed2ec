"""Five fields of cron as a trigger, with the weekdays numbered as cron numbers them."""

from __future__ import annotations

from datetime import UTC, datetime

from apscheduler.triggers.cron import CronTrigger

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


def cron_trigger(text: str) -> CronTrigger:
    """When these fields are due, in UTC; a day of the month and a weekday must both fit. Raises ValueError."""
    fields = text.split()
    if len(fields) != 5:
        raise ValueError(f"{len(fields)} fields, not 5")
    minute, hour, day, month, weekday = fields
    days = _weekdays(weekday.lower())
    trigger = CronTrigger(minute=minute, hour=hour, day=day, month=month, day_of_week=days, timezone=UTC)
    if trigger.get_next_fire_time(None, datetime.now(UTC)) is None:
        raise ValueError("never due")
    return trigger


def _weekdays(field: str) -> str:
    """By name, each for itself: APScheduler counts from Monday, cron from Sunday, which is 0 and 7."""
    numbers = sorted({number % 7 for part in field.split(",") for number in _range(part)})
    return "*" if len(numbers) == 7 else ",".join(_DAYS[number] for number in numbers)


def _range(part: str) -> range:
    span, _, step = part.partition("/")
    first, dash, last = ("0", "-", "6") if span == "*" else span.partition("-")
    start = _number(first)
    end = _number(last) if dash else (6 if step else start)
    if dash and end < start:
        end += 7
    found = range(start, end + 1, int(step or 1))
    if end > 13 or start > 7:
        raise ValueError(f"weekday {part!r}")
    return found


def _number(day: str) -> int:
    return _DAYS.index(day) if day in _DAYS else int(day)
