"""A web server on loopback that takes messages, and misbehaves as it is told to."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

OK, ERROR, SLOW, RESET, CUT, LOST = ("ok", "500", "slow", "reset", "cut", "lost")
"""Takes it; refuses it; takes it slowly; drops it unread; takes it and breaks off its answer; takes it and drops."""


@dataclass(frozen=True)
class Received:
    """A message that the receiver has taken, whether or not the sender heard of it."""

    path: str
    key: str | None
    body: Any
    headers: dict[str, str] = field(repr=False, default_factory=dict)


@dataclass
class Receiver:
    """`behaviour` tells for each request, by its path, what to do with it; `taken` is what was taken, in order."""

    url: str = ""
    behaviour: Callable[[str], str] = lambda path: OK
    seconds: float = 0.05
    taken: list[Received] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def address(self, route: str, more: str = "") -> str:
        return f"json://{self.url.removeprefix('http://')}/{route}{more}"

    def on(self, path: str) -> list[Received]:
        with self.lock:
            return [each for each in self.taken if each.path == f"/{path}"]

    def once(self, path: str) -> list[Received]:
        """As one who honours the key sees them: each key's first."""
        first: dict[str | None, Received] = {}
        for each in self.on(path):
            first.setdefault(each.key, each)
        return list(first.values())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def do_POST(self) -> None:
        receiver: Receiver = self.server.receiver
        with receiver.lock:
            what = receiver.behaviour(self.path)
            receiver.asked.append((self.path, what))
        if what == RESET:
            return self._reset()
        length = int(self.headers.get("Content-Length", 0))
        raw = self.rfile.read(length)
        if len(raw) < length:
            # Who asked was killed amid its own message, which nobody could take.
            return self._reset()
        if what == SLOW:
            time.sleep(receiver.seconds)
        if what != ERROR:
            with receiver.lock:
                body = json.loads(raw) if raw.startswith(b"{") else raw.decode()
                key = self.headers.get("Idempotency-Key")
                receiver.taken.append(Received(self.path, key, body, dict(self.headers)))
        if what == LOST:
            return self._reset()
        self.send_response(500 if what == ERROR else 200)
        self.send_header("Content-Length", "1000" if what == CUT else "2")
        self.end_headers()
        self.wfile.write(b"no")
        self.close_connection = True
        return None

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def log_message(self, *args: Any) -> None: ...

    def handle(self) -> None:
        # Who asked may have been killed meanwhile.
        try:
            super().handle()
        except (OSError, ValueError):
            self.close_connection = True

    def finish(self) -> None:
        try:
            super().finish()
        except (OSError, ValueError):
            self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def shutdown_request(self, request: Any) -> None:
        try:
            super().shutdown_request(request)
        except OSError:
            request.close()


@contextmanager
def receiving(behaviour: Callable[[str], str] = lambda path: OK) -> Iterator[Receiver]:
    server = _Server(("127.0.0.1", 0), _Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_address[1]}", behaviour)
    server.receiver = receiver  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
