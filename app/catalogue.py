"""What the help page tells, read off the catalogues that the engine itself works by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from flask import Flask

from app import words
from app.findings import DISTANCES, POSSIBLE
from profilemesh.config.model import DriftConfig, Thresholds
from profilemesh.drift import Severity, Unit
from profilemesh.drift import measures as m
from profilemesh.planning.decisions import Action, Reason
from profilemesh.profiling.metrics import BY_NAME, CATALOGUE, EVERY, NUMBERS, ORDERED, Metric
from profilemesh.tables import Kind

KIND_NAMES = {
    EVERY: "every column",
    EVERY - {Kind.OTHER}: "every column of a known type",
    NUMBERS: "numbers",
    ORDERED: "numbers, times, texts, UUIDs",
}
KEYS = (
    ("Tab, Shift Tab", "From one thing to the next, and back; the first of each page skips to its content"),
    ("Enter", "Follows a link, presses a button, sends a form"),
    ("Space", "Ticks a box, opens a fold"),
    ("← →", "Scrolls a wide table that has the focus"),
    ("/", "Leads to the search of every page; in it ↑ and ↓ choose, Enter opens, Esc closes"),
    ("j k", "On Drift: the next finding and the one before"),
    ("x", "On Drift: chooses the finding that has the focus"),
    (
        "a s e r",
        "On Drift: acknowledges, snoozes for a week, expects or resolves what is chosen, or what has the focus",
    ),
)
"""Those that every page knows. Pages with keys of their own add them here."""
SEVERITIES = {
    Severity.LOW: "Worth knowing. It reached the first step of its ladder.",
    Severity.MEDIUM: "Worth a look today.",
    Severity.HIGH: "Worth stopping for: whatever is computed from this column is likely to be wrong.",
}
STATUSES = (
    ("ok", "ok", "The table was read, and its profile is stored."),
    ("drifted", "drift", "The same, and something drifted, however far."),
    ("failed", "failed", "It could not be read. The last good profile stands."),
    ("running", "running", "It is being read now."),
    ("stale", "other", "A status that another program stored."),
)
UNITS = {
    "rows": Unit.PERCENT,
    "arrivals": Unit.PERCENT,
    "counts": Unit.PERCENT,
    "shares": Unit.POINTS,
    "value_shares": Unit.POINTS,
    "means": Unit.DEVIATIONS,
    "deviations": Unit.PERCENT,
    "lengths": Unit.PERCENT,
    "extremes": Unit.RANGES,
    "psi": Unit.PSI,
    "jensen_shannon": Unit.JENSEN_SHANNON,
    "ks": Unit.KS,
    "chi_square": Unit.COHEN_W,
    "freshness": Unit.PAUSES,
}
MEASURES = (*m.SHARES, m.DISTINCT, m.MEAN, m.DEVIATION, m.LENGTH, *m.EXTREMES, m.ROWS, m.FRESHNESS)


@dataclass(frozen=True)
class Ladder:
    """From where on a change of these measures is low, medium and high."""

    measures: str
    unit: str
    steps: Thresholds
    meaning: str


def init_app(app: Flask) -> None:
    app.add_template_filter(is_metric)
    app.add_template_filter(metric_meaning)
    app.add_template_filter(where)


def is_metric(name: str) -> bool:
    return name in BY_NAME


def metric_meaning(name: str) -> str:
    return BY_NAME[name].meaning if name in BY_NAME else ""


def where(metric: Metric) -> str:
    """The kinds of columns that have it."""
    return KIND_NAMES.get(metric.kinds) or ", ".join(sorted(kind.value for kind in metric.kinds))


def ladders(config: DriftConfig) -> Iterable[Ladder]:
    for name, unit in UNITS.items():
        steps: Thresholds = getattr(config.thresholds, name)
        labels = [measure.label for measure in MEASURES if measure.ladder == name]
        if name == "arrivals":
            labels = ["rows that came, of a table that grows"]
        if not labels:
            labels = [f"distribution by {POSSIBLE[name]}"]
        yield Ladder(", ".join(labels), unit, steps, DISTANCES.get(unit, ""))


def actions() -> list[tuple[str, str]]:
    return [(action.value, words.ACTIONS[action.value]) for action in Action]


def reasons() -> list[Reason]:
    return list(Reason)


def metrics() -> tuple[Metric, ...]:
    return CATALOGUE
