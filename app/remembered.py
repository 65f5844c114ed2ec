"""An answer that was computed once is given again while nothing has changed, and told by its ETag.

In time order, for a view decorated with `remembered`: the version of what is shown is read, one small statement. If the
address was answered at that version within this minute, the same bytes go out, or 304 to whoever has them; that is done
in front of the app, of which every part would cost more than the statement. Else the view computes the answer; its tag
is made of its bytes, so that another process, or a change elsewhere, leaves it valid.

The version is the database's own word for what a reader sees: on PostgreSQL the snapshot, which differs whenever a
transaction has ended; on SQLite the data version of a connection that never writes. It is read before the answer is
computed, so that a change in between makes the answer old, never the version too new.

Within a minute `this_minute` stands for now, so that what depends on the time depends on nothing else.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import wraps
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, current_app, request
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError, TimeoutError
from werkzeug.http import parse_etags

from app.extensions import db
from profilemesh.storage.engine import sqlite_path

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

KEPT_BYTES = 32 * 2**20
LARGEST = 2**20
TAGGED = ("X-Total-Count", "X-Next-Cursor", "Link")
"""The headers that are a part of what is said."""
ASKED = ("wsgi.url_scheme", "HTTP_HOST", "PATH_INFO", "QUERY_STRING", "HTTP_ORIGIN", "HTTP_ACCEPT_ENCODING")
"""All of a request that an answer of a `remembered` view depends on."""
KNOWN, COMPUTED = "profilemesh.version", "profilemesh.computed"
View = Callable[..., Response]
Key = tuple[str | None, ...]


Version = tuple[datetime, object, Any]


def this_minute() -> datetime:
    return datetime.now(UTC).replace(second=0, microsecond=0)


@dataclass(frozen=True)
class Answer:
    """As it goes out, after all that the app adds to it."""

    version: Version
    body: bytes
    headers: list[tuple[str, str]]
    tag: str

    def send(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        wanted = environ.get("HTTP_IF_NONE_MATCH")
        if wanted and (wanted == self.tag or parse_etags(wanted).contains_weak(self.tag[3:-1])):
            start_response("304 NOT MODIFIED", [pair for pair in self.headers if not pair[0].startswith("Content-")])
            return []
        start_response("200 OK", self.headers)
        return [self.body]


@dataclass
class Memory:
    """The last answers by what was asked, as many as fit; one per process, for all its threads."""

    answers: OrderedDict[Key, Answer] = field(default_factory=OrderedDict)
    size: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, key: Key) -> Answer | None:
        with self.lock:
            if key in self.answers:
                self.answers.move_to_end(key)
            return self.answers.get(key)

    def put(self, key: Key, answer: Answer) -> None:
        if len(answer.body) > LARGEST:
            return
        with self.lock:
            self._drop(key)
            self.answers[key] = answer
            self.size += _size(key, answer)
            while self.size > KEPT_BYTES:
                self._drop(next(iter(self.answers)))

    def _drop(self, key: Key) -> None:
        gone = self.answers.pop(key, None)
        self.size -= _size(key, gone) if gone else 0


def _size(key: Key, answer: Answer) -> int:
    return sum(len(part or "") for part in key) + len(answer.body) + 2000


def init_app(app: Flask) -> None:
    app.extensions["storage_watch"] = None
    app.wsgi_app = InFront(app)  # type: ignore[method-assign]


class InFront:
    """Gives again what it remembers, and remembers what `remembered` views have computed."""

    def __init__(self, app: Flask) -> None:
        self.app, self.answered, self.memory = app, app.wsgi_app, Memory()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] != "GET" or not environ["PATH_INFO"].startswith("/api/"):
            return self.answered(environ, start_response)
        key = tuple(environ.get(name) for name in ASKED)
        known = self._known(key, environ)
        return known.send(environ, start_response) if known else self._computed(key, environ, start_response)

    def _known(self, key: Key, environ: WSGIEnvironment) -> Answer | None:
        known = None if "no-cache" in environ.get("HTTP_CACHE_CONTROL", "") else self.memory.get(key)
        if known is None:
            return None
        try:
            environ[KNOWN] = version = self._version(known)
        except (DBAPIError, TimeoutError):
            # The app says so in its own way.
            return None
        return known if known.version == version else None

    def _version(self, known: Answer) -> Version | None:
        engine = known.version[1]
        if isinstance(engine, Engine):
            return _version_of(engine)
        with self.app.app_context():
            return _version()

    def _computed(self, key: Key, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        said: list[Any] = []

        def begin(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            said[:] = [status, headers]
            if not status.startswith("200"):
                # What came after the view has failed.
                environ.pop(COMPUTED, None)
            return None if COMPUTED in environ else start_response(status, headers, *rest)

        body = self.answered(environ, begin)
        if COMPUTED not in environ:
            return body
        with closing(body):  # type: ignore[type-var]
            whole, headers = b"".join(body), said[1]
        answer = Answer(environ[COMPUTED], whole, headers, dict(headers)["ETag"])
        self.memory.put(key, answer)
        return answer.send(environ, start_response)


def remembered(view: View) -> View:
    """For views whose answer follows from their address, the storage and this minute alone."""

    @wraps(view)
    def answered(*args: Any, **kwargs: Any) -> Response:
        version = request.environ.get(KNOWN) or _version()
        response = _tagged(view(*args, **kwargs))
        if version and response.status_code == 200 and request.method == "GET":
            request.environ[COMPUTED] = version
        else:
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
        for name in TAGGED:
            digest.update(response.headers.get(name, "").encode())
        # Weak: compressed or not, it says the same.
        response.set_etag(digest.hexdigest(), weak=True)
    return response


def _version() -> Version | None:
    """What a reader sees now, after the minute and what told it; None where the storage cannot tell."""
    engine = db.engine
    if engine.dialect.name == "postgresql":
        return _version_of(db.asking(engine))
    watch = _watch(sqlite_path(engine.url))
    return None if watch is None else (this_minute(), watch, watch.data_version())


def _version_of(engine: Engine) -> Version:
    # Beside the session, which takes longer to open than this to answer.
    with engine.connect() as connection:
        return this_minute(), engine, connection.exec_driver_sql("SELECT pg_current_snapshot()::text").scalar()


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
