"""Two runs side by side as a page shows them: a card per column, those first that moved most."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from app.distributions import CARD, Overlay, overlay
from app.findings import DISTANCES, Basis, effect
from app.preview import config_or_none
from app.queries import profiles
from app.queries.profiles import ColumnProfile
from profilemesh import two_runs
from profilemesh.config.model import DriftConfig
from profilemesh.drift import Move, Rules, Severity, Unit, rules_for
from profilemesh.drift.measures import LABELS
from profilemesh.planning.selection import settings_for
from profilemesh.planning.snapshots import Snapshot
from profilemesh.profiling.metrics import BY_NAME
from profilemesh.tables import Column, Kind, TableRef
from profilemesh.two_runs import Change, ColumnChange, Comparison, Sizes

HARDLY = 0.1
"""Of a step of its ladder: a move that is smaller is of no interest to anybody who did not ask for its column."""


@dataclass(frozen=True)
class ToldMove:
    """`severity` is what the rules call it, None where they would not tell of it."""

    label: str
    size: str
    tip: str
    severity: Severity | None


@dataclass(frozen=True)
class MetricRow:
    name: str
    label: str
    change: Change
    is_share: bool


@dataclass(frozen=True)
class Card:
    """One column. Its values are withheld where it is sensitive. What moved less than `HARDLY` did not move."""

    change: ColumnChange
    moves: tuple[ToldMove, ...]
    rows: tuple[MetricRow, ...]
    overlay: Overlay
    is_sensitive: bool
    has_moved: bool
    renamed: str | None = None

    @property
    def severity(self) -> Severity | None:
        return max((m.severity for m in self.moves if m.severity), key=lambda each: each.rank, default=None)


@dataclass(frozen=True)
class Side:
    """What a run stored of its columns, by their names."""

    run: Any
    columns: Mapping[str, ColumnProfile]


@dataclass(frozen=True)
class Compared:
    """`cards` are of every column: the ones that moved first, the rest in the table's order."""

    comparison: Comparison
    sizes: Sizes
    cards: tuple[Card, ...]
    row_move: ToldMove | None

    @property
    def moved(self) -> tuple[Card, ...]:
        return tuple(card for card in self.cards if card.has_moved)

    @property
    def unmoved(self) -> tuple[Card, ...]:
        return tuple(card for card in self.cards if not card.has_moved)

    @property
    def told(self) -> int:
        return sum(card.severity is not None for card in self.cards)


def compared(session: Session, before: Any, after: Any) -> Compared:
    """Of two runs of one table, the earlier one first."""
    table = TableRef(after.warehouse, after.schema_name, after.dataset_name)
    sides = [Side(run, {c.name: c for c in profiles.profile_of(session, run)}) for run in (before, after)]
    found = two_runs.compared(before, after, *(side.columns for side in sides))
    sizes = two_runs.sizes(session, before, after, rules_of(table))
    sensitive = sensitive_columns(table, [change.name for change in found.columns])
    cards = [_card(change, sizes, sides, change.name in sensitive) for change in sizes.ordered(found.columns)]
    rows = next(iter(sizes.moves.get("", ())), None)
    return Compared(found, sizes, tuple(cards), told_move(rows, sizes) if rows and rows.effect.size else None)


@dataclass(frozen=True)
class MovedColumn:
    name: str
    moves: tuple[ToldMove, ...]


@dataclass(frozen=True)
class Since:
    """What moved from the run before: at most so many columns, those that moved most first, and how many did in all."""

    before: Any
    columns: tuple[MovedColumn, ...]
    moved: int
    row_move: ToldMove | None


MOST_COLUMNS, MOST_MOVES = 6, 3


