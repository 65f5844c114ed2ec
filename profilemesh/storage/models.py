"""Every engine table, declared once. The four tables of ProfileMesh Phase 1 keep their names and columns."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any, SupportsFloat, SupportsIndex

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from profilemesh.storage.spans import MAY_FAIL

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_time(value: object) -> datetime | None:
    """The aware UTC time of a text in any ISO form, naive ones being UTC; None if it is none."""
    try:
        found = datetime.fromisoformat(str(value).strip())
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def written_time(value: datetime) -> str:
    """A UTC time as SQLite keeps it, so that times compare as texts: `YYYY-MM-DD HH:MM:SS.ffffff`."""
    return value.replace(tzinfo=None).isoformat(" ", "microseconds")


class SqliteTime(sqlite.DATETIME):
    """Written in one form and read in any: others write to the same file. What is no time is read as 1970-01-01."""

    def bind_processor(self, dialect: sa.Dialect) -> Callable[[datetime | None], str | None]:
        return lambda value: None if value is None else written_time(value)

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[object], datetime | None]:
        return lambda value: None if value is None else read_time(value) or EPOCH


class UtcDateTime(sa.TypeDecorator[datetime]):
    """Aware UTC on both sides; what is stored naive (SQLite, Phase 1) is UTC."""

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        is_postgres = dialect.name == "postgresql"
        return dialect.type_descriptor(sa.DateTime(timezone=True) if is_postgres else SqliteTime())  # type: ignore[no-untyped-call]

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive time {value!r}: ProfileMesh keeps aware UTC times only")
        value = value.astimezone(UTC)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Any:
        # Long lists have one of them in each row: without the decorator's own call around it.
        return _in_utc if dialect.name == "postgresql" else _from_text


def _from_text(value: Any) -> datetime | None:
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return read_time(value) or EPOCH
    return found.replace(tzinfo=UTC) if found.tzinfo is None else read_time(value) or EPOCH


def _in_utc(value: datetime | None) -> datetime | None:
    return value if value is None or value.tzinfo is UTC else value.astimezone(UTC)


def clean_text(value: str) -> str:
    """Text that both databases can keep: U+0000 becomes U+2400, a lone surrogate U+FFFD."""
    if value.isascii() and "\0" not in value:
        return value
    return value.replace("\0", "\u2400").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def clean_json(value: Any) -> Any:
    """The same for every text inside, and null for NaN and the infinities, which JSON does not have."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {clean_text(str(key)): clean_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean_json(item) for item in value]
    return value


class CleanText(sa.TypeDecorator[str]):
    """Text of any origin.

    Names carry no length: some warehouses allow 1,024 characters, PostgreSQL refuses an overflow, and Phase 1's
    VARCHAR(n) becomes VARCHAR there without rewriting the table. SQLite never looks at a length.
    """

    impl = sa.String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else clean_text(value)


