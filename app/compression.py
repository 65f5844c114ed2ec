"""Answers of some size are sent compressed to whoever takes gzip, exports as they are made."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from functools import lru_cache

from flask import Flask, Response, request

LEAST_BYTES = 1000
LEVEL = 5
COMPRESSED = ("text/", "application/json", "application/problem+json", "application/x-ndjson", "image/svg+xml")


def init_app(app: Flask) -> None:
    app.after_request(compress)


def compress(response: Response) -> Response:
    kind = response.content_type or ""
    if request.endpoint == "static" and response.status_code == 200 and _takes_gzip() and _is_text(kind):
        _read(response)
    if response.direct_passthrough or not _is_text(kind):
        return response
    response.vary.add("Accept-Encoding")
    if not _takes_gzip() or response.status_code in (204, 304) or "Content-Encoding" in response.headers:
        return response
    if response.is_streamed:
        response.response = _streamed(response.response)  # type: ignore[arg-type]
    else:
        body = response.get_data()
        if len(body) < LEAST_BYTES:
            return response
        response.set_data(_compressed(body))
    response.headers["Content-Encoding"] = "gzip"
    return response


def _is_text(kind: str) -> bool:
    return kind.startswith(COMPRESSED) or "javascript" in kind


def _read(response: Response) -> None:
    """A file of ours, into memory; weakly tagged, because compressed it is not the same to the byte."""
    response.direct_passthrough = False
    response.make_sequence()
    tag = response.get_etag()[0]
    if tag:
        response.set_etag(tag, weak=True)


def _takes_gzip() -> bool:
    return request.accept_encodings["gzip"] > 0


@lru_cache(maxsize=32)
def _compressed(body: bytes) -> bytes:
    """Of what is sent again and again the bytes are the same object, whose hash is known."""
    return gzip.compress(body, LEVEL, mtime=0)


def _streamed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, 31)
    try:
        for piece in pieces:
            packed = packer.compress(piece)
            if packed:
                yield packed
        yield packer.flush()
    finally:
        close = getattr(pieces, "close", None)
        if close:
            close()
