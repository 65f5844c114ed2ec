"""PostgreSQL, streamed: the catalogue through psycopg2 in a transaction of its own, rows through ADBC as Arrow."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import adbc_driver_postgresql.dbapi as adbc
import psycopg2
import pyarrow as pa
import sqlalchemy as sa
from psycopg2.extensions import make_dsn

from profilemesh.config.masked import HIDDEN, LEAST
from profilemesh.config.model import Strategy
from profilemesh.errors import (
    PermissionDenied,
    ScanCancelled,
    StatementFailed,
    StatementTimeout,
    TableMissing,
    WarehouseError,
    WarehouseUnreachable,
)
from profilemesh.planning.snapshots import Probe, Probed, Snapshot
from profilemesh.tables import EVERY_ROW, Column, Rows, TableRef
from profilemesh.warehouses import postgres_catalogue as look
from profilemesh.warehouses import postgres_probes as probes
from profilemesh.warehouses.base import (
    EVERY_TICK,
    CheckResult,
    Misconfigured,
    Reading,
    Scan,
    SentStatement,
    Warehouse,
    plain_source,
)
from profilemesh.warehouses.postgres_partitions import Leaf, leaves_source
from profilemesh.warehouses.postgres_probes import DIALECT, rendered
from profilemesh.warehouses.postgres_readings import reading_of

BATCH_BYTES = 8 << 20
_CONNECT_SECONDS = 10
_NAME_BYTES = 63
SMALL_ROWS, SMALL_BYTES = 100_000, 400 * 8192
"""Of smaller tables a sample is drawn row by row."""


class PostgresScan(Scan):
    """One read-only REPEATABLE READ transaction, in which the table is locked against TRUNCATE and DROP first.

    Without the lock a TRUNCATE that commits between the transaction's snapshot and its first read shows zero rows.
    """

    dialect = DIALECT

    def __init__(self, warehouse: PostgresWarehouse, table: TableRef) -> None:
        super().__init__()
        self._warehouse = warehouse
        self._table = table
        self._subject = f"table {table}"
        self._cancelled = False
        self._running: adbc.Cursor | None = None
        with self._mapped():
            self._connection = adbc.connect(warehouse.dsn(str(table)))
        try:
            self._lock()
        except WarehouseError:
            self.close()
            raise

    def _lock(self) -> None:
        quote, table = self.dialect.identifier_preparer.quote_identifier, self._table
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(f"LOCK TABLE {quote(table.schema)}.{quote(table.name)} IN ACCESS SHARE MODE")
        except adbc.Error as error:
            # Not lockable: a materialised view, or a table of which the role may read some columns only.
            if error.sqlstate not in ("42809", "42501"):
                raise self._translated(error) from error
            self._connection.rollback()

    def rows(self, statement: sa.Select[Any] | sa.CompoundSelect[Any]) -> Sequence[tuple[Any, ...]]:
        with self._sent(statement) as (sent, cursor):
            rows = [tuple(row) for row in cursor.fetchall()]
            sent.rows = len(rows)
        return rows

    def batches(self, statement: sa.Select[Any] | sa.CompoundSelect[Any]) -> Iterator[pa.RecordBatch]:
        with self._sent(statement) as (sent, cursor):
            reader = cursor.fetch_record_batch()
            batch = None
            for batch in reader:
                self._stop_if_asked()
                sent.rows += batch.num_rows
                yield batch
            if batch is None:
                yield pa.RecordBatch.from_pylist([], schema=reader.schema)

    @contextmanager
    def _sent(self, statement: sa.Select[Any] | sa.CompoundSelect[Any]) -> Iterator[tuple[SentStatement, adbc.Cursor]]:
        sql = rendered(statement)
        sent = SentStatement(sql, 0.0, 0)
        self.statements.append(sent)
        started = time.monotonic()
        try:
            with self._mapped(), self._connection.cursor() as cursor:
                self._running = cursor
                self._stop_if_asked()
                cursor.adbc_statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(BATCH_BYTES)})
                cursor.execute(sql)
                yield sent, cursor
        except (StatementFailed, PermissionDenied):
            # The failure ended the transaction. Nothing of it counts, so the next one may see a later state.
            self._connection.rollback()
            self.snapshots_taken += 1
            self._lock()
            raise
        finally:
            self._running = None
            sent.seconds = time.monotonic() - started

    def cancel(self) -> None:
        self._cancelled = True
        running = self._running
        if running is not None:
            # It may end at this very moment; then there is nothing to cancel.
            with suppress(adbc.Error):
                running.adbc_cancel()

    def close(self) -> None:
        with suppress(adbc.Error):
            self._connection.rollback()
        self._connection.close()

    def _stop_if_asked(self) -> None:
        if self._cancelled:
            raise ScanCancelled(f"{self._subject}: the scan was stopped")

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except (adbc.Error, OSError) as error:
            raise self._translated(error) from error

    def _translated(self, error: adbc.Error | OSError) -> WarehouseError:
        if self._cancelled:
            return ScanCancelled(f"{self._subject}: the scan was stopped")
        return self._warehouse.translated(str(error), getattr(error, "sqlstate", None), self._subject)


@dataclass(frozen=True)
class Seen:
    """What a look at the catalogue told of a table that reading it depends on."""

    rows_hidden: bool = False
    is_large: bool = False


@dataclass
class PostgresWarehouse(Warehouse):
    type: ClassVar[str] = "postgres"
    default_strategy: ClassVar[Strategy] = "stream"

    _seen: dict[TableRef, Seen] = field(default_factory=dict, init=False, repr=False)

    def dsn(self, tag: str) -> str:
        """The libpq connection string of a read-only session in UTC that is named after `tag`. It has the password."""
        extra = {key: str(value) for key, value in self.config.extra_params.items()}
        timeout_ms = max(1, round(self.execution.statement_timeout_seconds * 1000))
        settings = (
            f"-c default_transaction_read_only=on -c default_transaction_isolation=repeatable\\ read "
            f"-c statement_timeout={timeout_ms} -c TimeZone=UTC -c extra_float_digits=1 {extra.pop('options', '')}"
        )
        known = {
            "host": self.config.host,
            "port": self.config.port,
            "dbname": self.config.database,
            "user": self.config.username,
            "password": self.config.password,
            "connect_timeout": _CONNECT_SECONDS,
            "application_name": f"profilemesh {tag}".encode("ascii", "replace")[:_NAME_BYTES].decode(),
            "client_encoding": "UTF8",
        }
        given = {key: value for key, value in known.items() if value is not None}
        try:
            return str(make_dsn(**{**given, **extra, "options": settings.strip()}))
        except psycopg2.ProgrammingError as error:
            raise Misconfigured(
                f"warehouse {self.name}: libpq does not know `extra_params` as given ({error})"
            ) from error

    def catalogue(self) -> tuple[Snapshot, ...]:
        return tuple(self._snapshots().values())

    def look_again(self, table: TableRef, probe: Probe | None) -> Snapshot | None:
        found = self._snapshots(table).get(table)
        if found is None or probe is None:
            return found
        return replace(found, probed=self.probe({table: probe})[table])

    def _snapshots(self, table: TableRef | None = None) -> dict[TableRef, Snapshot]:
        facts, leaves, roots = self._look(table)
        found = {root.table: look.snapshot(facts, root, leaves.get(root.oid, [])) for root in roots}
        for root in roots:
            self._seen[root.table] = Seen(root.rows_hidden, _is_large(found[root.table]))
        return found

    def _look(self, table: TableRef | None = None) -> tuple[look.Facts, Mapping[int, list[Leaf]], list[look.Root]]:
        only = {"schema": table.schema if table else None, "name": table.name if table else None}
        with self._transaction() as cursor:
            cursor.execute(look.FACTS)
            facts = look.Facts(*cursor.fetchone())
            cursor.execute(look.LEAVES, only)
            leaves = look.leaves_by_root(cursor)
            cursor.execute(look.COLUMNS, only)
            return facts, leaves, look.roots(self.name, cursor)

    def probe(self, wanted: Mapping[TableRef, Probe]) -> Mapping[TableRef, Probed]:
        if not wanted:
            return {}
        with self._transaction("probe") as cursor:
            return {table: self._probed(cursor, table, probe) for table, probe in wanted.items()}

    def _probed(self, cursor: Any, table: TableRef, probe: Probe) -> Probed:
        """A transaction of its own for each; one that fails takes none of the others with it."""
        try:
            cursor.execute(probes.question(table, probe))
            answer = cursor.fetchmany(probes.MOST_ROWS + 1)
            cursor.connection.rollback()
        except psycopg2.Error as error:
            failure = self.translated(str(error), error.pgcode, f"table {table}")
            if isinstance(failure, WarehouseUnreachable):
                raise
            cursor.connection.rollback()
            return Probed(probes.told(probe), failure=str(failure))
        return probes.probed(probe, answer)

    def source(self, table: TableRef, columns: Sequence[Column], rows: Rows = EVERY_ROW) -> sa.FromClause:
        def draw(source: sa.TableClause) -> sa.FromClause:
            if rows.fraction is None:
                return source
            # By pages it is fast, but of a small table it would be all or nothing.
            method = sa.func.system if self._as_seen(table).is_large else sa.func.bernoulli
            return sa.tablesample(source, method(rows.fraction * 100), "sampled", seed=sa.literal(rows.seed))

        if rows.of is None and not rows.but and not rows.key:
            return draw(plain_source(table, columns))
        return leaves_source(table, columns, rows, draw)

    def _as_seen(self, table: TableRef) -> Seen:
        if table not in self._seen:
            self._snapshots(table)
        return self._seen.get(table, Seen())

    @contextmanager
    def _transaction(self, purpose: str = "catalogue") -> Iterator[Any]:
        """A fresh connection and transaction: statistics are cached inside one."""
        try:
            connection = psycopg2.connect(self.dsn(f"{self.name} {purpose}"))
            try:
                yield connection.cursor()
            finally:
                connection.close()
        except psycopg2.Error as error:
            raise self.translated(str(error), error.pgcode, f"warehouse {self.name}") from error

    def open_scan(self, table: TableRef) -> PostgresScan:
        return PostgresScan(self, table)

    def reading(self, column: Column) -> Reading:
        return reading_of(column)

    def hidden_rows_doubt(self, table: TableRef) -> str | None:
        if not self._as_seen(table).rows_hidden:
            return None
        return "row-level security is active for this role: the profile tells of the rows it may see"

    def check(self) -> Iterator[CheckResult]:
        try:
            facts, leaves, roots = self._look()
        except WarehouseError as error:
            yield CheckResult(self.name, False, str(error))
            return
        yield CheckResult(self.name, True, f"connected as {facts.role}, read-only: {len(roots)} tables")
        doubt = facts.doubt()
        if doubt:
            remedy = "connect to the primary" if facts.is_standby else "set track_counts = on everywhere"
            yield CheckResult(self.name, True, f"{doubt}: every tick reads every table", remedy)
        if not facts.sees_sessions:
            yield CheckResult(
                self.name,
                True,
                "other roles' sessions cannot be seen: a change may be noticed a tick late while its session is busy",
                f'GRANT pg_read_all_stats TO "{facts.role}"',
            )
        for root in roots:
            yield from _table_findings(facts, root, leaves.get(root.oid, []))

    def translated(self, text: str, sqlstate: str | None, subject: str) -> WarehouseError:
        """A driver's error as one of ours, without the password."""
        password = self.config.password
        clean = text.replace(password, HIDDEN) if password and len(password) >= LEAST else text
        line = " ".join(clean.split("\n\nQuery was")[0].split())
        return _error(sqlstate or "", line, subject, self.execution.statement_timeout_seconds)


