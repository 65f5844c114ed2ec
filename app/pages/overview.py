"""/ for a browser."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import Response, url_for
from markupsafe import Markup

from app.charts import Stack, spark, stacked
from app.extensions import db
from app.numerals import change, percent
from app.pages import parse, show
from app.pages.drift import lines_of
from app.queries import decisions, findings, overview, runs, warehouses
from app.queries.overview import Activity, Figure, Period
from app.schemas.overview import RANGES, OverviewFilter
from app.words import plural


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


def index() -> Response:
    wanted, now = parse(OverviewFilter), datetime.now(UTC)
    session, period = db.session(), Period(now, wanted["days"])
    activity = overview.activity(session, period, wanted)
    newest = overview.newest_runs(session, wanted)
    meant = warehouses.meant(session, wanted["warehouse"])
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return show(
        "overview/index.html",
        part="overview/_body.html",
        tiles=[*_tiles(activity, period, wanted), *_spared(period, wanted, meant)],
        chart=_chart(activity, period),
        has_activity=activity.runs.now > 0,
        failing=overview.failing(session, wanted, now),
        drifting=list(lines_of(findings.worst(session, meant, wanted["environment"], now))),
        troubled=overview.troubled(session, wanted),
        newest=newest,
        decided=decisions.by_reason(session, midnight, meant),
        has_runs=bool(newest) or runs.any_run(session),
        wanted=wanted,
        ranges=RANGES,
        choices=runs.choices(session),
        now=now,
    )


def _tiles(activity: Activity, period: Period, wanted: dict[str, Any]) -> list[Tile]:
    session = db.session()
    tables = overview.profiled_tables(session, period, wanted)
    known = 0 if wanted["environment"] else overview.known_tables(session, wanted["warehouse"])
    kept = {name: wanted[name] for name in ("warehouse", "environment") if wanted[name]}
    listed = url_for("runs.index", **kept, days=period.days)
    failed = url_for("runs.index", **kept, days=period.days, status="failed")
    # Without a single event nobody looked for drift, and zero would say that there was none.
    drift, found = [], overview.drift(session, period, wanted)
    if found.now or found.before or overview.any_drift(session):
        to_drift = url_for("drift.index", warehouse=wanted["warehouse"], days=period.days, state="all")
        drift = [_tile("Drift found", found, period, to_drift, by_count=True, more_is="bad")]
    of_known = f"· {known} known" if known else ""
    return [
        _tile("Tables profiled", tables, period, url_for("tables.index"), by_count=True, aside=of_known),
        _tile("Runs", activity.runs, period, listed),
        _tile("Failed", activity.failed, period, failed, by_count=True, more_is="bad"),
        *drift,
        _tile("Rows read", activity.rows, period, listed),
    ]


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
    aside = "today" if period.days == 1 else share
    href = url_for("plan.index", warehouse=wanted["warehouse"]) + "#savings"
    return [Tile("Rows spared", figure.now, _delta(figure, False), "", picture, href, aside)]


def _tile(
    label: str, figure: Figure, period: Period, href: str, *, by_count: bool = False, more_is: str = "", aside: str = ""
) -> Tile:
    difference = figure.now - figure.before
    tone = "" if not (more_is and difference) else "bad" if difference > 0 else "good"
    series = figure.series(period)
    picture = spark(series) if any(series) else Markup("")
    return Tile(label, figure.now, _delta(figure, by_count), tone, picture, href, aside)


def _delta(figure: Figure, by_count: bool) -> str:
    """The change against the period before: a count, or a share where both periods have something."""
    if by_count or not figure.before:
        return change(figure.now - figure.before)
    share = 100 * (figure.now - figure.before) / figure.before
    return (
        f"{'+' if share > 0 else '−' if share < 0 else '±'}{percent(round(abs(share), 0 if abs(share) >= 10 else 1))}"
    )


def _chart(activity: Activity, period: Period) -> Markup:
    series = {name: figure.steps for name, figure in activity.outcomes.items()}
    stacks = [
        _stack(step, period, {name: steps.get(step, 0) for name, steps in series.items()}) for step in period.steps
    ]
    outcomes = ", ".join(f"{figure.now} {name}" for name, figure in activity.outcomes.items() if figure.now)
    unit = "hour" if period.days == 1 else "day"
    return stacked(stacks, f"Runs per {unit} by outcome; in all {outcomes or 'none'}")


def _stack(step: int, period: Period, counts: dict[str, int]) -> Stack:
    label, total = overview.label(step, period), sum(counts.values())
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    tip = f"{label}: {total} {plural(total, 'run')}" + (f" ({told})" if told else "")
    return Stack(label, tip, tuple(counts.items()))
