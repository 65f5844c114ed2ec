"""Tables by names that Dagster allows: letters, digits and underscores, and no two tables by the same."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence

from dagster import AssetKey

from profilemesh.tables import TableRef

SUMMARY = "summary"
_PLAIN = re.compile(r"[A-Za-z0-9_]{1,64}")
_OTHERS = re.compile(r"[^A-Za-z0-9]+")
_MARKED = re.compile(r".*_x[0-9a-f]{12}", re.DOTALL)
_SLUG = 40
_SHOWN = 200


def asset_key(table: TableRef, prefix: str = "profilemesh") -> AssetKey:
    """[prefix, warehouse, schema, table], each as `plain` has it."""
    return AssetKey([plain(prefix), plain(table.warehouse), plain(table.schema), plain(table.name)])


def summary_key(prefix: str) -> AssetKey:
    return AssetKey([plain(prefix), SUMMARY])


def plain(name: str) -> str:
    """The name itself if Dagster allows it, else what is left of it with a hash of the whole.

    A name that only looks as if it had such a hash gets one too: so no two names meet.
    """
    if _PLAIN.fullmatch(name) and not _MARKED.fullmatch(name):
        return name
    return f"{_OTHERS.sub('_', name[:_SLUG]).strip('_')}_x{_hashed(name)}"


def op_name(path: Sequence[str]) -> str:
    """One name for a key of several parts. Where the joints cannot be told, a hash of the parts tells them."""
    joined = "__".join(path)
    is_clear = all("__" not in part and part.strip("_") == part for part in path)
    return joined if is_clear and len(joined) <= 200 else f"{joined[:200]}_x{_hashed(json.dumps(list(path)))}"


def shown(text: str, most: int = _SHOWN) -> str:
    """A text from a warehouse on one line of a page, without marks that turn or hide what follows."""
    line = "".join(letter if letter.isprintable() else " " for letter in text[: most + 1])
    return f"{line[:most]}..." if len(text) > most else line


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
