"""The partitions of a table as a calendar, where they are days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from markupsafe import Markup, escape

from app.numerals import compact, exact
from app.standing import Partition

FEW_WEEKS = 8
"""Up to so many weeks each day has room for its number of rows; beyond it is a square."""
MOST_WEEKS = 53
LEVELS = 5
STEP, SIZE = 15, 12
LEFT, TOP = 30, 16
NAME_WIDTH = 2
"""So many weeks the name of a month covers."""


@dataclass(frozen=True)
class Day:
    """A day with its partition; None where there is none, though there are some before and after it."""

    day: date
    partition: Partition | None
    level: int = 0

    @property
    def is_read(self) -> bool:
        return self.partition is not None and self.partition.is_of_last_run

    @property
    def told(self) -> str:
        part = self.partition
        if part is None:
            return f"{self.day}: no partition"
        rows = "rows unknown" if part.rows is None else f"{exact(part.rows)} rows"
        read = "read by the last run" if self.is_read else "carried over"
        return f"{self.day}: {rows}, data as of {part.as_of:%Y-%m-%d %H:%M} UTC, {read}"


@dataclass(frozen=True)
class Calendar:
    """Weeks from Monday to Sunday, oldest first; None stands before the first day and after the last."""

    weeks: tuple[tuple[Day | None, ...], ...]
    missing: int
    left_out: int
    picture: Markup = Markup("")

    def __bool__(self) -> bool:
        return bool(self.weeks)


NONE = Calendar((), 0, 0)


def calendar(partitions: Sequence[Partition]) -> Calendar:
    """Empty unless every partition is a day of its own, and there are at least two."""
    by_day = {day: each for each in partitions if (day := _day(each.name)) is not None}
    if len(by_day) < 2 or len(by_day) != len(partitions):
        return NONE
    last = max(by_day)
    first = max(min(by_day), last - timedelta(days=7 * MOST_WEEKS - 7 + last.weekday()))
    top = max((part.rows or 0 for part in by_day.values()), default=0)
    start = first - timedelta(days=first.weekday())
    count = (last - start).days // 7 + 1
    days = [start + timedelta(days=i) for i in range(7 * count)]
    cells = [_cell(day, by_day.get(day), top) if first <= day <= last else None for day in days]
    weeks = tuple(tuple(cells[i : i + 7]) for i in range(0, len(cells), 7))
    missing = sum(cell is not None and cell.partition is None for cell in cells)
    left_out = sum(day < first for day in by_day)
    return Calendar(weeks, missing, left_out, _picture(weeks, len(by_day)) if count > FEW_WEEKS else Markup(""))


def _day(name: str) -> date | None:
    try:
        return date.fromisoformat(name) if len(name) == 10 else None
    except ValueError:
        return None


def _cell(day: date, partition: Partition | None, top: int) -> Day:
    rows = partition.rows if partition else None
    level = 0 if not rows or not top else min(1 + int(rows / top * LEVELS), LEVELS)
    return Day(day, partition, level)


def _picture(weeks: Sequence[Sequence[Day | None]], count: int) -> Markup:
    parts = [f'<text class="tick end" x="{LEFT - 6}" y="{TOP + STEP * i + 10}">{name}</text>' for i, name in WEEKDAYS]
    parts += [f'<text class="tick" x="{LEFT + STEP * at}" y="{TOP - 6}">{name}</text>' for at, name in _months(weeks)]
    for column, week in enumerate(weeks):
        squares = (
            _square(day, LEFT + STEP * column, TOP + STEP * row) for row, day in enumerate(week) if day is not None
        )
        parts += squares
    width, height = LEFT + STEP * len(weeks), TOP + STEP * 7
    rows = sum(day.partition.rows or 0 for week in weeks for day in week if day and day.partition)
    label = f"{exact(count)} days of partitions, {compact(rows)} rows"
    return Markup(
        f'<svg class="chart calendar" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


def _months(weeks: Sequence[Sequence[Day | None]]) -> list[tuple[int, str]]:
    """The weeks that a month begins with, as far as there is room for its name."""
    firsts = [next(day.day for day in week if day is not None) for week in weeks]
    starts = [i for i, day in enumerate(firsts) if i == 0 or day.month != firsts[i - 1].month]
    ends = [*starts[1:], len(weeks)]
    return [
        (start, f"{firsts[start]:%b}") for start, end in zip(starts, ends, strict=True) if end - start >= NAME_WIDTH
    ]


WEEKDAYS = ((0, "Mon"), (2, "Wed"), (4, "Fri"))


def _square(day: Day, x: int, y: int) -> str:
    name = "none" if day.partition is None else f"level{day.level}{' read' if day.is_read else ''}"
    return (
        f'<rect class="{name}" x="{x + 0.5}" y="{y + 0.5}" width="{SIZE}" height="{SIZE}" rx="2.5">'
        f"<title>{escape(day.told)}</title></rect>"
    )
