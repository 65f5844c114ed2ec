"""What is known of a table before reading it, and what is remembered of it since: values, no database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from profilemesh.tables import Column, TableRef

CHECKSUM = "checksum of every row"
"""What the answer of a probe that hashes all rows begins with: a look that costs as much as a reading."""


class Confidence(StrEnum):
    """How far an equal token proves unchanged data."""

    EXACT = "exact"
    HEURISTIC = "heuristic"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Part:
    """One partition as metadata tell it: `token` differs whenever its rows may differ; `name` is for people."""

    token: str
    name: str
    rows: int | None = None
    bytes: int | None = None


@dataclass(frozen=True)
class Manifest:
    """The partitions of a table by key, oldest first. `frame` differs whenever anything but a partition does.

    A partition's key is a JSON list of texts (or nulls): the values of the columns `key`, or, where `key` is empty,
    the schema and name of the table that holds the partition.
    """

    frame: str
    parts: Mapping[str, Part]
    confidence: Confidence = Confidence.EXACT
    key: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeptPart:
    """A partition as it was profiled. `run_id` is the run that holds its own summary; None: it is in the rest."""

    token: str
    name: str
    as_of: datetime
    rows: int | None = None
    run_id: str | None = None


@dataclass(frozen=True)
class KeptManifest:
    """The partitions behind a stored profile. `rest_run_id` holds the merged summary of those without their own."""

    frame: str
    parts: Mapping[str, KeptPart]
    rest_run_id: str | None = None

    @property
    def apart(self) -> tuple[str, ...]:
        """The partitions that have a summary of their own."""
        return tuple(key for key, part in self.parts.items() if part.run_id is not None)

    def to_json(self) -> dict[str, Any]:
        return {
            "frame": self.frame,
            "rest": self.rest_run_id,
            "parts": {
                key: [part.token, part.name, part.as_of.isoformat(), part.rows, part.run_id]
                for key, part in self.parts.items()
            },
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> KeptManifest:
        parts = {
            key: KeptPart(token, name, datetime.fromisoformat(as_of), rows, run_id)
            for key, (token, name, as_of, rows, run_id) in data["parts"].items()
        }
        return cls(data["frame"], parts, data["rest"])


@dataclass(frozen=True)
class Difference:
    """What became of a table's partitions, by key. `closed` are those of the changed and dropped ones whose rows
    cannot be taken out of the stored profile again, because they have no summary of their own."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    dropped: tuple[str, ...]
    closed: tuple[str, ...]

    @property
    def to_read(self) -> tuple[str, ...]:
        return self.added + self.changed


def difference(before: KeptManifest, after: Manifest) -> Difference:
    """What changed between two manifests of one frame."""
    old, new = before.parts, after.parts
    changed = tuple(key for key in new if key in old and old[key].token != new[key].token)
    dropped = tuple(key for key in old if key not in new)
    closed = tuple(key for key in changed + dropped if old[key].run_id is None)
    return Difference(tuple(key for key in new if key not in old), changed, dropped, closed)


@dataclass(frozen=True)
class Probe:
    """What to ask of a table whose metadata prove nothing.

    With `key`, the answer is divided by those columns; `watermark` is a column that only grows; `checksum` hashes
    every row; `query` replaces all of it by a statement of the user's, whose answer is the token.
    """

    key: tuple[str, ...] = ()
    watermark: str | None = None
    checksum: bool = False
    query: str | None = None
    is_exact: bool = False


@dataclass(frozen=True, slots=True)
class Probed:
    """What a probe found. `how` says in a few words what was compared; `failure` why there is no answer."""

    how: str
    token: str | None = None
    confidence: Confidence = Confidence.HEURISTIC
    manifest: Manifest | None = None
    rows: int | None = None
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look at a table's metadata.

    `token` is an opaque text that differs whenever the data may differ; None where the warehouse offers none.
    `doubt` says in a sentence why the confidence is not exact. Estimates are None when unknown.
    The token knows of all that was committed before `verified_as_of`; None is the moment of the look.
    `manifest` has the partitions, where metadata alone tell them; `probed` what a probe found beyond metadata.
    `is_sampleable` tells whether the engine can read a part of the rows without reading all of them; `is_coarse` that
    the token is of more than this table (a whole file), so that a probe may tell more.
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
    manifest: Manifest | None = None
    probed: Probed | None = None
    is_sampleable: bool = False
    is_coarse: bool = False

    @property
    def partitions(self) -> Manifest | None:
        """The partitions, whoever told them."""
        return self.manifest or (self.probed.manifest if self.probed else None)


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
