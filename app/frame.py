"""What the frame around every page tells: how many findings are open, and which files of ours are the current ones."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from flask import Flask, current_app, request

from app.extensions import db
from app.first_steps import known_steps
from app.queries import findings
from app.queries.findings import Open

COUNTED = "profilemesh.open_findings"


def init_app(app: Flask) -> None:
    app.jinja_env.globals.update(open_findings=open_findings, known_steps=known_steps)
    app.url_defaults(name_content)


def open_findings(warehouses: Collection[str] | None = None, environment: str | None = None) -> Open:
    """In these warehouses and this environment (None: in all); counted once a page."""
    if COUNTED not in request.environ:
        request.environ[COUNTED] = findings.count_open(db.session(), datetime.now(UTC))
    counts: dict[tuple[str, str | None], Open] = request.environ[COUNTED]
    meant = (
        count
        for (warehouse, of), count in counts.items()
        if (warehouses is None or warehouse in warehouses) and environment in (None, of)
    )
    return sum(meant, Open())


def name_content(endpoint: str, values: dict[str, Any]) -> None:
    """A file of ours is asked for by what is in it, so that a browser may keep it for ever. Vendored folders carry
    versions already."""
    name = values.get("filename", "")
    if endpoint == "static" and not name.startswith("vendor/"):
        path = Path(current_app.static_folder or "") / name
        values["v"] = _content(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=256)
def _content(path: Path, changed_at: int) -> str:
    """As it was at that time: a file changed under a running server has a new name."""
    return blake2b(path.read_bytes(), digest_size=6).hexdigest()