def moved_since(session: Session, before: Any, run: Any) -> Since | None:
    """None where the two cannot be measured against each other."""
    table = TableRef(run.warehouse, run.schema_name, run.dataset_name)
    sizes = two_runs.sizes(session, before, run, rules_of(table))
    if sizes.unlike:
        return None
    by_column = {name: [move for move in moves if move.steps >= HARDLY] for name, moves in sizes.moves.items() if name}
    names = sorted((name for name, moves in by_column.items() if moves), key=sizes.weight, reverse=True)
    told = tuple(
        MovedColumn(name, tuple(told_move(move, sizes) for move in by_column[name][:MOST_MOVES]))
        for name in names[:MOST_COLUMNS]
    )
    rows = next(iter(sizes.moves.get("", ())), None)
    return Since(before, told, len(names), told_move(rows, sizes) if rows and rows.effect.size else None)


def rules_of(table: TableRef) -> Rules:
    """Those of the configuration; without one that can be used, the defaults."""
    config = config_or_none()
    return rules_for(config.drift_detection if config else DriftConfig(), table)


def sensitive_columns(table: TableRef, names: Collection[str]) -> frozenset[str]:
    """By the configuration as it is now; what runs withheld since then is not stored anyway."""
    config = config_or_none()
    if config is None or table.warehouse not in config.warehouses:
        return frozenset()
    columns = tuple(Column(name, "", Kind.OTHER, True) for name in names)
    settings = settings_for(config, Snapshot(table, columns))
    return settings.sensitive if settings else frozenset()


def _card(change: ColumnChange, sizes: Sizes, sides: list[Side], is_sensitive: bool) -> Card:
    name = change.name
    moved = [move for move in sizes.moves.get(name, ()) if move.steps > 0]
    told = tuple(told_move(move, sizes) for move in moved)
    has_moved = any(move.steps >= HARDLY for move in moved) or change.status != "same"
    schema = sizes.severities.get((name, change.status))
    if schema:
        told = (ToldMove(change.status, "", "", schema), *told)
    if is_sensitive or sizes.unlike:
        picture = Overlay()
    else:
        before, after = (side.columns.get(name) for side in sides)
        picture = overlay(before, after, CARD)
    return Card(
        change,
        told,
        tuple(_rows(change, is_sensitive)),
        picture,
        is_sensitive,
        has_moved,
        next(
            (str(f.details["renamed"]) for f in sizes.findings if f.column == name and f.details.get("renamed")), None
        ),
    )


def _rows(change: ColumnChange, is_sensitive: bool) -> list[MetricRow]:
    """In the catalogue's order, then what it does not know; without those that show values of a sensitive column."""
    names = [name for name in BY_NAME if name in change.metrics]
    names += [name for name in change.metrics if name not in BY_NAME]
    shown = [name for name in names if not (is_sensitive and (name not in BY_NAME or BY_NAME[name].reveals))]
    return [
        MetricRow(
            name, BY_NAME[name].label if name in BY_NAME else name, change.metrics[name], name.endswith("_percent")
        )
        for name in shown
    ]


def told_move(move: Move, sizes: Sizes) -> ToldMove:
    unit, size = move.effect.unit, move.effect.finite
    told = _size(size, unit) if size is not None else "where it never did"
    tips = [DISTANCES.get(unit, ""), "" if move.steps < 1 else "Large enough for drift"]
    severity = sizes.severities.get((move.column, move.metric))
    if move.steps >= 1 and severity is None:
        tips[1] = "Large enough for drift, but the rules or chance speak against it"
    return ToldMove(label_of(move.metric), told, ". ".join(filter(None, tips)), severity)


LEAST = {Unit.PERCENT: 0.1, Unit.POINTS: 0.01, Unit.DEVIATIONS: 0.01, Unit.RANGES: 0.01}


def _size(size: float, unit: Unit) -> str:
    """What would be rounded to nothing is told by its bound."""
    least = LEAST.get(unit, 0.001)
    if abs(size) >= least or size == 0 or unit is Unit.ABSOLUTE:
        return effect(Basis(effect=size, unit=unit))
    return f"<{effect(Basis(effect=least, unit=unit)).removeprefix('+')}"


def label_of(metric: str) -> str:
    if metric in LABELS:
        return LABELS[metric]
    return BY_NAME[metric].label.lower() if metric in BY_NAME else metric.replace("_", " ")
