"""Strict JSON out: no NaN, no Decimal as text, times with +00:00."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import orjson
from flask import Response, request

from app.queries.lists import Part


def send(content: Any, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), content_type="application/json", headers=headers)


def part_headers(part: Part, wanted: Mapping[str, Any]) -> dict[str, str]:
    """X-Total-Count, X-Next-Cursor, and Link to the parts around this one, by cursor where this one is."""
    headers = {"X-Total-Count": str(part.total)} | ({"X-Next-Cursor": part.next} if part.next else {})
    if not wanted["cursor"]:
        return headers | page_headers(part.total, wanted["limit"], wanted["offset"])
    links = [f'<{_moved_to("")}>; rel="first"'] + ([f'<{_moved_to(part.next)}>; rel="next"'] if part.next else [])
    return headers | {"Link": ", ".join(links)}


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


def _moved_to(place: int | str) -> str:
    name = "offset" if isinstance(place, int) else "cursor"
    pairs = [(key, value) for key, value in request.args.items(multi=True) if key not in ("offset", "cursor")]
    return f"{request.base_url}?{urlencode([*pairs, (name, place)])}"
