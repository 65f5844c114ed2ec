"""SQLite files, streamed. Everything goes through ADBC's SQLite, the catalogue too.

Two SQLite libraries must not open one file in one process: closing a connection of one drops the locks of the other,
and a writer comes in under a running scan. So Python's own `sqlite3` is never used on a warehouse.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import quote

import adbc_driver_sqlite.dbapi as adbc
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite.base import SQLiteDialect

from profilemesh.config.model import Strategy
from profilemesh.errors import (
    ScanCancelled,
    StatementFailed,
    StatementTimeout,
    TableMissing,
    WarehouseBusy,
    WarehouseError,
    WarehouseUnreachable,
)
from profilemesh.planning.snapshots import Confidence, Probe, Probed, Snapshot
from profilemesh.tables import Column, TableRef
from profilemesh.warehouses.base import Misconfigured, Reading, Scan, SentStatement
from profilemesh.warehouses.files import FileWarehouse, existing_file, sqlite_token
from profilemesh.warehouses.probes import Subject, missing
from profilemesh.warehouses.sqlite_packing import Layout
from profilemesh.warehouses.sqlite_probes import SQLiteProber, comparable, key_value, rowid_of, sampled
from profilemesh.warehouses.sqlite_readings import kind_of, quick_of, reading_of
from profilemesh.warehouses.views import self_contained

BATCH_ROWS = 65_536
SCHEMA = "main"

# A table WITHOUT ROWID is told as "keyed". Shadow tables hold the insides of a virtual table. Hidden columns (1) are a
# virtual table's arguments, not its data.
_OBJECTS = (
    "SELECT iif(l.wr, 'keyed', l.type), l.name, coalesce(m.sql, ''), p.name, p.type, p.\"notnull\" "
    "FROM pragma_table_list AS l "
    "JOIN sqlite_schema AS m ON m.name = l.name AND m.type IN ('table', 'view') "
    "JOIN pragma_table_xinfo(l.name) AS p "
    "WHERE l.schema = 'main' AND l.type <> 'shadow' AND l.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND p.hidden <> 1 "
)
_CATALOGUE = sa.text(_OBJECTS + "ORDER BY l.name, p.cid")
_WITHOUT_VIEWS = sa.text(_OBJECTS + "AND l.type <> 'view' ORDER BY l.name, p.cid")
_VIEWS = sa.text("SELECT name, sql FROM sqlite_schema WHERE type = 'view' ORDER BY name")
_ROOTS = sa.text(
    "SELECT name, coalesce(rootpage, 0), coalesce(sql, '') FROM sqlite_schema WHERE type IN ('table', 'view')"
)
_BEGIN = sa.text("BEGIN")
_FIRST_READ = sa.text("SELECT count(*) FROM sqlite_schema")
_ROWS = sa.text("SELECT tbl, max(CAST(stat AS INTEGER)) FROM sqlite_stat1 GROUP BY tbl")
_HAS_ROWS = sa.text("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1'")

_SELF_CONTAINED_MODULES = ("fts3", "fts4", "fts5", "rtree", "geopoly")

_VIEW_DOUBT = "a view that may depend on more than this file, so an unchanged file does not prove unchanged data"
_MODULE_DOUBT = "a virtual table whose data may lie outside this file"
_PROBE_DOUBT = "the file could not be looked at for changes"


class SQLiteScan(Scan):
    """One read transaction on one file. Timeout and cancel act between two batches: this driver cannot interrupt a
    step."""

    dialect = SQLiteDialect(paramstyle="qmark")

    def __init__(self, warehouse: SQLiteWarehouse, subject: str) -> None:
        super().__init__()
        self._subject = subject
        self._timeout_seconds = warehouse.execution.statement_timeout_seconds
        self._cancelled = False
        self._connection = warehouse.connect()
        try:
            # The transaction begins with its first read.
            for statement in (_BEGIN, _FIRST_READ):
                self._fetched(_compiled(statement))
        except WarehouseError:
            self.close()
            raise

    def rows(self, statement: sa.Select[Any] | sa.CompoundSelect[Any] | sa.TextClause) -> Sequence[tuple[Any, ...]]:
        sql = _compiled(statement)
        started = time.monotonic()
        self._stop_if_asked(started)
        with self._one_transaction():
            rows = self._fetched(sql)
        self.statements.append(SentStatement(sql, time.monotonic() - started, len(rows)))
        return rows

    def batches(
        self, statement: sa.Select[Any] | sa.CompoundSelect[Any], batch_rows: int = BATCH_ROWS
    ) -> Iterator[pa.RecordBatch]:
        """Rows as the statement's SQLAlchemy types say: int64, double, bool, string or binary, whatever comes first."""
        inner = statement.subquery()
        layout = Layout(list(inner.c))
        sql = _compiled(_with_typed_first_row(layout.sent))
        sent = SentStatement(sql, 0.0, 0)
        self.statements.append(sent)
        started = time.monotonic()
        try:
            with self._one_transaction(), _mapped(self._subject), self._connection.cursor() as cursor:
                _limit_batches(cursor, batch_rows)
                self._stop_if_asked(started)
                cursor.execute(sql)
                first = True
                for batch in cursor.fetch_record_batch():
                    self._stop_if_asked(started)
                    if first:
                        _require_types(batch.schema, layout.sent, self._subject)
                    kept = layout.unpacked(batch.slice(1) if first else batch)
                    first = False
                    sent.rows += kept.num_rows
                    yield kept
        finally:
            sent.seconds = time.monotonic() - started

    def _fetched(self, sql: str) -> list[tuple[Any, ...]]:
        with _mapped(self._subject), self._connection.cursor() as cursor:
            # A column's type is that of the first batch: it takes all rows of a small result.
            _limit_batches(cursor, BATCH_ROWS)
            cursor.execute(sql)
            return [tuple(row) for row in cursor.fetchall()]

    @contextmanager
    def _one_transaction(self) -> Iterator[None]:
        """Most failures leave the transaction as it was. Where one has ended it, the next statement looks anew."""
        try:
            yield
        except StatementFailed:
            with suppress(WarehouseError):
                self._fetched(_compiled(_BEGIN))
                self.snapshots_taken += 1
            raise

    def cancel(self) -> None:
        self._cancelled = True

    def close(self) -> None:
        self._connection.close()

    def _stop_if_asked(self, started: float) -> None:
        if self._cancelled:
            raise ScanCancelled(f"{self._subject}: the scan was stopped")
        if time.monotonic() - started > self._timeout_seconds:
            raise StatementTimeout(
                f"{self._subject}: the statement ran longer than {self._timeout_seconds:g} s; "
                "raise execution.statement_timeout_seconds or profile fewer columns"
            )


