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


@dataclass(frozen=True, order=True)
class TableRef:
    """A table's identity, everywhere: warehouse, schema, table. None of them is ever empty or None."""

    warehouse: str
    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.warehouse}.{self.schema}.{self.name}"


@dataclass(frozen=True)
class Column:
    """A column as the warehouse's catalogue tells it. `type` is the warehouse's own word for it."""

    name: str
    type: str
    kind: Kind
    nullable: bool | None = None
