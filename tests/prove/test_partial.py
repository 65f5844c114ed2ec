"""A partial run of a hundred daily partitions tells what a full one would, and reads only what changed.

Two partitions are changed by inserts, updates and deletes, the oldest is dropped, a new one is added. The merged
profile is held against a fresh full run into another storage: every metric, every register, every bucket.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa

from profilemesh.config.model import PartitionRule, TableRule, WarehouseConfig
from profilemesh.profiling.summary import TableSummary
from profilemesh.storage.models import Result, Run, Summary
from profilemesh.storage.upgrade import upgrade
from tests.engine.ticks import Project

pytestmark = pytest.mark.prove

PARTITIONS, ROWS = 100, 20_000
COLUMNS = (
    "id BIGINT, day DATE, updated_at TIMESTAMP, customer INTEGER, amount NUMERIC(12, 2), rate DOUBLE PRECISION, "
    "status VARCHAR(12), note VARCHAR(40), paid BOOLEAN"
)
DAY = "DATE '2026-01-01' + CAST({n} AS INTEGER)"
ROW = (
    "SELECT {n} * 1000000 + i, " + DAY + ", TIMESTAMP '2026-01-01' + INTERVAL '1 second' * (i + {n}), "
    "CASE WHEN i % 11 = 0 THEN NULL ELSE (i * 7919) % 5000 END, (i * 31 % 100000) / 100.0, sqrt(i * 1.0 + {n}), "
    "CASE i % 4 WHEN 0 THEN 'new' WHEN 1 THEN 'paid' WHEN 2 THEN 'sent' ELSE 'lost' END, "
    "CASE WHEN i % 5 = 0 THEN NULL ELSE 'note ' || CAST(i % 3000 AS VARCHAR) END, i % 3 = 0 "
    "FROM {range}"
)
LATE = "TIMESTAMP '2027-01-01'"


@dataclass
class Side:
    """One engine: how a partition is filled, dropped and counted."""

    kind: str
    config: WarehouseConfig
    write: Any

    def fill(self, n: int) -> None:
        series = f"range(1, {ROWS + 1}) r(i)" if self.kind == "duckdb" else f"generate_series(1, {ROWS}) i"
        if self.kind == "postgres":
            low, high = DAY.format(n=n), DAY.format(n=n + 1)
            self.write(f"CREATE TABLE d{n} PARTITION OF t FOR VALUES FROM ({low}) TO ({high})")
        self.write(f"INSERT INTO t {ROW.format(n=n, range=series)}")

    def change(self, n: int) -> None:
        where = f"day = {DAY.format(n=n)}"
        self.write(
            f"UPDATE t SET amount = amount * 2, status = 'late', updated_at = {LATE} WHERE {where} AND id % 10 = 3",
            f"DELETE FROM t WHERE {where} AND id % 10 = 4",
            f"INSERT INTO t (id, day, updated_at, rate) SELECT -id, day, {LATE}, -rate FROM t "
            f"WHERE {where} AND id % 10 = 5",
        )

    def drop(self, n: int) -> None:
        self.write(f"DROP TABLE d{n}" if self.kind == "postgres" else f"DELETE FROM t WHERE day = {DAY.format(n=n)}")


@pytest.fixture
def side(request: pytest.FixtureRequest, tmp_path: Path) -> Side:
    if request.param == "duckdb":
        path = tmp_path / "w.duckdb"

        def write(*statements: str) -> None:
            with duckdb.connect(str(path)) as connection:
                for statement in statements:
                    connection.execute(statement)

        return Side("duckdb", WarehouseConfig("w", "duckdb", filepath=path), write)
    server = request.getfixturevalue("postgres_server")
    database = request.getfixturevalue("postgres_database")
    config = WarehouseConfig("w", "postgres", host=server.socket_dir, database=database, username="postgres")
    return Side("postgres", config, lambda *statements: server.execute(*statements, database=database))


def project(folder: Path, side: Side) -> Project:
    folder.mkdir()
    rule = TableRule("t", partition=PartitionRule(key=("day",)), watermark="updated_at")
    made = Project(folder, {"w": side.config}, profiling={"tables": (rule,)})
    upgrade(made.url)
    return made


def profile_of(made: Project, run_id: str) -> tuple[dict[Any, Any], TableSummary]:
    with made.storage() as storage, storage.read() as session:
        rows = session.scalars(sa.select(Result).where(Result.run_id == run_id))
        metrics = {(row.column_name, row.metric_name): (row.metric_value, row.metric_number) for row in rows}
        payload = session.scalar(
            sa.select(Summary.payload).where(Summary.run_id == run_id, Summary.partition_key == "")
        )
    assert payload is not None
    return metrics, TableSummary.from_bytes(payload)


def last_run(made: Project) -> Run:
    return made.left().runs["t"][-1]


@pytest.mark.parametrize("side", ["postgres", "duckdb"], indirect=True)
def test_a_partial_run_is_a_full_one_that_read_only_what_changed(side: Side, tmp_path: Path) -> None:
    root = f"CREATE TABLE t ({COLUMNS})" + (" PARTITION BY RANGE (day)" if side.kind == "postgres" else "")
    side.write(root)
    for n in range(PARTITIONS):
        side.fill(n)
    ours = project(tmp_path / "ours", side)
    ours.tick()
    full = last_run(ours)
    assert (full.scope, full.row_count) == ("full", PARTITIONS * ROWS)

    for n in (20, 98):
        side.change(n)
    side.drop(0)
    side.fill(PARTITIONS)
    before = rows_read_by_leaf(side)
    ours.tick()
    partial = last_run(ours)
    after = rows_read_by_leaf(side)

    assert (partial.status, partial.action, partial.scope) == ("success", "partial", "merged")
    assert partial.rows_scanned == 3 * ROWS
    was_read = {part["name"]: part["read"] for part in partial.scope_detail["partitions"]}  # type: ignore[index]
    assert sum(was_read.values()) == 3 and len(partial.scope_detail["dropped"]) == 1  # type: ignore[index]
    if side.kind == "postgres":
        assert {leaf for leaf in after if after[leaf] != before.get(leaf, 0)} == {"d20", "d98", "d100"}
        assert {leaf for each in partial.statements or [] for leaf in re.findall(r'"(d\d+)"', each["sql"])} == {
            "d20",
            "d98",
            "d100",
        }
    else:
        days = {day for each in partial.statements or [] for day in re.findall(r"'(2026-\d\d-\d\d)'", each["sql"])}
        assert days == {"2026-01-21", "2026-04-09", "2026-04-11"}

    fresh = project(tmp_path / "fresh", side)
    fresh.tick()
    require_equal(profile_of(ours, partial.run_id), profile_of(fresh, last_run(fresh).run_id))
    flat = project(tmp_path / "flat", side)
    flat.profiling["tables"] = (TableRule("t", partition=PartitionRule(metadata_fallback=False)),)
    flat.tick()
    require_equal(profile_of(ours, partial.run_id), profile_of(flat, last_run(flat).run_id))

    seconds = {"in parts": full.duration_seconds, "at once": last_run(flat).duration_seconds}
    ratios = {name: partial.duration_seconds / taken for name, taken in seconds.items()}  # type: ignore[operator]
    told = ", ".join(f"{name} ({seconds[name]:.2f} s) {ratio:.3f}" for name, ratio in ratios.items())
    print(f"{side.kind}: partial {partial.duration_seconds:.2f} s; of a full run {told}")  # noqa: T201
    assert ratios["in parts"] <= 0.15


def rows_read_by_leaf(side: Side) -> dict[str, int]:
    """What PostgreSQL says was read of each leaf by all sessions so far."""
    if side.kind != "postgres":
        return {}
    rows = side.write(
        "SELECT pg_stat_force_next_flush()",
        "SELECT relname, seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_all_tables WHERE relname ~ '^d[0-9]+$'",
    )
    return dict(rows)


def require_equal(ours: tuple[dict[Any, Any], TableSummary], theirs: tuple[dict[Any, Any], TableSummary]) -> None:
    """Exact metrics equal, registers and buckets identical, means and deviations within a rounding error."""
    (metrics, summary), (other_metrics, other) = ours, theirs
    assert metrics.keys() == other_metrics.keys()
    for key, (text, value) in metrics.items():
        if key[1] in ("mean", "stddev"):
            assert value == pytest.approx(other_metrics[key][1], rel=1e-9), key
        else:
            assert (text, value) == other_metrics[key], key
    assert summary.rows == other.rows
    for name, column in summary.columns.items():
        same = other.columns[name]
        assert column.extremes == same.extremes and column.buckets == same.buckets and column.days == same.days
        assert column.registers is not None and same.registers is not None
        assert (column.registers.registers == same.registers.registers).all()