@dataclass
class SQLiteWarehouse(FileWarehouse):
    type: ClassVar[str] = "sqlite"
    default_strategy: ClassVar[Strategy] = "stream"

    def connect(self) -> adbc.Connection:
        """A new connection that cannot write and waits for a writer's lock for 5 s (extra_params.busy_timeout_ms)."""
        path = existing_file(self.config)
        busy_ms = int(self.config.extra_params.get("busy_timeout_ms", 5000))
        with _mapped(f"warehouse {self.name}: {path}", opening=True):
            connection = adbc.connect(f"file:{quote(str(path))}?mode=ro", autocommit=True)
            try:
                with connection.cursor() as cursor:
                    for pragma in (
                        f"PRAGMA busy_timeout = {busy_ms}",
                        "PRAGMA query_only = ON",
                        "PRAGMA schema_version",
                    ):
                        cursor.execute(pragma)
                        cursor.fetchall()
            except adbc.Error:
                connection.close()
                raise
        return connection

    def file_token(self) -> str | None:
        return sqlite_token(self.path)

    def _read_catalogue(self) -> tuple[str | None, tuple[Snapshot, ...]]:
        with SQLiteScan(self, f"warehouse {self.name}") as scan:
            token = self.file_token()
            return token, self._snapshots(scan, token)

    def _snapshots(self, scan: SQLiteScan, token: str | None) -> tuple[Snapshot, ...]:
        found, broken = _objects(scan)
        estimates = dict(scan.rows(_ROWS)) if scan.rows(_HAS_ROWS) else {}
        numbered = {name for kind, name, *_ in found if kind == "table"}
        doubts = _doubts(found) | dict(broken)
        columns: dict[str, list[Column]] = {name: [] for name in broken}
        views = {name for kind, name, *_ in found if kind == "view"} | set(broken)
        for _, name, _, column, declared, notnull in found:
            columns.setdefault(name, []).append(Column(column, declared, kind_of(declared), not notnull))
        return tuple(
            self._snapshot(
                name,
                tuple(own),
                token,
                doubts.get(name) or (None if token else _PROBE_DOUBT),
                estimates,
                name in views,
                name in numbered and rowid_of(own) is not None,
            )
            for name, own in sorted(columns.items())
        )

    def _snapshot(
        self,
        name: str,
        columns: tuple[Column, ...],
        token: str | None,
        doubt: str | None,
        estimates: dict[str, int],
        is_view: bool,
        is_sampleable: bool,
    ) -> Snapshot:
        return Snapshot(
            table=TableRef(self.name, SCHEMA, name),
            columns=columns,
            token=None if doubt else token,
            confidence=Confidence.NONE if doubt else Confidence.EXACT,
            doubt=doubt,
            rows_estimate=estimates.get(name),
            is_view=is_view,
            is_sampleable=is_sampleable,
            is_coarse=not is_view and not doubt,
        )

    def _ask(self, wanted: Mapping[TableRef, Probe]) -> Mapping[TableRef, Probed]:
        with SQLiteScan(self, f"warehouse {self.name}") as scan:
            present = {snapshot.table: snapshot for snapshot in self._snapshots(scan, None)}
            roots = {TableRef(self.name, SCHEMA, name): f"{root} {sql}" for name, root, sql in scan.rows(_ROOTS)}
            subjects = [
                Subject(
                    table,
                    present[table].columns,
                    probe,
                    roots.get(table, ""),
                    rowid_of(present[table].columns) if present[table].is_sampleable else None,
                )
                for table, probe in wanted.items()
                if table in present
            ]
            return missing(wanted, present) | SQLiteProber(scan).probed(subjects)

    def comparable(self, cell: sa.ColumnElement[Any], column: Column) -> sa.ColumnElement[Any]:
        return comparable(cell, column)

    def key_value(self, column: Column, text: str) -> sa.ColumnElement[Any]:
        return key_value(column, text)

    def sampled(
        self, table: TableRef, part: sa.Select[Any], whole: sa.TableClause, fraction: float, seed: int
    ) -> sa.FromClause:
        look = self._last_look or self._look()
        snapshot = look.snapshots.get(table)
        rowid = rowid_of(snapshot.columns) if snapshot and snapshot.is_sampleable else None
        if rowid is None:
            raise StatementFailed(f"table {table}: its rows have no numbers, by which SQLite could read a part of them")
        return sampled(part, whole, rowid, fraction, seed)

    def open_scan(self, table: TableRef) -> SQLiteScan:
        return SQLiteScan(self, f"table {table}")

    def reading(self, column: Column) -> Reading:
        return reading_of(column)

    def quick_reading(self, column: Column) -> Reading:
        return quick_of(column)


