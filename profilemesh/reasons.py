"""Decisions in words: why, with what the evidence adds, and what came of all of them together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from profilemesh.planning import Action, Decision, Plan, Reason
from profilemesh.planning.decisions import was_hashed
from profilemesh.tables import TableRef

if TYPE_CHECKING:
    from profilemesh.runner import Report

MEANINGS = {reason.value: reason.meaning for reason in Reason}
LEFT_OPEN = {
    Reason.FRESH_WITHIN_INTERVAL: "not due",
    Reason.PROBE_MATCH: "unchanged by a probe",
    Reason.SAMPLE_MATCH: "sampled, too dear to read",
    Reason.PAUSED: "paused",
    Reason.OUTSIDE_WINDOW: "outside the window",
    Reason.VANISHED: "gone",
    Reason.COST_CAP: "over a limit",
    Reason.BUDGET_SPENT: "over the tick's budget",
    Reason.WAREHOUSE_BUSY: "locked by a writer",
    Reason.WAREHOUSE_UNREACHABLE: "out of reach",
}
"""What is neither read nor proved unchanged, in the order in which it is told."""


def why(reason: str | None, evidence: Mapping[str, Any] | None) -> str:
    """The reason's meaning, and what the evidence adds for people."""
    said = MEANINGS.get(reason or "", reason or "")
    added = "; ".join(_additions(reason, evidence or {}))
    return f"{said}{'; ' if ':' in said else ': '}{added}" if added else said


def _additions(reason: str | None, evidence: Mapping[str, Any]) -> Iterator[str]:
    if evidence.get("because") and evidence["because"] != reason:
        yield MEANINGS.get(evidence["because"], str(evidence["because"]))
    for name in ("doubt", "message", "window"):
        if evidence.get(name):
            yield str(evidence[name])
    if evidence.get("by"):
        since = f" since {_moment(evidence['since'])}" if evidence.get("since") else ""
        yield f"by {evidence['by']}{since}"
    yield from _changes(reason, evidence)
    if reason == Reason.FRESH_WITHIN_INTERVAL:
        yield f"due {_moment(evidence['due_at'])}, its data {evidence['data']}"
    if reason in (Reason.PROBE_MATCH, Reason.TTL_EXPIRED):
        yield f"trusted until {_moment(evidence['trusted_until'])}"
    yield from _limits(evidence)


def _changes(reason: str | None, evidence: Mapping[str, Any]) -> Iterator[str]:
    """Partitions or columns: both are added, the first changed or dropped, the second removed or retyped."""
    names = {"added": "new"} | {name: name for name in ("changed", "dropped", "removed", "retyped")}
    found = [(_count(evidence[name]), word) for name, word in names.items() if evidence.get(name)]
    if found:
        unit = {"schema_changed": "column", "partitions_changed": ""}.get(reason or "", "partition")
        (first, word), *others = found
        told = f"{first} {unit}{'s' if unit and first > 1 else ''}{' ' if unit else ''}{word}"
        yield ", ".join([told, *(f"{count} {word}" for count, word in others)])
    if evidence.get("reordered"):
        yield f"in another order from column {evidence['reordered'][0]} on"
    if evidence.get("closed"):
        yield f"{_count(evidence['closed'])} of them are merged into the rest"
    if evidence.get("limit"):
        yield f"more than {evidence['limit']}"
    if isinstance(evidence.get("partitions"), str):
        yield f"its partitions: {evidence['partitions']}"


def _count(names: Any) -> int:
    """Long lists of evidence end with `and 12 more`."""
    last = names[-1] if isinstance(names, list) and names else ""
    if isinstance(last, str) and last.startswith("and ") and last.endswith(" more"):
        return len(names) - 1 + int(last.split()[1])
    return len(names)


def _limits(evidence: Mapping[str, Any]) -> Iterator[str]:
    for unit in ("rows", "bytes"):
        size, most = evidence.get(f"{unit}_estimated"), evidence.get(f"max_{unit}")
        left = evidence.get(f"budget_{unit}_left")
        if size is not None and most is not None and size > most:
            yield f"{size:,} {unit}, at most {most:,}"
        elif size is not None and left is not None and size > left:
            yield f"{size:,} {unit}, {left:,} left of the tick's"
    if evidence.get("fraction"):
        yield f"{100 * evidence['fraction']:.2g} % of it"
    for name in ("over", "sample"):
        if isinstance(evidence.get(name), str):
            yield f"over {evidence[name]}" if name == "over" else evidence[name]


