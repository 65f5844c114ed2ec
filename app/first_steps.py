"""The three steps from nothing to a first page, and which of them are done, as far as that is known without asking."""

from __future__ import annotations

from dataclasses import dataclass

from app.extensions import db
from app.hand import can_run
from app.preview import looker
from app.queries import runs
from profilemesh.errors import ConfigError
from profilemesh.storage import ticks


@dataclass(frozen=True)
class Steps:
    """`trouble` says what is wrong with the configuration, `warehouses` which it names; `was_looked`: a tick has been
    at them."""

    warehouses: tuple[str, ...]
    trouble: str | None
    was_looked: bool
    has_runs: bool
    can_run: bool


def known_steps() -> Steps:
    names: tuple[str, ...] = ()
    trouble = None
    try:
        names = tuple(looker().config().warehouses)
    except ConfigError as error:
        trouble = str(error)
    session = db.session()
    return Steps(names, trouble, bool(ticks.latest(session, 1)), runs.any_run(session), can_run())
