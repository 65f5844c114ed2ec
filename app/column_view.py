"""What the page of a column shows: its measures over time, its values now over those of an earlier run, its past."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from markupsafe import Markup
from sqlalchemy.orm import Session

from app.distributions import Overlay, Value, overlay, values_alone, values_of
from app.figures import Course, Figure, fan_figure, figure, written_out
from app.formats import cut
from app.numerals import compact, number, percent
from app.pictures import distribution
from app.queries import histories, past
from app.queries.histories import ColumnKey, Measured, Span
from app.queries.past import Past
from app.queries.profiles import ColumnProfile
from app.schemas.columns import AGAINST
from app.table_view import signs
from profilemesh.profiling.metrics import BY_NAME, QUANTILES, Unit
from profilemesh.profiling.summary import TOP_LIMIT
from profilemesh.tables import TableRef

EVER = timedelta(days=3650)
TEXTS = ("min", "max")
FIRST = ("null_percent", "mean", "distinct_count")
UNDRAWN = frozenset({*QUANTILES, "null_count"})
"""Told by the fan, and by the null share."""
METRICS = tuple(BY_NAME)


@dataclass(frozen=True)
class TypeSpan:
    """A type that the column had in runs one after the other."""

    type: str
    since: datetime
    until: datetime
    runs: int


@dataclass(frozen=True)
class Steady:
    """A metric that had one value in all of the runs that are shown."""

    label: str
    meaning: str
    value: str


@dataclass(frozen=True)
class Bar:
    """A value with its shares, and how long their bars are against the longest of all, 0 to 100."""

    value: Value
    before: float | None
    now: float | None


@dataclass(frozen=True)
class Row:
    """The numbers of one run as they are written, in the order of the labels."""

    run: Any
    cells: tuple[str | None, ...]


@dataclass(frozen=True)
class ColumnView:
    """`now` is the column in the newest good run, None where that has no such column; `why` says what is unknown."""

    name: str
    latest: Any
    now: ColumnProfile | None
    before: ColumnProfile | None
    baseline: Any | None
    span: Span
    last_seen: Any | None
    place: int | None
    previous: ColumnKey | None
    next: ColumnKey | None
    figures: Sequence[Figure]
    fan: Figure | None
    steady: Sequence[Steady]
    overlay: Overlay
    alone: Markup
    values: Sequence[Bar]
    types: Sequence[TypeSpan]
    findings: Sequence[Any]
    courses: Mapping[str, list[float | None]]
    past: Past
    why: Sequence[str]
    labels: Sequence[str]
    rows: Sequence[Row]


def column_of(
    session: Session, table: TableRef, name: str, wanted: Mapping[str, Any], now: datetime
) -> ColumnView | None:
    """None where no run on record has such a column."""
    latest = histories.newest_of(session, table, 1).good
    if latest is None:
        return None
    keys = histories.columns_of(session, latest)
    place = next((i for i, key in enumerate(keys) if key.name == name), None)
    baseline = histories.baseline_of(session, latest, AGAINST[wanted["against"]])
    profiles = histories.profiles_in(session, [run for run in (latest, baseline) if run is not None], {name})
    current, before = (profiles.get(run.run_id, {}).get(name) if run else None for run in (latest, baseline))
    since = now - timedelta(days=wanted["days"])
    span = histories.span_of(session, table, since)
    more = current.values if current else ()
    course = histories.column_course(session, span.runs, name, more)
    if current is None and not course:
        # It may have been there long ago.
        since = now - EVER
        span = histories.span_of(session, table, since)
        course = histories.column_course(session, span.runs, name, more)
        if not course:
            return None
    found = past.past_of(session, table, since, name)
    rows = past.findings_of(session, table, name, now)
    drawn = _Drawn(span, course, found)
    return ColumnView(
        name=name,
        latest=latest,
        now=current,
        before=before,
        baseline=baseline,
        span=span,
        last_seen=next((run for run in reversed(span.runs) if run.run_id in course), None),
        place=place,
        previous=keys[place - 1] if place else None,
        next=keys[place + 1] if place is not None and place + 1 < len(keys) else None,
        figures=drawn.figures,
        fan=drawn.fan,
        steady=drawn.steady,
        overlay=(laid := overlay(before, current)),
        alone=distribution(current) if current and not laid and not current.top_values else Markup(""),
        values=_values(before, current),
        types=_types(span, course),
        findings=rows,
        courses={each.finding_id: drawn.series(each.metric_name) for each in rows},
        past=found,
        why=_why(name, latest, current, span),
        labels=[label(name) for name in drawn.listed],
        rows=drawn.rows,
    )


def _values(before: ColumnProfile | None, now: ColumnProfile | None) -> list[Bar]:
    if now is None:
        return []
    values = (values_of(before, now) if before else ()) or values_alone(now)
    top = max((share for each in values for share in (each.before, each.now) if share), default=0.0)

    def length(share: float | None) -> float | None:
        return share if share is None or not top else 100 * share / top

    return [Bar(each, length(each.before), length(each.now)) for each in values]


def _types(span: Span, course: Mapping[str, Measured]) -> list[TypeSpan]:
    """Newest first."""
    known = [(course[run.run_id].type, run.profiled_at) for run in span.runs if run.run_id in course]
    spans = []
    for type_, group in groupby(known, key=lambda pair: pair[0]):
        times = [at for _, at in group]
        spans.append(TypeSpan(type_, times[0], times[-1], len(times)))
    return spans[::-1]


def _why(name: str, latest: Any, now: ColumnProfile | None, span: Span) -> list[str]:
    """Reasons for what a reader may miss."""
    told: list[str] = []
    detail: Mapping[str, Any] = latest.scope_detail or {}
    if now is None:
        return told
    if name in (detail.get("sensitive") or ()):
        told.append(
            "The column is sensitive: only counts of it are kept, and nothing that shows a value, such as its "
            "extremes, mean, lengths, distribution or most frequent values."
        )
    error = (latest.column_errors or {}).get(name)
    if error:
        told.append(f"Not all of it could be read by the newest run: {error}")
    if latest.scope == histories.SAMPLE:
        told.append("The newest run read a sample: minimum, maximum and distinct count are the sample's.")
    if not told and not now.top_values and (now.number("distinct_count") or 0) > TOP_LIMIT:
        told.append("Its values are not listed one by one: there are more than the 1,000 different ones that are kept.")
    incomplete = sum(name in (run.column_errors or {}) for run in span.runs)
    if incomplete and not error:
        told.append(f"In {incomplete} of the runs that are shown not all of the column could be read.")
    return told


class _Drawn:
    """The measures of a column over the runs of a span."""

    def __init__(self, span: Span, course: Mapping[str, Measured], found: Past) -> None:
        self.runs = span.runs
        self.course = [course.get(run.run_id) for run in span.runs]
        self.times = [run.profiled_at for run in span.runs]
        self.found = found.drift
        known = {name for each in self.course if each for name, value in each.values.items() if value is not None}
        texts = {name for each in self.course if each for name in TEXTS if name not in known and each.texts.get(name)}
        order = [*METRICS, *sorted(known - set(METRICS))]
        self.known = [name for name in order if name in known]
        self.listed = [name for name in order if name in known or name in texts]
        drawn = [name for name in self.known if name not in UNDRAWN]
        drawn.sort(key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))
        self.moving = [name for name in drawn if len(set(self._present(name))) > 1]
        self.still = [name for name in drawn if name not in self.moving]

    def series(self, name: str) -> list[float | None]:
        return [each.values.get(name) if each else None for each in self.course]

    def _present(self, name: str) -> list[float]:
        return [value for value in self.series(name) if value is not None]

    @property
    def figures(self) -> list[Figure]:
        found = (figure(self._course(name), small=True) for name in self.moving)
        return [each for each in found if each is not None]

    @property
    def fan(self) -> Figure | None:
        if not set(QUANTILES) <= set(self.known):
            return None
        return fan_figure(self._course("median"), list(QUANTILES), [self.series(name) for name in QUANTILES])

    @property
    def steady(self) -> list[Steady]:
        return [Steady(label(name), meaning(name), _write(name)(self._present(name)[-1])) for name in self.still]

    @property
    def rows(self) -> list[Row]:
        """Newest first, without runs that had no such column."""
        pairs = [(run, each) for run, each in zip(self.runs, self.course, strict=True) if each is not None]
        return [Row(run, tuple(_cell(each, name) for name in self.listed)) for run, each in reversed(pairs)]

    def _course(self, name: str) -> Course:
        is_share = name.endswith("_percent")
        return Course(
            title=label(name),
            meaning=meaning(name),
            times=self.times,
            values=self.series(name),
            write=_write(name),
            unit="%" if is_share else "",
            whole=name.endswith("_count") or name == "count",
            signs=signs(self.runs, [each for each in self.found if _is_about(each.metric, name)]),
        )


def _is_about(found: str, shown: str) -> bool:
    """A distribution that moved is marked on the median's fan."""
    return found == shown or (found == "distribution" and shown == "median")


def _cell(measured: Measured, name: str) -> str | None:
    value = measured.values.get(name)
    if value is not None:
        return written_out(value)
    text = measured.texts.get(name) if name in TEXTS else None
    return None if text is None else cut(text, 26)


def _write(name: str) -> Any:
    if name.endswith("_percent"):
        return percent
    return compact if BY_NAME.get(name) and BY_NAME[name].unit in (Unit.ROWS, Unit.VALUES) else number


def label(name: str) -> str:
    return BY_NAME[name].label if name in BY_NAME else cut(name.replace("_", " "), 40).striptags()


def meaning(name: str) -> str:
    return BY_NAME[name].meaning if name in BY_NAME else ""
