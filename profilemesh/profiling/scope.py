"""Which rows and columns of a table a run reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import quoted_name

from profilemesh.tables import Column, TableRef

WITHHELD = "it could not be read; the reason is withheld, as it may show a value and the column is sensitive"


@dataclass(frozen=True)
class Scope:
    """All rows of a table and the columns to look at. Of `sensitive` columns no value is kept.

    `shifts` are those of earlier summaries of the same columns: with one shift in common, merged variances keep
    their digits.
    """

    table: TableRef
    columns: tuple[Column, ...]
    sensitive: frozenset[str] = frozenset()
    shifts: Mapping[str, float] = field(default_factory=dict)

    def shown(self, column: Column, error: str) -> str:
        """An error about a column, as it may be shown: a warehouse likes to quote the value at fault."""
        return WITHHELD if column.name in self.sensitive else error

    @property
    def source(self) -> sa.TableClause:
        columns: list[sa.ColumnClause[Any]] = [sa.column(_quoted(column.name)) for column in self.columns]
        return sa.table(_quoted(self.table.name), *columns, schema=_quoted(self.table.schema))


def _quoted(name: str) -> quoted_name:
    # Always: SQLAlchemy does not know every engine's reserved words.
    return quoted_name(name, quote=True)
