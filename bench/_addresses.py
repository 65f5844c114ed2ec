"""Which addresses of the API are asked for, and how."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, urlencode

from _served import BadAnswer, Server

WAYS: Mapping[str, Mapping[str, str]] = MappingProxyType({"polled": {}, "anew": {"Cache-Control": "no-cache"}})
"""As a client that polls, which may be answered from memory while nothing changes; and computed anew each time."""
ALL = "days=90"
"""The lists are asked for all runs there are: of a hundred the usual 30 days would hold a third of a page."""


@dataclass(frozen=True)
class Ask:
    """`goal` is a share of hello's rate, of a hundred runs. `is_unchanged`: with the tag of the answer, for a 304.

    `is_next`: the page after that of `path`, by the cursor of its answer.
    """

    path: str
    name: str
    goal: float | None = None
    is_unchanged: bool = False
    is_next: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


def with_goals(server: Server) -> Iterator[Ask]:
    [run] = _list(server, f"/api/runs?{ALL}&status=success&limit=1")
    yield Ask(f"/api/runs?{ALL}", "/api/runs", 0.10)
    yield Ask(f"/api/runs/{run['run_id']}", "/api/runs/{id}", 0.16)
    yield Ask(f"/api/drift?{ALL}", "/api/drift", 0.10)
    yield Ask("/api/dashboard/metrics", "/api/dashboard/metrics", 0.10)
    yield Ask(f"/api/tables/{quote(run['dataset_name'])}/metrics", "/api/tables/{t}/metrics", 0.10)
    yield Ask(f"/api/runs?{ALL}", "/api/runs, 304", 0.30, is_unchanged=True)
    yield Ask("/api/dashboard/metrics", "/api/dashboard/metrics, 304", 0.30, is_unchanged=True)


def without_goals(server: Server, runs: int) -> Iterator[Ask]:
    """Pages further on, filters, and what else there is."""
    middle = runs // 2
    yield Ask(f"/api/runs?{ALL}", "/api/runs, page 2 by cursor", is_next=True)
    yield Ask(f"/api/runs?{ALL}&offset={middle}", f"/api/runs, cursor after {middle:,}", is_next=True)
    yield Ask(f"/api/runs?{ALL}&offset={middle}", f"/api/runs, offset={middle}")
    yield Ask(f"/api/runs?{ALL}&limit=1000", "/api/runs, 1,000 of them")
    [run] = _list(server, f"/api/runs?{ALL}&status=success&limit=1")
    for wanted in (
        {"warehouse": run["warehouse"]},
        {"warehouse": run["warehouse_type"]},
        {"schema": run["schema_name"]},
        {"table": run["dataset_name"]},
        {"status": "failed"},
        {"status": "failed", "warehouse": run["warehouse_type"], "table": run["dataset_name"]},
    ):
        yield _filtered("/api/runs", wanted)
    yield Ask("/api/dashboard/metrics?days=90", "/api/dashboard/metrics?days=90")
    yield _filtered("/api/dashboard/metrics", {"warehouse": run["warehouse_type"]})
    yield Ask(f"/api/drift?{ALL}", "/api/drift, page 2 by cursor", is_next=True)
    for wanted in ({"severity": "high"}, {"table": run["dataset_name"]}, {"warehouse": run["warehouse_type"]}):
        yield _filtered("/api/drift", wanted)
    for path in ("/api/tables", "/api/search?q=ord", "/api/warehouses"):
        yield Ask(path, path)


def _filtered(path: str, wanted: Mapping[str, str]) -> Ask:
    query = urlencode(wanted)
    return Ask(f"{path}?{ALL}&{query}", f"{path}?{query}")


def ready(server: Server, ask: Ask) -> Ask:
    """Asked once in each way, so that its answer is known to be good; with its tag, if a 304 is wanted."""
    if ask.is_next:
        ask = replace(ask, path=_next(server, ask.path), is_next=False)
    if ask.is_unchanged:
        tag = server.get(ask.path).headers.get("etag")
        if tag is None:
            raise BadAnswer(f"GET {ask.path} answers without an ETag")
        ask = replace(ask, headers={"If-None-Match": tag})
    for way, headers in WAYS.items():
        status = server.get(ask.path, {**ask.headers, **headers}).status
        if (status == 304) != ask.is_unchanged:
            raise BadAnswer(f"GET {ask.path}, {way}, answers {status}")
    return ask


def _next(server: Server, path: str) -> str:
    cursor = server.get(path).headers.get("x-next-cursor")
    if cursor is None:
        raise BadAnswer(f"GET {path} answers without X-Next-Cursor")
    return f"{path.split('&offset=')[0]}&{urlencode({'cursor': cursor})}"


def _list(server: Server, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(server.get(path).body)
    if not found:
        raise BadAnswer(f"GET {path} answers an empty list")
    return found
