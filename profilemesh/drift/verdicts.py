"""Which trials hold: large enough, not chance among all tests of the table, and not what the metric is used to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from profilemesh.drift.baselines import FEW
from profilemesh.drift.chance import adjusted
from profilemesh.drift.pairs import Trial


@dataclass(frozen=True, slots=True)
class Verdict:
    """A trial that holds. `p_adjusted` is None where no test was needed, or none exists and its history told."""

    trial: Trial
    p_adjusted: float | None


def verdicts(trials: Sequence[Trial], false_discovery_rate: float) -> list[Verdict]:
    tested = [trial for trial in trials if not trial.is_sure and trial.p_value is not None]
    # What did not reach its ladder counts as a test that found nothing.
    p_values = [1.0 if trial.severity is None or trial.p_value is None else trial.p_value for trial in tested]
    by_trial = dict(zip(map(id, tested), adjusted(p_values), strict=True))
    found = (Verdict(trial, by_trial.get(id(trial))) for trial in trials)
    return [verdict for verdict in found if _holds(verdict, false_discovery_rate)]


def _holds(verdict: Verdict, false_discovery_rate: float) -> bool:
    trial = verdict.trial
    if trial.severity is None:
        return False
    if trial.is_sure:
        return True
    baseline = trial.baseline
    if baseline is not None and trial.now is not None and baseline.allows(trial.now):
        return False
    if verdict.p_adjusted is None:
        return baseline is not None and len(baseline.values) >= FEW
    return verdict.p_adjusted <= false_discovery_rate