def _is_large(snapshot: Snapshot) -> bool:
    return (snapshot.rows_estimate or 0) >= SMALL_ROWS and (snapshot.bytes_estimate or SMALL_BYTES) >= SMALL_BYTES


def _table_findings(facts: look.Facts, root: look.Root, leaves: Sequence[Leaf]) -> Iterator[CheckResult]:
    table, snapshot = root.table, look.snapshot(facts, root, leaves)
    divided = look.division(root, leaves)
    if not root.readable:
        remedy = f'GRANT SELECT ON "{table.schema}"."{table.name}" TO "{facts.role}"'
        yield CheckResult(str(table), False, f"role {facts.role} may not read it", remedy)
    elif snapshot.doubt:
        if snapshot.doubt != facts.doubt():
            yield CheckResult(str(table), True, f"{snapshot.doubt}: every tick reads it", EVERY_TICK)
    elif len(divided.leaves) > 1 and divided.is_policed:
        message = "row-level security shows its partitions otherwise than all of it: a change in one reads them all"
        yield CheckResult(str(table), True, message)
    elif divided.closed:
        message = f"role {facts.role} may not read its partitions by name: a change in one reads them all"
        yield CheckResult(str(table), True, message, _grants(divided.closed, facts.role))


def _grants(leaves: Sequence[Leaf], role: str) -> str:
    schemas = sorted({leaf.schema for leaf in leaves if not leaf.is_in_reach})
    closed = [f'"{leaf.schema}"."{leaf.name}"' for leaf in leaves if not leaf.is_granted]
    grants = [f'USAGE ON SCHEMA "{schema}"' for schema in schemas]
    grants += [f"SELECT ON {', '.join(closed)}"] if closed else []
    return "; ".join(f'GRANT {grant} TO "{role}"' for grant in grants)


