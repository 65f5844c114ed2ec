"""Which rows and columns of a table a run reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from profilemesh.tables import EVERY_ROW, Column, Rows, TableRef

WITHHELD = "it could not be read; the reason is withheld, as it may show a value and the column is sensitive"


@dataclass(frozen=True)
class Scope:
    """Which rows of a table, and the columns to look at. Of `sensitive` columns no value is kept.

    `shifts` are those of earlier summaries of the same columns: with one shift in common, merged variances keep
    their digits.
    """

    table: TableRef
    columns: tuple[Column, ...]
    sensitive: frozenset[str] = frozenset()
    shifts: Mapping[str, float] = field(default_factory=dict)
    rows: Rows = EVERY_ROW

    def shown(self, column: Column, error: str) -> str:
        """An error about a column, as it may be shown: a warehouse likes to quote the value at fault."""
        return WITHHELD if column.name in self.sensitive else error
