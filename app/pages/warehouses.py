"""/warehouses: how each connection stands; a look at one, when somebody asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Blueprint, Response, abort, redirect, url_for
from htmx_flask import request
from werkzeug import Response as Redirect

from app.checks import Check, checks
from app.clients import is_local, require_local
from app.extensions import db
from app.pages import show
from app.preview import looker
from app.queries import connections
from app.queries.connections import Standing
from app.words import STRATEGIES
from profilemesh.config import Config
from profilemesh.config.masked import address_of
from profilemesh.config.model import WarehouseConfig
from profilemesh.errors import ConfigError, WarehouseError
from profilemesh.warehouses import open_warehouse

pages = Blueprint("warehouses", __name__, url_prefix="/warehouses")
DAYS = 30
MOST_SHOWN = 50


@dataclass(frozen=True)
class Connection:
    """A warehouse that is configured, or of which something is remembered, or both. `address` is for this machine
    alone: it names hosts and files. `runs` and `failed` are those of the last days."""

    name: str
    config: WarehouseConfig | None
    standing: Standing | None
    check: Check | None
    runs: int = 0
    failed: int = 0

    @property
    def type(self) -> str:
        return self.config.type if self.config else self.standing.type if self.standing else "unknown"

    @property
    def strategy(self) -> str:
        """How it is read, in words; what this version cannot open says so when it is asked."""
        if self.config is None:
            return ""
        try:
            return STRATEGIES[open_warehouse(self.config).strategy]
        except WarehouseError:
            return ""

    @property
    def address(self) -> str | None:
        return address_of(self.config) if self.config and is_local() else None


@pages.get("")
def index() -> Response:
    now = datetime.now(UTC)
    config, trouble = _config()
    known = connections.standings(db.session())
    counts = connections.runs_since(db.session(), _since(now))
    names = [
        *(config.warehouses if config else ()),
        *(name for name in known if not config or name not in config.warehouses),
    ]
    found = [_connection(name, config, known, counts, now) for name in names]
    return show(
        "warehouses/index.html", found=found, trouble=trouble, has_config=config is not None, days=DAYS, now=now
    )


@pages.get("/<name:warehouse>")
def one(warehouse: str) -> Response:
    now = datetime.now(UTC)
    config, trouble = _config()
    is_possible = "\0" not in warehouse
    known = connections.standings(db.session(), warehouse) if is_possible else {}
    if not known and not (config and warehouse in config.warehouses):
        abort(404, description=f"Warehouse {warehouse} not found.")
    counts = connections.runs_since(db.session(), _since(now), warehouse)
    return show(
        "warehouses/show.html",
        each=_connection(warehouse, config, known, counts, now),
        unproved=connections.unproved(db.session(), warehouse, MOST_SHOWN),
        failures=connections.failures(db.session(), warehouse, 5),
        execution=config.execution if config else None,
        trouble=trouble,
        has_config=config is not None,
        days=DAYS,
        most_shown=MOST_SHOWN,
        now=now,
    )


@pages.post("/check")
def check() -> Response | Redirect:
    require_local()
    name = request.form.get("warehouse", "")
    config, trouble = _config()
    if config is None:
        abort(503, description=trouble or "No configuration can be read.")
    if name not in config.warehouses:
        abort(422, description="The form does not name a configured warehouse.")
    now = datetime.now(UTC)
    found = checks().ask(config, config.warehouses[name], now)
    if not request.htmx:
        return redirect(url_for("warehouses.one", warehouse=name, _anchor="check"), 303)
    return show("warehouses/_check.html", name=name, check=found, has_config=True, most_shown=MOST_SHOWN)


def _config() -> tuple[Config | None, str | None]:
    """The configuration, or why there is none; that may name files, which are nobody's business elsewhere."""
    try:
        return looker().config(), None
    except ConfigError as error:
        return None, str(error) if is_local() else "The server's log has the reason."


def _since(now: datetime) -> datetime:
    return (now - timedelta(days=DAYS)).replace(hour=0, minute=0, second=0, microsecond=0)


def _connection(
    name: str, config: Config | None, known: dict[str, Standing], counts: dict[str, tuple[int, int]], now: datetime
) -> Connection:
    described: Any = config.warehouses.get(name) if config else None
    latest = checks().latest(name, now) if is_local() else None
    return Connection(name, described, known.get(name), latest, *counts.get(name, (0, 0)))
