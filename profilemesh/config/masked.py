"""Connections told without their secrets: passwords, tokens in addresses, whatever is given beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from profilemesh.config.model import WarehouseConfig
from profilemesh.config.problems import without_credentials

HIDDEN = "***"
_PAIR = re.compile(
    r"(?i)(\b[\w-]*(?:passw|pwd|secret|token|credential|private_?key|api_?key|signature|\bsig)[\w-]*\s*[=:]\s*)"
    r"('(?:[^'\\]|\\.)*'|\"[^\"]*\"|[^\s&;,'\"]+)"
)
_QUERY = re.compile(r"\?[^\s\"')]*=[^\s\"')]*")
LEAST = 4
"""A secret shorter than this would hide half of every sentence; as a part of an address it is hidden anyway."""


def without_secrets(text: str, config: WarehouseConfig) -> str:
    """The text without this connection's password, without what stands in addresses before an @ or after a ?, and
    without values of what is called a password, a token, a key."""
    for secret in sorted(_secrets(config), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    text = without_credentials(text) if "://" in text else text
    return _PAIR.sub(rf"\g<1>{HIDDEN}", _QUERY.sub(f"?{HIDDEN}", text))


def address_of(config: WarehouseConfig) -> str | None:
    """Where the warehouse is: its file, or its host, port and database, as far as they are given."""
    if config.filepath is not None:
        return without_secrets(str(config.filepath), config)
    host = f"{config.host}:{config.port}" if config.host and config.port else config.host or config.account
    parts = [part for part in (host, config.database) if part]
    return without_secrets("/".join(parts), config) if parts else None


def _secrets(config: WarehouseConfig) -> Iterator[str]:
    if config.password and len(config.password) >= LEAST:
        yield config.password
    yield from _texts(config.extra_params)


def _texts(value: Any) -> Iterator[str]:
    """Every text inside: which of them are secrets nobody can tell."""
    if isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, str) and len(value) >= 2 * LEAST:
        yield value