class CleanJson(sa.TypeDecorator[Any]):
    """Strict JSON; None is SQL's NULL."""

    impl = sa.JSON(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:
        return clean_json(value)


class Number(sa.TypeDecorator[float]):
    """A finite double or NULL: NaN and the infinities compare and aggregate differently on every database."""

    impl = sa.Double
    cache_ok = True

    def process_bind_param(self, value: SupportsFloat | None, dialect: sa.Dialect) -> float | None:
        if value is None:
            return None
        number = float(value)
        return number if math.isfinite(number) else None

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> float | None:
        return _finite(value)

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Any:
        return _finite if dialect.name == "postgresql" else super().result_processor(dialect, coltype)


def _finite(value: Any) -> float | None:
    if value is None:
        return None
    # The protocol is slow to look for, and lists are long.
    number = value if type(value) is float else float(value) if isinstance(value, SupportsFloat) else math.nan
    return number if math.isfinite(number) else None


class Count(sa.TypeDecorator[int]):
    """A whole number up to 2^63, from anything that is one (numpy's integers included); read as None if it is none."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: SupportsIndex | None, dialect: sa.Dialect) -> int | None:
        return None if value is None else operator.index(value)

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> int | None:
        return _whole(value)

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Any:
        return _whole


def _whole(value: Any) -> int | None:
    if value is None or type(value) is int:
        return value
    try:
        whole = int(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return whole if whole == value else None


BigId = sa.BigInteger().with_variant(sa.Integer, "sqlite")

DRIFT_EVENTS = ("DataDriftDetected", "SchemaChangeDetected")


def _shared(default: str, length: int | None = None) -> Mapped[str]:
    """A column that an older writer on the same database does not know, or leaves NULL: it gets the default."""
    of_database = sa.text(f"'{default}'")
    return mapped_column(
        CleanText(length), default=default, server_default=of_database, sqlite_on_conflict_not_null="REPLACE"
    )


class Base(DeclarativeBase):
    """The metadata that the engine and the web app share."""


MEASURED = ("duration_seconds", "rows_scanned", "row_count")
SORTED_BY = (*MEASURED, "action", "scope", "has_drift", "status")


def _measured_index(column: str) -> sa.Index:
    return sa.Index(f"ix_profilemesh_runs_{column}", column, "profiled_at", "run_id", "dataset_name")


class Run(Base):
    """One table's run. `run_id` alone is unique in our own runs; in adopted ones only together with the table."""

    __tablename__ = "profilemesh_runs"

    run_id: Mapped[str] = mapped_column(CleanText(36), primary_key=True)
    dataset_name: Mapped[str] = mapped_column(CleanText, primary_key=True)
    schema_name: Mapped[str] = _shared("")
    warehouse: Mapped[str] = _shared("unknown")
    warehouse_type: Mapped[str] = _shared("unknown", 50)
    environment: Mapped[str] = _shared("development")
    status: Mapped[str] = mapped_column(CleanText(20))
    profiled_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    as_of: Mapped[datetime | None] = mapped_column(UtcDateTime)
    duration_seconds: Mapped[float | None] = mapped_column(Number)
    row_count: Mapped[int | None] = mapped_column(Count)
    column_count: Mapped[int | None] = mapped_column(Count)
    rows_scanned: Mapped[int | None] = mapped_column(Count)
    bytes_scanned: Mapped[int | None] = mapped_column(Count)
    action: Mapped[str | None] = mapped_column(CleanText(20))
    reason: Mapped[str | None] = mapped_column(CleanText(50))
    scope: Mapped[str | None] = mapped_column(CleanText(20))
    scope_detail: Mapped[dict[str, Any] | None] = mapped_column(CleanJson)
    strategy: Mapped[str | None] = mapped_column(CleanText(20))
    hash_family: Mapped[str | None] = mapped_column(CleanText(100))
    statements: Mapped[list[dict[str, Any]] | None] = mapped_column(CleanJson)
    column_errors: Mapped[dict[str, str] | None] = mapped_column(CleanJson)
    plan_id: Mapped[str | None] = mapped_column(CleanText(36))
    error: Mapped[str | None] = mapped_column(CleanText)
    error_trace: Mapped[str | None] = mapped_column(CleanText)
    has_drift: Mapped[bool] = mapped_column(sa.Boolean, default=False, server_default=sa.false())
    is_expected: Mapped[bool] = mapped_column(sa.Boolean, default=False, server_default=sa.false())
    expected_note: Mapped[str | None] = mapped_column(CleanText)

    __table_args__ = (
        # For the beginnings of ids, which PostgreSQL finds in no index ordered by a language's rules.
        sa.Index("ix_profilemesh_runs_begins", "run_id", postgresql_ops={"run_id": "varchar_pattern_ops"}),
        # With what a list is sorted and narrowed by, so that a period can be gone through without its rows.
        sa.Index("ix_profilemesh_runs_newest", "profiled_at", "run_id", "dataset_name", *SORTED_BY),
        sa.Index("ix_profilemesh_runs_table", "warehouse", "schema_name", "dataset_name", "profiled_at", "run_id"),
        sa.Index("ix_profilemesh_runs_status", "status", "profiled_at", "run_id", "dataset_name"),
        sa.Index("ix_profilemesh_runs_dataset", "dataset_name", "profiled_at", "run_id"),
        sa.Index("ix_profilemesh_runs_warehouse", "warehouse", "profiled_at", "run_id", "dataset_name"),
        sa.Index(
            "ix_profilemesh_runs_failed",
            "status",
            "warehouse",
            "schema_name",
            "dataset_name",
            "profiled_at",
            postgresql_where=sa.text("status = 'failed'"),
            sqlite_where=sa.text("status = 'failed'"),
        ),
        sa.Index("ix_profilemesh_runs_schema", "schema_name", "profiled_at", "run_id", "dataset_name"),
        sa.Index("ix_profilemesh_runs_environment", "environment", "profiled_at", "run_id", "dataset_name"),
        *map(_measured_index, MEASURED),
    )


class Result(Base):
    """One metric of one column (or, with an empty column name, of the table) in one run."""

    __tablename__ = "profilemesh_results"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    run_id: Mapped[str] = mapped_column(CleanText(36))
    dataset_name: Mapped[str] = mapped_column(CleanText)
    schema_name: Mapped[str] = _shared("")
    column_name: Mapped[str] = mapped_column(CleanText)
    column_type: Mapped[str | None] = mapped_column(CleanText)
    metric_name: Mapped[str] = mapped_column(CleanText(100))
    metric_value: Mapped[str | None] = mapped_column(CleanText)
    metric_number: Mapped[float | None] = mapped_column(Number)
    profiled_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (sa.Index("ix_profilemesh_results_run", "run_id", "dataset_name", "metric_name", "column_name"),)


IS_DRIFT = sa.text("event_type IN ('DataDriftDetected', 'SchemaChangeDetected')")


def _drift_index(name: str, *columns: str) -> sa.Index:
    """Of drift alone, which most events are not."""
    return sa.Index(f"ix_profilemesh_drift_{name}", *columns, postgresql_where=IS_DRIFT, sqlite_where=IS_DRIFT)


class Event(Base):
    """Something that happened, stored once: lifecycle, drift, schema changes, skips."""

    __tablename__ = "profilemesh_events"

    event_id: Mapped[str] = mapped_column(CleanText(36), primary_key=True)
    event_type: Mapped[str] = mapped_column(CleanText(100))
    run_id: Mapped[str | None] = mapped_column(CleanText(36))
    warehouse: Mapped[str] = _shared("unknown")
    schema_name: Mapped[str] = _shared("")
    # Its run's, written by the database itself; None without a run.
    environment: Mapped[str | None] = mapped_column(CleanText)
    table_name: Mapped[str | None] = mapped_column(CleanText)
    column_name: Mapped[str | None] = mapped_column(CleanText)
    metric_name: Mapped[str | None] = mapped_column(CleanText(100))
    baseline_value: Mapped[float | None] = mapped_column(Number)
    current_value: Mapped[float | None] = mapped_column(Number)
    change_percent: Mapped[float | None] = mapped_column(Number)
    drift_severity: Mapped[str | None] = mapped_column(CleanText(20))
    timestamp: Mapped[datetime] = mapped_column(UtcDateTime)
    # `metadata` is taken on a declarative class.
    details: Mapped[str | None] = mapped_column("metadata", CleanText)
    created_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        sa.Index("ix_profilemesh_events_newest", "event_type", "timestamp", "event_id"),
        sa.Index("ix_profilemesh_events_table", "warehouse", "schema_name", "table_name", "timestamp"),
        sa.Index("ix_profilemesh_events_run", "run_id"),
        _drift_index("newest", "timestamp", "event_id"),
        _drift_index("table", "table_name", "timestamp", "event_id"),
        _drift_index("warehouse", "warehouse", "timestamp", "event_id"),
    )


