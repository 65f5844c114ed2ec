"""/ for a browser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import Response, url_for
from markupsafe import Markup

from app.charts import Stack, spark, stacked
from app.extensions import db
from app.frame import open_findings
from app.numerals import DASH, change, exact, percent
from app.pages import parse, show
from app.pages.drift import lines_of
from app.queries import decisions, findings, overview, runs
from app.queries.overview import Activity, Drift, Figure, Period
from app.remembered import tagged
from app.schemas.overview import RANGES, OverviewFilter
from app.upcoming import next_tick
from app.words import plural

WORST, NEWEST = 5, 6
BESIDE, LINE = 8, 26
"""So many lines of what needs attention are as high as both charts beside them; half of the height of one more."""


@dataclass(frozen=True)
class Tile:
    """A number, how it changed (and whether that is good or bad), its course, and where it leads."""

    label: str
    value: int
    delta: str
    tone: str
    spark: Markup
    href: str
    aside: str = ""


@tagged
def index() -> Response:
    """Asked for again and again by who keeps it open: sent only if what it says has changed."""
    wanted, now = parse(OverviewFilter), datetime.now(UTC)
    session = db.session()
    choices = overview.choices(session)
    has_runs = bool(choices.types) or runs.any_run(session)
    asked = {**wanted, "environment": choices.narrowing(wanted["environment"])}
    shown = _figures(asked, now, choices.meant(wanted["warehouse"])) if has_runs else {}
    return show(
        "overview/index.html",
        part="overview/_body.html",
        has_runs=has_runs,
        wanted=wanted,
        ranges=RANGES,
        choices=choices,
        now=now,
        **shown,
    )


def _figures(wanted: dict[str, Any], now: datetime, meant: set[str] | None) -> dict[str, Any]:
    session, period = db.session(), Period(now, wanted["days"])
    activity, drift = overview.activity(session, period, wanted), overview.drift(session, period, wanted, meant)
    tables = overview.tables(session, period, wanted)
    led = findings.leading(session, meant, wanted["environment"], now, (WORST, NEWEST))
    failing, stalest = overview.failing(session, meant, wanted["environment"], now), overview.stalest(session, meant)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    tick_at = next_tick(now)
    standing = overview.standing(session, meant, tick_at or now)
    more = LINE * max(len(led.worst) + len(failing) + len(stalest) + len(standing.troubled) - BESIDE, 0)
    return {
        "tiles": [
            _tables_tile(tables, period),
            *_runs_tiles(activity, period, wanted, tables.since),
            *_drift_tile(drift, period, wanted, tables.since, meant, bool(led.newest)),
            *_spared(period, wanted, meant),
        ],
        "runs_chart": _runs_chart(activity, period, more) if activity.runs.now else "",
        "drift_chart": _drift_chart(drift, period, more) if drift.found.now else "",
        "failing": failing,
        "worst": list(lines_of(led.worst)),
        "stalest": stalest,
        "found": list(lines_of(led.newest)),
        "newest": overview.newest_runs(session, wanted),
        "decided": decisions.by_reason(session, midnight, meant),
        "tick_at": tick_at,
        "standing": standing,
    }


def _tables_tile(tables: overview.Tables, period: Period) -> Tile:
    """The tables that ever ran; how many of them are new is told where there is anything before the period."""
    new = tables.known.now - tables.known.before
    is_known = tables.since is not None and tables.since < period.steps[0]
    picture = spark(tables.known.series(period)) if is_known else Markup("")
    aside = f"· {exact(tables.active)} with runs"
    delta = change(new) if is_known else DASH
    return Tile("Tables", tables.known.now, delta, "", picture, url_for("tables.index"), aside)


def _runs_tiles(activity: Activity, period: Period, wanted: Mapping[str, Any], since: int | None) -> list[Tile]:
    kept = _kept(wanted)
    listed = url_for("runs.index", **kept, days=period.days)
    failed = url_for("runs.index", **kept, days=period.days, status="failed")
    return [
        _tile("Runs", activity.runs, period, listed, since),
        _tile("Failed", activity.failed, period, failed, since, by_count=True, more_is="bad"),
        _tile("Rows read", activity.rows, period, listed, since),
    ]


def _kept(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What the page is narrowed to, for the lists it leads to."""
    return {name: wanted[name] for name in ("warehouse", "environment") if wanted[name]}


