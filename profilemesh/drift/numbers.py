"""Many runs' numbers looked at together: each run's are a row of doubles, named by a layout that most runs share."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Number = int | float | Decimal
Key = tuple[str, str]
"""A column and a metric."""


def number(value: object) -> float | None:
    """A metric's value as a finite double; None where it is none."""
    kind = type(value)
    if kind is float:
        return value if math.isfinite(value) else None  # type: ignore[arg-type, return-value]
    if kind is int and -(2**63) < value < 2**63:  # type: ignore[operator]
        return float(value)  # type: ignore[arg-type]
    if value is None or kind is str or isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    try:
        found = float(value)
    except (OverflowError, ValueError):
        return None
    return found if math.isfinite(found) else None


@dataclass(frozen=True, eq=False)
class Layout:
    """The metrics of each column, in the order of a row."""

    columns: Mapping[str, tuple[str, ...]]

    @cached_property
    def places(self) -> dict[Key, int]:
        keys = [(column, metric) for column, metrics in self.columns.items() for metric in metrics]
        return {key: place for place, key in enumerate(keys)}


@dataclass(frozen=True, eq=False)
class Numbers(Mapping[str, Mapping[str, Any]]):
    """A run's metrics by column, as any mapping of them, unpacked when they are looked at. What is NaN in the row is
    unknown. `texts` are the few metrics that are no numbers."""

    layout: Layout
    row: Doubles
    texts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, metrics: Mapping[str, Mapping[str, Any]]) -> Numbers:
        if isinstance(metrics, Numbers):
            return metrics
        known = {
            column: {n: x for n, v in some.items() if (x := number(v)) is not None} for column, some in metrics.items()
        }
        row = [value for some in known.values() for value in some.values()]
        return cls(Layout({column: tuple(some) for column, some in known.items()}), np.array(row, np.float64))

    @cached_property
    def _unpacked(self) -> dict[str, dict[str, Any]]:
        values = iter(self.row.tolist())
        found: dict[str, dict[str, Any]] = {}
        for column, metrics in self.layout.columns.items():
            some = {metric: value for metric, value in zip(metrics, values, strict=False) if value == value}
            found[column] = {**some, **self.texts.get(column, {})}
        return found

    def __getitem__(self, column: str) -> Mapping[str, Any]:
        return self._unpacked[column]

    def __iter__(self) -> Iterator[str]:
        return iter(self.layout.columns)

    def __len__(self) -> int:
        return len(self.layout.columns)

    def __contains__(self, column: object) -> bool:
        return column in self.layout.columns


class Series:
    """Each metric in each of some runs, in their order."""

    def __init__(self, runs: Sequence[Mapping[str, Mapping[str, Any]]]) -> None:
        self._runs = runs

    def of(self, column: str, metric: str) -> list[float | None]:
        place = self._places.get((column, metric))
        return [None] * len(self._runs) if place is None else self._lists[place]

    def table(self, keys: Sequence[Key]) -> Doubles:
        """A row for each of these, NaN where unknown, a column for each run."""
        places = [self._places[key] for key in keys]
        return self._table[places]

    def knows(self, column: str, metric: str) -> bool:
        return (column, metric) in self._places

    @cached_property
    def _found(self) -> tuple[dict[Key, int], Doubles]:
        """Where each metric is, and the table of all: a row for each metric."""
        every = [Numbers.of(run) for run in self._runs]
        layouts = list({id(each.layout): each.layout for each in every}.values())
        if len(layouts) == 1:
            return layouts[0].places, np.stack([each.row for each in every], axis=1)
        places = {key: None for layout in layouts for key in layout.places}
        places_of = {key: place for place, key in enumerate(places)}
        table = np.full((len(places), len(every)), np.nan)
        for number, each in enumerate(every):
            table[[places_of[key] for key in each.layout.places], number] = each.row
        return places_of, table

    @property
    def _places(self) -> dict[Key, int]:
        return self._found[0]

    @property
    def _table(self) -> Doubles:
        return self._found[1]

    @cached_property
    def _lists(self) -> list[list[float | None]]:
        lists: list[list[float | None]] = self._table.tolist()
        for place in np.flatnonzero(np.isnan(self._table).any(axis=1)).tolist():
            lists[place] = [value if value == value else None for value in lists[place]]
        return lists