class TableState(Base):
    """What is remembered of a table between ticks, and who is working on it.

    `snapshot_id`, `change_token`, `probe_token`, `manifest` and `last_profiled_at` move only in the transaction that
    stores the profile of that snapshot; a sample moves `sampled_token` and `sampled_at` alone. `confidence` tells how
    far an equal token proves the stored profile true. `first_profiled_at` starts afresh when a table is back that was
    gone. `decision_id` is the table's newest row of the decision log. `claimed_by` names the process that scans the
    table until `claimed_until`. Steering by hand: `paused_at`, and `cancel_requested_at` while a scan is asked to stop.

    Every table that has a run has a state, which the database itself sees to; `warehouse_type` is that of a last run.
    """

    __tablename__ = "profilemesh_table_state"

    warehouse: Mapped[str] = mapped_column(CleanText, primary_key=True, default="unknown")
    schema_name: Mapped[str] = mapped_column(CleanText, primary_key=True, default="")
    table_name: Mapped[str] = mapped_column(CleanText, primary_key=True)
    warehouse_type: Mapped[str | None] = mapped_column(CleanText(50))
    last_run_id: Mapped[str | None] = mapped_column(CleanText(36))
    snapshot_id: Mapped[str | None] = mapped_column(CleanText(255))
    change_token: Mapped[str | None] = mapped_column(CleanText)
    confidence: Mapped[str | None] = mapped_column(CleanText(20))
    columns: Mapped[list[dict[str, Any]] | None] = mapped_column(CleanJson)
    profile_key: Mapped[str | None] = mapped_column(CleanText)
    decision: Mapped[str | None] = mapped_column(CleanText(20))
    decision_reason: Mapped[str | None] = mapped_column(CleanText(50))
    evidence: Mapped[dict[str, Any] | None] = mapped_column(CleanJson)
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_profiled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_verified_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_changed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    first_profiled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_full_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    probe_token: Mapped[str | None] = mapped_column(CleanText)
    manifest: Mapped[dict[str, Any] | None] = mapped_column(CleanJson)
    sampled_token: Mapped[str | None] = mapped_column(CleanText)
    sampled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    deferred_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    vanished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    paused_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cancel_requested_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    change_gap_minutes: Mapped[float | None] = mapped_column(Number)
    decision_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    staleness_score: Mapped[int | None] = mapped_column(Count)
    row_count: Mapped[int | None] = mapped_column(Count)
    bytes_scanned: Mapped[int | None] = mapped_column(Count)
    claimed_by: Mapped[str | None] = mapped_column(CleanText)
    claimed_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    details: Mapped[str | None] = mapped_column("metadata", CleanText)

    __table_args__ = (
        sa.Index("ix_profilemesh_table_state_claim", "claimed_by"),
        sa.Index("ix_profilemesh_table_state_decision", "decision_id"),
        sa.Index(
            "ix_profilemesh_table_state_standing",
            "decision_reason",
            "warehouse",
            "vanished_at",
            "paused_at",
            "deferred_since",
            "due_at",
        ),
        sa.Index("ix_profilemesh_table_state_name", "table_name", "schema_name", "warehouse"),
        sa.Index(
            "ix_profilemesh_table_state_unlisted",
            "warehouse",
            "schema_name",
            "table_name",
            postgresql_where=sa.text("columns IS NULL"),
            sqlite_where=sa.text("columns IS NULL"),
        ),
    )


