"""Which earlier runs a run is compared with: strictly before it, of like scope, good, and not expected to be odd."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from profilemesh.drift.numbers import Series
from profilemesh.drift.profiles import Profile
from profilemesh.drift.rules import Rules, Setting

FEW = 5
"""Below so many earlier values the last one alone is the baseline."""
WEEKDAYS = 6
"""So many runs of the same weekday are looked at."""
LEAST_WEEKDAYS = 3
WEEKLY_DAYS = 21
"""A weekly pattern shows after three weeks."""
WEEKLY = 0.5
"""Values spread about their weekday's median at most so much of what they spread about that of all: a pattern."""
SIGMAS = 3.0
HABIT = 0.5
"""What is nearer than this to its weekday's median, as a share of the distance from the centre, is that day's habit."""
SCALE = 1.4826
"""From the median absolute deviation to the standard deviation of a bell curve."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """`values` are those of `runs`, oldest first; `weekday` is what this weekday's last runs had where another strategy
    was chosen. `spread` is how far values usually are from what is expected of them, as `seen` of them show."""

    strategy: str
    runs: tuple[Profile, ...]
    values: tuple[float, ...]
    weekday: tuple[float, ...] = ()
    spread: float = 0.0
    seen: int = 0

    @property
    def centre(self) -> float:
        return median(self.values)

    @property
    def run_ids(self) -> tuple[str, ...]:
        return tuple(run.run_id for run in self.runs)

    def allows(self, value: float) -> bool:
        """Whether the metric is used to be as far from its centre as this; of one or two values nothing is known.

        The usual spread is robust: a single odd run does not widen it. Of few runs it is known badly, so that more is
        allowed. Before a week's pattern can be told from chance it is enough that this weekday was as odd before."""
        off = abs(value - self.centre)
        if self.weekday and abs(value - median(self.weekday)) <= HABIT * off:
            return True
        if self.seen < LEAST_WEEKDAYS:
            return False
        reach = SIGMAS * (1.0 + FEW / self.seen) * self.spread
        return off <= reach and reach > 0


def spread(values: Sequence[float]) -> float:
    """A robust standard deviation, from the median absolute deviation: 0 where over half of the values are equal."""
    centre = median(values)
    return SCALE * median(abs(value - centre) for value in values)


@dataclass(frozen=True, slots=True)
class Past:
    """A table's runs that the current one may be compared with, oldest first."""

    runs: tuple[Profile, ...]
    weekdays: tuple[int, ...]
    weekday: int
    days: float
    series: Series

    @classmethod
    def of(cls, current: Profile, history: Iterable[Profile], rules: Rules) -> Past:
        runs = tuple(sorted(_comparable(current, history, rules), key=lambda run: (run.at, run.run_id)))
        days = (current.at - runs[0].at).total_seconds() / 86400 if runs else 0.0
        weekdays, series = tuple(run.at.weekday() for run in runs), Series([run.metrics for run in runs])
        return cls(runs, weekdays, current.at.weekday(), days, series)

    def baseline(self, setting: Setting, values: Sequence[float | None]) -> Baseline | None:
        """The baseline of a metric with these values, one per run; None where there is none."""
        known = [place for place, value in enumerate(values) if value is not None]
        same = [place for place in known if self.weekdays[place] == self.weekday]
        strategy, places = self._chosen(setting, known, same, values)
        if not places:
            return None
        runs, kept = tuple(self.runs[place] for place in places), _at(values, places)
        if strategy == "weekday":
            residuals = _residuals(self._by_weekday(known, values).values())
            return Baseline(strategy, runs, kept, (), SCALE * median(residuals or [0.0]), len(residuals))
        weekday = _at(values, same[-WEEKDAYS:]) if strategy == "median" else ()
        return Baseline(strategy, runs, kept, weekday, spread(kept), len(kept))

    def _chosen(
        self, setting: Setting, known: list[int], same: list[int], values: Sequence[float | None]
    ) -> tuple[str, list[int]]:
        if setting.pinned_run is not None:
            return "pinned", [place for place in known if self.runs[place].run_id == setting.pinned_run][-1:]
        strategy: str = setting.baseline
        if strategy == "auto":
            strategy = self._suited(known, same, values)
        if strategy == "weekday":
            return strategy, same[-WEEKDAYS:]
        return strategy, known[-1:] if strategy == "last" else known[-setting.window :]

    def _suited(self, known: list[int], same: list[int], values: Sequence[float | None]) -> str:
        if len(known) < FEW:
            return "last"
        is_long = self.days >= WEEKLY_DAYS and len(same) >= LEAST_WEEKDAYS
        return "weekday" if is_long and self._is_weekly(known, values) else "median"

    def _by_weekday(self, known: list[int], values: Sequence[float | None]) -> dict[int, list[float]]:
        groups: dict[int, list[float]] = {}
        for place in known:
            value = values[place]
            if value is not None:
                groups.setdefault(self.weekdays[place], []).append(value)
        return groups

    def _is_weekly(self, known: list[int], values: Sequence[float | None]) -> bool:
        groups = self._by_weekday(known, values)
        every = [value for group in groups.values() for value in group]
        around_all = _distance(every)
        if around_all == 0:
            return False
        around_own = sum(_distance(group) * len(group) for group in groups.values()) / len(every)
        return around_own <= WEEKLY * around_all


def _at(values: Sequence[float | None], places: Sequence[int]) -> tuple[float, ...]:
    return tuple(value for place in places if (value := values[place]) is not None)


def _residuals(groups: Iterable[list[float]]) -> list[float]:
    """The distances from each group's median, without the one of each group that is 0 by necessity."""
    found: list[float] = []
    for group in groups:
        centre = median(group)
        found += sorted(abs(value - centre) for value in group)[1:]
    return found


def _distance(values: list[float]) -> float:
    """The mean distance from the median."""
    centre = median(values)
    return sum(abs(value - centre) for value in values) / len(values)


def _comparable(current: Profile, history: Iterable[Profile], rules: Rules) -> Iterable[Profile]:
    for run in history:
        if run.run_id == current.run_id or run.at >= current.at or not run.is_like(current):
            continue
        if not run.is_expected and rules.expects(run.at) is None:
            yield run
