"""Who asks: what changes anything is for people on this machine alone, until there is sign-in."""

from __future__ import annotations

from ipaddress import ip_address

from flask import Flask, abort
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
