"""Numbered pages of a list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa


@dataclass(frozen=True)
class Page:
    number: int
    total: int
    size: int = 50

    def cut(self, statement: sa.Select[*tuple[Any, ...]]) -> sa.Select[*tuple[Any, ...]]:
        return statement.limit(self.size).offset((self.number - 1) * self.size)

    @property
    def count(self) -> int:
        return max(-(-self.total // self.size), 1)

    @property
    def first(self) -> int:
        return min((self.number - 1) * self.size + 1, self.total)

    @property
    def last(self) -> int:
        return min(self.number * self.size, self.total)

    @property
    def around(self) -> list[int | None]:
        """Page numbers to offer: the ends, the neighbours, and None for a gap."""
        near = {1, self.count, *range(self.number - 1, self.number + 2)} & set(range(1, self.count + 1))
        offered: list[int | None] = []
        for number in sorted(near):
            if offered and offered[-1] is not None and number > offered[-1] + 1:
                offered.append(None)
            offered.append(number)
        return offered
