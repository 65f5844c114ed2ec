"""Drift: `compare(table, current, history, rules) -> Comparison`. Pure: equal inputs give equal findings.

In order: the runs that the current one may be compared with are chosen; its columns are compared with those of the last
run; every measure of every column is tried against its baseline; what holds among all trials of the table becomes
findings; what follows from another finding is folded into it. Nothing of another table is ever looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from profilemesh.drift import phase1
from profilemesh.drift.baselines import Past
from profilemesh.drift.columns import Change, changes
from profilemesh.drift.culprits import culprits
from profilemesh.drift.findings import Culprit, Finding, Kind, Severity, Unit
from profilemesh.drift.folding import folded
from profilemesh.drift.freshness import freshness
from profilemesh.drift.measures import ROWS
from profilemesh.drift.moves import Move, furthest, move_of, of_two, row_move, unbounded
from profilemesh.drift.pairs import Pair, Trial, names_things
from profilemesh.drift.profiles import GOOD, Profile, profile_of
from profilemesh.drift.references import reference
from profilemesh.drift.rules import Rules, rules_for
from profilemesh.drift.sentences import sentence
from profilemesh.drift.severity import change_percent
from profilemesh.drift.trials import trials
from profilemesh.drift.verdicts import Verdict, verdicts
from profilemesh.drift.volume import volume
from profilemesh.profiling.summary import ColumnSummary, TableSummary
from profilemesh.tables import Kind as ColumnKind
from profilemesh.tables import TableRef

__all__ = [
    "Comparison",
    "Culprit",
    "Finding",
    "Kind",
    "Move",
    "Profile",
    "Rules",
    "Severity",
    "Unit",
    "compare",
    "freshness",
    "moves",
    "profile_of",
    "reference_run",
    "rules_for",
    "told_of_two",
]

Load = Callable[[str], TableSummary | None]
"""The summary of a run, by its id."""
_NO_PARTS: Mapping[str, TableSummary] = {}


@dataclass(frozen=True)
class Comparison:
    """What a run was compared with and what was found. `trials` is the number of measures tried, `reference` the id of
    the run whose distributions were compared with, `runs` how many runs there were to choose baselines from."""

    findings: tuple[Finding, ...] = ()
    trials: int = 0
    reference: str | None = None
    runs: int = 0


def reference_run(current: Profile, history: Iterable[Profile], rules: Rules) -> str | None:
    """The id of the run whose summary `compare` needs for distributions; of all others it needs numbers only."""
    found = reference(Past.of(current, history, rules), rules)
    return found.run_id if found else None


def compare(
    table: TableRef,
    current: Profile,
    history: Iterable[Profile],
    rules: Rules,
    *,
    summary: TableSummary | Load | None = None,
    parts: Mapping[str, TableSummary] = _NO_PARTS,
    parts_before: Mapping[str, TableSummary] = _NO_PARTS,
) -> Comparison:
    """What changed in `current` against the runs before it.

    `history` may hold any runs of the table: later, failed, unlike and expected ones are left out. `summary` is that of
    the `reference_run`, or gives it, where the profiles do not bring their own. `parts` are summaries of the current
    partitions by name, `parts_before` the reference's, each of them all there are: with them the findings name the
    partitions at fault. A failed run is compared with nothing, one without any run of like scope by its columns alone.
    """
    runs = tuple(history)
    if current.status not in GOOD:
        return Comparison()
    past = Past.of(current, runs, rules)
    known = reference(past, rules)
    given = summary(known.run_id) if callable(summary) and known else summary
    before = (None if callable(given) else given) or (known.summary if known else None)
    tried = list(_trials(current, past, rules, known, before))
    held = _one_per_metric(verdicts(tried, rules.false_discovery_rate))
    found = [_finding(table, verdict, culprits(verdict.trial, parts, parts_before, before)) for verdict in held]
    found = folded(found, before, current.summary) + _schema(table, current, runs, rules, before)
    is_expected = current.is_expected or rules.expects(current.at) is not None
    marked = tuple(_expected(finding) for finding in found) if is_expected else tuple(found)
    return Comparison(marked, len(tried), known.run_id if known else None, len(past.runs))


def moves(before: Profile, current: Profile, rules: Rules) -> tuple[Move, ...]:
    """How far every measure moved between two runs of a table, however little, the most steps of its ladder first.

    Empty where the two are not of like scope, or `current` is not the later one. Their summaries are needed for
    distributions and days only.
    """
    bare, known = unbounded(rules), replace(before, is_expected=False)
    past = Past.of(current, (known,), bare)
    if not past.runs:
        return ()
    tried = _trials(current, past, bare, known, known.summary)
    found = [move_of(trial, rules) for trial in tried if trial.metric != ROWS.name]
    rows = row_move(before, current, rules)
    return tuple(furthest([*found, *([rows] if rows else [])]))


def told_of_two(table: TableRef, before: Profile, current: Profile, rules: Rules) -> tuple[Finding, ...]:
    """What these rules find in `current` with the one run before it as the baseline of everything."""
    return compare(
        table, current, (replace(before, is_expected=False),), of_two(rules), summary=before.summary
    ).findings


def _trials(
    current: Profile, past: Past, rules: Rules, known: Profile | None, before: TableSummary | None
) -> Iterator[Trial]:
    rows = volume(current, past, rules)
    if rows is not None:
        yield rows
    if phase1.is_asked_for(rules):
        yield from phase1.trials(current, past, rules)
    if known is not None:
        for name in filter(None, current.metrics):
            pair = _pair(name, current, past, rules, known, before)
            if pair is not None:
                yield from trials(pair)


def _pair(
    name: str, current: Profile, past: Past, rules: Rules, known: Profile, before: TableSummary | None
) -> Pair | None:
    """A column now and in the reference run; None where it was not there, or was of another kind."""
    if name not in known.metrics:
        return None
    old = before.columns.get(name) if before else None
    new = current.summary.columns.get(name) if current.summary else None
    kinds = [_kind(profile, summary, name) for profile, summary in ((known, old), (current, new))]
    if kinds[0] and kinds[1] and kinds[0] != kinds[1]:
        return None
    days = (current.at - known.at).total_seconds() / 86400
    kind = kinds[1] or kinds[0] or ColumnKind.OTHER
    was, now = known.metrics[name], current.metrics[name]
    is_identifier = names_things(name, kind, now, past)
    return Pair(name, kind, past, rules, was, now, known, old, new, days, is_identifier)


def _kind(profile: Profile, summary: ColumnSummary | None, name: str) -> ColumnKind | None:
    if summary is not None:
        return summary.kind
    return next((column.kind for column in profile.columns or () if column.name == name), None)


def _one_per_metric(held: list[Verdict]) -> list[Verdict]:
    """Of several methods that tell of one distribution, the one that finds it worst; the others stand beside it."""
    found: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in held:
        found.setdefault((verdict.trial.column, verdict.trial.metric), []).append(verdict)
    return [_worst(verdicts) for verdicts in found.values()]


def _worst(held: list[Verdict]) -> Verdict:
    worst = max(held, key=lambda verdict: verdict.trial.severity.rank if verdict.trial.severity else -1)
    if worst.trial.kind is not Kind.DISTRIBUTION:
        return worst
    distances = {verdict.trial.details["method"]: verdict.trial.effect.size for verdict in held}
    return replace(worst, trial=replace(worst.trial, details={**worst.trial.details, "distances": distances}))


def _finding(table: TableRef, verdict: Verdict, at_fault: tuple[Culprit, ...]) -> Finding:
    trial = verdict.trial
    assert trial.severity is not None
    return Finding(
        table,
        trial.kind,
        trial.column,
        trial.metric,
        trial.severity,
        sentence(table, trial, at_fault),
        baseline_value=trial.before,
        current_value=trial.now,
        change_percent=change_percent(trial.before, trial.now),
        effect=trial.effect.finite,
        unit=trial.effect.unit,
        direction=None if trial.kind is Kind.DISTRIBUTION else trial.effect.direction,
        p_value=trial.p_value,
        p_adjusted=verdict.p_adjusted,
        baseline=trial.baseline.strategy if trial.baseline else None,
        baseline_runs=trial.baseline.run_ids if trial.baseline else (),
        culprits=at_fault,
        details=trial.details,
    )


def _schema(
    table: TableRef, current: Profile, runs: tuple[Profile, ...], rules: Rules, summary: TableSummary | None
) -> list[Finding]:
    """Against the newest good run before it, whatever its scope: a sample has the table's columns too."""
    known = [run for run in runs if run.columns is not None and run.at < current.at and run.status in GOOD]
    if not known or current.columns is None:
        return []
    last = max(known, key=lambda run: (run.at, run.run_id))
    found = changes(last.columns or (), current.columns, last.summary or summary, current.summary)
    told = [change for change in found if rules.setting(change.column, change.what).enabled]
    findings = {(change.what, change.column): _schema_finding(table, change, last) for change in told}
    for change in told:
        # A rename, if it is one, is one fact.
        added = findings.pop(("added", change.renamed or ""), None) if change.what == "removed" else None
        if added is not None:
            removed = findings[change.what, change.column]
            findings[change.what, change.column] = replace(removed, explains=(added,))
    return list(findings.values())


def _schema_finding(table: TableRef, change: Change, last: Profile) -> Finding:
    details = {"was": change.was, "now": change.now, "renamed": change.renamed}
    said = f"column {change.column} of {table.name} {change.sentence}"
    kind, runs = Kind.SCHEMA, (last.run_id,)
    return Finding(
        table,
        kind,
        change.column,
        change.what,
        change.severity,
        said,
        baseline="last",
        baseline_runs=runs,
        details=details,
    )


def _expected(finding: Finding) -> Finding:
    return replace(finding, is_expected=True, explains=tuple(_expected(each) for each in finding.explains))