def _drift_tile(
    drift: Drift, period: Period, wanted: Mapping[str, Any], since: int | None, meant: set[str] | None, is_known: bool
) -> list[Tile]:
    """What is open, and how much was found. Without anything ever found nobody may have looked: zero would say that
    there was none."""
    found, href = drift.found, url_for("drift.index", **_kept(wanted))
    if not (is_known or found.now or found.before):
        return []
    open_ = open_findings(meant, wanted["environment"])
    delta = _delta(found, period, since, by_count=True)
    tone = "bad" if open_.high and delta != DASH else ""
    aside = f"· {exact(found.now)} found"
    return [Tile("Open drift", open_.findings, delta, tone, _spark(found, period), href, aside)]


def _spared(period: Period, wanted: dict[str, Any], warehouses: set[str] | None) -> list[Tile]:
    """Kept by whole days of UTC and by warehouse, whatever the environment."""
    if wanted["environment"]:
        return []
    days = decisions.spared_by_day(db.session(), period.now, 2 * period.days, warehouses)
    if not any(day.decisions for day in days):
        return []
    figure = Figure(sum(day.spared for day in days[period.days :]), sum(day.spared for day in days[: period.days]))
    read = sum(day.read for day in days[period.days :])
    share = f"· {percent(100 * figure.now / (figure.now + read))} of all" if figure.now + read else ""
    picture = spark([day.spared for day in days[period.days :]])
    aside = "· today" if period.days == 1 else share
    href = url_for("plan.index", warehouse=wanted["warehouse"]) + "#savings"
    delta = _moved(figure, False) if days[0].decisions else DASH
    return [Tile("Rows spared", figure.now, delta, "", picture, href, aside)]


def _tile(
    label: str,
    figure: Figure,
    period: Period,
    href: str,
    since: int | None,
    *,
    by_count: bool = False,
    more_is: str = "",
    aside: str = "",
) -> Tile:
    delta = _delta(figure, period, since, by_count)
    difference = figure.now - figure.before if delta != DASH else 0
    tone = "" if not (more_is and difference) else "bad" if difference > 0 else "good"
    return Tile(label, figure.now, delta, tone, _spark(figure, period), href, aside)


def _spark(figure: Figure, period: Period) -> Markup:
    series = figure.series(period)
    return spark(series) if any(series) else Markup("")


def _delta(figure: Figure, period: Period, since: int | None, by_count: bool) -> str:
    """The change against the period before; a dash where what is stored does not go back through all of that."""
    if since is None or since > period.step_at(period.before):
        return DASH
    return _moved(figure, by_count)


def _moved(figure: Figure, by_count: bool) -> str:
    """A count, or a share where both periods have something."""
    if by_count or not figure.before:
        return change(figure.now - figure.before)
    share = 100 * (figure.now - figure.before) / figure.before
    return (
        f"{'+' if share > 0 else '−' if share < 0 else '±'}{percent(round(abs(share), 0 if abs(share) >= 10 else 1))}"
    )


def _runs_chart(activity: Activity, period: Period, more: int) -> Markup:
    return _chart("run", activity.outcomes, period, "by outcome", 210 + more)


def _drift_chart(drift: Drift, period: Period, more: int) -> Markup:
    """The worst on top."""
    return _chart("finding", drift.severities, period, "by severity", 150 + more)


def _chart(noun: str, figures: Mapping[str, Figure], period: Period, by: str, height: int) -> Markup:
    stacks = [
        _stack(noun, step, period, {name: figure.steps.get(step, 0) for name, figure in figures.items()})
        for step in period.steps
    ]
    told = ", ".join(f"{exact(figure.now)} {name}" for name, figure in figures.items() if figure.now)
    unit = "hour" if period.days == 1 else "day"
    return stacked(stacks, f"{plural(2, noun).capitalize()} per {unit} {by}; in all {told or 'none'}", height=height)


def _stack(noun: str, step: int, period: Period, counts: dict[str, int]) -> Stack:
    label, total = overview.label(step, period), sum(counts.values())
    told = ", ".join(f"{exact(count)} {name}" for name, count in counts.items() if count)
    tip = f"{label}: {exact(total)} {plural(total, noun)}" + (f" ({told})" if told else "")
    return Stack(label, tip, tuple(counts.items()))
