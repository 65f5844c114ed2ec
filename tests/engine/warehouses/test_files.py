import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from profilemesh.config.model import WarehouseConfig
from profilemesh.warehouses.duckdb import DuckDBWarehouse
from profilemesh.warehouses.files import duckdb_token, sqlite_token
from profilemesh.warehouses.sqlite import SQLiteWarehouse

KEEPING_WAL = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
for statement in sys.argv[2:]:
    connection.execute(statement).fetchall()
os._exit(0)
"""


def sqlite(path: Path, *statements: str) -> None:
    """Run statements in a process that ends without closing, so that a WAL stays where it is."""
    subprocess.run([sys.executable, "-c", KEEPING_WAL, str(path), *statements], check=True)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "plain.db"
    sqlite(path, "CREATE TABLE t (a INT)", "INSERT INTO t VALUES (1)")
    return path


@pytest.fixture
def wal(tmp_path: Path) -> Path:
    path = tmp_path / "wal.db"
    sqlite(path, "PRAGMA journal_mode = WAL", "CREATE TABLE t (a INT)", "INSERT INTO t VALUES (1)")
    return path


def freeze(path: Path, change: Callable[[], None]) -> None:
    """Make a change and put the times back: what a clock too coarse to tell two writes apart would leave."""
    files = [path, path.with_name(path.name + "-wal")]
    times = {file: file.stat() for file in files if file.exists()}
    change()
    for file, before in times.items():
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_an_untouched_file_keeps_its_token(plain: Path, wal: Path) -> None:
    assert sqlite_token(plain) and sqlite_token(plain) == sqlite_token(plain)
    assert sqlite_token(wal) and sqlite_token(wal) == sqlite_token(wal)


def test_looking_and_scanning_do_not_move_the_token(wal: Path) -> None:
    warehouse = SQLiteWarehouse(WarehouseConfig("w", "sqlite", filepath=wal))
    (first,) = warehouse.catalogue()
    with warehouse.open_scan(first.table):
        pass
    (second,) = warehouse.catalogue()
    assert first.token and first.token == second.token


@pytest.mark.parametrize(
    "statement", ["INSERT INTO t VALUES (2)", "UPDATE t SET a = 9", "DELETE FROM t", "ALTER TABLE t ADD COLUMN b"]
)
def test_each_write_moves_it_with_and_without_wal(plain: Path, wal: Path, statement: str) -> None:
    for path in (plain, wal):
        before = sqlite_token(path)
        sqlite(path, statement)
        assert sqlite_token(path) != before


def test_readers_and_rolled_back_writes_do_not_move_it(wal: Path) -> None:
    sqlite(wal, "SELECT * FROM t")  # the first to come after a crash rebuilds the WAL's index
    before = sqlite_token(wal)
    sqlite(wal, "SELECT * FROM t")
    sqlite(wal, "BEGIN", "INSERT INTO t VALUES (2)", "ROLLBACK")
    assert sqlite_token(wal) == before


def test_a_write_with_the_same_size_and_time_moves_it(plain: Path) -> None:
    before, size = sqlite_token(plain), plain.stat().st_size
    freeze(plain, lambda: sqlite(plain, "UPDATE t SET a = 9"))
    assert plain.stat().st_size == size
    assert sqlite_token(plain) != before


def test_a_write_into_a_restarted_wal_moves_it(wal: Path) -> None:
    grow = (
        "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT i FROM n"
    )
    sqlite(wal, "PRAGMA wal_autocheckpoint = 0", grow)
    sqlite(wal, "PRAGMA wal_checkpoint(RESTART)", "INSERT INTO t VALUES (5)")
    before, size = sqlite_token(wal), wal.with_name("wal.db-wal").stat().st_size
    freeze(wal, lambda: sqlite(wal, "INSERT INTO t VALUES (6)"))
    assert wal.with_name("wal.db-wal").stat().st_size == size
    assert sqlite_token(wal) != before


def test_a_checkpoint_moves_it_though_the_data_stays(wal: Path) -> None:
    before = sqlite_token(wal)
    sqlite(wal, "PRAGMA wal_checkpoint(TRUNCATE)")
    after = sqlite_token(wal)
    assert after != before and after == sqlite_token(wal)


def test_an_empty_wal_counts_as_none(plain: Path) -> None:
    before = sqlite_token(plain)
    plain.with_name("plain.db-wal").touch()
    assert sqlite_token(plain) == before


def test_a_file_put_in_its_place_moves_it(plain: Path, tmp_path: Path) -> None:
    before = sqlite_token(plain)
    shutil.copy2(plain, tmp_path / "copy.db")
    os.replace(tmp_path / "copy.db", plain)
    assert sqlite_token(plain) != before


def test_no_file_has_no_token(tmp_path: Path) -> None:
    assert sqlite_token(tmp_path / "none") is None and duckdb_token(tmp_path / "none") is None


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop.duckdb"
    duck(path, "CREATE TABLE t AS SELECT range AS a FROM range(1000)")
    return path


def duck(path: Path, *statements: str) -> None:
    with duckdb.connect(str(path)) as connection:
        for statement in statements:
            connection.execute(statement)


def test_looking_at_a_duckdb_file_does_not_move_its_token(shop: Path) -> None:
    warehouse = DuckDBWarehouse(WarehouseConfig("w", "duckdb", filepath=shop))
    (first,) = warehouse.catalogue()
    with warehouse.open_scan(first.table):
        pass
    (second,) = warehouse.catalogue()
    assert first.token and first.token == second.token


@pytest.mark.parametrize(
    "statement",
    ["INSERT INTO t VALUES (2)", "UPDATE t SET a = a + 1", "DELETE FROM t", "ALTER TABLE t ADD COLUMN b INT"],
)
def test_each_duckdb_write_moves_it_even_with_the_time_put_back(shop: Path, statement: str) -> None:
    before = duckdb_token(shop)
    freeze(shop, lambda: duck(shop, statement))
    assert duckdb_token(shop) != before


def test_a_duckdb_write_that_stays_in_the_wal_moves_it(shop: Path) -> None:
    keep = "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); c.execute(sys.argv[2]); os._exit(0)"
    before = duckdb_token(shop)
    file = shop.stat()
    subprocess.run([sys.executable, "-c", keep, str(shop), "INSERT INTO t VALUES (-7)"], check=True)
    assert (shop.stat().st_mtime_ns, shop.stat().st_size) == (file.st_mtime_ns, file.st_size)
    assert shop.with_name("shop.duckdb.wal").stat().st_size
    assert duckdb_token(shop) != before
