"""DuckDB files: opened briefly and read-only, computed by their own engine (push-down)."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import sqlalchemy as sa
from duckdb_engine import Dialect as DuckDBDialect

from profilemesh.config.model import Strategy
from profilemesh.errors import (
    PermissionDenied,
    ScanCancelled,
    StatementFailed,
    StatementTimeout,
    TableMissing,
    WarehouseBusy,
    WarehouseError,
    WarehouseUnreachable,
)
from profilemesh.planning.snapshots import Confidence, Probe, Probed, Snapshot
from profilemesh.tables import Column, Kind, TableRef
from profilemesh.warehouses.base import Misconfigured, Scan, SentStatement, quoted
from profilemesh.warehouses.duckdb_probes import DuckDBProber, comparable, key_value, rowid_of
from profilemesh.warehouses.files import FileWarehouse, duckdb_token, existing_file
from profilemesh.warehouses.probes import Subject, missing
from profilemesh.warehouses.views import self_contained

_KINDS = {
    **dict.fromkeys(
        ("TINYINT SMALLINT INTEGER BIGINT HUGEINT UTINYINT USMALLINT UINTEGER UBIGINT UHUGEINT BIGNUM VARINT").split(),
        Kind.INTEGER,
    ),
    **dict.fromkeys(
        (
            "TIMESTAMP",
            "TIMESTAMP_S",
            "TIMESTAMP_MS",
            "TIMESTAMP_NS",
            "TIMESTAMP WITH TIME ZONE",
            "TIMESTAMPTZ",
            "TIMESTAMPTZ_NS",
        ),
        Kind.TIMESTAMP,
    ),
    **dict.fromkeys(("TIME", "TIME_NS", "TIME WITH TIME ZONE", "TIMETZ"), Kind.TIME),
    "DECIMAL": Kind.DECIMAL,
    "FLOAT": Kind.FLOAT,
    "DOUBLE": Kind.FLOAT,
    "BOOLEAN": Kind.BOOLEAN,
    "DATE": Kind.DATE,
    "INTERVAL": Kind.INTERVAL,
    "VARCHAR": Kind.TEXT,
    "ENUM": Kind.TEXT,
    "BLOB": Kind.BYTES,
    "UUID": Kind.UUID,
    "JSON": Kind.JSON,
}

_CATALOGUE = sa.text(
    "SELECT c.schema_name, c.table_name, c.column_name, c.data_type, c.is_nullable, t.estimated_size, v.sql "
    "FROM duckdb_columns() AS c "
    "LEFT JOIN duckdb_tables() AS t ON t.database_oid = c.database_oid AND t.table_oid = c.table_oid "
    "LEFT JOIN duckdb_views() AS v ON v.database_oid = c.database_oid AND v.view_oid = c.table_oid "
    "WHERE c.database_name = current_database() AND NOT c.internal "
    "ORDER BY c.schema_name, c.table_name, c.column_index"
)
_DEFINITIONS = sa.text(
    "SELECT schema_name, table_name, sql FROM duckdb_tables() WHERE database_name = current_database() AND NOT internal"
)

_BLOCK_ROWS = 2048
_FEWEST_BLOCKS = 20
"""A sample of fewer blocks says too little of the table: it is drawn row by row, which reads all of them."""

_VIEW_DOUBT = "a view that may read more than this file's tables, so an unchanged file does not prove unchanged data"
_PROBE_DOUBT = "the file could not be looked at for changes"


def kind_of(type_name: str) -> Kind:
    """What a DuckDB type's values are; the word is the one `duckdb_columns()` gives."""
    if type_name.endswith("]"):
        return Kind.ARRAY
    return _KINDS.get(type_name.split("(")[0].strip(), Kind.OTHER)


