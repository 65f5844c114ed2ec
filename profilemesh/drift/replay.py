"""Back-test: what given rules would have found in the runs that there were. Pure.

Each run is compared with those before it, as it was in its turn, though with what people have since said of expected
runs. Findings of one fact are joined as the storage joins them: until so many like runs in a row did not find it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache

from profilemesh.drift import Finding, Kind, Profile, Rules, compare
from profilemesh.profiling.summary import TableSummary
from profilemesh.tables import TableRef

Summaries = Callable[[str], TableSummary | None]


@dataclass(frozen=True, slots=True)
class Reach:
    """How far back a run looks, how many quiet runs end a finding, and how soon it may be back."""

    runs: int = 60
    age: timedelta = timedelta(days=90)
    quiet_runs: int = 2
    reopens_within: timedelta = timedelta(days=14)


@dataclass
class Episode:
    """One fact, from its first occurrence on. `first` is what was found then, `worst` the highest severity."""

    first: Finding
    worst: Finding
    at: list[datetime] = field(default_factory=list)
    run_ids: list[str] = field(default_factory=list)
    quiet: int = 0
    ended_at: datetime | None = None

    @property
    def is_expected(self) -> bool:
        return self.first.is_expected

    def joins(self, run: Profile, reach: Reach) -> bool:
        return self.ended_at is None or run.at - self.ended_at <= reach.reopens_within

    def add(self, finding: Finding, run: Profile) -> None:
        self.at.append(run.at)
        self.run_ids.append(run.run_id)
        self.quiet, self.ended_at = 0, None
        if finding.severity.rank > self.worst.severity.rank:
            self.worst = finding

    def passes(self, run: Profile, reach: Reach) -> None:
        """A run that did not find it again."""
        self.quiet += 1
        if self.quiet >= reach.quiet_runs and self.ended_at is None:
            self.ended_at = run.at


@dataclass(frozen=True)
class Replay:
    """What would have been found of a table, and how many runs were compared."""

    episodes: tuple[Episode, ...]
    runs: int


def replay(
    table: TableRef, profiles: Iterable[Profile], rules: Rules, since: datetime, summaries: Summaries, reach: Reach
) -> Replay:
    """What these rules would have found from `since` on. `profiles` are all runs of the table, also those before."""
    runs = sorted(profiles, key=lambda run: (run.at, run.run_id))
    known = lru_cache(maxsize=4)(summaries)
    episodes: list[Episode] = []
    compared = 0
    for place, run in enumerate(runs):
        if run.at < since:
            continue
        compared += 1
        before = _before(runs[:place], run, rules, reach)
        current = replace(run, summary=known(run.run_id))
        found = compare(table, current, before, rules, summary=known)
        _join(episodes, run, found.findings, reach, is_compared=found.runs > 0)
    return Replay(tuple(episodes), compared)


def _before(runs: Sequence[Profile], run: Profile, rules: Rules, reach: Reach) -> list[Profile]:
    pinned = {entry.pinned_run for entry in rules.entries if entry.pinned_run}
    young = [each for each in runs if each.at >= run.at - reach.age][-reach.runs :]
    return young + [each for each in runs if each.run_id in pinned and each not in young]


def _join(episodes: list[Episode], run: Profile, found: Sequence[Finding], reach: Reach, *, is_compared: bool) -> None:
    latest = {episode.first.fingerprint: episode for episode in episodes}
    for finding in found:
        episode = latest.get(finding.fingerprint)
        if episode is None or not episode.joins(run, reach):
            episode = Episode(finding, finding)
            episodes.append(episode)
        episode.add(finding, run)
    again = {each.fingerprint for finding in found for each in _all(finding)}
    for fingerprint, episode in latest.items():
        if fingerprint not in again and _could_find(episode.first, run, is_compared=is_compared):
            episode.passes(run, reach)


def _all(finding: Finding) -> Iterator[Finding]:
    yield finding
    for each in finding.explains:
        yield from _all(each)


def _could_find(finding: Finding, run: Profile, *, is_compared: bool) -> bool:
    if finding.kind is Kind.SCHEMA:
        return run.columns is not None
    return is_compared and (not finding.column or bool(run.metrics.get(finding.column)))
