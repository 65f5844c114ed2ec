"""The small values everyone passes around: which table, which columns, of what kind."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a column's values are, whatever the warehouse calls their type."""

    INTEGER = "integer"
    DECIMAL = "decimal"
    FLOAT = "float"
    BOOLEAN = "boolean"
    DATE = "date"
    TIME = "time"
    TIMESTAMP = "timestamp"
    INTERVAL = "interval"
    TEXT = "text"
    BYTES = "bytes"
    UUID = "uuid"
    JSON = "json"
    ARRAY = "array"
    OTHER = "other"

    @property
    def is_number(self) -> bool:
        return self in (Kind.INTEGER, Kind.DECIMAL, Kind.FLOAT, Kind.INTERVAL)

    @property
    def is_temporal(self) -> bool:
        return self in (Kind.DATE, Kind.TIMESTAMP)


@dataclass(frozen=True, order=True, slots=True)
class TableRef:
    """A table's identity, everywhere: warehouse, schema, table. None of them is ever empty or None."""

    warehouse: str
    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.warehouse}.{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Column:
    """A column as the warehouse's catalogue tells it. `type` is the warehouse's own word for it."""

    name: str
    type: str
    kind: Kind
    nullable: bool | None = None


@dataclass(frozen=True)
class Rows:
    """Which rows of a table are read; without arguments, all.

    `of` are the partitions to read, `but` those to leave out, each a key of the table's manifest; `key` are the columns
    that the keys are values of, empty where a key names a table. With `are_told_apart` a row's partition can be told:
    the source has a column `PART` with its place in `of`. `fraction` samples what is left, the same rows for equal
    seeds where the engine can repeat itself.
    """

    of: tuple[str, ...] | None = None
    but: tuple[str, ...] = ()
    key: tuple[Column, ...] = ()
    are_told_apart: bool = False
    fraction: float | None = None
    seed: int = 0


EVERY_ROW = Rows()
PART = "profilemesh_part"
