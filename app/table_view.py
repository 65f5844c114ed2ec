"""What the page of a table shows: its course over the days that are asked for, and its columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from app.figures import Course, Figure, Sign, figure
from app.findings import severity_mark
from app.numerals import compact, percent
from app.queries import findings, histories, past
from app.queries.histories import MOST_VALUES, ColumnKey, Newest, Span, Trends
from app.queries.pages import Page
from app.queries.past import Found, Past
from app.queries.profiles import ColumnProfile
from app.schemas.columns import AGAINST
from app.table_columns import RANKS, Drifting, Line, chosen, lines
from profilemesh.profiling.metrics import BY_NAME
from profilemesh.tables import TableRef

SPARKS = 30
"""So many points a sparkline has at most."""
FEWEST_AVERAGED = 24
MOST_DRIFTED = 200
LISTED_RUNS = 15
NAMED = 3


@dataclass(frozen=True)
class Number:
    """One run among the numbers behind the charts."""

    run: Any
    null_percent: float | None
    found: str


@dataclass(frozen=True)
class History:
    """`keys` are all columns of the newest good run, `lines` those of the page that is shown."""

    newest: Newest
    span: Span
    past: Past
    drifted: Sequence[Any]
    drift_count: int
    drifting: Drifting
    keys: Sequence[ColumnKey]
    page: Page
    lines: Sequence[Line]
    baseline: Any | None
    trends: Trends
    sparks: Sequence[Any]
    rows: Figure | None
    nulls: Figure | None
    numbers: Sequence[Number]


def history_of(session: Session, table: TableRef, wanted: Mapping[str, Any], now: datetime) -> History:
    since = now - timedelta(days=wanted["days"])
    newest = histories.newest_of(session, table, LISTED_RUNS)
    span = histories.span_of(session, table, since)
    drifted, count = findings.of_table(session, table, now, MOST_DRIFTED)
    drifting = Drifting.of(drifted)
    keys = histories.columns_of(session, newest.good) if newest.good else []
    shown, page = chosen(keys, wanted, drifting)
    sparks = span.every(SPARKS)
    averaged = span.every(max(MOST_VALUES // max(len(keys), 1), FEWEST_AVERAGED))
    # The findings above the charts are drawn small as well.
    names = {key.name for key in shown} | {each.column_name for each in drifted[:8] if each.column_name}
    trends = histories.trends_of(session, sparks, names, averaged)
    baseline = histories.baseline_of(session, newest.good, AGAINST[wanted["against"]]) if newest.good else None
    now_and_then = [run for run in (newest.good, baseline) if run is not None]
    profiles = histories.profiles_in(session, now_and_then, {key.name for key in shown}, BY_NAME)
    found = past.past_of(session, table, since)
    return History(
        newest=newest,
        span=span,
        past=found,
        drifted=drifted[:8],
        drift_count=count,
        drifting=drifting,
        keys=keys,
        page=page,
        lines=lines(shown, *_pair(profiles, newest.good, baseline), trends.columns, drifting),
        baseline=baseline,
        trends=trends,
        sparks=sparks,
        rows=_rows_figure(span, found.drift),
        nulls=_nulls_figure(averaged, trends.null_shares, found.drift),
        numbers=_numbers(span, trends.null_shares, found.drift),
    )


Profiles = Mapping[str, ColumnProfile]


def _pair(profiles: Mapping[str, Profiles], now: Any | None, before: Any | None) -> tuple[Profiles, Profiles]:
    of_now, of_before = (profiles.get(run.run_id, {}) if run is not None else {} for run in (now, before))
    return of_now, of_before


def _rows_figure(span: Span, found: Sequence[Found]) -> Figure | None:
    course = Course(
        title="Row count",
        times=[run.profiled_at for run in span.runs],
        values=[run.row_count for run in span.runs],
        write=compact,
        whole=True,
        signs=signs(span.runs, found),
    )
    return figure(course)


def _nulls_figure(runs: Sequence[Any], shares: Mapping[str, float], found: Sequence[Found]) -> Figure | None:
    course = Course(
        title="Null share, mean of all columns,",
        times=[run.profiled_at for run in runs],
        values=[shares.get(run.run_id) for run in runs],
        write=percent,
        unit="%",
        signs=signs(runs, [each for each in found if each.metric == "null_percent"]),
    )
    return figure(course)


def signs(runs: Sequence[Any], found: Sequence[Found]) -> dict[int, Sign]:
    """Where in these runs something was found: the worst severity, and what it is about."""
    by_run = _by_run(found)
    return {
        i: Sign(
            max((severity_mark(each.severity) for each in by_run[run.run_id]), key=RANKS.__getitem__),
            f"drift: {words}",
        )
        for i, run in enumerate(runs)
        if (words := _words(by_run.get(run.run_id, ())))
    }


def _by_run(found: Iterable[Found]) -> dict[str, list[Found]]:
    by_run: dict[str, list[Found]] = {}
    for each in found:
        if each.run_id:
            by_run.setdefault(each.run_id, []).append(each)
    return by_run


def _words(found: Sequence[Found]) -> str:
    """What drifted, in a few words."""
    names = list(dict.fromkeys(f"{each.column[:40]} {each.metric}".strip().replace("_", " ") for each in found))
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _numbers(span: Span, shares: Mapping[str, float], found: Sequence[Found]) -> list[Number]:
    """Newest first."""
    by_run = _by_run(found)
    return [Number(run, shares.get(run.run_id), _words(by_run.get(run.run_id, ()))) for run in reversed(span.runs)]


@dataclass(frozen=True)
class Version:
    """The changes with which a table's columns became what they then were."""

    at: datetime
    run_id: str | None
    changes: tuple[Found, ...]


def versions(changes: Sequence[Found]) -> list[Version]:
    """Newest first; what one run found belongs together."""
    by_run: dict[tuple[str | None, datetime], list[Found]] = {}
    for each in changes:
        by_run.setdefault((each.run_id, each.at), []).append(each)
    return [Version(at, run_id, tuple(found)) for (run_id, at), found in by_run.items()]
