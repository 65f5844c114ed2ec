"""The JSON API."""

from __future__ import annotations

from flask import Flask, redirect, request
from werkzeug import Response

from app.api import dashboard, drift, exports, findings, health, plan, root, runs, search, tables
from app.extensions import api

# In the order in which the documentation lists them.
NOUNS = (root, dashboard, runs, drift, findings, tables, search, exports, plan, health)


def init_app(app: Flask) -> None:
    app.before_request(drop_slash)
    for noun in NOUNS:
        api.register_blueprint(noun.blueprint)


def drop_slash() -> Response | None:
    """An address of the API with a slash at its end leads to the one without."""
    path = request.path.rstrip("/")
    if not path.startswith("/api/") or path == request.path:
        return None
    query = request.query_string.decode("latin-1")
    return redirect(path + (f"?{query}" if query else ""), 308)
