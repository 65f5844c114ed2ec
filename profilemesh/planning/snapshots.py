"""What is known of a table before reading it: values, no database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from profilemesh.tables import Column, TableRef


class Confidence(StrEnum):
    """How far an equal token proves unchanged data."""

    EXACT = "exact"
    HEURISTIC = "heuristic"
    NONE = "none"


@dataclass(frozen=True)
class Snapshot:
    """One look at a table's metadata.

    `token` is an opaque text that differs whenever the data may differ; None where the warehouse offers none.
    `doubt` says in a sentence why the confidence is not exact. Estimates are None when unknown.
    The token knows of all that was committed before `verified_as_of`; None is the moment of the look.
    """

    table: TableRef
    columns: tuple[Column, ...]
    token: str | None = None
    confidence: Confidence = Confidence.NONE
    doubt: str | None = None
    rows_estimate: int | None = None
    bytes_estimate: int | None = None
    is_view: bool = False
    verified_as_of: datetime | None = None


@dataclass(frozen=True)
class Trouble:
    """Why a whole warehouse could not be looked at. `reason` is `warehouse_busy` or `warehouse_unreachable`."""

    reason: str
    message: str


@dataclass(frozen=True)
class Catalogue:
    """All tables of all warehouses at one moment, and the warehouses that did not answer."""

    snapshots: Mapping[TableRef, Snapshot]
    warehouse_types: Mapping[str, str]
    troubles: Mapping[str, Trouble] = field(default_factory=dict)
    hash_families: Mapping[str, str] = field(default_factory=dict)