def _objects(scan: SQLiteScan) -> tuple[Sequence[tuple[Any, ...]], dict[str, str]]:
    """All columns of all tables and views, and the doubts about views that cannot even be described.

    One broken view fails the statement that describes them all; only then is each view asked alone.
    """
    try:
        return scan.rows(_CATALOGUE), {}
    except (StatementFailed, TableMissing):
        found = list(scan.rows(_WITHOUT_VIEWS))
    broken: dict[str, str] = {}
    for name, _ in scan.rows(_VIEWS):
        one = sa.text(_OBJECTS + "AND l.name = :name ORDER BY p.cid").bindparams(sa.bindparam("name", name, sa.String))
        try:
            found += scan.rows(one)
        except (StatementFailed, TableMissing) as error:
            broken[name] = f"a view that does not work: {error}"
    return found, broken


def _doubts(found: Sequence[tuple[Any, ...]]) -> dict[str, str]:
    virtual = {name: sql.lower() for kind, name, sql, *_ in found if kind == "virtual"}
    outside = [name for name, sql in virtual.items() if not any(f"using {m}" in sql for m in _SELF_CONTAINED_MODULES)]
    views = {name: sql for kind, name, sql, *_ in found if kind == "view"}
    trusted = self_contained(views.items(), outside)
    return dict.fromkeys(outside, _MODULE_DOUBT) | {name: _VIEW_DOUBT for name in views if name not in trusted}


