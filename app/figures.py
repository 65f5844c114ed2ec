"""Numbers over time: the picture that the server draws, and the same numbers for the script that brings it to life."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from markupsafe import Markup

from app.charts import Mark, Spread, Values, fan, line
from app.formats import plain
from app.numerals import MINUS, exact
from app.words import plural

Write = Callable[[float | None], str]
DIGITS = 5
"""Of fractions that are only drawn and told on hover, with four; the table of numbers has more, the API all."""
SMALL = {"width": 440, "height": 150}


@dataclass(frozen=True)
class Sign:
    """What was found at a point: its severity, and a few words."""

    kind: str
    tip: str


@dataclass(frozen=True)
class Figure:
    """`series` is JSON, as `static/js/charts.js` reads it; `newest` is the last value that is known, in short."""

    title: str
    meaning: str
    picture: Markup
    series: str
    newest: str


@dataclass(frozen=True)
class Course:
    """A name and what it means, its values at some times, and how they are written; `level` is a value to compare them
    with, drawn across; `about` is told with how many runs there are."""

    title: str
    times: Sequence[datetime]
    values: Values
    write: Write
    meaning: str = ""
    unit: str = ""
    whole: bool = False
    signs: Mapping[int, Sign] | None = None
    level: float | None = None
    about: str = ""

    @property
    def known(self) -> list[float]:
        return [value for value in self.values if value is not None]

    @property
    def told(self) -> str:
        known, ends = self.known, f"from {self.times[0]:%Y-%m-%d} to {self.times[-1]:%Y-%m-%d}"
        about = f", {self.about}" if self.about else ""
        return (
            f"{self.title} in {len(known)} {plural(len(known), 'run')} {ends}{about}: from {self.write(known[0])} to "
            f"{self.write(known[-1])}, between {self.write(min(known))} and {self.write(max(known))}"
        )

    @property
    def marks(self) -> list[Mark]:
        signs = self.signs or {}
        return [
            Mark(
                at,
                value,
                f"{at:%Y-%m-%d %H:%M}: {self.write(value)}" + (f", {signs[i].tip}" if i in signs else ""),
                signs[i].kind if i in signs else "",
            )
            for i, (at, value) in enumerate(zip(self.times, self.values, strict=True))
        ]


def figure(course: Course, small: bool = False) -> Figure | None:
    """None where fewer than two values are known: a point is no course."""
    if len(course.known) < 2:
        return None
    size = SMALL if small else {}
    picture = line(course.marks, plain(course.told), course.unit, whole=course.whole, level=course.level, **size)
    series = _series(course, [(course.title, course.values)])
    return Figure(course.title, course.meaning, picture, series, course.write(course.known[-1]))


def fan_figure(course: Course, names: Sequence[str], quantiles: Sequence[Values]) -> Figure | None:
    """Five quantiles; `course` is that of the third of them, the median."""
    spreads = [
        Spread(at, None if None in values else values)
        for at, values in zip(course.times, zip(*quantiles, strict=True), strict=True)
    ]
    if sum(each.values is not None for each in spreads) < 2:
        return None
    told = f"Quantiles, {names[0]} to {names[-1]}. {course.told}"
    series = _series(course, list(zip(names, quantiles, strict=True)), fan=True)
    newest = f"{names[2]} {course.write(course.known[-1])}"
    return Figure("Quantiles", course.meaning, fan(spreads, plain(told), course.marks), series, newest)


def _series(course: Course, lines: Sequence[tuple[str, Values]], **more: Any) -> str:
    told = {
        "x": [round(at.timestamp()) for at in course.times],
        "lines": [{"name": name, "y": [_short(value) for value in values]} for name, values in lines],
        "unit": f" {course.unit.strip()}" if course.unit and course.unit != "%" else course.unit,
        "whole": course.whole,
        "level": course.level,
        "marks": [{"i": i, "kind": sign.kind, "tip": plain(sign.tip)} for i, sign in (course.signs or {}).items()],
        **more,
    }
    return orjson.dumps(told).decode()


def _short(value: float | None) -> float | int | None:
    if value is None:
        return None
    rounded = float(f"{value:.{DIGITS}g}") if value != int(value) or abs(value) >= 2**53 else int(value)
    return int(rounded) if rounded == int(rounded) and abs(rounded) < 2**53 else rounded


def written_out(value: float) -> str:
    """A number of the table: whole ones in full, others with eight digits."""
    if value == int(value) and abs(value) < 2**53:
        return exact(int(value))
    return f"{value:.8g}".replace("-", MINUS)
