"""What many endpoints say of themselves in the same words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Request, abort
from flask_smorest import Blueprint
from marshmallow import Schema
from webargs.flaskparser import FlaskParser

from app.schemas.problems import PROBLEM, ProblemSchema

TAG = {"ETag": {"description": "Of what was answered; send it back in `If-None-Match`.", "schema": {"type": "string"}}}
UNCHANGED = "Nothing has changed since the answer with the ETag in `If-None-Match`"
DOWN = "The storage database does not answer, or its schema is out of date; see `Retry-After`"
RETRY = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}


class _Parser(FlaskParser):
    def load_json(self, req: Request, schema: Schema) -> Any:
        try:
            return super().load_json(req, schema)
        except RecursionError:
            abort(400, description="The JSON is nested too deeply.")


class Changing(Blueprint):
    """Endpoints that read a body: one that cannot be read is the sender's fault, whatever is wrong with it."""

    ARGUMENTS_PARSER = _Parser()


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


def leads_to(blueprint: Blueprint, **links: tuple[str, dict[str, str]]) -> Any:
    """Documents the questions that a 200 has the answers for: by name the path, and where its parameters stand.

    A place is a JSON pointer into the body, or `header.` and a name.
    """
    told = {
        name: {"operationRef": _reference(path), "parameters": {key: _place(at) for key, at in places.items()}}
        for name, (path, places) in links.items()
    }
    # The number, as smorest has it: under a text it would be a second answer.
    return blueprint.doc(responses={200: {"links": told}})


def _reference(path: str) -> str:
    return f"#/paths/{path.replace('~', '~0').replace('/', '~1')}/get"


def _place(at: str) -> str:
    return f"$response.{at}" if at.startswith("header.") else f"$response.body#{at}"


NEXT = {"cursor": "header.X-Next-Cursor"}
RUN, TABLE, COLUMN = "/api/runs/{run_id}", "/api/tables/{table}/metrics", "/api/tables/{table}/columns/{column}/metrics"
COMPARE, STATE = "/api/runs/{run_id}/compare/{other}", "/api/tables/{table}/state"