class Summary(Base):
    """The mergeable summary behind a run, as `TableSummary.to_bytes` wrote it. `partition_key` is '' for all rows."""

    __tablename__ = "profilemesh_summaries"

    run_id: Mapped[str] = mapped_column(CleanText(36), primary_key=True)
    partition_key: Mapped[str] = mapped_column(CleanText, primary_key=True, default="")
    as_of: Mapped[datetime] = mapped_column(UtcDateTime)
    payload: Mapped[bytes] = mapped_column(sa.LargeBinary)


class ProfileNumbers(Base):
    """A run's metrics of one value, column by column, as one JSON object: what drift compares a table's runs by."""

    __tablename__ = "profilemesh_profile_numbers"

    run_id: Mapped[str] = mapped_column(CleanText(36), primary_key=True)
    payload: Mapped[bytes] = mapped_column(sa.LargeBinary)


class StoredFinding(Base):
    """A fact that drift found, from its first occurrence until it is resolved.

    Of one fact at most one is not resolved: `fingerprint` is unique among those whose `state` is another. `state` is
    open, acknowledged, snoozed (until `snoozed_until`), expected or resolved. What was last seen of it stands here,
    each occurrence in `profilemesh_occurrences`, what people did in `profilemesh_triage`. `environment` is that of the
    run that saw it last, None where that was gone before it was known. `quiet_runs` counts the like runs since that did
    not find it.
    """

    __tablename__ = "profilemesh_findings"

    finding_id: Mapped[str] = mapped_column(CleanText(36), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(CleanText(64))
    warehouse: Mapped[str] = mapped_column(CleanText)
    schema_name: Mapped[str] = mapped_column(CleanText)
    environment: Mapped[str | None] = mapped_column(CleanText)
    table_name: Mapped[str] = mapped_column(CleanText)
    column_name: Mapped[str] = mapped_column(CleanText, default="")
    metric_name: Mapped[str] = mapped_column(CleanText(100))
    kind: Mapped[str] = mapped_column(CleanText(20))
    state: Mapped[str] = mapped_column(CleanText(20))
    severity: Mapped[str] = mapped_column(CleanText(20))
    sentence: Mapped[str] = mapped_column(CleanText)
    owner: Mapped[str | None] = mapped_column(CleanText)
    assignee: Mapped[str | None] = mapped_column(CleanText)
    snoozed_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    opened_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    resolved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    first_run_id: Mapped[str | None] = mapped_column(CleanText(36))
    last_run_id: Mapped[str | None] = mapped_column(CleanText(36))
    occurrences: Mapped[int] = mapped_column(Count, default=1)
    quiet_runs: Mapped[int] = mapped_column(Count, default=0)

    __table_args__ = (
        sa.Index(
            "ix_profilemesh_findings_unresolved",
            "fingerprint",
            unique=True,
            postgresql_where=sa.text("state != 'resolved'"),
            sqlite_where=sa.text("state != 'resolved'"),
        ),
        sa.Index("ix_profilemesh_findings_fingerprint", "fingerprint", "resolved_at"),
        sa.Index("ix_profilemesh_findings_newest", "last_seen_at", "finding_id"),
        sa.Index("ix_profilemesh_findings_state", "state", "last_seen_at", "finding_id"),
        sa.Index(
            "ix_profilemesh_findings_owners",
            "owner",
            "assignee",
            postgresql_where=sa.text("state != 'resolved'"),
            sqlite_where=sa.text("state != 'resolved'"),
        ),
        # All that lists and counters ask of ten thousand findings before they choose the few that are shown.
        sa.Index(
            "ix_profilemesh_findings_told",
            "state",
            "severity",
            "last_seen_at",
            "snoozed_until",
            "warehouse",
            "schema_name",
            "table_name",
            "opened_at",
            "finding_id",
            "environment",
        ),
        sa.Index("ix_profilemesh_findings_counted", "state", "warehouse", "environment", "severity", "snoozed_until"),
        sa.Index("ix_profilemesh_findings_environment", "environment", "last_seen_at", "finding_id"),
        sa.Index("ix_profilemesh_findings_table", "warehouse", "schema_name", "table_name", "last_seen_at"),
    )


class FindingOccurrence(Base):
    """What one run found of a fact. `details` has the rest of the engine's finding: effect and its unit, p-values, the
    baseline's strategy and runs, culprits, what it explains."""

    __tablename__ = "profilemesh_occurrences"

    finding_id: Mapped[str] = mapped_column(CleanText(36), primary_key=True)
    run_id: Mapped[str] = mapped_column(CleanText(36), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    event_id: Mapped[str | None] = mapped_column(CleanText(36))
    severity: Mapped[str] = mapped_column(CleanText(20))
    sentence: Mapped[str] = mapped_column(CleanText)
    baseline_value: Mapped[float | None] = mapped_column(Number)
    current_value: Mapped[float | None] = mapped_column(Number)
    change_percent: Mapped[float | None] = mapped_column(Number)
    details: Mapped[dict[str, Any] | None] = mapped_column(CleanJson)

    __table_args__ = (sa.Index("ix_profilemesh_occurrences_run", "run_id"),)


class TriageEntry(Base):
    """What was done with a finding, by whom: opened, seen again, acknowledged, snoozed, assigned, commented ..."""

    __tablename__ = "profilemesh_triage"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    finding_id: Mapped[str] = mapped_column(CleanText(36))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    who: Mapped[str] = mapped_column(CleanText)
    action: Mapped[str] = mapped_column(CleanText(20))
    text: Mapped[str | None] = mapped_column(CleanText)

    __table_args__ = (sa.Index("ix_profilemesh_triage_finding", "finding_id", "id"),)


class AlertItem(Base):
    """One finding to be told on one route, written in the transaction that stored the finding: the outbox of alerts.

    `told` is what the message will say of it. Once the tick of `plan_id` is over the item belongs to a digest.
    """

    __tablename__ = "profilemesh_alert_items"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    route: Mapped[str] = mapped_column(CleanText(40))
    plan_id: Mapped[str] = mapped_column(CleanText(36))
    finding_id: Mapped[str] = mapped_column(CleanText(36))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    told: Mapped[dict[str, Any]] = mapped_column(CleanJson)
    digest_id: Mapped[int | None] = mapped_column(sa.BigInteger)

    __table_args__ = (
        sa.Index("ix_profilemesh_alert_items_digest", "digest_id", "route", "plan_id"),
        sa.Index("ix_profilemesh_alert_items_finding", "finding_id"),
    )


class AlertDigest(Base):
    """One message of a route: its `content` and its idempotency `key` never change, so that it may be sent again.

    `status` is waiting, sent or given_up. `delivered` names the channels that have taken it while others have not;
    `not_before` is the end of quiet hours that it was kept for, `next_at` when it is tried again after a failure.
    """

    __tablename__ = "profilemesh_alert_digests"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    key: Mapped[str] = mapped_column(CleanText(36), unique=True)
    route: Mapped[str] = mapped_column(CleanText(40))
    plan_id: Mapped[str] = mapped_column(CleanText(36))
    status: Mapped[str] = mapped_column(CleanText(20))
    content: Mapped[dict[str, Any]] = mapped_column(CleanJson)
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)
    not_before: Mapped[datetime | None] = mapped_column(UtcDateTime)
    next_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(Count, default=0)
    last_error: Mapped[str | None] = mapped_column(CleanText)
    delivered: Mapped[list[str] | None] = mapped_column(CleanJson)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        sa.Index("ix_profilemesh_alert_digests_route", "route", "status", "id"),
        sa.Index("ix_profilemesh_alert_digests_ended", "status", "ended_at"),
    )


