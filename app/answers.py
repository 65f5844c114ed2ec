"""Strict JSON out: no NaN, no Decimal as text, times with +00:00."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import orjson
from flask import Response, request


def send(content: Any, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), content_type="application/json", headers=headers)


def page_headers(total: int, limit: int, offset: int) -> dict[str, str]:
    """X-Total-Count, and Link to the pages around this one."""
    last = max(total - 1, 0) // limit * limit
    places = {"first": 0, "prev": max(offset - limit, 0), "next": offset + limit, "last": last}
    if offset == 0:
        del places["prev"]
    if offset + limit >= total:
        del places["next"]
    links = [f'<{_moved_to(place)}>; rel="{name}"' for name, place in places.items()]
    return {"X-Total-Count": str(total), "Link": ", ".join(links)}


def _moved_to(offset: int) -> str:
    pairs = [(key, value) for key, value in request.args.items(multi=True) if key != "offset"]
    return f"{request.base_url}?{urlencode([*pairs, ('offset', offset)])}"
