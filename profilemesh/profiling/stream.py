"""Row stores: one statement reads the columns as Arrow batches; the embedded engine summarises batch by batch.

A reader thread fetches the next batch while this one is summarised, one ahead. The batches of an attempt
count only when the last one has come: a scan that breaks leaves nothing behind.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb
import pyarrow as pa
import sqlalchemy as sa

from profilemesh.errors import PermissionDenied, StatementFailed
from profilemesh.profiling import sql
from profilemesh.profiling.lens import Lens
from profilemesh.profiling.scope import WITHHELD, Scope
from profilemesh.profiling.statements import TOGETHER, Found, Split, Statement, summarise
from profilemesh.profiling.summary import ColumnSummary
from profilemesh.tables import PART, Column
from profilemesh.warehouses.base import Form, Reading, Scan, Warehouse

FIRST_ROWS, BATCH_ROWS = 100_000, 200_000
"""Rows of the first batch, which the engine waits for, doubled up to those of the last, at which planning is cheap."""
BATCH_BYTES = 12 << 20
AHEAD = 1
FLAGS = 60
"""Columns whose odd values share one integer of flags."""

Progress = Callable[[int], None]
Parts = list[tuple[int, dict[str, ColumnSummary]]]
"""Of each part, its number of rows and the summaries of its columns by name."""


class Embedded:
    """An in-memory DuckDB that answers statements about one Arrow batch at a time, its memory capped."""

    def __init__(self, memory_limit_mb: int) -> None:
        self.connection = duckdb.connect(
            ":memory:",
            config={
                "autoinstall_known_extensions": False,
                "memory_limit": f"{memory_limit_mb}MB",
                "threads": 2,
                "temp_directory": "",
            },
        )
        self.connection.execute("SET TimeZone = 'UTC'")

    def load(self, batch: pa.Table, lenses: Sequence[Lens]) -> None:
        """Make a batch the table `batch`, with the texts parsed that several statements would parse otherwise."""
        self.connection.register("batch", batch)
        parsed = [
            lens.parse.label(lens.parsed.name) for lens in lenses if lens.parse is not None and lens.parsed is not None
        ]
        if parsed:
            statement = sa.select(*parsed).select_from(sa.table("batch"))
            ready = self._answer(statement, lambda text: self.connection.sql(text).to_arrow_table())
            for name in ready.column_names:
                batch = batch.append_column(name, ready[name])
            self.connection.register("batch", batch)

    def rows(self, statement: Statement) -> Sequence[tuple[Any, ...]]:
        return list(self._answer(statement, lambda text: self.connection.execute(text).fetchall()))

    def _answer(self, statement: Statement, run: Callable[[str], Any]) -> Any:
        try:
            return run(sql.rendered(statement, sql.DUCKDB))
        except duckdb.Error as error:
            raise StatementFailed(f"the embedded engine could not summarise this column: {error}") from error

    def close(self) -> None:
        self.connection.close()


@dataclass(frozen=True)
class Sent:
    """The SELECT that reads some columns, and the lenses through which its batches are seen."""

    statement: sa.Select[Any]
    lenses: list[Lens]


def sent(
    read: Callable[[Column], Reading | None], source: sa.FromClause, scope: Scope, columns: Sequence[int]
) -> Sent | None:
    """Of these columns of the scope (by index): `v` the values, `o` overflow, `l` lengths, `flags` of odd values.

    None where `read` knows no way to send one of them.
    """
    selected: list[sa.ColumnElement[Any]] = []
    readings = {index: reading for index in columns if (reading := read(scope.columns[index])) is not None}
    if len(readings) < len(columns):
        return None
    odd = [index for index in columns if readings[index].odd is not None]
    for index, reading in readings.items():
        for name, expression in (("v", reading.sent), ("o", reading.overflow), ("l", reading.length)):
            if expression is not None:
                selected.append(expression.label(f"{name}{index}"))
    for place in range(0, len(odd), FLAGS):
        selected.append(
            _flags([readings[index] for index in odd[place : place + FLAGS]]).label(f"flags{place // FLAGS}")
        )
    if scope.rows.are_told_apart:
        selected.append(sa.column(PART, sa.Integer))
    if not selected:
        selected.append(sa.literal(1).label("v"))
    flags = {index: divmod(place, FLAGS) for place, index in enumerate(odd)}
    lenses = [_lens(scope, index, readings[index], flags.get(index)) for index in columns]
    return Sent(sa.select(*selected).select_from(source), lenses)


def _flags(readings: Sequence[Reading]) -> sa.ColumnElement[Any]:
    bits = [
        sa.case((reading.odd, sa.literal_column(str(1 << place))), else_=sa.literal_column("0"))
        for place, reading in enumerate(readings)
        if reading.odd is not None
    ]
    total: sa.ColumnElement[Any] = sa.cast(bits[0], sa.BigInteger)
    for bit in bits[1:]:
        total = total + bit
    return total


def _lens(scope: Scope, index: int, reading: Reading, flag: tuple[int, int] | None) -> Lens:
    column = scope.columns[index]
    # A reading that can tell no odd value apart, and came to its end, met none.
    odd: sa.ColumnElement[Any] | None = sa.false() if reading.odd_means == "invalid" else None
    if flag is not None:
        flags = sa.cast(sa.column(f"flags{flag[0]}"), sa.BigInteger)
        odd = flags.bitwise_and(sa.literal_column(str(1 << flag[1]))) != 0
    return Lens(
        column,
        sa.column(f"v{index}"),
        reading.form,
        None if reading.overflow is None else sa.column(f"o{index}"),
        None if reading.length is None else sa.column(f"l{index}"),
        odd,
        reading.odd_means,
        column.name in scope.sensitive,
        scope.shifts.get(column.name),
        None if reading.form in (Form.NATIVE, Form.SECONDS) else sa.column(f"p{index}"),
    )


class Stream:
    """One table's reading: what it has found so far, and which columns are at fault."""

    def __init__(
        self, warehouse: Warehouse, scan: Scan, scope: Scope, progress: Progress, split: Split = TOGETHER
    ) -> None:
        self.warehouse, self.scan, self.scope, self.progress = warehouse, scan, scope, progress
        self.split = split
        self.source = warehouse.source(scope.table, scope.columns, scope.rows)
        self.errors: dict[str, str] = {}
        self.bytes_read = 0

    def run(self) -> list[Found]:
        """What was found of each part. Raises WarehouseError when nothing can be read; columns that alone are at fault
        are unknown instead."""
        self.engine = Embedded(self.warehouse.execution.memory_limit_mb)
        columns = list(range(len(self.scope.columns)))
        try:
            parts = self._quick(columns) or self._readable(columns)
        finally:
            self.engine.close()
        read = [self.bytes_read, *[None] * (self.split.count - 1)]
        return [
            Found(rows, self._with_unknown(rows, summaries), self.errors, size)
            for (rows, summaries), size in zip(parts, read, strict=True)
        ]

    def _with_unknown(self, rows: int, summaries: dict[str, ColumnSummary]) -> dict[str, ColumnSummary]:
        return {
            column.name: summaries.get(column.name) or ColumnSummary(column.kind, column.type, rows, None)
            for column in self.scope.columns
        }

    def _quick(self, columns: list[int]) -> Parts | None:
        """The cheap reading, for a warehouse that has one; None where a value turns up that it cannot send."""
        plan = sent(self.warehouse.quick_reading, self.source, self.scope, columns)
        if plan is None:
            return None
        try:
            return self._read(plan)
        except StatementFailed:
            self.errors, self.bytes_read = {}, 0
            return None

    def _readable(self, columns: list[int]) -> Parts:
        """Read these columns in one statement; where it fails, find the columns at fault and read the rest in one."""
        try:
            return self._read(self._sent(columns))
        except (StatementFailed, PermissionDenied) as error:
            faults = self._faults(columns, str(error))
            if len(faults) == len(columns):
                if self.scope.sensitive:
                    raise type(error)(f"table {self.scope.table}: {WITHHELD}") from None
                raise
        for index, message in faults.items():
            column = self.scope.columns[index]
            self.errors[column.name] = self.scope.shown(column, message)
        return self._read(self._sent([index for index in columns if index not in faults]))

    def _sent(self, columns: list[int]) -> Sent:
        plan = sent(self.warehouse.reading, self.source, self.scope, columns)
        assert plan is not None
        return plan

    def _faults(self, columns: list[int], message: str) -> dict[int, str]:
        """The columns that cannot be read, by halving. Together they are known to fail, with this message."""
        if len(columns) == 1:
            return {columns[0]: message}
        faults: dict[int, str] = {}
        for half in (columns[: len(columns) // 2], columns[len(columns) // 2 :]):
            try:
                for _ in self.scan.batches(self._sent(half).statement):
                    pass
            except (StatementFailed, PermissionDenied) as error:
                faults |= self._faults(half, str(error))
        return faults or dict.fromkeys(columns, message)

    def _read(self, plan: Sent) -> Parts:
        lenses = plan.lenses
        rows = [0] * self.split.count
        merged = [[ColumnSummary(lens.column.kind, lens.column.type) for lens in lenses] for _ in rows]
        for number, batch in enumerate(_ahead(lambda: _gathered(self.scan.batches(plan.statement)), self.scan)):
            self.engine.load(batch, lenses)
            for part, (counted, summaries) in enumerate(self._summarise(lenses, merged if number else None)):
                # A part without rows in this batch changes nothing.
                if counted or not number:
                    rows[part] += counted
                    merged[part] = _both(merged[part], summaries) if number else summaries
            lenses = [_with_shift(lens, [part[at] for part in merged]) for at, lens in enumerate(lenses)]
            self.bytes_read += batch.nbytes
            self.progress(sum(rows))
        names = [lens.column.name for lens in lenses]
        return [(counted, dict(zip(names, part, strict=True))) for counted, part in zip(rows, merged, strict=True)]

    def _summarise(
        self, lenses: list[Lens], before: list[list[ColumnSummary]] | None
    ) -> list[tuple[int, list[ColumnSummary]]]:
        unlisted = {
            (lens.column.name, number)
            for number, part in enumerate(before or [])
            for lens, old in zip(lenses, part, strict=True)
            if old.top is None
        }
        return summarise(
            sa.table("batch"),
            lenses,
            self.engine.rows,
            self.errors,
            lambda lens, part: (lens.column.name, part) not in unlisted,
            self.split,
        )


def _both(before: list[ColumnSummary], more: list[ColumnSummary]) -> list[ColumnSummary]:
    return [a.merge(b) for a, b in zip(before, more, strict=True)]


def _with_shift(lens: Lens, parts: list[ColumnSummary]) -> Lens:
    """One shift for all batches and parts, once there is a value to take it from."""
    if lens.shift is not None:
        return lens
    found = next((part.moments.shift for part in parts if part.moments is not None and part.moments.n), None)
    return lens if found is None else replace(lens, shift=found)


def _gathered(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Batches joined up to a size at which the engine's cost per statement no longer shows; at least one table."""
    waiting: list[pa.RecordBatch] = []
    rows = size = 0
    wanted = FIRST_ROWS
    schema = None
    for batch in batches:
        schema = batch.schema
        waiting.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
        if rows >= wanted or size >= BATCH_BYTES:
            wanted = min(2 * wanted, BATCH_ROWS)
            yield pa.Table.from_batches(waiting)
            waiting, rows, size = [], 0, 0
    if waiting:
        yield pa.Table.from_batches(waiting, schema)


def _ahead(make: Callable[[], Iterator[pa.Table]], scan: Scan) -> Iterator[pa.Table]:
    """The iterator's items, fetched by a thread of its own. Whoever stops early stops the scan."""
    items: queue.Queue[pa.Table | BaseException | None] = queue.Queue(AHEAD)
    stopped = threading.Event()

    def fetch() -> None:
        last: BaseException | None = None
        try:
            for item in make():
                items.put(item)
                if stopped.is_set():
                    return
        except BaseException as error:  # noqa: BLE001 - handed to the consumer, which raises it
            last = error
        items.put(last)

    thread = threading.Thread(target=fetch, name="profilemesh-reader", daemon=True)
    thread.start()
    over = False
    try:
        while True:
            item = items.get()
            over = item is None or isinstance(item, BaseException)
            if isinstance(item, BaseException):
                raise item
            if item is None:
                return
            yield item
    finally:
        stopped.set()
        # A scan that has ended by itself may be asked something else.
        if over:
            thread.join()
        else:
            _drain(items, thread, scan)


def _drain(items: queue.Queue[Any], thread: threading.Thread, scan: Scan) -> None:
    """Let the reader find that nobody waits: cancel its statement and take what it still offers."""
    scan.cancel()
    while thread.is_alive():
        try:
            items.get(timeout=0.05)
        except queue.Empty:
            continue
