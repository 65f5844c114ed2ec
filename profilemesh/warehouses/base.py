"""What every warehouse can do: tell its catalogue, and open one read-only scan at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Any, ClassVar, Literal, Self

import duckdb
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from profilemesh.config.model import ExecutionConfig, Strategy, WarehouseConfig
from profilemesh.errors import WarehouseUnreachable
from profilemesh.planning.snapshots import Snapshot
from profilemesh.tables import Column, TableRef


class Misconfigured(WarehouseUnreachable):
    """Trying again will not help: a missing file, a wrong password, an unknown database."""


class Form(StrEnum):
    """What a streamed column looks like when it arrives in the embedded engine."""

    NATIVE = "native"  # its own Arrow type: int, double, bool, date, time, timestamp in UTC, text, bytes
    # Plain decimal digits without exponent, or NaN, Infinity, -Infinity. Equal numbers are equal texts: either no text
    # has trailing zeros, or all have the column's declared number of decimals.
    NUMBER_TEXT = "number_text"
    DECIMAL_TEXT = "decimal_text"  # the same, of a column declared with a precision of up to 38 that all values keep to
    TIME_TEXT = "time_text"  # ISO 8601 text of a date, time or timestamp
    SECONDS = "seconds"  # a double: the length of an interval


@dataclass(frozen=True)
class Reading:
    """How a row store sends one column.

    `sent` is the column in the warehouse's own SELECT, cut to `CELL_LIMIT` characters (bytes) where cells can be
    long. `overflow` is NULL for cells within the limit, else the text "LENGTH:FINGERPRINT" of the whole cell.
    `length` is sent where the length is not that of the text that arrives (arrays: number of elements).
    `odd` is a boolean, never NULL: this value is not NULL but cannot be sent as it is, so `sent` is NULL there;
    `odd_means` says why: "infinite", or "invalid" for a value that is not of the declared type.
    """

    sent: sa.ColumnElement[Any]
    form: Form = Form.NATIVE
    overflow: sa.ColumnElement[Any] | None = None
    length: sa.ColumnElement[Any] | None = None
    odd: sa.ColumnElement[bool] | None = None
    odd_means: Literal["infinite", "invalid"] = "infinite"


CELL_LIMIT = 2048


@dataclass
class SentStatement:
    """One statement that touched the table, as it was sent."""

    sql: str
    seconds: float
    rows: int


EVERY_TICK = "pause it in profiling.tables, or give it a window, if that costs too much"
"""What to do about a table that nothing can prove unchanged."""


@dataclass(frozen=True)
class CheckResult:
    """One line of `profilemesh check`. What works is `ok`, even at a cost; `remedy` says what would do better."""

    subject: str
    ok: bool
    message: str
    remedy: str | None = None


class Scan(ABC):
    """A read-only session for reading one table. Closed by `with`; `cancel` may be called from another thread.

    Driver exceptions leave here as children of `WarehouseError`; nothing else does.
    """

    dialect: Dialect

    def __init__(self) -> None:
        self.statements: list[SentStatement] = []

    @abstractmethod
    def rows(self, statement: sa.Select[Any] | sa.CompoundSelect[Any]) -> Sequence[tuple[Any, ...]]:
        """Run a statement whose result is small, literals rendered inline; its time is noted in `statements`."""

    def batches(self, statement: sa.Select[Any] | sa.CompoundSelect[Any]) -> Iterator[pa.RecordBatch]:
        """Run a statement and yield its rows as Arrow batches, at least one; only where the warehouse streams."""
        raise NotImplementedError

    @abstractmethod
    def cancel(self) -> None:
        """Make the running statement raise `ScanCancelled` soon."""

    @abstractmethod
    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass
class Warehouse(ABC):
    """A connection to one configured warehouse. Cheap to make: nothing is opened before it is asked something."""

    config: WarehouseConfig
    execution: ExecutionConfig = field(default_factory=ExecutionConfig)

    type: ClassVar[str]
    default_strategy: ClassVar[Strategy]

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def strategy(self) -> Strategy:
        return self.config.strategy or self.default_strategy

    @property
    def hash_family(self) -> str:
        """The hash function behind the distinct counts, by name: summaries of different families never merge.

        A streaming warehouse's values are hashed by the embedded engine, whose text hash differs between versions.
        """
        major, minor, *_ = duckdb.__version__.split(".")
        return f"duckdb-{major}.{minor}/{self.type}/{self.strategy}"

    @abstractmethod
    def catalogue(self) -> tuple[Snapshot, ...]:
        """Every table and view the role can see, system schemas aside, in a constant number of statements."""

    @abstractmethod
    def open_scan(self, table: TableRef) -> Scan:
        """A read-only session with statement timeout and query tag (`profilemesh WAREHOUSE.SCHEMA.TABLE`)."""

    def reading(self, column: Column) -> Reading:
        """How a streaming warehouse sends this column."""
        raise NotImplementedError

    def quick_reading(self, column: Column) -> Reading | None:
        """A cheaper way to send a column whose values are all as declared, or None where there is none.

        The statement fails with `StatementFailed` where one is not, and the table is read anew by `reading`.
        """
        return None

    def hidden_rows_doubt(self, table: TableRef) -> str | None:
        """A sentence if the role may see only some of the rows (row-level security), else None."""
        return None

    @abstractmethod
    def check(self) -> Iterator[CheckResult]:
        """Can it be reached and read, and which metadata is missing; never raises, one line per finding."""

    def close(self) -> None:  # noqa: B027 - most warehouses hold nothing between two questions
        """Release what is held open."""