class LoggedDecision(Base):
    """What was decided of a table in one tick, and what came of it; equal skips in a row extend one row to `last_at`.

    `rows_naive` and `bytes_naive` are what a full scan would have read, counted by a profile of that very snapshot if
    `is_naive_measured`, else estimated. The actual figures are known once the run has ended.
    """

    __tablename__ = "profilemesh_decisions"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=True)
    warehouse: Mapped[str] = mapped_column(CleanText)
    schema_name: Mapped[str] = mapped_column(CleanText)
    table_name: Mapped[str] = mapped_column(CleanText)
    plan_id: Mapped[str] = mapped_column(CleanText(36))
    decided_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ticks: Mapped[int] = mapped_column(Count, default=1)
    action: Mapped[str] = mapped_column(CleanText(20))
    reason: Mapped[str] = mapped_column(CleanText(50))
    evidence: Mapped[dict[str, Any] | None] = mapped_column(CleanJson)
    staleness_score: Mapped[int | None] = mapped_column(Count)
    rows_estimated: Mapped[int | None] = mapped_column(Count)
    bytes_estimated: Mapped[int | None] = mapped_column(Count)
    rows_naive: Mapped[int | None] = mapped_column(Count)
    bytes_naive: Mapped[int | None] = mapped_column(Count)
    is_naive_measured: Mapped[bool] = mapped_column(sa.Boolean, default=False)
    outcome: Mapped[str | None] = mapped_column(CleanText(20))
    run_id: Mapped[str | None] = mapped_column(CleanText(36))
    rows_actual: Mapped[int | None] = mapped_column(Count)
    bytes_actual: Mapped[int | None] = mapped_column(Count)
    seconds_actual: Mapped[float | None] = mapped_column(Number)

    __table_args__ = (
        sa.Index("ix_profilemesh_decisions_newest", "last_at", "id", "action", "reason", "warehouse"),
        sa.Index("ix_profilemesh_decisions_table", "warehouse", "schema_name", "table_name", "last_at", "id"),
        sa.Index("ix_profilemesh_decisions_plan", "plan_id"),
        sa.Index("ix_profilemesh_decisions_reason", "reason", "last_at", "id"),
    )