class DuckDBScan(Scan):
    """One read transaction on one file. The statement timeout is a timer that interrupts."""

    # Its own default doubles percent signs, which only a driver with pyformat parameters would undo.
    dialect = DuckDBDialect(paramstyle="qmark")
    # PostgreSQL's text literals escape a backslash until a server says otherwise; DuckDB's never do.
    dialect._backslash_escapes = False

    def __init__(self, warehouse: DuckDBWarehouse, subject: str) -> None:
        super().__init__()
        self._subject = subject
        self._timeout_seconds = warehouse.execution.statement_timeout_seconds
        self._stopped: type[ScanCancelled] | type[StatementTimeout] | None = None
        self._connection = warehouse.connect()
        self._begin()

    def rows(self, statement: sa.Select[Any] | sa.CompoundSelect[Any] | sa.TextClause) -> Sequence[tuple[Any, ...]]:
        return self._run(statement)

    def held(self, source: sa.FromClause) -> sa.FromClause:
        """A temporary table, which spills to disk beyond the memory limit. The sampling clause draws anew each time."""
        name = f"held {len(self.statements)}"
        columns: list[sa.ColumnClause[Any]] = [sa.column(quoted(column.name), column.type) for column in source.c]
        self._run(sa.select(*source.c).into(quoted(name), temporary=True))
        # Else a statement that fails would take it along.
        with self._mapped():
            self._connection.commit()
        self._begin()
        return sa.table(quoted(name), *columns, schema=quoted("temp"))

    def _run(self, statement: sa.ClauseElement) -> Sequence[tuple[Any, ...]]:
        sql = str(statement.compile(dialect=self.dialect, compile_kwargs={"literal_binds": True}))
        sent = SentStatement(sql, 0.0, 0)
        self.statements.append(sent)
        started = time.monotonic()
        try:
            with self._mapped(), self._time_limit():
                rows = self._connection.execute(sql).fetchall()
        except (StatementFailed, StatementTimeout):
            self._begin_again()
            raise
        finally:
            sent.seconds = time.monotonic() - started
        sent.rows = len(rows)
        return rows

    def _begin(self) -> None:
        with self._mapped():
            self._connection.execute("BEGIN TRANSACTION READ ONLY")

    def _begin_again(self) -> None:
        """A failure ends the transaction. It stays one snapshot: while the file is open here nobody can write to it, so
        the next transaction sees the same."""
        with suppress(duckdb.Error):
            self._connection.rollback()
        self._begin()

    def cancel(self) -> None:
        self._stopped = ScanCancelled
        # It may be closed at this very moment; then there is nothing to stop.
        with suppress(duckdb.Error):
            self._connection.interrupt()

    def close(self) -> None:
        self._connection.close()

    def _time_out(self) -> None:
        self._stopped = self._stopped or StatementTimeout
        self._connection.interrupt()

    @contextmanager
    def _time_limit(self) -> Iterator[None]:
        timer = threading.Timer(self._timeout_seconds, self._time_out)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        if self._stopped is ScanCancelled:
            raise ScanCancelled(f"{self._subject}: the scan was stopped")
        try:
            yield
        except duckdb.InterruptException as error:
            raise self._interrupted() from error
        except duckdb.Error as error:
            raise _translated(error, self._subject) from error

    def _interrupted(self) -> WarehouseError:
        if self._stopped is StatementTimeout:
            return StatementTimeout(
                f"{self._subject}: the statement ran longer than {self._timeout_seconds:g} s; "
                "raise execution.statement_timeout_seconds or profile fewer columns"
            )
        return ScanCancelled(f"{self._subject}: the scan was stopped")


