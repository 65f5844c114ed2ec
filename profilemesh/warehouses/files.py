"""Change tokens of embedded databases: what the file system and the headers tell of a file and its companions.

The bytes are read by a process of its own: closing any descriptor of a file drops every POSIX lock that this process
holds on it, so opening the file here would let a writer into a scan that runs in another thread.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from profilemesh.config.model import WarehouseConfig
from profilemesh.errors import WarehouseError
from profilemesh.warehouses.base import EVERY_TICK, CheckResult, Misconfigured, Warehouse

# Arguments: pairs of a path and the number of header bytes that count. Prints null for an absent or empty file.
_PROBE = """
import json, os, sys
def look(path, size):
    try:
        with open(path, "rb") as file:
            state = os.fstat(file.fileno())
            if not state.st_size:
                return None
            head = file.read(size).hex()
            return [state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns, head]
    except FileNotFoundError:
        return None
pairs = iter(sys.argv[1:])
json.dump([look(path, int(size)) for path, size in zip(pairs, pairs)], sys.stdout)
"""

_PROBE_SECONDS = 30


def database_path(config: WarehouseConfig) -> Path:
    """The absolute path of an embedded warehouse; `Misconfigured` if none is given."""
    path = config.filepath or config.database
    if not path:
        raise Misconfigured(f"warehouse {config.name}: no file; set `filepath` to its database file")
    return Path(path).expanduser().absolute()


def existing_file(config: WarehouseConfig) -> Path:
    """The same, and there is a file: no driver gets a chance to make one."""
    path = database_path(config)
    try:
        if path.is_file():
            return path
    except OSError as error:
        raise Misconfigured(f"warehouse {config.name}: {path} may not be looked at ({error.strerror})") from error
    raise Misconfigured(f"warehouse {config.name}: there is no file {path}; check `filepath`")


def sqlite_token(path: Path) -> str | None:
    """Differs whenever what a new reader of this SQLite file sees may differ; None if the file cannot be probed.

    The header's change counter stands still in WAL mode, so the WAL and its index count too; the index has no
    meaning without a WAL. Size, mtime and header of a WAL that is reset and refilled can repeat: the index cannot.
    """
    looks = _probe((path, 100), (_companion(path, "-wal"), 32), (_companion(path, "-shm"), 48))
    if looks is None or looks[0] is None:
        return None
    file, wal, shm = looks
    return _digest("sqlite", [file, wal and [wal[2], wal[3], wal[5]], wal and shm and shm[5]])


def duckdb_token(path: Path) -> str | None:
    """Differs whenever what a new reader of this DuckDB file sees may differ; None if the file cannot be probed.

    The first 12 KiB are the main header and both database headers, of which each checkpoint rewrites one.
    """
    looks = _probe((path, 12288), (_companion(path, ".wal"), 64))
    if looks is None or looks[0] is None:
        return None
    return _digest("duckdb", looks)


def file_size(path: Path) -> int | None:
    """Bytes of the file, None if it is not there."""
    try:
        return path.stat().st_size
    except OSError:
        return None


def _companion(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _probe(*wanted: tuple[Path, int]) -> list[list[object] | None] | None:
    arguments = [text for path, size in wanted for text in (str(path), str(size))]
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _PROBE, *arguments],
            capture_output=True,
            timeout=_PROBE_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    looks: list[list[object] | None] = json.loads(done.stdout)
    return looks


def _digest(engine: str, parts: object) -> str:
    return hashlib.sha256(json.dumps([engine, parts]).encode()).hexdigest()


class FileWarehouse(Warehouse):
    """What the warehouses that are one file have in common."""

    @property
    def path(self) -> Path:
        return database_path(self.config)

    def check(self) -> Iterator[CheckResult]:
        try:
            snapshots = self.catalogue()
        except WarehouseError as error:
            yield CheckResult(self.name, False, str(error))
            return
        tables = "1 table" if len(snapshots) == 1 else f"{len(snapshots)} tables"
        yield CheckResult(self.name, True, f"{self.path} opened read-only: {tables}, {file_size(self.path)} bytes")
        for snapshot in snapshots:
            if snapshot.doubt:
                yield CheckResult(str(snapshot.table), True, f"{snapshot.doubt}: every tick reads it", EVERY_TICK)
