"""What many endpoints say of themselves in the same words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask_smorest import Blueprint

from app.errors import PROBLEM
from app.schemas.problems import ProblemSchema

TAG = {"ETag": {"description": "Of what was answered; send it back in `If-None-Match`.", "schema": {"type": "string"}}}
UNCHANGED = "Nothing has changed since the answer with the ETag in `If-None-Match`"
DOWN = "The storage database does not answer, or its schema is out of date; see `Retry-After`"
RETRY = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}


def paging(what: str) -> dict[str, Any]:
    """The headers of a list of `what`."""
    return {
        "X-Total-Count": {"description": f"All {what} that match, beyond this part.", "schema": {"type": "integer"}},
        "X-Next-Cursor": {
            "description": "Where the next part begins; absent at the end.",
            "schema": {"type": "string"},
        },
        "Link": {"description": "first, prev, next and last part.", "schema": {"type": "string"}},
    }


def problem(blueprint: Blueprint, status: int, description: str) -> Any:
    """Documents an error that a view answers with."""
    headers = RETRY if status == 503 else None
    return blueprint.alt_response(
        status, schema=ProblemSchema, content_type=PROBLEM, description=description, headers=headers
    )


def shown(blueprint: Blueprint, schema: Any, *, headers: dict[str, Any] | None = None, missing: str = "") -> Any:
    """Documents an endpoint that shows what is stored: 200 with an ETag, 304, 503, and 404 where `missing` can be."""

    def documented(view: Callable[..., Any]) -> Callable[..., Any]:
        view = problem(blueprint, 503, DOWN)(view)
        if missing:
            view = problem(blueprint, 404, missing)(view)
        view = blueprint.alt_response(304, description=UNCHANGED)(view)
        found: Callable[..., Any] = blueprint.response(200, schema, headers=(headers or {}) | TAG)(view)
        return found

    return documented
