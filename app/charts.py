"""Small pictures as SVG: pure functions of numbers. Classes take their colours from the stylesheets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from markupsafe import Markup, escape

from app.numerals import compact

Values = Sequence[float | None]

DOTS = 60
"""Of more values than these only the line is drawn, and those that are marked."""
SHAPES = {
    "high": ((0, -6), (6, 0), (0, 6), (-6, 0)),
    "medium": ((-4.5, -4.5), (4.5, -4.5), (4.5, 4.5), (-4.5, 4.5)),
    "low": ((0, -5), (5, 4), (-5, 4)),
}
"""Severities differ by their marks' shape, as elsewhere on the page."""


@dataclass(frozen=True)
class Stack:
    """One bar of a stacked chart: its label, its tip, and (class, value) from the bottom up."""

    label: str
    tip: str
    parts: tuple[tuple[str, int], ...]

    @property
    def height(self) -> int:
        return sum(value for _, value in self.parts)


@dataclass(frozen=True)
class Mark:
    """One point of a line: what it is, told in a tip; `kind` is a severity that sets it apart, by its shape as well."""

    at: datetime
    value: float | None
    tip: str
    kind: str = ""


@dataclass(frozen=True)
class Bin:
    """One bin of two distributions: their shares in it, 0 to 1, and its tip."""

    before: float
    now: float
    tip: str


def spark(values: Values, label: str = "", width: int = 72, height: int = 28) -> Markup:
    """A line without axes; gaps stay gaps. Empty below two known values."""
    known = [v for v in values if v is not None]
    if len(known) < 2:
        return Markup("")
    low, span = min(known), (max(known) - min(known)) or 1
    step = (width - 5) / (len(values) - 1)
    middle = max(known) == min(known)

    def place(i: int, v: float) -> tuple[float, float]:
        return 2 + i * step, height / 2 if middle else height - 3 - (v - low) / span * (height - 6)

    runs = _unbroken([None if v is None else place(i, v) for i, v in enumerate(values)])
    parts = []
    for run in runs:
        line = _points(run)
        if len(run) > 1:
            parts.append(f'<polygon points="{run[0][0]:.1f},{height} {line} {run[-1][0]:.1f},{height}"/>')
        parts.append(f'<polyline points="{line}"/>')
    x, y = runs[-1][-1]
    parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2"/>')
    return _svg("spark", width, height, parts, label)


def histogram(counts: Sequence[float], label: str = "", width: int = 112, height: int = 30) -> Markup:
    """Bars from the ground; a bin that holds anything at all can be seen."""
    top = max(counts, default=0)
    if top <= 0:
        return Markup("")
    bar = width / len(counts)
    gap = 1 if bar > 3 else 0.3
    parts = [
        f'<rect x="{i * bar:.2f}" y="{height - h:.2f}" width="{bar - gap:.2f}" height="{h:.2f}"/>'
        for i, count in enumerate(counts)
        if (h := max(count / top * height, 1.2) if count > 0 else 0)
    ]
    ground = f'<line class="ground" x1="0" x2="{width}" y1="{height - 0.25}" y2="{height - 0.25}"/>'
    return _svg("hist", width, height, [ground, *parts], label)


def pair(bins: Sequence[Bin], label: str, width: int = 112, height: int = 30) -> Markup:
    """The same small, for a list: the earlier distribution broad, the present one slim before it."""
    top = max((max(each.before, each.now) for each in bins), default=0)
    if top <= 0:
        return Markup("")
    bar = width / len(bins)
    parts = [f'<line class="ground" x1="0" x2="{width}" y1="{height - 0.25}" y2="{height - 0.25}"/>']
    for name, inset in (("before", 0.02), ("now", 0.3)):
        for i, each in enumerate(bins):
            share = each.before if name == "before" else each.now
            if share > 0:
                tall, wide = max(share / top * height, 1.2), bar * (1 - 2 * inset)
                place = f'x="{(i + inset) * bar:.1f}" y="{height - tall:.1f}"'
                parts.append(f'<rect class="{name}" {place} width="{wide:.1f}" height="{tall:.1f}"/>')
    return _svg("hist pair", width, height, parts, label)


