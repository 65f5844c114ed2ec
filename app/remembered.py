"""An answer that was computed once is given again while nothing has changed, and told by its ETag.

In time order, for a view decorated with `remembered`: the version of what is shown is read, one small statement. If the
address was answered at that version within this minute, the same bytes go out, or 304 to whoever has them. Else the
view computes the answer; its tag is made of its bytes, so that another process, or a change elsewhere, leaves it valid.

The version is the database's own word for what a reader sees: on PostgreSQL the snapshot, which differs whenever a
transaction has ended; on SQLite the data version of a connection that never writes. It is read before the answer is
computed, so that a change in between makes the answer old, never the version too new.

Within a minute `this_minute` stands for now, so that what depends on the time depends on nothing else.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import wraps
from hashlib import blake2b
from pathlib import Path
from typing import Any

from flask import Flask, Response, current_app, request

from app.extensions import db
from profilemesh.storage.engine import sqlite_path

KEPT_BYTES = 32 * 2**20
LARGEST = 2**20
REPEATED = ("Content-Type", "X-Total-Count", "X-Next-Cursor", "Link", "ETag", "Vary")
View = Callable[..., Response]


def this_minute() -> datetime:
    return datetime.now(UTC).replace(second=0, microsecond=0)


@dataclass(frozen=True)
class Answer:
    version: tuple[Any, ...]
    body: bytes
    headers: tuple[tuple[str, str], ...]


@dataclass
class Memory:
    """The last answers by address, as many as fit; one per process, for all its threads."""

    answers: OrderedDict[str, Answer] = field(default_factory=OrderedDict)
    size: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, address: str) -> Answer | None:
        with self.lock:
            if address in self.answers:
                self.answers.move_to_end(address)
            return self.answers.get(address)

    def put(self, address: str, answer: Answer) -> None:
        if len(answer.body) > LARGEST:
            return
        with self.lock:
            self._drop(address)
            self.answers[address] = answer
            self.size += _size(address, answer)
            while self.size > KEPT_BYTES:
                self._drop(next(iter(self.answers)))

    def _drop(self, address: str) -> None:
        gone = self.answers.pop(address, None)
        self.size -= _size(address, gone) if gone else 0


def _size(address: str, answer: Answer) -> int:
    return len(address) + len(answer.body) + 1000


def init_app(app: Flask) -> None:
    app.extensions["remembered"] = Memory()
    app.extensions["storage_watch"] = None


def remembered(view: View) -> View:
    """For views whose answer follows from their address, the storage and this minute alone."""

    @wraps(view)
    def answered(*args: Any, **kwargs: Any) -> Response:
        memory: Memory = current_app.extensions["remembered"]
        address, version = request.url, _version()
        known = memory.get(address) if version and "no-cache" not in request.headers.get("Cache-Control", "") else None
        if known is None or known.version != version:
            response = _tagged(view(*args, **kwargs))
            if version and response.status_code == 200:
                headers = tuple((name, value) for name, value in response.headers if name in REPEATED)
                memory.put(address, Answer(version, response.get_data(), headers))
        else:
            response = Response(known.body, headers=list(known.headers))
        response.make_conditional(request)
        return response

    return answered


def tagged(view: View) -> View:
    """For views whose answer depends on more: computed each time, and sent only to who does not have it."""

    @wraps(view)
    def answered(*args: Any, **kwargs: Any) -> Response:
        response = _tagged(view(*args, **kwargs))
        response.make_conditional(request)
        return response

    return answered


def _tagged(response: Response) -> Response:
    if response.status_code == 200 and not response.is_streamed:
        digest = blake2b(response.get_data(), digest_size=12)
        for name in REPEATED[1:4]:
            digest.update(response.headers.get(name, "").encode())
        # Weak: compressed or not, it says the same.
        response.set_etag(digest.hexdigest(), weak=True)
    return response


def _version() -> tuple[Any, ...] | None:
    """What a reader sees now; None where the storage cannot tell."""
    engine, minute = db.engine, this_minute()
    if engine.dialect.name == "postgresql":
        # Beside the session, which takes longer to open than this to answer.
        with db.asking(engine).connect() as connection:
            return minute, connection.exec_driver_sql("SELECT pg_current_snapshot()::text").scalar()
    watch = _watch(sqlite_path(engine.url))
    return None if watch is None else (minute, watch, watch.data_version())


def _watch(path: Path | None) -> Watch | None:
    """On the file that is the storage now; one per process."""
    if path is None or not path.exists():
        return None
    watch: Watch | None = current_app.extensions["storage_watch"]
    if watch is None or not watch.is_on(path):
        current_app.extensions["storage_watch"] = watch = Watch(path)
    return watch


class Watch:
    """A connection that never writes: SQLite tells it whether anybody else has, in this process or another."""

    def __init__(self, path: Path) -> None:
        self.path, self.lock = path, threading.Lock()
        self.inode = path.stat().st_ino
        self.connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)

    def is_on(self, path: Path) -> bool:
        return path == self.path and path.stat().st_ino == self.inode

    def data_version(self) -> int:
        with self.lock:
            return int(self.connection.execute("PRAGMA data_version").fetchone()[0])
