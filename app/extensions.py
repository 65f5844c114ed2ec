"""The extensions: made here, configured by `init_app`."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from flask import Flask, Response, has_request_context, request
from flask_cors import CORS
from flask_smorest import Api
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session
from flask_wtf.csrf import CSRFProtect
from htmx_flask import Htmx
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from app.schemas.problems import PROBLEM, ProblemSchema
from profilemesh.storage.engine import make_engine
from profilemesh.storage.models import Base

EXPOSED = ["X-Total-Count", "X-Next-Cursor", "Link", "ETag", "Content-Disposition", "Retry-After"]
OPENAPI = {
    "OPENAPI_VERSION": "3.1.0",
    "OPENAPI_URL_PREFIX": "/",
    "OPENAPI_JSON_PATH": "openapi.json",
    "OPENAPI_SWAGGER_UI_PATH": "/docs",
    "OPENAPI_SWAGGER_UI_URL": "/static/vendor/swagger-ui@5.35.0/",
    "OPENAPI_REDOC_PATH": "/redoc",
    "OPENAPI_REDOC_URL": "/static/vendor/redoc@2.5.4/redoc.standalone.js",
    "API_SPEC_OPTIONS": {
        "info": {
            "description": "What is in the tables of your warehouses, and how it changes.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        }
    },
}


class ProblemApi(Api):
    """smorest, with errors left to `app.errors` and documented as they are: application/problem+json."""

    ERROR_SCHEMA = ProblemSchema

    def _register_error_handlers(self) -> None:
        """The app-wide handler would answer a page's 404 with JSON."""

    def _register_responses(self) -> None:
        # What it describes here are errors only.
        self.DEFAULT_RESPONSE_CONTENT_TYPE = PROBLEM
        super()._register_responses()
        del self.DEFAULT_RESPONSE_CONTENT_TYPE


class WebSession(Session):
    """Who only asks needs no transaction of PostgreSQL's, which costs two round trips. SQLite's is one view of all."""

    def get_bind(self, *args: Any, **kwargs: Any) -> Engine | Connection:
        bind: Engine | Connection = super().get_bind(*args, **kwargs)
        asks = has_request_context() and request.method in ("GET", "HEAD")
        if asks and isinstance(bind, Engine) and bind.dialect.name == "postgresql":
            return db.asking(bind)
        return bind


class Storage(SQLAlchemy):
    """Flask-SQLAlchemy over the engine's own tables, connected as the engine connects."""

    def _make_engine(self, bind_key: str | None, options: dict[str, Any], app: Flask) -> Engine:
        engine = make_engine(options["url"], pool_size=THREADS)
        if engine.dialect.name == "postgresql":
            sa.event.listen(engine, "engine_connect", _without_transactions)
            sa.event.listen(engine, "checkin", _with_transactions)
        return engine

    def _teardown_session(self, exc: BaseException | None) -> None:
        try:
            self.session.remove()
        except (DBAPIError, self.engine.dialect.loaded_dbapi.Error):
            # The database went away after the answer was made, which has gone out; its connection goes with it.
            self.session.registry.clear()

    @lru_cache(maxsize=8)  # noqa: B019 - there is one of these
    def asking(self, engine: Engine) -> Engine:
        """The same connections, without transactions on PostgreSQL."""
        return engine.execution_options(profilemesh_asks=True)


def _without_transactions(connection: Connection) -> None:
    """The driver's own switch: SQLAlchemy's isolation level costs a round trip there and another one back."""
    if connection.get_execution_options().get("profilemesh_asks"):
        connection.connection.dbapi_connection.autocommit = True  # type: ignore[union-attr]


def _with_transactions(connection: Any, record: object) -> None:
    if connection is not None and not connection.closed and connection.autocommit:
        connection.autocommit = False


# As many threads answer in one process, and each has a connection of its own.
THREADS = 12
MOST_SENT = 2**20
"""Bytes of a form or a JSON body: thousands of findings fit in."""
db = Storage(metadata=Base.metadata, session_options={"class_": WebSession})
api = ProblemApi()
csrf = CSRFProtect()
cors = CORS()
htmx = Htmx()


def init_app(app: Flask) -> None:
    app.config.from_mapping(OPENAPI)
    # A form holds as long as the browser's session; the cookie goes with no request from another site.
    app.config.update(WTF_CSRF_TIME_LIMIT=None, SESSION_COOKIE_SAMESITE="Lax", MAX_CONTENT_LENGTH=MOST_SENT)
    db.init_app(app)
    api.init_app(app)
    csrf.init_app(app)
    cors.init_app(app, resources={r"/(api(/.*)?|health/.*|openapi\.json)?": cors_options(app.config["CORS_ORIGINS"])})
    app.after_request(vary_by_origin)
    htmx.init_app(app)


def cors_options(origins: list[str]) -> dict[str, Any]:
    return {"origins": origins, "expose_headers": EXPOSED, "methods": ["GET", "HEAD", "OPTIONS"], "max_age": 600}


def vary_by_origin(response: Response) -> Response:
    """Flask-CORS leaves this out where a single origin is allowed, but then too the answer depends on who asks."""
    if request.path == "/" or request.path.startswith(("/api", "/health")):
        response.vary.add("Origin")
    return response
