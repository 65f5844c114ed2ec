"""What stands behind a finding, read off what is stored of it, and told in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Flask
from markupsafe import Markup

from app.formats import cut, plain
from app.numerals import DASH, change, compact, duration, exact, number, percent
from app.words import plural
from profilemesh.drift import Kind, Unit
from profilemesh.drift.measures import LABELS
from profilemesh.profiling.metrics import BY_NAME

NAME_LENGTH = 90


def init_app(app: Flask) -> None:
    told = {"sentence": sentence, "heading": heading, "metric": metric, "seen": seen, "value": value}
    app.jinja_env.filters.update({f"finding_{name}": tell for name, tell in told.items()})
    app.jinja_env.filters.update(
        effect=effect, effect_tip=effect_tip, chance=chance, baseline=baseline, severity_mark=severity_mark
    )
    app.jinja_env.globals.update(then_and_now=then_and_now)


@dataclass(frozen=True)
class Basis:
    """The rest of the engine's finding: what of it is not on record is None or empty."""

    effect: float | None = None
    unit: str | None = None
    direction: str | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    baseline: str | None = None
    baseline_runs: tuple[str, ...] = ()
    culprits: tuple[tuple[str, float], ...] = ()
    explains: tuple[Mapping[str, Any], ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def over_all(self) -> bool:
        return any(share > 1 for _, share in self.culprits)

    @property
    def moved(self) -> str | None:
        """The value whose share moved most."""
        told = self.details.get("moved")
        return str(told["value"]) if isinstance(told, Mapping) and told.get("value") is not None else None

    @classmethod
    def of(cls, stored: Any) -> Basis:
        told: Mapping[str, Any] = stored if isinstance(stored, Mapping) else {}
        return cls(
            effect=_number(told.get("effect")),
            unit=_text(told.get("unit")),
            direction=_text(told.get("direction")),
            p_value=_number(told.get("p_value")),
            p_adjusted=_number(told.get("p_adjusted")),
            baseline=_text(told.get("baseline")),
            baseline_runs=tuple(map(str, _list(told.get("baseline_runs")))),
            culprits=tuple(
                (str(each["partition"]), share)
                for each in _mappings(told.get("culprits"))
                if "partition" in each and (share := _number(each.get("share"))) is not None
            ),
            explains=tuple(_mappings(told.get("explains"))),
            details=next(iter(_mappings([told.get("details")])), {}),
        )


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in _list(value) if isinstance(each, Mapping)]


def sentence(finding: Any, length: int = 280) -> Markup:
    """As a person says it: what it is about stands out, and what is too long is in the tip."""
    text = plain(finding.sentence)
    names = [f"{finding.table_name}.{finding.column_name}", finding.column_name, finding.table_name]
    name = next((said for each in names if (said := plain(each)) and said in text), "")
    before, found, after = text.partition(name) if name else ("", "", text)
    bold = Markup("<b>{}</b>").format(cut(found, NAME_LENGTH)) if found else Markup("")
    first = before[:1].upper() + before[1:] if before else ""
    rest = after if found else after[:1].upper() + after[1:]
    # A cut text has the whole of it in its tip.
    return Markup("{}{}{}").format(first, bold, cut(rest, length) if len(rest) > length else rest)


def heading(finding: Any) -> str:
    """The same without marks, for a title."""
    text = plain(finding.sentence)
    return text if len(text) <= 120 else text[:119] + "…"


def metric(finding: Any) -> str:
    """What was measured."""
    name = str(finding.metric_name)
    if finding.kind == Kind.SCHEMA:
        return "columns"
    if name in LABELS:
        return LABELS[name]
    return BY_NAME[name].label.lower() if name in BY_NAME else name.replace("_", " ")


def value(finding: Any, measured: float | None) -> str:
    """A number of its metric."""
    name = str(finding.metric_name)
    if measured is None:
        return DASH
    if finding.kind == Kind.FRESHNESS:
        return duration(measured) if measured < 2 * 86400 else f"{number(round(measured / 86400, 1))} d"
    if name.endswith("_percent"):
        return percent(measured)
    return compact(round(measured)) if name == "row_count" or name.endswith("_count") else number(measured)


