"""Who asks: what changes anything is for people on this machine alone, until there is sign-in."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from ipaddress import ip_address
from typing import Any

from flask import Flask, Response, abort
from htmx_flask import request

FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-Ip")


def init_app(app: Flask) -> None:
    app.jinja_env.globals["is_local"] = is_local


def is_local() -> bool:
    """Whether the request comes from this machine, to a name of this machine, and past no proxy.

    The name counts because a page elsewhere can have its own name lead to 127.0.0.1.
    """
    host = request.host.rsplit(":", 1)[0] if not request.host.endswith("]") else request.host
    is_past_proxy = any(name in request.headers for name in FORWARDED)
    return not is_past_proxy and _is_loopback(request.remote_addr or "") and _is_loopback(host.strip("[]"))


def _is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def require_local() -> None:
    """Answers 403 to everyone else."""
    if not is_local():
        abort(403, description="Only a client on this machine may do that: there is no sign-in yet.")


def only_local_json(view: Callable[..., Response]) -> Callable[..., Response]:
    """For views of the API that change something: JSON alone, which no page of another site can send unasked."""

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Response:
        require_local()
        if request.mimetype != "application/json":
            abort(415, description="Send JSON, with the content type application/json.")
        return view(*args, **kwargs)

    return guarded
