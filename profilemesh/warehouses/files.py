"""Change tokens of embedded databases: what the file system and the headers tell of a file and its companions.

The bytes are read by a process of its own: closing any descriptor of a file drops every POSIX lock that this process
holds on it, so opening the file here would let a writer into a scan that runs in another thread.
"""

from __future__ import annotations

import ast
import hashlib
import json
import subprocess
import sys
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from profilemesh.config.model import WarehouseConfig
from profilemesh.errors import WarehouseError
from profilemesh.planning.snapshots import Probe, Probed, Snapshot
from profilemesh.tables import EVERY_ROW, PART, Column, Rows, TableRef
from profilemesh.warehouses.base import EVERY_TICK, CheckResult, Misconfigured, Warehouse, plain_source
from profilemesh.warehouses.keys import part_number, partition_filter

# Arguments: pairs of a path and the number of header bytes that count. Prints None for an absent or empty file. Its
# JSON module would take Python as long to import as all the rest.
_PROBE = """
import os, sys
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
print([look(path, int(size)) for path, size in zip(pairs, pairs)])
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
    looks: list[list[object] | None] = ast.literal_eval(done.stdout.decode())
    return looks


def _digest(engine: str, parts: object) -> str:
    return hashlib.sha256(json.dumps([engine, parts]).encode()).hexdigest()


@dataclass(frozen=True)
class Look:
    """What was found of a file while it had this token; good for as long as it has it."""

    token: str | None
    snapshots: Mapping[TableRef, Snapshot]
    answers: dict[tuple[TableRef, Probe], Probed] = field(default_factory=dict)


@dataclass
class FileWarehouse(Warehouse):
    """What the warehouses that are one file have in common."""

    _last_look: Look | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def path(self) -> Path:
        return database_path(self.config)

    @abstractmethod
    def file_token(self) -> str | None:
        """Differs whenever what a new reader of the file sees may differ."""

    def catalogue(self) -> tuple[Snapshot, ...]:
        return tuple(self._look().snapshots.values())

    def _look(self) -> Look:
        token, snapshots = self._read_catalogue()
        look = Look(token, {snapshot.table: snapshot for snapshot in snapshots})
        self._last_look = look
        return look

    @abstractmethod
    def _read_catalogue(self) -> tuple[str | None, tuple[Snapshot, ...]]:
        """The file's token, and all its tables and views."""

    def probe(self, wanted: Mapping[TableRef, Probe]) -> Mapping[TableRef, Probed]:
        if not wanted:
            return {}
        # Taken before: what is read from here on is at least as new as this look.
        look = self._last_look
        found = self._ask(wanted)
        if look is not None:
            look.answers.update(((table, wanted[table]), answer) for table, answer in found.items())
        return found

    @abstractmethod
    def _ask(self, wanted: Mapping[TableRef, Probe]) -> Mapping[TableRef, Probed]:
        """The same, without remembering it."""

    def look_again(self, table: TableRef, probe: Probe | None) -> Snapshot | None:
        look = self._last_look
        if look is None or look.token is None or look.token != self.file_token():
            return super().look_again(table, probe)
        found = look.snapshots.get(table)
        if found is None or probe is None:
            return found
        answer = look.answers.get((table, probe)) or self.probe({table: probe}).get(table)
        return replace(found, probed=answer)

    def source(self, table: TableRef, columns: Sequence[Column], rows: Rows = EVERY_ROW) -> sa.FromClause:
        # A column of the key may be left out of the profile; the filter needs it all the same.
        needed = {column.name: column for column in (*columns, *rows.key)}
        whole = plain_source(table, tuple(needed.values()))
        condition = partition_filter(table, rows, dict(whole.c.items()), self)
        if condition is None and rows.fraction is None:
            return plain_source(table, columns)
        cells = dict(whole.c.items())
        selected: list[sa.ColumnElement[Any]] = [whole.c[column.name] for column in columns]
        if rows.are_told_apart:
            selected.append(part_number(table, rows, cells, self).label(PART))
        part = sa.select(*selected or (sa.literal_column("1").label("row"),))
        if condition is not None:
            part = part.where(condition)
        if rows.fraction is not None:
            return self.sampled(table, part, whole, rows.fraction, rows.seed)
        return part.subquery("part")

    @abstractmethod
    def comparable(self, cell: sa.ColumnElement[Any], column: Column) -> sa.ColumnElement[Any]:
        """A key column's cell as it is compared with `key_value`."""

    @abstractmethod
    def key_value(self, column: Column, text: str) -> sa.ColumnElement[Any]:
        """The value that a manifest's text stands for."""

    @abstractmethod
    def sampled(
        self, table: TableRef, part: sa.Select[Any], whole: sa.TableClause, fraction: float, seed: int
    ) -> sa.FromClause:
        """About this share of the rows that `part` selects from `whole`."""

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
