"""What is sent: how many statements, and what they look like; what a bad column costs; what stays hidden."""

from __future__ import annotations

import logging
import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
import sqlalchemy as sa

from profilemesh.config.model import WarehouseConfig
from profilemesh.errors import StatementFailed
from profilemesh.profiling.results import column_metrics
from profilemesh.warehouses import open_warehouse
from tests.engines import EXECUTION, Engine

FIXTURES = Path(__file__).parents[2] / "sql" / "duckdb"
REWRITE = "REWRITE_SQL_FIXTURES"
"""Set, the fixtures are written anew instead of compared: `REWRITE_SQL_FIXTURES=1 pytest -k fixture`."""

MIXED = (
    "CREATE TABLE t (i INTEGER, d DECIMAL(10,2), f REAL, s TEXT, day DATE, at_time TIMESTAMP, b BOOLEAN)",
    "INSERT INTO t VALUES (1, 1.5, 2.5, 'a', '2026-01-01', '2026-01-01 10:00:00', true)",
    "INSERT INTO t VALUES (2, NULL, -2.5, 'b', '2026-01-02', '2026-01-03 10:00:00', false)",
)
MOST = {"duckdb": 3, "sqlite": 1, "postgres": 1}


def test_a_table_takes_few_statements(engine: Engine) -> None:
    engine.write(*MIXED)
    assert len(engine.profiled().statements) == MOST[engine.type]


def test_statements_do_not_grow_with_columns(engine: Engine) -> None:
    names = [f"c{n}" for n in range(60)]
    engine.write(f"CREATE TABLE t ({', '.join(f'{name} INTEGER' for name in names)})")
    engine.write(f"INSERT INTO t VALUES ({', '.join(str(n) for n in range(60))})")
    assert len(engine.profiled().statements) == MOST[engine.type]


def test_the_server_sees_one_statement_that_reads_the_table(postgres: Engine, postgres_server) -> None:
    postgres.write(*MIXED, "ANALYZE t")
    before = _scans(postgres)
    postgres.profiled()
    assert _scans(postgres) - before == 1


def _scans(postgres: Engine) -> int:
    """How often the table has been read from end to end, as the server counts it."""
    postgres.write("SELECT pg_stat_force_next_flush()")
    return postgres.write("SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 't'")[0][0]


BROKEN = {
    "duckdb": "error('broken')::INTEGER",
    "postgres": "CASE WHEN i = 3 THEN 1 / (i - 3) ELSE i END",
    "sqlite": "abs(-9223372036854775807 - (i = 3))",
}


@pytest.fixture
def view(engine: Engine) -> Engine:
    """A view of nine rows in which the one column `bad` cannot be read."""
    engine.write(
        "CREATE TABLE t (i INTEGER)",
        "INSERT INTO t VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9)",
        f"CREATE VIEW v AS SELECT i AS a, i AS b, {BROKEN[engine.type]} AS bad, i AS c, i AS d FROM t",
    )
    return engine


def test_a_column_that_fails_loses_only_itself(view: Engine) -> None:
    found = view.profiled("v")
    assert list(found.errors) == ["bad"]
    assert found.errors["bad"]
    assert found.profile.summary.rows == 9
    assert found.metrics("bad") == {"count": 9}
    for name in "abcd":
        assert found.metrics(name) == view.profiled("t").metrics("i")


@pytest.mark.parametrize("engine", ["lite", "postgres"], indirect=True)
def test_a_table_of_which_nothing_can_be_read_fails(engine: Engine) -> None:
    engine.write(
        "CREATE TABLE t (i INTEGER)",
        "INSERT INTO t VALUES (3)",
        f"CREATE VIEW v AS SELECT {BROKEN[engine.type]} AS bad FROM t",
    )
    with pytest.raises(StatementFailed):
        engine.profiled("v")


def test_a_denied_column_loses_only_itself(postgres: Engine, postgres_server, postgres_database) -> None:
    role = f"r{uuid.uuid4().hex[:12]}"
    postgres.write(*MIXED, f"CREATE ROLE {role} LOGIN", f"GRANT SELECT (i, s) ON t TO {role}")
    config = WarehouseConfig(
        "pg", "postgres", host=postgres_server.socket_dir, database=postgres_database, username=role
    )
    try:
        found = Engine(open_warehouse(config, EXECUTION), postgres.write).profiled()
        assert set(found.errors) == {"d", "f", "day", "at_time", "b"}
        assert "permission denied" in found.errors["d"] or "may not read" in found.errors["d"]
        assert (found.metrics("i")["max"], found.metrics("s")["max"]) == (2, "b")
    finally:
        postgres.write(f"DROP OWNED BY {role}", f"DROP ROLE {role}")


