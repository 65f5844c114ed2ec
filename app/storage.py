"""The storage as the web sees it: refused while its schema is not this version's, its troubles told in words."""

from __future__ import annotations

from flask import Flask, current_app
from htmx_flask import request
from sqlalchemy.exc import DBAPIError

from app.extensions import db
from profilemesh.storage.engine import storage_trouble
from profilemesh.storage.schema import require_current

UNGUARDED = (
    "static",
    "Health.Live",
    "Health.Ready",
    "api-docs.openapi_json",
    "api-docs.openapi_swagger_ui",
    "api-docs.openapi_redoc",
)


def init_app(app: Flask) -> None:
    app.before_request(refuse_outdated)


def refuse_outdated() -> None:
    """Raises StorageOutdated until the schema is found right once; `db upgrade` needs no restart after it."""
    if request.endpoint in UNGUARDED or current_app.extensions.get("storage_is_current"):
        return
    with db.engine.connect() as connection:
        require_current(connection)
    current_app.extensions["storage_is_current"] = True


def trouble(error: Exception) -> str | None:
    """What is wrong with the database, in words; None where the statement is at fault."""
    if isinstance(error, DBAPIError):
        return storage_trouble(error)
    return "all connections are in use"
