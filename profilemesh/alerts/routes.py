"""Which finding goes on which route: by severity, kind, names and owner. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from profilemesh.alerts.messages import Entry
from profilemesh.config.model import Route

RANKS = {"low": 0, "medium": 1, "high": 2}


def routes_for(routes: Iterable[Route], entry: Entry) -> list[Route]:
    """The routes that the finding is told on: every one that matches, not the first alone."""
    return [route for route in routes if matches(route, entry)]


def matches(route: Route, entry: Entry) -> bool:
    return (
        route.enabled
        and (route.resolved or entry.change != "resolved")
        # A severity of another version's making is told rather than lost.
        and RANKS.get(entry.severity, 2) >= RANKS[route.min_severity]
        and (not route.kinds or entry.kind in route.kinds)
        and _is_any(entry.warehouse, route.warehouse)
        and _is_any(entry.schema, route.schema)
        and _is_any(entry.table, route.table)
        and (not route.owner or (entry.owner is not None and _is_any(entry.owner, route.owner)))
    )


def _is_any(name: str, globs: Iterable[str]) -> bool:
    # A table may be called `sales[2024]`: the name itself counts before the glob it could be read as.
    return any(name == glob or fnmatchcase(name, glob) for glob in globs)
