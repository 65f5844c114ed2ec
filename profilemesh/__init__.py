"""ProfileMesh as a library: what a script or a notebook needs of it. docs/python.md shows each at work.

Nothing is imported before it is asked for: drivers, arrays and the ORM take longer than most programs that use but one.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from profilemesh.clock import utc_now as utc_now
    from profilemesh.config import load_config as load_config
    from profilemesh.drift import compare as compare
    from profilemesh.drift import profile_of as profile_of
    from profilemesh.drift import rules_for as rules_for
    from profilemesh.planning import make_plan as make_plan
    from profilemesh.reading import latest_profile as latest_profile
    from profilemesh.runner import look as look
    from profilemesh.runner import opened as opened
    from profilemesh.runner import run_plan as run_plan
    from profilemesh.storage import open_storage as open_storage
    from profilemesh.storage.upgrade import upgrade as upgrade
    from profilemesh.tables import TableRef as TableRef

_PLACES = {
    "TableRef": "profilemesh.tables",
    "compare": "profilemesh.drift",
    "latest_profile": "profilemesh.reading",
    "load_config": "profilemesh.config",
    "look": "profilemesh.runner",
    "make_plan": "profilemesh.planning",
    "open_storage": "profilemesh.storage",
    "opened": "profilemesh.runner",
    "profile_of": "profilemesh.drift",
    "rules_for": "profilemesh.drift",
    "run_plan": "profilemesh.runner",
    "upgrade": "profilemesh.storage.upgrade",
    "utc_now": "profilemesh.clock",
}

__all__ = [  # noqa: F822 - each is imported when it is asked for
    "TableRef",
    "compare",
    "latest_profile",
    "load_config",
    "look",
    "make_plan",
    "open_storage",
    "opened",
    "profile_of",
    "rules_for",
    "run_plan",
    "upgrade",
    "utc_now",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'profilemesh' has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_PLACES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
