"""Which rows and columns of a table a run reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import quoted_name

from profilemesh.tables import Column, TableRef


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

    @property
    def source(self) -> sa.TableClause:
        columns: list[sa.ColumnClause[Any]] = [sa.column(_quoted(column.name)) for column in self.columns]
        return sa.table(_quoted(self.table.name), *columns, schema=_quoted(self.table.schema))


def _quoted(name: str) -> quoted_name:
    # Always: SQLAlchemy does not know every engine's reserved words.
    return quoted_name(name, quote=True)
