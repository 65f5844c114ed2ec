"""What rules would have found over the stored history, against what was found and how people took it. Only reads.

Pauses in the data are not replayed: when a table was looked at without being read is not kept run by run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from profilemesh.config.model import DriftConfig
from profilemesh.drift import Profile, rules_for
from profilemesh.drift.replay import Episode, Reach, replay
from profilemesh.profiling.summary import TableSummary
from profilemesh.storage import Storage, profiles, states, summaries, verdicts
from profilemesh.storage.findings import QUIET_RUNS, REOPENS_WITHIN
from profilemesh.storage.profiles import MOST_AGE, MOST_RUNS, Wanted
from profilemesh.storage.verdicts import VERDICTS, Taken
from profilemesh.tables import TableRef

REACH = Reach(MOST_RUNS, MOST_AGE, QUIET_RUNS, REOPENS_WITHIN)
_ALL_RUNS = 1_000_000


@dataclass(frozen=True)
class Matched:
    """A finding of the replay beside the stored one that shares a run with it; one of the two may be missing."""

    episode: Episode | None
    stored: Taken | None


@dataclass(frozen=True)
class Backtest:
    since: datetime
    until: datetime
    tables: int
    runs: int
    matched: tuple[Matched, ...]

    @property
    def found(self) -> list[Matched]:
        return [each for each in self.matched if each.episode is not None]

    @property
    def missed(self) -> list[Matched]:
        """What was found and would not have been."""
        return [each for each in self.matched if each.episode is None]

    def verdicts(self) -> dict[str, dict[str, int]]:
        """Of what was found, by how people took it: how much these rules find and how much they do not."""
        counts = {side: Counter(each.stored.verdict for each in some if each.stored) for side, some in self._sides()}
        return {name: {side: counts[side][name] for side in counts} for name in VERDICTS}

    def _sides(self) -> Iterator[tuple[str, list[Matched]]]:
        yield "found", self.found
        yield "not_found", self.missed


def backtest(
    storage: Storage, rules: DriftConfig, since: datetime, until: datetime, tables: Sequence[TableRef] | None = None
) -> Backtest:
    """Replay these tables, or all that have runs, one after the other."""
    with storage.read() as session:
        wanted = sorted(states.latest_states(session)) if tables is None else list(tables)
    matched: list[Matched] = []
    runs = 0
    for table in wanted:
        of_table, compared = _of_table(storage, table, rules, since, until)
        matched += of_table
        runs += compared
    return Backtest(since, until, len(wanted), runs, tuple(sorted(matched, key=_when)))


def _when(matched: Matched) -> tuple[datetime, str]:
    if matched.episode is not None:
        return matched.episode.at[0], str(matched.episode.first.table)
    assert matched.stored is not None
    return matched.stored.opened_at, str(matched.stored.table)


def _of_table(
    storage: Storage, table: TableRef, config: DriftConfig, since: datetime, until: datetime
) -> tuple[list[Matched], int]:
    rules = rules_for(config, table)
    pinned = frozenset(entry.pinned_run for entry in rules.entries if entry.pinned_run)
    with storage.read() as session:
        known = profiles.history(session, Wanted(table, until, pinned, _ALL_RUNS, until - since + MOST_AGE))
        stored = verdicts.taken(session, table, since, until)

    def summary(run_id: str) -> TableSummary | None:
        with storage.read() as session:
            payload = summaries.whole(session, run_id)
        return TableSummary.from_bytes(payload) if payload else None

    done = replay(table, known, rules, since, summary, REACH)
    return list(_matched(done.episodes, stored, known)), done.runs


def _matched(episodes: Sequence[Episode], stored: Sequence[Taken], known: Iterable[Profile]) -> Iterator[Matched]:
    """By fact, and by at least one run in common."""
    left = {each.finding_id: each for each in stored}
    replayed = {each.run_id for each in known}
    for episode in episodes:
        same = next(
            (
                each
                for each in left.values()
                if each.fingerprint == episode.first.fingerprint and each.run_ids & set(episode.run_ids)
            ),
            None,
        )
        if same is not None:
            del left[same.finding_id]
        yield Matched(episode, same)
    # What is attached to no run that is still known, or tells of a pause, cannot be found again.
    yield from (Matched(None, each) for each in left.values() if each.kind != "freshness" and each.run_ids & replayed)


def as_json(done: Backtest, rules: str | None) -> dict[str, Any]:
    new = [each for each in done.found if each.stored is None]
    return {
        "since": done.since,
        "until": done.until,
        "rules": rules,
        "tables": done.tables,
        "runs": done.runs,
        "summary": {
            "found": len(done.found),
            "new": len(new),
            "not_found": len(done.missed),
            "expected": sum(each.episode.is_expected for each in done.found if each.episode),
            "by_verdict": done.verdicts(),
        },
        "findings": [_found_json(each.episode, each.stored) for each in done.found if each.episode],
        "not_found": [_taken_json(each.stored) for each in done.missed if each.stored],
    }


def _found_json(episode: Episode, stored: Taken | None) -> dict[str, Any]:
    finding = episode.first
    return _place(finding.table, finding.column, finding.metric) | {
        "kind": finding.kind.value,
        "severity": episode.worst.severity.value,
        "sentence": finding.sentence,
        "opened_at": episode.at[0],
        "last_seen_at": episode.at[-1],
        "occurrences": len(episode.at),
        "run_ids": episode.run_ids,
        "is_expected": episode.is_expected,
        "stored": stored and {"finding_id": stored.finding_id, "state": stored.state, "verdict": stored.verdict},
    }


def _taken_json(stored: Taken) -> dict[str, Any]:
    return _place(stored.table, stored.column, stored.metric) | {
        "kind": stored.kind,
        "severity": stored.severity,
        "sentence": stored.sentence,
        "opened_at": stored.opened_at,
        "finding_id": stored.finding_id,
        "state": stored.state,
        "verdict": stored.verdict,
    }


def _place(table: TableRef, column: str, metric: str) -> dict[str, Any]:
    names = {"warehouse": table.warehouse, "schema": table.schema, "table": table.name}
    return names | {"column": column or None, "metric": metric}