SECRET = "Zyxwv Secretperson"


@pytest.fixture
def secretive(engine: Engine) -> Engine:
    engine.write(
        "CREATE TABLE t (name TEXT, pay INTEGER, born DATE, seen TIMESTAMP, amount DECIMAL(12,2), share REAL, c INT)",
        f"INSERT INTO t VALUES ('{SECRET}', 7654321, '1987-06-05', '1987-06-05 04:03:02', 7654321.25, 76543.5, 1)",
        "INSERT INTO t VALUES (NULL, 7654321, NULL, NULL, NULL, NULL, 2)",
    )
    return engine


PRIVATE = ("name", "pay", "born", "seen", "amount", "share")


def test_of_sensitive_columns_only_counts_are_kept(secretive: Engine) -> None:
    found = secretive.profiled(sensitive=PRIVATE)
    for name in PRIVATE:
        told = found.metrics(name, sensitive=True)
        assert found.metrics(name) == told
        assert told["distinct_count"] == 1
        assert all(isinstance(value, int | float) for value in told.values())
    assert (found.metrics("name")["null_count"], found.metrics("c")["max"]) == (1, 2)


def test_no_value_of_a_sensitive_column_leaves_the_scan(secretive: Engine, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    found = secretive.profiled(sensitive=PRIVATE)
    summary = found.profile.summary
    left = [repr(summary), repr(found.errors), caplog.text, *(sent.sql for sent in found.statements)]
    left += [repr(column_metrics(column)) for column in summary.columns.values()]
    left.append(repr(type(summary).from_bytes(summary.to_bytes())))
    # The day 1987-06-05 as a number, and its second.
    for value in (SECRET, "Secretperson", "7654321", "76543.5", "1987", "6364", "54987"):
        assert not any(value in text for text in left), value


def test_an_error_about_a_sensitive_column_shows_no_value_of_it(postgres: Engine) -> None:
    postgres.write(
        "CREATE TABLE t (name TEXT, c INTEGER)",
        f"INSERT INTO t VALUES ('{SECRET}', 1)",
        "CREATE VIEW v AS SELECT name::integer AS name, c FROM t",
    )
    found = postgres.profiled("v", sensitive=["name"])
    assert list(found.errors) == ["name"]
    assert "Secretperson" not in found.errors["name"]


ORDERS = (
    "CREATE TABLE orders (id BIGINT, total DECIMAL(12,2), score DOUBLE, status VARCHAR, day DATE,"
    " moment TIMESTAMP, gift BOOLEAN, took INTERVAL, key UUID, blob BLOB, tags VARCHAR[], pay INTEGER)"
)
_NAMES = ("scalars", "distributions", "listing")


def test_sent_statements_of_duckdb_equal_their_fixtures(duck: Engine) -> None:
    duck.write(ORDERS, "INSERT INTO orders (id, status) VALUES (1, 'it''s 100%')")
    sent = duck.profiled("orders", sensitive=["pay"]).statements
    texts = {f"{name}.sql": _wrapped(each.sql) for name, each in zip(_NAMES, sent, strict=True)}
    if os.environ.get(REWRITE):
        FIXTURES.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (FIXTURES / name).write_text(text)
    assert texts == {path.name: path.read_text() for path in FIXTURES.glob("*.sql")}


def _wrapped(statement: str) -> str:
    """A selected expression per line, so that a difference can be read."""
    return re.sub(r"( AS \w+), ", r"\1,\n  ", statement) + "\n"


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


@pytest.mark.parametrize("name", _NAMES)
def test_fixtures_run_as_they_stand(name: str, connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(ORDERS)
    connection.execute("INSERT INTO orders (id) SELECT range FROM range(1000)")
    assert connection.execute((FIXTURES / f"{name}.sql").read_text()).fetchall()


def test_values_are_rendered_inline_and_escaped(duck: Engine) -> None:
    duck.write("CREATE TABLE t (c TEXT)", "INSERT INTO t VALUES ('x')")
    with duck.warehouse.open_scan(duck.warehouse.catalogue()[0].table) as scan:
        [[text]] = scan.rows(sa.select(sa.literal("it's 100%; --")))
    assert text == "it's 100%; --"
    assert "'it''s 100%; --'" in scan.statements[0].sql