def _error(sqlstate: str, line: str, subject: str, timeout_seconds: float) -> WarehouseError:
    # Errors in mid stream come without a code. The words tell then, but not those that may quote a cell.
    words, _, answer = line.partition("ERROR: ")
    words = "" if sqlstate else words
    ran_out = _TIMED_OUT in line if sqlstate == "57014" else answer.startswith(_TIMED_OUT)
    if sqlstate == "55P03" or ran_out:
        return StatementTimeout(
            f"{subject}: the statement ran longer than {timeout_seconds:g} s; "
            "raise execution.statement_timeout_seconds or profile fewer columns"
        )
    if sqlstate in ("42P01", "3F000"):
        return TableMissing(f"{subject}: it is not there any more ({line})")
    if sqlstate == "42501":
        return PermissionDenied(f"{subject}: this role may not read it; grant SELECT on it ({line})")
    if (
        sqlstate[:2] in ("28", "3D")
        or _says(words, "authentication failed", "does not exist", "no password")
        and _says(words, "FATAL", "failed:")
    ):
        return Misconfigured(f"{subject}: the server refused the login; check user, password and database ({line})")
    if sqlstate[:2] in ("08", "57") and sqlstate != "57014" or _says(words, *_LOST):
        return WarehouseUnreachable(f"{subject}: no connection, or it was lost; check host and port ({line})")
    return StatementFailed(f"{subject}: {line}")


_TIMED_OUT = "canceling statement due to statement timeout"
_LOST = (
    "Failed to connect",
    "connection to server",
    "could not translate host name",
    "no connection to the server",
    "server closed the connection",
    "terminating connection",
    "SSL",
    "timeout expired",
)


def _says(line: str, *phrases: str) -> bool:
    return any(phrase in line for phrase in phrases)