def overlaid(bins: Sequence[Bin], label: str, ends: Sequence[str], width: int = 640, height: int = 190) -> Markup:
    """Two distributions in the same bins: the earlier one as a ground of broad bars, the present one slim before it.

    `ends` are written below the left end, the middle and the right end.
    """
    left, ground = 44, height - 20
    scale = scale_to(100 * max((max(each.before, each.now) for each in bins), default=0))
    unit, bar = (ground - 10) / scale[-1] * 100, (width - left) / max(len(bins), 1)
    parts = _grid(scale, left, width, ground, ground - 10, "%")
    for i, each in enumerate(bins):
        x = left + i * bar
        hit = f'<rect class="hit" x="{x:.1f}" y="10" width="{bar:.1f}" height="{ground - 10:.1f}"/>'
        shapes = [
            _from_ground(name, x + bar * inset, bar * (1 - 2 * inset), ground, value * unit)
            for name, inset, value in (("before", 0.04, each.before), ("now", 0.28, each.now))
            if value > 0
        ]
        parts.append(f"<g><title>{escape(each.tip)}</title>{hit}{''.join(shapes)}</g>")
    for name, x, text in zip(("start", "mid", "end"), (left, (left + width) / 2, width), ends, strict=True):
        parts.append(f'<text class="tick {name}" x="{x:.1f}" y="{height - 5}">{escape(text)}</text>')
    return _chart(parts, width, height, label, "overlay")


def _from_ground(name: str, x: float, width: float, ground: float, tall: float) -> str:
    tall = max(tall, 0.8)
    return (
        f'<rect class="{name}" x="{x:.1f}" y="{ground - tall:.1f}" width="{width:.1f}" height="{tall:.1f}" rx="0.8"/>'
    )


def share(percent: float | None, width: int = 70, height: int = 6) -> Markup:
    """A bar from 0 to 100; more than nothing can always be seen. `height` is its own."""
    if percent is None:
        return Markup("")
    filled = 0.0 if percent <= 0 else min(max(percent / 100 * width, 1.5), width)
    parts = [
        f'<rect class="rest" width="{width}" height="{height}" rx="3"/>',
        f'<rect class="filled" width="{filled:.1f}" height="{height}" rx="{min(3, filled / 2):.1f}"/>',
    ]
    return _svg("share", width, height, parts)


def stacked(stacks: Sequence[Stack], label: str, width: int = 640, height: int = 230, left: int = 30) -> Markup:
    """Bars of whole numbers, one per stack, with a scale; `label` is the text alternative."""
    ground = height - 20
    scale = scale_to(max((s.height for s in stacks), default=0), whole=True)
    tall = ground - 10
    parts = _grid(scale, left, width, ground, tall)
    bar = (width - left) / max(len(stacks), 1)
    every = math.ceil(len(stacks) / 6)
    for i, stack in enumerate(stacks):
        x = left + i * bar
        parts.append(_bar(stack, x, bar, ground, tall / scale[-1]))
        from_end = len(stacks) - 1 - i
        if from_end % every == 0 and i >= every / 2:
            parts.append(_below(x + bar / 2, height, stack.label, last=from_end == 0, width=width))
    return _chart(parts, width, height, label)


def _bar(stack: Stack, x: float, bar: float, ground: float, unit: float) -> str:
    parts, y = [], ground
    for name, value in stack.parts:
        if value:
            high = value * unit
            y -= high
            parts.append(
                f'<rect class="{name}" x="{x + bar * 0.18:.1f}" y="{y:.1f}" width="{bar * 0.64:.1f}" '
                f'height="{max(high - 0.6, 0.6):.1f}" rx="1"/>'
            )
    # The whole column answers to the pointer, not only what is filled.
    hit = f'<rect class="hit" x="{x:.1f}" y="10" width="{bar:.1f}" height="{ground - 10:.1f}"/>'
    return f"<g><title>{escape(stack.tip)}</title>{hit}{''.join(parts)}</g>"


