"""Exception -> status -> page, fragment or problem JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import orjson
from flask import Flask, Response, current_app, make_response, render_template
from htmx_flask import request
from sqlalchemy.exc import DBAPIError, TimeoutError
from werkzeug.exceptions import HTTPException

from app.schemas.problems import PROBLEM
from app.storage import trouble
from profilemesh.errors import StorageOutdated

HEADINGS = {
    400: "Not understood",
    403: "Not allowed from here",
    404: "Not found",
    405: "Not possible here",
    409: "It is going on already",
    413: "Too much at once",
    415: "Only JSON is read here",
    422: "This is not understood",
    429: "Too often",
    500: "Something went wrong",
    503: "Not available now",
}
ADVICE = {
    400: "Open the page anew, then send it again: a form is good as long as the browser's session.",
    403: "Use `profilemesh` on the server, or the dashboard there.",
    404: "It may have been pruned, or the address is mistyped. The lists below have what there is.",
    405: "This address is for reading. Open the page, and use its buttons.",
    409: "The plan page shows its progress.",
    413: "Send less: choose fewer at once, or write a shorter text.",
    422: "Change or remove what is named above.",
    429: "Wait a moment, then try again.",
    500: "That is our fault, and nothing was changed. The server's log has the reason, under this time.",
    503: "Try again in a moment; if it stays, look at the server's log.",
}
AGAIN = (429, 500, 503)
"""What may be over by the next try."""


def init_app(app: Flask) -> None:
    app.register_error_handler(HTTPException, show_http_error)
    app.register_error_handler(StorageOutdated, show_outdated)
    app.register_error_handler(DBAPIError, show_database_error)
    app.register_error_handler(TimeoutError, show_database_error)


def show_http_error(error: HTTPException) -> Response | HTTPException:
    if error.code is None or error.code < 400:
        return error
    data: dict[str, Any] = getattr(error, "data", None) or {}
    messages = data.get("messages", {})
    told = messages.get("query") or messages.get("json") if error.code == 422 else None
    fields = {name: _flat(said) for name, said in told.items()} if told else None
    headers = [(name, value) for name, value in error.get_headers() if name.lower() not in ("content-type", "location")]
    detail = _sentence(fields) if fields else data.get("message") or error.description or error.name
    if not _wants_json() and detail == type(error).description:
        # What the library says to everybody; our advice says more.
        detail = ""
    return answer(error.code, error.name, detail, fields, headers)


def show_outdated(error: StorageOutdated) -> Response:
    return answer(503, "Storage is out of date", str(error), headers=[("Retry-After", "30")])


def show_database_error(error: Exception) -> Response:
    cause = trouble(error)
    if cause is None:
        raise error
    current_app.logger.error("storage: %s", cause)
    # The cause may name hosts and files: it is for the log, not for whoever asks.
    return answer(
        503, "Storage is not available", "The storage database does not answer.", headers=[("Retry-After", "10")]
    )


def answer(
    status: int,
    title: str,
    detail: str,
    fields: dict[str, list[str]] | None = None,
    headers: list[tuple[str, str]] | None = None,
) -> Response:
    """The error as its reader wants it."""
    if _wants_json():
        body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
        content = orjson.dumps(body | ({"errors": fields} if fields else {}))
        response = Response(content, status, content_type=PROBLEM)
    else:
        template = "_error.html" if request.htmx else "error.html"
        heading = HEADINGS.get(status, title)
        shown = {"status": status, "title": heading, "detail": detail, "fields": fields, "advice": ADVICE.get(status)}
        page = render_template(template, now=datetime.now(UTC), way_out=way_out(status), **shown)
        response = make_response(page, status)
        response.vary.add("HX-Request")
    response.headers.extend(headers or [])
    return response


def way_out(status: int) -> tuple[str, str] | None:
    """What to press first: its label and its address, here on this server whatever the path looks like."""
    here = "/" + request.path.lstrip("/\\")
    if request.method == "GET" and status in AGAIN:
        query = request.query_string.decode("ascii", "replace")
        return "Try again", f"{_quoted(here)}{'?' if query else ''}{query}"
    if status == 405 or (status in (400, 422) and request.query_string):
        return "The page itself" if status == 405 else "The page without filters", _quoted(here)
    return None


def _quoted(path: str) -> str:
    return quote(path, safe="/:@!$&'()*+,;=~")


def _wants_json() -> bool:
    path: str = request.path
    if path in ("/", "/openapi.json"):
        return not prefers_html()
    return path == "/api" or path.startswith(("/api/", "/health/"))


def prefers_html() -> bool:
    """Browsers name text/html before anything else; programs name JSON, everything, or nothing."""
    wanted = request.accept_mimetypes
    return bool(request.htmx or wanted["text/html"] > wanted["application/json"])


def _flat(said: Any) -> list[str]:
    """What is wrong with one parameter; where that is a list, with which of its items."""
    if isinstance(said, dict):
        return [f"{place}: {text}" for place, texts in said.items() for text in _flat(texts)]
    return [str(text) for text in said]


def _sentence(fields: dict[str, list[str]]) -> str:
    return " ".join(f"{name}: {' '.join(said)}" for name, said in fields.items())
