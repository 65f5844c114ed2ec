"""What every warehouse can do: tell its catalogue, and open one read-only scan at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import TracebackType
from typing import Any, ClassVar, Literal, Self

import duckdb
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import quoted_name

from profilemesh.config.model import ExecutionConfig, Strategy, WarehouseConfig
from profilemesh.errors import StatementFailed, WarehouseUnreachable
from profilemesh.planning.snapshots import Probe, Probed, Snapshot
from profilemesh.tables import EVERY_ROW, Column, Rows, TableRef


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
        self.snapshots_taken = 1
        """Grows when a failure made the session look at the data anew: what was read before may be of another state."""

    @abstractmethod
    def rows(self, statement: sa.Select[Any] | sa.CompoundSelect[Any]) -> Sequence[tuple[Any, ...]]:
        """Run a statement whose result is small, literals rendered inline; its time is noted in `statements`."""

    def batches(self, statement: sa.Select[Any] | sa.CompoundSelect[Any]) -> Iterator[pa.RecordBatch]:
        """Run a statement and yield its rows as Arrow batches, at least one; only where the warehouse streams."""
        raise NotImplementedError

    def held(self, source: sa.FromClause) -> sa.FromClause:
        """The source's rows, held so that all statements see the same of them: a sample may differ each time."""
        return source

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


def plain_source(table: TableRef, columns: Sequence[Column]) -> sa.TableClause:
    """All rows of a table, with these columns; every name quoted."""
    selected: list[sa.ColumnClause[Any]] = [sa.column(quoted(column.name)) for column in columns]
    return sa.table(quoted(table.name), *selected, schema=quoted(table.schema))


def quoted(name: str) -> quoted_name:
    # Always: SQLAlchemy does not know every engine's reserved words.
    return quoted_name(name, quote=True)


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

    def probe(self, wanted: Mapping[TableRef, Probe]) -> Mapping[TableRef, Probed]:
        """What probes of these tables find, in few statements; a probe that fails says so in its answer.

        Raises WarehouseError only when the warehouse as a whole cannot be asked.
        """
        return {}

    def look_again(self, table: TableRef, probe: Probe | None) -> Snapshot | None:
        """One table's snapshot at this moment, `probed` included if a probe is given; None if it is gone."""
        found = next((snapshot for snapshot in self.catalogue() if snapshot.table == table), None)
        if found is None or probe is None:
            return found
        return replace(found, probed=self.probe({table: probe}).get(table))

    def source(self, table: TableRef, columns: Sequence[Column], rows: Rows = EVERY_ROW) -> sa.FromClause:
        """What to select `columns` from so that only these rows are read: partitions first, then the sample.

        Raises StatementFailed where this warehouse cannot tell the rows apart: a filter is never dropped.
        """
        if rows != EVERY_ROW:
            raise StatementFailed(f"table {table}: {self.type} cannot read a part of it")
        return plain_source(table, columns)

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
