"""Limits and budgets: what was decided to be read is priced, and the stalest tables are served first. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from profilemesh.config.model import CostControlsConfig
from profilemesh.planning.costs import NOTHING, Limits
from profilemesh.planning.decisions import Action, Case, Decision, Reason
from profilemesh.planning.snapshots import Confidence, Snapshot
from profilemesh.tables import TableRef

_WHOLE = 1.0
FEWEST_DRAWN = 10
"""A sample that can be expected to have fewer rows than this may well have none: such a table is read whole."""


def priced(cases: Mapping[TableRef, Case], decisions: Iterable[Decision]) -> list[Decision]:
    """The decisions after all limits, in the order in which the budget was given out: stalest first, then by name."""
    queue = sorted(decisions, key=lambda decision: (-(decision.staleness or 0), decision.table))
    left: Limits | None = None
    served = []
    for decision in queue:
        case = cases[decision.table]
        if left is None:
            left = Limits.per_tick(case.incremental.cost_controls)
        settled = _settled(case, decision, left) if decision.action.reads and case.incremental.enabled else decision
        left = left.less(settled.cost)
        served.append(settled)
    return served


@dataclass(frozen=True)
class _Pricing:
    """One reading before the limits: `limits` of the table, `left` of the tick's budget."""

    case: Case
    decision: Decision
    limits: Limits
    left: Limits

    @property
    def settings(self) -> CostControlsConfig:
        return self.case.incremental.cost_controls

    @property
    def evidence(self) -> dict[str, Any]:
        """The decision's own, why it was to be read, its price and what it met."""
        cost = self.decision.cost
        bounds = {
            "rows_estimated": cost.rows,
            "bytes_estimated": cost.bytes,
            "max_rows": self.limits.rows,
            "max_bytes": self.limits.bytes,
            "budget_rows_left": self.left.rows,
            "budget_bytes_left": self.left.bytes,
        }
        told = {name: size for name, size in bounds.items() if size is not None}
        return {"because": self.decision.reason, **self.decision.evidence, **told}

    def becomes(self, action: Action, reason: Reason, **more: Any) -> Decision:
        return replace(
            self.decision, action=action, reason=reason, evidence=self.evidence | more, cost=NOTHING, change=None
        )

    def sample(self, fraction: float, reason: Reason) -> Decision:
        """A sample of the whole table: one of changed partitions alone could stand for nothing."""
        decision = self.becomes(Action.SAMPLE, reason, fraction=fraction)
        return replace(decision, fraction=fraction, cost=self.case.naive.sampled(fraction))


def _settled(case: Case, decision: Decision, left: Limits) -> Decision:
    pricing = _Pricing(case, decision, Limits.per_table(case.incremental.cost_controls), left)
    configured = _configured_fraction(case)
    if configured < _WHOLE and case.snapshot.is_sampleable and decision.reason is not Reason.FORCED:
        return _as_configured(pricing, configured)
    within, in_budget = pricing.limits.allow(decision.cost), left.allow(decision.cost)
    if within and in_budget:
        return _with_budget(pricing)
    if decision.reason is Reason.FORCED:
        return replace(decision, evidence=pricing.evidence | {"over": "the limit; asked for by hand"})
    return _over(pricing, Reason.COST_CAP if not within else Reason.BUDGET_SPENT)


def _with_budget(pricing: _Pricing) -> Decision:
    left = {"budget_rows_left": pricing.left.rows, "budget_bytes_left": pricing.left.bytes}
    told = {name: size for name, size in left.items() if size is not None}
    decision = pricing.decision
    return replace(decision, evidence={**decision.evidence, **told}) if told else decision


def _configured_fraction(case: Case) -> float:
    """What the table's `sampling` asks for, else the share for all tables; 1 is the whole."""
    sampling, rows = case.settings.rule.sampling, case.naive.rows
    fraction, most = case.settings.sample_ratio, None
    if sampling.enabled:
        fraction, most = sampling.fraction, sampling.max_rows
    if rows is not None and rows * fraction < FEWEST_DRAWN and (most is None or rows <= most):
        return _WHOLE
    return min(fraction, most / rows) if most and rows else fraction


def _as_configured(pricing: _Pricing, fraction: float) -> Decision:
    already = _already_sampled(pricing)
    if already is not None:
        return already
    fraction = min(fraction, _allowed_share(pricing))
    return pricing.sample(fraction, Reason.SAMPLING_CONFIGURED) if fraction else _defer(pricing, Reason.BUDGET_SPENT)


def _over(pricing: _Pricing, reason: Reason) -> Decision:
    """Too dear: as the fallback says. What has waited too long is sampled whatever the fallback."""
    strategy = pricing.settings.fallback_strategy
    if strategy == "full" and reason is Reason.COST_CAP and pricing.left.allow(pricing.decision.cost):
        return replace(pricing.decision, evidence=pricing.evidence | {"over": "the limit; the fallback is full"})
    already = _already_sampled(pricing)
    if already is not None:
        return already
    if _has_waited_too_long(pricing):
        reason = Reason.DEFERRED_TOO_LONG
    elif strategy != "sample":
        return _defer(pricing, reason)
    fraction = min(pricing.settings.sample_fraction, _allowed_share(pricing, reason))
    if not pricing.case.snapshot.is_sampleable:
        return _defer(pricing, _plain(reason), sample="this table cannot be sampled")
    rows = pricing.case.naive.rows
    if rows is not None and rows * fraction < FEWEST_DRAWN and reason is not Reason.DEFERRED_TOO_LONG:
        return _defer(pricing, reason, sample="what is left allows too few rows for one")
    return pricing.sample(fraction, reason) if fraction else _defer(pricing, _plain(reason))


def _plain(reason: Reason) -> Reason:
    return Reason.COST_CAP if reason is Reason.DEFERRED_TOO_LONG else reason


def _allowed_share(pricing: _Pricing, reason: Reason | None = None) -> float:
    """The largest fraction of the table that the limits allow. One that has waited too long takes no heed of the
    budget, only of its own limit."""
    naive = pricing.case.naive
    share = pricing.limits.share(naive)
    return share if reason is Reason.DEFERRED_TOO_LONG else min(share, pricing.left.share(naive))


def _already_sampled(pricing: _Pricing) -> Decision | None:
    """A sample of this very snapshot tells what another would."""
    state, snapshot = pricing.case.state, pricing.case.snapshot
    token = sample_token(snapshot)
    if state is None or token is None or state.sampled_token != token:
        return None
    if state.vanished_at is not None and (state.sampled_at is None or state.sampled_at < state.vanished_at):
        return None
    # Without what is left of the budget, so that the skip stays equal from tick to tick.
    evidence = {"because": pricing.decision.reason, "token": token}
    return replace(pricing.becomes(Action.SKIP, Reason.SAMPLE_MATCH), evidence=evidence)


def sample_token(snapshot: Snapshot) -> str | None:
    """What a sample of this snapshot is remembered by; None where an equal token proves nothing."""
    return snapshot.token if snapshot.confidence is Confidence.EXACT else None


def _has_waited_too_long(pricing: _Pricing) -> bool:
    since = pricing.case.state.deferred_since if pricing.case.state else None
    limit = timedelta(minutes=pricing.settings.max_deferral_minutes)
    return since is not None and abs(pricing.case.now - since) >= limit


def _defer(pricing: _Pricing, reason: Reason, **more: Any) -> Decision:
    return pricing.becomes(Action.DEFER, reason, **more)
