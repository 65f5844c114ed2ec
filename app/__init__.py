"""The web face: `create_app()`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from flask import Flask

from app import (
    api,
    catalogue,
    checks,
    clients,
    compression,
    errors,
    extensions,
    findings,
    formats,
    frame,
    links,
    preview,
    remembered,
    security,
    storage,
)
from app.links import FindingConverter, NameConverter
from app.pages import columns, compare, drift, help, plan, replay, runs, search, tables, triage, warehouses
from app.settings import read_settings, storage_url


def create_app(settings: Mapping[str, Any] | None = None) -> Flask:
    """Settings come from the environment and `.env`, or from the mapping alone when one is given.

    Raises ConfigError, naming the setting, before anything is served.
    """
    app = Flask(__name__, template_folder="../templates", static_folder="../static")
    app.config.update(read_settings(settings))
    app.config["SQLALCHEMY_DATABASE_URI"] = storage_url(app.config)
    app.config.update(API_TITLE="ProfileMesh", API_VERSION=version("profilemesh"))
    app.url_map.strict_slashes = True
    app.url_map.merge_slashes = False
    app.url_map.converters |= {"name": NameConverter, "finding": FindingConverter}
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    formats.init_app(app)
    frame.init_app(app)
    findings.init_app(app)
    links.init_app(app)
    clients.init_app(app)
    preview.init_app(app)
    catalogue.init_app(app)
    checks.init_app(app)
    compression.init_app(app)
    extensions.init_app(app)
    security.init_app(app)
    storage.init_app(app)
    remembered.init_app(app)
    api.init_app(app)
    for noun in (replay, triage, drift, plan, runs, columns, tables, search, compare, warehouses, help):
        app.register_blueprint(noun.pages)
    errors.init_app(app)
    return app