@dataclass
class DuckDBWarehouse(FileWarehouse):
    type: ClassVar[str] = "duckdb"
    default_strategy: ClassVar[Strategy] = "pushdown"

    def connect(self) -> duckdb.DuckDBPyConnection:
        """A new read-only connection in UTC that cannot reach outside its file."""
        path = existing_file(self.config)
        try:
            connection = duckdb.connect(str(path), read_only=True, config=self._settings())
            # Not in the settings: there the order of application is not ours.
            connection.execute("SET enable_external_access = false")
            # Else a view on a missing table could read a Python variable of that name.
            connection.execute("SET python_enable_replacements = false")
            connection.execute("SET TimeZone = 'UTC'")
        except duckdb.Error as error:
            raise self._not_opened(error, path) from error
        return connection

    def _settings(self) -> dict[str, str | bool | int | float | list[str]]:
        # One process may open a file with one set of settings only, so nothing here may differ between two scans.
        return {
            # Else a file of another kind makes it fetch an extension from the network.
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "memory_limit": f"{self.execution.memory_limit_mb}MB",
            "threads": int(self.config.extra_params.get("threads", 2)),
            "temp_directory": str(Path(tempfile.gettempdir()) / f"profilemesh-{os.getpid()}"),
        }

    def file_token(self) -> str | None:
        return duckdb_token(self.path)

    def _read_catalogue(self) -> tuple[str | None, tuple[Snapshot, ...]]:
        with DuckDBScan(self, f"warehouse {self.name}") as scan:
            token = self.file_token()
            return token, self._snapshots(scan, token)

    def _snapshots(self, scan: DuckDBScan, token: str | None) -> tuple[Snapshot, ...]:
        found = scan.rows(_CATALOGUE)
        views = {(schema, table): sql for schema, table, *_, sql in found if sql is not None}
        trusted = self_contained((table, sql) for (_, table), sql in views.items())
        columns: dict[tuple[str, str], list[Column]] = {}
        rows: dict[tuple[str, str], int | None] = {}
        for schema, table, column, type_name, nullable, size, _ in found:
            columns.setdefault((schema, table), []).append(Column(column, type_name, kind_of(type_name), nullable))
            rows[schema, table] = size
        return tuple(
            self._snapshot(key, tuple(own), token, rows[key], key in views, key[1] in trusted)
            for key, own in columns.items()
        )

    def _snapshot(
        self,
        key: tuple[str, str],
        columns: tuple[Column, ...],
        token: str | None,
        rows: int | None,
        is_view: bool,
        trusted: bool,
    ) -> Snapshot:
        doubt = _PROBE_DOUBT if token is None else _VIEW_DOUBT if is_view and not trusted else None
        return Snapshot(
            table=TableRef(self.name, *key),
            columns=columns,
            token=None if doubt else token,
            confidence=Confidence.NONE if doubt else Confidence.EXACT,
            doubt=doubt,
            rows_estimate=None if is_view else rows,
            is_view=is_view,
            is_sampleable=not is_view,
            is_coarse=not is_view and not doubt,
        )

    def _ask(self, wanted: Mapping[TableRef, Probe]) -> Mapping[TableRef, Probed]:
        with DuckDBScan(self, f"warehouse {self.name}") as scan:
            present = {snapshot.table: snapshot for snapshot in self._snapshots(scan, None)}
            definitions = {TableRef(self.name, schema, name): sql for schema, name, sql in scan.rows(_DEFINITIONS)}
            subjects = [
                Subject(
                    table,
                    present[table].columns,
                    probe,
                    definitions.get(table, ""),
                    rowid_of(present[table].columns) if table in definitions else None,
                )
                for table, probe in wanted.items()
                if table in present
            ]
            return missing(wanted, present) | DuckDBProber(scan, self.path).probed(subjects)

    def comparable(self, cell: sa.ColumnElement[Any], column: Column) -> sa.ColumnElement[Any]:
        return comparable(cell, column)

    def key_value(self, column: Column, text: str) -> sa.ColumnElement[Any]:
        return key_value(column, text)

    def sampled(
        self, table: TableRef, part: sa.Select[Any], whole: sa.TableClause, fraction: float, seed: int
    ) -> sa.FromClause:
        """Blocks of rows, of which the others are not read, where there are enough of them; else single rows."""
        snapshot = (self._last_look or self._look()).snapshots.get(table)
        rows = snapshot.rows_estimate if snapshot else None
        in_blocks = part.whereclause is None and rows is not None and rows * fraction >= _FEWEST_BLOCKS * _BLOCK_ROWS
        share: sa.ColumnElement[Any] = sa.literal_column(f"{fraction * 100:.10f} PERCENT")
        method = sa.func.system(share) if in_blocks else sa.func.bernoulli(share)
        source = whole if part.whereclause is None else part.subquery("part")
        drawn = source.tablesample(method, name="drawn", seed=sa.literal(seed))
        names = [column.name for column in part.selected_columns]
        return sa.select(*(drawn.c[name] for name in names)).subquery("sample")

    def open_scan(self, table: TableRef) -> DuckDBScan:
        return DuckDBScan(self, f"table {table}")

    def _not_opened(self, error: duckdb.Error, path: Path) -> WarehouseError:
        text = str(error)
        if "Could not set lock" in text:
            return WarehouseBusy(
                f"warehouse {self.name}: {path} is being written by another process; it is tried again next time"
            )
        if "different configuration" in text:
            return WarehouseBusy(
                f"warehouse {self.name}: {path} is open in this very process with other settings (perhaps for "
                "writing); close that connection first"
            )
        if "sqlite_scanner" in text:
            return Misconfigured(f"warehouse {self.name}: {path} is a SQLite file; write `type: sqlite`")
        if "not a valid DuckDB" in text:
            return Misconfigured(f"warehouse {self.name}: {path} is not a DuckDB file; check `filepath`")
        return WarehouseUnreachable(f"warehouse {self.name}: {path} could not be opened: {_first_line(text)}")


def _translated(error: duckdb.Error, subject: str) -> WarehouseError:
    text = _first_line(str(error))
    if isinstance(error, duckdb.CatalogException) and "does not exist" in text and "Table" in text:
        return TableMissing(f"{subject}: it, or something that it reads, is not there any more ({text})")
    if isinstance(error, duckdb.PermissionException):
        return PermissionDenied(f"{subject}: it reads outside its file, which is not allowed here ({text})")
    return StatementFailed(f"{subject}: {text}")


def _first_line(text: str) -> str:
    return text.strip().split("\n")[0]