def then_and_now(finding: Any, basis: Basis) -> tuple[str, str] | None:
    """What it was and what it is, None where that is no single value."""
    known = basis.details
    if known.get("of") == "arrivals":
        usual, came = (_number(known.get(name)) for name in ("rows_usual", "rows_came"))
        return f"{compact(usual)} usual", f"{compact(came)} came"
    if finding.baseline_value is not None or finding.current_value is not None:
        return value(finding, finding.baseline_value), value(finding, finding.current_value)
    shown = known.get("shown")
    if isinstance(shown, list) and len(shown) == 2:
        return str(shown[0]), str(shown[1])
    if known.get("was") or known.get("now"):
        return str(known.get("was") or "not there"), str(known.get("now") or "gone")
    return None


def effect(basis: Basis) -> str:
    """How far it moved, short."""
    size, unit = basis.effect, basis.unit
    if size is None or unit is None:
        return ""
    if unit == Unit.PERCENT:
        return change(round(size, 1 if abs(size) < 10 else 0), " %")
    if unit == Unit.POINTS:
        return change(round(size, 2), " points")
    if unit in (Unit.DEVIATIONS, Unit.HISTORY):
        usual = " of its history" if unit == Unit.HISTORY else ""
        return change(round(size, 2), f" sd{usual}")
    if unit == Unit.RANGES:
        return f"{number(round(abs(size), 2))} × the range before"
    if unit == Unit.PAUSES:
        return f"{number(round(size, 1))} × the longest usual pause"
    if unit == Unit.ABSOLUTE:
        return change(size)
    return f"{unit} {number(round(size, 3))}"


DISTANCES = {
    Unit.PSI: "The population stability index: 0 is the same distribution, above 0.25 a large shift",
    Unit.JENSEN_SHANNON: "0 is the same distribution, 1 has no value in common",
    Unit.KS: "The largest gap between the two cumulative shares: 0 to 1",
    Unit.COHEN_W: "Of chi-square: 0.1 is small, 0.3 medium, 0.5 large",
}
POSSIBLE = {"psi": "PSI", "jensen_shannon": "Jensen-Shannon", "ks": "KS", "chi_square": "Cohen's w"}


def effect_tip(basis: Basis) -> str:
    """What the effect's measure means, and what the others say."""
    meaning = next((told for unit, told in DISTANCES.items() if unit == basis.unit), "")
    others = basis.details.get("distances")
    if isinstance(others, Mapping) and len(others) > 1:
        said = ", ".join(f"{POSSIBLE.get(str(name), name)} {number(_number(size))}" for name, size in others.items())
        meaning = f"{meaning}. Distances: {said}" if meaning else f"Distances: {said}"
    return meaning


def chance(basis: Basis) -> str:
    """Whether it may be chance, plainly."""
    p, adjusted = basis.p_value, basis.p_adjusted
    if p is None:
        return "Its size alone tells: no test of chance was needed."
    often = f"once in {compact(round(1 / p))} such comparisons" if p > 1e-9 else "less than once in a billion"
    told = f"If nothing had changed, chance alone would bring as much {often} ({_p(p)})."
    if adjusted is None:
        return told
    return f"{told} Counted among all tests of this run: {_p(adjusted)}."


def _p(p: float) -> str:
    return "p < 1e-9" if p < 1e-9 else f"p = {number(p)}"


def severity_mark(severity: Any) -> str:
    """The class of its mark: shape and colour."""
    return severity if severity in ("high", "medium") else "low"


def baseline(basis: Basis) -> str:
    """How the earlier runs were chosen."""
    count = len(basis.baseline_runs)
    runs = f"{exact(count)} {plural(count, 'run')}"
    known = {
        "last": "the run before it",
        "median": f"the median of the {runs} before it",
        "weekday": f"the last {runs} of the same weekday",
        "pinned": "the run that the rules pin",
        "reference": "the distribution that an earlier run had",
        "pauses between changes": "the pauses there usually are between changes of its data",
    }
    return known.get(basis.baseline or "", (basis.baseline or "").replace("_", " "))


def seen(finding: Any) -> str:
    count = finding.occurrences
    return f"{exact(count)} {plural(count, 'run')}"


DONE = {
    "acknowledge": "acknowledged",
    "snooze": "snoozed",
    "assign": "assigned",
    "comment": "commented",
    "expect": "expected",
    "resolve": "resolved",
    "reopen": "open again",
}
STATES = {
    "open": "Found, and not taken up yet",
    "acknowledged": "Somebody looks after it",
    "snoozed": "Quiet until a time; then it is open again",
    "expected": "It was meant to be: no alarm, and its runs are no baseline for others",
    "resolved": "It is over: by hand, or because later runs did not find it again",
}
