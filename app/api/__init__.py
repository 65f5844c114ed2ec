"""The JSON API."""

from __future__ import annotations

from flask import Flask, redirect, request
from werkzeug import Response


def init_app(app: Flask) -> None:
    app.before_request(drop_slash)


def drop_slash() -> Response | None:
    """An address of the API with a slash at its end leads to the one without."""
    path = request.path.rstrip("/")
    if not path.startswith("/api/") or path == request.path:
        return None
    query = request.query_string.decode("latin-1")
    return redirect(path + (f"?{query}" if query else ""), 308)