def _moment(text: str) -> str:
    moment = datetime.fromisoformat(text).astimezone(UTC)
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def tables(count: int) -> str:
    return "1 table" if count == 1 else f"{count:,} tables"


def left_alone(decisions: Iterable[Decision]) -> list[str]:
    """How many are proved unchanged, and how many are left open, and why."""
    resting = [decision for decision in decisions if not decision.action.reads]
    reasons = Counter(decision.reason for decision in resting)
    proved = reasons.pop(Reason.SNAPSHOT_MATCH, 0)
    parts = [f"{tables(proved)} proved unchanged"] if proved else []
    if reasons:
        order = [*LEFT_OPEN, *sorted(reasons.keys() - LEFT_OPEN.keys())]
        open_ = ", ".join(f"{reasons[r]:,} {LEFT_OPEN.get(r, r.meaning)}" for r in order if reasons[r])
        parts.append(f"{tables(sum(reasons.values()))} left open ({open_})")
    return parts


def told(made: Plan) -> str:
    """The plan in one sentence."""
    if not made.decisions and made.troubles:
        return "Nothing can be done until a warehouse answers."
    if not made.decisions:
        return "No table is selected: see profiling.tables in the configuration."
    counts = Counter(decision.action for decision in made.decisions)
    words = {Action.FULL: "to read", Action.PARTIAL: "to read in part", Action.SAMPLE: "to sample"}
    reads = [f"{tables(counts[action])} {word}" for action, word in words.items() if counts[action]]
    rest = left_alone(made.decisions)
    return f"{', '.join(reads)}{_expected(made)}{'; ' if rest else ''}{'; '.join(rest)}." if reads else _nothing(rest)


def _nothing(rest: list[str]) -> str:
    return f"Nothing to do: {'; '.join(rest)}."


def _expected(made: Plan) -> str:
    costs = [decision.cost for decision in made.to_read]
    rows = sum(cost.rows or 0 for cost in costs)
    unknown = sum(cost.rows is None for cost in costs)
    if not rows:
        return ""
    return f" (about {rows:,} rows{f', and {tables(unknown)} of unknown size' if unknown else ''})"


@dataclass(frozen=True)
class Rows:
    """What a plan read, and what it spared against a full scan of every table: counted by a profile of that very
    snapshot (measured) or guessed (estimated). `unpriced` tables have a full scan that nobody can price."""

    read: int
    spared_measured: int
    spared_estimated: int
    unpriced: int

    @property
    def spared(self) -> int:
        return self.spared_measured + self.spared_estimated

    @classmethod
    def of(cls, report: Report) -> Rows:
        read = {outcome.table: outcome.rows_read or 0 for outcome in report.outcomes}
        good = {outcome.table for outcome in report.outcomes if outcome.status == "success"}
        spared: Counter[bool] = Counter()
        unpriced = 0
        for decision in report.plan.decisions:
            if not _spares(decision, good):
                continue
            unpriced += decision.naive.rows is None
            spared[decision.naive.is_measured] += max(0, (decision.naive.rows or 0) - read.get(decision.table, 0))
        return cls(sum(read.values()), spared[True], spared[False], unpriced)

    def __str__(self) -> str:
        said = f"{self.read:,} rows read"
        if self.spared:
            pairs = ((self.spared_measured, "measured"), (self.spared_estimated, "estimated"))
            kinds = ", ".join(f"{count:,} {kind}" for count, kind in pairs if count)
            said += f" where full scans read {self.read + self.spared:,} (spared: {kinds})"
        return said


def _spares(decision: Decision, good: set[TableRef]) -> bool:
    """A deferral only puts off, a failure or a checksum spares nothing, a full scan is what it is compared with."""
    if was_hashed(decision.evidence):
        return False
    if decision.action is Action.SKIP:
        return decision.reason is not Reason.VANISHED
    return decision.action in (Action.PARTIAL, Action.SAMPLE) and decision.table in good
