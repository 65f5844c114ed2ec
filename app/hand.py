"""Runs asked for by hand. Who carries them out is registered by whoever serves: `app.extensions["run_now"]`."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Protocol, cast

from flask import abort, current_app

from app.preview import looker

PLANNING_SECONDS = 30.0


class RunNow(Protocol):
    """Begins a run of what `only` selects, in the background; None if it has begun, else who is at it already.

    `planned` hears the plan's id, or None where no plan could be made, as soon as that is known.
    """

    def __call__(
        self, only: str | None = None, force: bool = False, planned: Callable[[str | None], None] | None = None
    ) -> str | None: ...


def run_now(only: str | None, force: bool) -> None:
    """Returns at once. Answers 409 where the same is going on, 503 where nothing here carries plans out."""
    _begin(only, force, None)


def run_planned(only: str | None, force: bool) -> str:
    """The id of the plan that is now being carried out; 503 where no plan can be made in time."""
    told: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    _begin(only, force, told.put)
    try:
        plan_id = told.get(timeout=PLANNING_SECONDS)
    except queue.Empty:
        abort(503, description="It has begun, and the warehouses are still being looked at; see /api/ticks.")
    if plan_id is None:
        abort(503, description="No plan could be made; /api/ticks and the server's log have the reason.")
    return plan_id


def _begin(only: str | None, force: bool, planned: Callable[[str | None], None] | None) -> None:
    begin = cast("RunNow | None", current_app.extensions.get("run_now"))
    if begin is None:
        abort(503, description="This server only shows: nothing in it carries plans out. Use `profilemesh profile`.")
    obstacle = begin(only, force, planned)
    looker().forget()
    if obstacle is not None:
        abort(409, description=f"{obstacle[:1].upper()}{obstacle[1:]}.")


def can_run() -> bool:
    return "run_now" in current_app.extensions
