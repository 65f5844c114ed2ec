"""What can be set from the environment or `.env`: rows of name, default, help. A bad value stops the boot."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from apscheduler.triggers.cron import CronTrigger
from dotenv import load_dotenv

from app.cron import cron_trigger
from profilemesh.config import load_config
from profilemesh.config.addresses import BadAddress, resolved_url
from profilemesh.errors import ConfigError


@dataclass(frozen=True)
class Setting:
    """`read` turns the text into the value, or raises ValueError with what is allowed."""

    name: str
    default: str
    help: str
    read: Callable[[str], Any] = str


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise ValueError("a port from 1 to 65535")
    return int(text)


def _host(text: str) -> str:
    if not text or any(c.isspace() or c in "/@" for c in text):
        raise ValueError("a host name or address such as 127.0.0.1")
    return text


def _origins(text: str) -> list[str]:
    return [_origin(part.strip()) for part in text.split(",") if part.strip()]


def _origin(text: str) -> str:
    parts = urlsplit(text)
    is_origin = parts.scheme in ("http", "https") and parts.netloc and not (parts.path.strip("/") or parts.query)
    if text != "*" and not is_origin:
        raise ValueError("origins such as https://dash.example.com, separated by commas, or *")
    return text.rstrip("/")


def _secret(text: str) -> str:
    if text and len(text) < 16:
        raise ValueError("at least 16 characters")
    return text or secrets.token_hex(32)


def _switch(text: str) -> bool:
    if text.lower() not in ("on", "off"):
        raise ValueError("on or off")
    return text.lower() == "on"


LEAST_MINUTES, MOST_MINUTES = 0.01, 60 * 24 * 366


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not LEAST_MINUTES <= minutes <= MOST_MINUTES:
        raise ValueError(f"minutes from {LEAST_MINUTES} to {MOST_MINUTES}")
    return minutes


def _cron(text: str) -> CronTrigger | None:
    try:
        return cron_trigger(text) if text else None
    except ValueError as error:
        raise ValueError(f"five fields of cron such as 0 6 * * 1-5 ({error})") from None


SETTINGS = (
    Setting("PROFILEMESH_CONFIG", "profilemesh.yml", "The configuration file."),
    Setting("PROFILEMESH_DB_URL", "", "Storage database URL; goes before `storage.connection` of the configuration."),
    Setting("PROFILEMESH_SCHEDULER", "on", "Whether the server plans and profiles by itself: `on` or `off`.", _switch),
    Setting(
        "PROFILEMESH_TICK_MINUTES",
        "15",
        "Minutes from one tick of the scheduler to the next, counted from midnight UTC.",
        _minutes,
    ),
    Setting(
        "PROFILEMESH_TICK_CRON",
        "",
        "When it ticks, as the five fields of cron in UTC such as `0 6 * * 1-5`; goes before the minutes.",
        _cron,
    ),
    Setting("API_HOST", "127.0.0.1", "Address that `profilemesh serve` listens on.", _host),
    Setting("API_PORT", "8000", "Port that `profilemesh serve` listens on.", _port),
    Setting(
        "CORS_ORIGINS",
        "http://localhost:3000",
        "Origins whose pages may call the API, separated by commas; * for any; empty for none.",
        _origins,
    ),
    Setting(
        "SECRET_KEY",
        "",
        "Signs forms and sessions, 16 characters or more; a new one per process when unset.",
        _secret,
    ),
)


def read_settings(given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Every setting by name, checked; names that are not ours pass through to Flask (only from `given`)."""
    if given is None:
        load_dotenv(Path.cwd() / ".env")
    source: Mapping[str, Any] = os.environ if given is None else given
    return {**(given or {}), **{setting.name: _read(setting, source) for setting in SETTINGS}}


def _read(setting: Setting, source: Mapping[str, Any]) -> Any:
    text = str(source.get(setting.name, setting.default)).strip()
    try:
        return setting.read(text)
    except ValueError as error:
        shown = "the value given" if setting.name == "SECRET_KEY" else repr(text)
        raise ConfigError(f"{setting.name}: {shown} is not allowed; it takes {error}") from None


def storage_url(settings: Mapping[str, Any]) -> str:
    """The storage of the configuration file, in which PROFILEMESH_DB_URL goes first; without a file, that alone."""
    path, url = Path(settings["PROFILEMESH_CONFIG"]).expanduser(), settings["PROFILEMESH_DB_URL"]
    if path.exists():
        environ = {name: value for name, value in os.environ.items() if name != "PROFILEMESH_DB_URL"}
        return load_config(path, environ | ({"PROFILEMESH_DB_URL": url} if url else {})).storage.url
    if not url:
        raise ConfigError(f"PROFILEMESH_CONFIG: there is no file {path}, and PROFILEMESH_DB_URL is not set either")
    try:
        return resolved_url(url, Path.cwd())
    except BadAddress as error:
        raise ConfigError(f"PROFILEMESH_DB_URL: the value given is not allowed; it takes {error}") from None
