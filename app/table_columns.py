"""A table's columns as its page lists them: searched, sorted, cut into pages, each with what is drawn of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from app import distributions, pictures
from app.findings import severity_mark
from app.pictures import Trend
from app.queries.histories import ColumnKey
from app.queries.pages import Page
from app.queries.profiles import ColumnProfile

PAGE_SIZE = 40


@dataclass(frozen=True)
class Line:
    """`drift` is the worst severity of what is not resolved of the column, `findings` how much that is."""

    column: ColumnProfile
    picture: Markup
    trend: Trend | None = None
    drift: str | None = None
    findings: int = 0


@dataclass(frozen=True)
class Drifting:
    """By column: the worst severity of its findings that are not resolved, and their number."""

    severities: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, findings: Sequence[Any]) -> Drifting:
        severities: dict[str, str] = {}
        counts: dict[str, int] = {}
        for each in findings:
            if each.column_name:
                worst = max(
                    severities.get(each.column_name, "low"), severity_mark(each.severity), key=RANKS.__getitem__
                )
                severities[each.column_name] = worst
                counts[each.column_name] = counts.get(each.column_name, 0) + 1
        return cls(severities, counts)


RANKS = {"low": 0, "medium": 1, "high": 2}


def chosen(keys: Sequence[ColumnKey], wanted: Mapping[str, Any], drifting: Drifting) -> tuple[list[ColumnKey], Page]:
    """Those of one page, in the order that is asked for, and the page."""
    text = (wanted["q"] or "").casefold()
    matching = [key for key in keys if text in key.name.casefold()]
    matching.sort(key=_order(wanted["sort"], drifting))
    page = Page(wanted["page"], len(matching), PAGE_SIZE)
    start = (page.number - 1) * page.size
    return matching[start : start + page.size], page


def _order(sort: str, drifting: Drifting) -> Callable[[ColumnKey], Any]:
    def rank(key: ColumnKey) -> int:
        return -1 if key.name not in drifting.severities else RANKS[drifting.severities[key.name]]

    orders: dict[str, Callable[[ColumnKey], Any]] = {
        "place": lambda key: key.place,
        "name": lambda key: (key.name.casefold(), key.name),
        "nulls": lambda key: (-(-1.0 if key.null_percent is None else key.null_percent), key.place),
        "distinct": lambda key: (-(-1.0 if key.distinct_count is None else key.distinct_count), key.place),
        "drift": lambda key: (-rank(key), -drifting.counts.get(key.name, 0), key.place),
    }
    return orders[sort]


def lines(
    keys: Sequence[ColumnKey],
    now: Mapping[str, ColumnProfile],
    before: Mapping[str, ColumnProfile],
    trends: Mapping[str, Mapping[str, Sequence[float | None]]],
    drifting: Drifting,
) -> list[Line]:
    return [
        _line(
            now.get(key.name) or ColumnProfile(key.name, key.type), before.get(key.name), trends.get(key.name), drifting
        )
        for key in keys
    ]


def _line(
    column: ColumnProfile,
    before: ColumnProfile | None,
    trend: Mapping[str, Sequence[float | None]] | None,
    drifting: Drifting,
) -> Line:
    return Line(
        column=column,
        picture=distributions.thumbnail(before, column) or pictures.distribution(column),
        trend=pictures.column_trend(column, trend),
        drift=drifting.severities.get(column.name),
        findings=drifting.counts.get(column.name, 0),
    )