def line(
    marks: Sequence[Mark],
    label: str,
    unit: str = "",
    width: int = 640,
    height: int = 190,
    *,
    whole: bool = True,
    level: float | None = None,
) -> Markup:
    """A line over time; gaps stay gaps. The scale starts at 0, unless values (no unit) lie close together: then it
    shows their differences, and the area below is left blank, because it would say nothing. `whole` says that they are
    counts; a `level` to compare them with is drawn across."""
    known = [m.value for m in marks if m.value is not None]
    if not known:
        return Markup("")
    left, ground, right = 44, height - 20, width - 8
    ends = known if level is None else [*known, level]
    scale = scale_to(max(ends)) if unit and min(ends) >= 0 else scale_between(min(ends), max(ends), whole)
    first, span = marks[0].at, (marks[-1].at - marks[0].at) or timedelta(1)

    def down(value: float) -> float:
        return ground - (value - scale[0]) / (scale[-1] - scale[0]) * (ground - 10)

    places = [
        None if mark.value is None else (left + 6 + (mark.at - first) / span * (right - left - 6), down(mark.value))
        for mark in marks
    ]
    parts = _grid(scale, left, width, ground, ground - 10, unit)
    for run in _unbroken(places):
        points = _points(run)
        if len(run) > 1 and scale[0] == 0:
            parts.append(f'<polygon points="{run[0][0]:.1f},{ground} {points} {run[-1][0]:.1f},{ground}"/>')
        parts.append(f'<polyline points="{points}"/>')
    if level is not None:
        y = down(level)
        parts.append(f'<line class="level" x1="{left}" x2="{width}" y1="{y:.1f}" y2="{y:.1f}"/>')
    has_dots = len(known) <= DOTS
    shown = [(place, mark) for place, mark in zip(places, marks, strict=True) if place and (mark.kind or has_dots)]
    parts += [_point(*place, mark) for place, mark in shown]
    parts += _dates(first, marks[-1].at, left, width, height)
    return _chart(parts, width, height, label, "trend")


@dataclass(frozen=True)
class Spread:
    """The quantiles of one run, the lowest first: of five the outer ones, the inner ones, and the median."""

    at: datetime
    values: tuple[float, float, float, float, float] | None


def fan(
    spreads: Sequence[Spread], label: str, marks: Sequence[Mark] = (), width: int = 640, height: int = 190
) -> Markup:
    """Quantiles over time: a pale band between the outer ones, a darker one between the inner, a line of medians.

    `marks` are the medians; those that have a kind are drawn."""
    known = [each.values for each in spreads if each.values is not None]
    if not known:
        return Markup("")
    left, ground, right = 44, height - 20, width - 8
    scale = scale_between(min(v[0] for v in known), max(v[-1] for v in known), whole=False)
    first, span = spreads[0].at, (spreads[-1].at - spreads[0].at) or timedelta(1)

    def place(each: Spread, i: int) -> tuple[float, float] | None:
        if each.values is None:
            return None
        x = left + 6 + (each.at - first) / span * (right - left - 6)
        return x, ground - (each.values[i] - scale[0]) / (scale[-1] - scale[0]) * (ground - 10)

    lines = [_unbroken(place(each, i) for each in spreads) for i in range(5)]
    parts = _grid(scale, left, width, ground, ground - 10)
    for name, low, high in (("outer", 0, 4), ("inner", 1, 3)):
        for under, over in zip(lines[low], lines[high], strict=True):
            parts.append(f'<polygon class="{name}" points="{_points([*over, *reversed(under)])}"/>')
    parts += [f'<polyline points="{_points(run)}"/>' for run in lines[2]]
    shown = [(place(each, 2), mark) for each, mark in zip(spreads, marks, strict=bool(marks)) if mark.kind]
    parts += [_point(*at, mark) for at, mark in shown if at]
    parts += _dates(first, spreads[-1].at, left, width, height)
    return _chart(parts, width, height, label, "trend fan")


