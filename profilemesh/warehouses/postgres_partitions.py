"""The tables that hold a PostgreSQL table's rows: partitions at any depth, and old-style children beside their parent.

Each is known by its schema and name, and is read by that name, with ONLY, so that no row is read twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from profilemesh.errors import StatementFailed
from profilemesh.planning.snapshots import Manifest, Part
from profilemesh.tables import PART, Column, Rows, TableRef
from profilemesh.warehouses.base import plain_source


@dataclass(frozen=True)
class Leaf:
    """One table of a tree. `token` is all of it that tells a change; `rows` is None where nothing was ever counted.

    `is_in_reach` tells whether the role may use its schema, `is_granted` whether it may read it by its own name, and
    `is_policed` that it would see some of its rows only.
    """

    root: int
    oid: int
    kind: str
    schema: str
    name: str
    is_heap: bool
    is_default: bool
    is_in_reach: bool
    is_granted: bool
    is_policed: bool
    rows: int | None
    bytes: int
    token: tuple[object, ...]

    @property
    def holds_rows(self) -> bool:
        return self.kind in ("r", "m", "f")


@dataclass(frozen=True)
class Division:
    """The leaves that hold a table's rows. `is_hidden`: of the table as a whole the role sees some rows only."""

    table: TableRef
    leaves: tuple[Leaf, ...]
    is_hidden: bool

    @property
    def is_policed(self) -> bool:
        """Read by its own name, a leaf is under its own row-security policies and not under its parent's."""
        return self.is_hidden or any(leaf.is_policed for leaf in self.leaves)

    @property
    def closed(self) -> list[Leaf]:
        """The leaves that the role may read through their parent only."""
        return [leaf for leaf in self.leaves if not (leaf.is_in_reach and leaf.is_granted)]

    @property
    def can_be_read_apart(self) -> bool:
        return len(self.leaves) > 1 and not self.is_policed and not self.closed

    @cached_property
    def parts(self) -> dict[str, Part]:
        """Oldest first; what belongs nowhere else comes last, since it changes whenever anything odd arrives."""
        ordered = sorted(self.leaves, key=lambda leaf: (leaf.is_default, leaf.oid))
        return {
            _key(leaf): Part(digest(leaf.token), self._name(leaf), leaf.rows, leaf.bytes or None) for leaf in ordered
        }

    def manifest(self, frame: str) -> Manifest | None:
        """None where a leaf read by its own name might show other rows than it does through its parent."""
        return Manifest(frame, self.parts) if self.can_be_read_apart else None

    def _name(self, leaf: Leaf) -> str:
        return leaf.name if leaf.schema == self.table.schema else f"{leaf.schema}.{leaf.name}"


def digest(parts: object) -> str:
    text = json.dumps(parts, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _key(leaf: Leaf) -> str:
    return json.dumps([leaf.schema, leaf.name], ensure_ascii=False)


Draw = Callable[[sa.TableClause], sa.FromClause]
"""A table, or a sample of it."""


def leaves_source(table: TableRef, columns: Sequence[Column], rows: Rows, draw: Draw) -> sa.FromClause:
    """These columns of the leaves `rows.of`, as one source; raises StatementFailed for rows told apart by a key."""
    if rows.key or rows.but or not rows.of:
        raise StatementFailed(f"table {table}: postgres reads partitions that are tables of their own, no others")
    places = [TableRef(table.warehouse, *json.loads(key)) for key in rows.of]
    number = list(range(len(places))) if rows.are_told_apart else [None] * len(places)
    selects = [_rows_of(draw(plain_source(place, columns)), at) for place, at in zip(places, number, strict=True)]
    return (selects[0] if len(selects) == 1 else sa.union_all(*selects)).subquery("leaves")


def _rows_of(source: sa.FromClause, number: int | None) -> sa.Select[Any]:
    selected: list[sa.ColumnElement[Any]] = [*source.c]
    if number is not None or not selected:
        selected.append(sa.literal_column(str(number or 0), sa.Integer).label(PART))
    return sa.select(*selected).select_from(source).with_hint(source, "ONLY", "postgresql")
