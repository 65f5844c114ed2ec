"""Profiles of made-up tables, in few words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from bench._arrays import COLUMNS, Population, Values, summary_of
from profilemesh.config.model import DriftConfig, DriftRule
from profilemesh.drift import Finding, Profile, Rules, compare, profile_of, rules_for
from profilemesh.profiling.summary import TableSummary
from profilemesh.tables import Column, Kind, TableRef

ORDERS = TableRef("shop", "main", "orders")
MONDAY = datetime(2026, 11, 2, 5, tzinfo=UTC)
DAY = timedelta(days=1)


def rules(*entries: DriftRule, **settings: Any) -> Rules:
    return rules_for(DriftConfig(rules=entries, **settings), ORDERS)


def numbers(
    day: int, metrics: Mapping[str, Mapping[str, Any]] | None = None, rows: int | None = 1000, **more: Any
) -> Profile:
    """A run of which numbers alone are known, as storage has them."""
    run_id = more.pop("run_id", f"run-{day}")
    scope = more.pop("scope", "full")
    return Profile(run_id, MONDAY + day * DAY, scope, rows, metrics or {}, **more)


def rows(seed: int = 0, n: int = 2000, first: int = 1) -> dict[str, Values]:
    """Rows of a table with a null share of 1 % and five categories."""
    population = Population(0.8, 100.0, (0.4, 0.3, 0.15, 0.1, 0.05), 0.01, 0.6, 3.0)
    return population.rows(np.random.default_rng(seed), n, first)


def profile(summary: TableSummary, day: int = 0, **more: Any) -> Profile:
    more.setdefault("columns", COLUMNS)
    return profile_of(summary, run_id=more.pop("run_id", f"run-{day}"), at=MONDAY + day * DAY, **more)


def found(current: Profile, *history: Profile, by: Rules | None = None, **more: Any) -> list[Finding]:
    return list(compare(ORDERS, current, history, by or rules(), **more).findings)


def facts(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.column, finding.metric) for finding in findings]


def column(name: str, type_: str = "VARCHAR", kind: Kind = Kind.TEXT, nullable: bool | None = True) -> Column:
    return Column(name, type_, kind, nullable)


__all__ = ["COLUMNS", "Values", "summary_of"]