def _point(x: float, y: float, mark: Mark) -> str:
    tip = f"<title>{escape(mark.tip)}</title>"
    if not mark.kind:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5">{tip}</circle>'
    corners = _points([(x + right, y + down) for right, down in SHAPES[mark.kind]])
    return f'<path class="{mark.kind}" d="M{corners.replace(" ", "L")}z">{tip}</path>'


def _dates(first: datetime, last: datetime, left: float, width: float, height: float) -> list[str]:
    """The ends, and the middle where there are days between them."""
    write = "%-d %b %Y" if last - first > timedelta(days=300) else "%-d %b" if last - first > timedelta(2) else "%H:%M"
    marks = [("start", left, first), ("end", width, last)]
    if last - first > timedelta(days=4):
        marks.append(("mid", (left + width) / 2, first + (last - first) / 2))
    return [f'<text class="tick {name}" x="{x:.1f}" y="{height - 5}">{at:{write}}</text>' for name, x, at in marks]


def scale_between(low: float, high: float, whole: bool = True) -> list[float]:
    """Round steps over low to high, from 0 unless their distance is small against them or one is below 0."""
    if low >= 0 and (low == 0 or high - low > 0.4 * high or high - low < (0 if whole else high / 500) or high == low):
        return scale_to(high, whole)
    step = scale_to(max(high - low, abs(high)) if high == low else high - low, whole)[1]
    first = math.floor(low / step)
    return [i * step for i in range(first, max(math.ceil(high / step), first + 1) + 1)]


def scale_to(top: float, whole: bool = False) -> list[float]:
    """Three to six round steps from 0 to at least `top`."""
    if top <= 0:
        return [0, 1]
    raw = top / 4
    size = 10 ** math.floor(math.log10(raw))
    step = next(m * size for m in (1, 2, 2.5, 5, 10) if m * size >= raw)
    if whole:
        step = max(math.ceil(step), 1)
    return [i * step for i in range(math.ceil(top / step - 1e-9) + 1)]


def _grid(scale: Sequence[float], left: int, width: int, ground: float, tall: float, unit: str = "") -> list[str]:
    parts, space = [], " " if unit == "%" else ""
    for value in scale:
        y = ground - (value - scale[0]) / (scale[-1] - scale[0]) * tall
        parts.append(f'<line class="grid" x1="{left}" x2="{width}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick end" x="{left - 6}" y="{y + 3:.1f}">{compact(value)}{space}{unit}</text>')
    return parts


def _below(x: float, height: float, text: str, last: bool, width: int) -> str:
    name, at = ("end", width) if last else ("mid", x)
    return f'<text class="tick {name}" x="{at:.1f}" y="{height - 5}">{escape(text)}</text>'


def _unbroken(places: Iterable[tuple[float, float] | None]) -> list[list[tuple[float, float]]]:
    runs: list[list[tuple[float, float]]] = [[]]
    for place in places:
        if place is None:
            runs.append([])
        else:
            runs[-1].append(place)
    return [run for run in runs if run]


def _points(places: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _chart(parts: Iterable[str], width: int, height: int, label: str, name: str = "bars") -> Markup:
    inside = "".join(parts)
    return Markup(
        f'<svg class="chart {name}" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">'
        f"{inside}</svg>"
    )


def _svg(name: str, width: int, height: int, parts: Iterable[str], label: str = "") -> Markup:
    told = f'role="img" aria-label="{escape(label)}"' if label else 'aria-hidden="true"'
    tip = f"<title>{escape(label)}</title>" if label else ""
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return Markup(f'<svg class="{name}" {size} {told}>{tip}{"".join(parts)}</svg>')
