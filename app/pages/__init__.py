"""What every page does: read its filter, show itself whole or in part."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Response, make_response, render_template
from htmx_flask import request
from marshmallow import Schema
from webargs.flaskparser import parser

from app.links import Wanted


def parse(schema: type[Schema]) -> Wanted:
    """The query string, checked; 422 where it is wrong."""
    defaults = {name: field.load_default for name, field in schema._declared_fields.items()}
    return Wanted(parser.parse(schema, request, location="query"), defaults)


def is_part() -> bool:
    """Whether htmx asks for a part of the page."""
    return bool(request.htmx and not request.htmx.history_restore_request)


def show(template: str, part: str | None = None, **shown: Any) -> Response:
    """The page, or only its part when htmx asks for that. `now` is the one moment of the answer."""
    shown.setdefault("now", datetime.now(UTC))
    response = make_response(render_template(part if part and is_part() else template, **shown))
    response.vary.add("HX-Request")
    return response