def _limit_batches(cursor: adbc.Cursor, rows: int) -> None:
    cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(rows)})


def _compiled(statement: sa.ClauseElement) -> str:
    return str(statement.compile(dialect=SQLiteScan.dialect, compile_kwargs={"literal_binds": True}))


def _with_typed_first_row(columns: Sequence[sa.ColumnElement[Any]]) -> sa.CompoundSelect[Any]:
    """ADBC takes a column's Arrow type from the first rows: put a row in front that has the right type everywhere."""
    first = sa.select(*(_typed_value(column.type).label(f"c{n}") for n, column in enumerate(columns)))
    return sa.union_all(first, sa.select(*columns))


def _typed_value(type_: sa.types.TypeEngine[Any]) -> sa.ColumnElement[Any]:
    match type_:
        case sa.Integer() | sa.Boolean():
            return sa.literal_column("0")
        case sa.Float():
            return sa.literal_column("0.5")
        case sa.LargeBinary():
            return sa.literal_column("x''")
        case _:
            return sa.literal_column("''")


def _require_types(schema: pa.Schema, columns: Sequence[sa.ColumnElement[Any]], subject: str) -> None:
    """The driver widens a column's type where the first rows disagree, instead of failing as it does later."""
    for field, column in zip(schema, columns, strict=True):
        if not _arrives_as(column.type, field.type):
            raise StatementFailed(f"{subject}: column {column.name} holds values that are not {column.type!r}")


def _arrives_as(type_: sa.types.TypeEngine[Any], arrow: pa.DataType) -> bool:
    match type_:
        case sa.Integer() | sa.Boolean():
            return bool(pa.types.is_int64(arrow))
        case sa.Float():
            return bool(pa.types.is_float64(arrow))
        case sa.LargeBinary():
            return bool(pa.types.is_binary(arrow))
        case _:
            return bool(pa.types.is_string(arrow))


@contextmanager
def _mapped(subject: str, opening: bool = False) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise StatementFailed(f"{subject}: a name, definition or value in it is not valid UTF-8 ({error})") from error
    except (adbc.Error, OSError) as error:
        raise _translated(str(error), subject, opening) from error


def _translated(text: str, subject: str, opening: bool) -> WarehouseError:
    line = text.strip().split("\n")[0]
    if "is locked" in text or "database schema is locked" in text:
        return WarehouseBusy(f"{subject}: locked by a writer; it is tried again next time")
    if "not a database" in text:
        return Misconfigured(f"{subject} is not a SQLite file (or is encrypted); check `filepath`")
    if opening or "unable to open" in text:
        return WarehouseUnreachable(
            f"{subject} could not be opened; may this user read it, and create its -shm file if it is in WAL mode? "
            f"({line})"
        )
    if "no such table" in text:
        return TableMissing(f"{subject}: it, or something that it reads, is not there any more ({line})")
    return StatementFailed(f"{subject}: {line}")