class Saving(Base):
    """What the decisions of one UTC day spared one warehouse, by action, against reading every table at every tick."""

    __tablename__ = "profilemesh_savings"

    day: Mapped[date] = mapped_column(sa.Date, primary_key=True)
    warehouse: Mapped[str] = mapped_column(CleanText, primary_key=True)
    action: Mapped[str] = mapped_column(CleanText(20), primary_key=True)
    decisions: Mapped[int] = mapped_column(Count, default=0)
    unpriced: Mapped[int] = mapped_column(Count, default=0)
    rows_measured: Mapped[int] = mapped_column(Count, default=0)
    rows_estimated: Mapped[int] = mapped_column(Count, default=0)
    bytes_measured: Mapped[int] = mapped_column(Count, default=0)
    bytes_estimated: Mapped[int] = mapped_column(Count, default=0)
    rows_read: Mapped[int] = mapped_column(Count, default=0)
    bytes_read: Mapped[int] = mapped_column(Count, default=0)


class RunCount(Base):
    """How many runs began in one UTC hour or day, and what they read, by what lists and charts are filtered by.

    Triggers of the database keep it, so that it is right whoever writes runs. On PostgreSQL each transaction adds rows
    of its own, told apart by `part`, so that writers never wait for each other; they are folded into those of part 0
    from time to time. `rows_counted` runs know their table's rows, `rows_sum` in all.
    """

    __tablename__ = "profilemesh_run_counts"

    span: Mapped[str] = mapped_column(sa.String(4), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    warehouse: Mapped[str] = mapped_column(CleanText, primary_key=True)
    warehouse_type: Mapped[str] = mapped_column(CleanText, primary_key=True)
    environment: Mapped[str] = mapped_column(CleanText, primary_key=True)
    status: Mapped[str] = mapped_column(CleanText, primary_key=True)
    scope: Mapped[str] = mapped_column(CleanText, primary_key=True)
    part: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    runs: Mapped[int] = mapped_column(sa.BigInteger)
    rows_scanned: Mapped[float] = mapped_column(sa.Double)
    rows_sum: Mapped[float] = mapped_column(sa.Double)
    rows_counted: Mapped[int] = mapped_column(sa.BigInteger)


class RunSpan(Base):
    """From when to when a table has runs, of one environment, and the seconds that lie between two neighbours at most;
    when one of them last failed and last ended otherwise; kept by triggers (`profilemesh/storage/spans.py`). Rows of
    one table are joined by whoever reads them."""

    __tablename__ = "profilemesh_run_spans"

    warehouse: Mapped[str] = mapped_column(CleanText, primary_key=True)
    schema_name: Mapped[str] = mapped_column(CleanText, primary_key=True)
    table_name: Mapped[str] = mapped_column(CleanText, primary_key=True)
    warehouse_type: Mapped[str] = mapped_column(CleanText, primary_key=True)
    environment: Mapped[str] = mapped_column(CleanText, primary_key=True)
    part: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    first_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_at: Mapped[datetime] = mapped_column(UtcDateTime)
    longest_gap: Mapped[float] = mapped_column(sa.Double)
    last_failed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_good_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    __table_args__ = (
        sa.Index(
            "ix_profilemesh_run_spans_failing",
            "warehouse",
            "schema_name",
            "table_name",
            postgresql_where=sa.text(MAY_FAIL),
            sqlite_where=sa.text(MAY_FAIL),
        ),
        {"sqlite_with_rowid": False},
    )


class ColumnName(Base):
    """A column that a table's state lists, at its place from 1 on; kept by triggers
    (`profilemesh/storage/column_names.py`), to be found by a part of its `lowered` name."""

    __tablename__ = "profilemesh_column_names"

    warehouse: Mapped[str] = mapped_column(CleanText, primary_key=True)
    schema_name: Mapped[str] = mapped_column(CleanText, primary_key=True)
    table_name: Mapped[str] = mapped_column(CleanText, primary_key=True)
    place: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    name: Mapped[str] = mapped_column(CleanText)
    lowered: Mapped[str] = mapped_column(CleanText)
    type: Mapped[str | None] = mapped_column(CleanText)

    __table_args__ = (sa.Index("ix_profilemesh_column_names_lowered", "lowered"),)


class DriftCount(Base):
    """How many drift events fell into one UTC hour or day, by warehouse, environment (empty without a run)
    and severity; kept as `RunCount` is."""

    __tablename__ = "profilemesh_drift_counts"

    span: Mapped[str] = mapped_column(sa.String(4), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    warehouse: Mapped[str] = mapped_column(CleanText, primary_key=True)
    environment: Mapped[str] = mapped_column(CleanText, primary_key=True)
    severity: Mapped[str] = mapped_column(CleanText, primary_key=True)
    part: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    events: Mapped[int] = mapped_column(sa.BigInteger)


class Lease(Base):
    """Who alone may do something until `until`: the scheduler's is called `scheduler`."""

    __tablename__ = "profilemesh_leases"

    name: Mapped[str] = mapped_column(CleanText(50), primary_key=True)
    holder: Mapped[str | None] = mapped_column(CleanText)
    taken_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    until: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Tick(Base):
    """One plan being carried out, or what came of it: its progress for every process to see.

    `status` is running, done, failed or interrupted; `current` lists the tables being read with their rows so far.
    """

    __tablename__ = "profilemesh_ticks"

    tick_id: Mapped[str] = mapped_column(CleanText(36), primary_key=True)
    plan_id: Mapped[str] = mapped_column(CleanText(36))
    asked_by: Mapped[str] = mapped_column(CleanText(20))
    holder: Mapped[str] = mapped_column(CleanText)
    status: Mapped[str] = mapped_column(CleanText(20))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    tables_known: Mapped[int] = mapped_column(Count, default=0)
    tables_to_read: Mapped[int] = mapped_column(Count, default=0)
    tables_done: Mapped[int] = mapped_column(Count, default=0)
    tables_failed: Mapped[int] = mapped_column(Count, default=0)
    rows_read: Mapped[int] = mapped_column(Count, default=0)
    current: Mapped[list[dict[str, Any]] | None] = mapped_column(CleanJson)
    error: Mapped[str | None] = mapped_column(CleanText)

    __table_args__ = (sa.Index("ix_profilemesh_ticks_newest", "started_at", "tick_id"),)
