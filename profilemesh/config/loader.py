"""From a file to a `Config`: read, validate, resolve; every problem of the file in one error."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from marshmallow import ValidationError

from profilemesh.config.addresses import (
    BadAddress,
    absolute,
    connection_url,
    is_same_file,
    resolved_url,
    sqlite_url,
    storage_file,
    warehouse_config,
)
from profilemesh.config.document import Document, Text, read_document
from profilemesh.config.effects import look_up, warnings_of
from profilemesh.config.model import Config, DriftConfig, StorageConfig, WarehouseConfig
from profilemesh.config.problems import ALLOWED, Place, Problem, is_secret, one_per_place, without_credentials
from profilemesh.config.schemas import ConfigSection, RulesSection
from profilemesh.errors import ConfigError

DEFAULT_FILE = "profilemesh.yml"
DEFAULT_STORAGE = "profilemesh.db"
SECTIONS = (
    "environment",
    "profiling",
    "drift_detection",
    "retry",
    "execution",
    "monitoring",
    "incremental",
    "owners",
    "alerts",
)
"""Those that become part of the `Config` as they are."""


def find_config(explicit: str | None = None, environ: Mapping[str, str] = os.environ) -> Path:
    """The file to load: the one named, else `PROFILEMESH_CONFIG`, else ./profilemesh.yml, which must exist."""
    named = explicit or environ.get("PROFILEMESH_CONFIG")
    if named:
        return Path(os.path.expanduser(named))
    default = Path(DEFAULT_FILE)
    if not default.exists():
        raise ConfigError(
            f"no {DEFAULT_FILE} in {Path.cwd()}; name a file with -c FILE or PROFILEMESH_CONFIG, or write one with "
            "`profilemesh init`"
        )
    return default


def load_config(path: str | Path, environ: Mapping[str, str] = os.environ) -> Config:
    """Load and validate one file.

    Raises `ConfigError`, whose message has a line for each problem: file, line, key, what was found, what is allowed.
    """
    path = Path(path)
    document = read_document(path, environ)
    loaded, problems = _validated(document)
    folder = Path(os.path.abspath(path)).parent
    # Addresses are looked at even if another section is wrong, so that all is told at once.
    url, warehouses = "", {}
    if _is_sound(problems, "storage"):
        try:
            url = _storage_url(loaded.get("storage", {}), folder, environ)
        except BadAddress as bad:
            problems.append(_storage_problem(loaded["storage"]["connection"], bad, document))
    if _is_sound(problems, "", "source", "warehouses"):
        warehouses = _warehouses(loaded, folder)
        problems += _storage_among(warehouses, url, document)
    if problems:
        raise ConfigError("\n".join(f"{path}:{problem.line}: {problem}" for problem in one_per_place(problems)))
    return Config(
        path=Path(os.path.abspath(path)),
        warehouses=MappingProxyType(warehouses),
        storage=StorageConfig(url),
        source=next(iter(warehouses)) if loaded.get("warehouses") is None else None,
        warnings=warnings_of(document),
        **{name: loaded[name] for name in SECTIONS if name in loaded},
    )


def load_rules(path: str | Path, environ: Mapping[str, str] = os.environ) -> DriftConfig:
    """The section `drift_detection` of a file, whatever else of a configuration stands in it.

    Raises `ConfigError` as `load_config` does.
    """
    document = read_document(Path(path), environ)
    problems = list(document.problems)
    others = set(ConfigSection().fields) - {"drift_detection"}
    data = {key: value for key, value in (document.data or {}).items() if key not in others}
    rules = DriftConfig()
    try:
        rules = RulesSection().load(data)["drift_detection"]
    except ValidationError as error:
        problems += _problems(error.messages, document)
    if problems:
        raise ConfigError("\n".join(f"{path}:{problem.line}: {problem}" for problem in one_per_place(problems)))
    return rules


def _validated(document: Document) -> tuple[dict[str, Any], list[Problem]]:
    """The sections, as far as they are valid, and what is wrong with the rest."""
    try:
        return ConfigSection().load(document.data), list(document.problems)
    except ValidationError as error:
        valid = error.valid_data if isinstance(error.valid_data, dict) else {}
        return valid, [*document.problems, *_problems(error.messages, document)]


def _is_sound(problems: Iterable[Problem], *sections: str) -> bool:
    """Whether no problem lies in these sections; "" is the file as a whole."""
    return not any((problem.place or ("",))[0] in sections for problem in problems)


def _warehouses(loaded: Mapping[str, Any], folder: Path) -> dict[str, WarehouseConfig]:
    connections = loaded.get("warehouses")
    if connections is None:
        source = loaded["source"]
        name = source.get("name") or ("postgres" if source["type"] == "postgresql" else source["type"])
        connections = {name: source}
    return {name: warehouse_config(name, connection, folder) for name, connection in connections.items()}


def _storage_url(storage: Mapping[str, Any], folder: Path, environ: Mapping[str, str]) -> str:
    from_environment = environ.get("PROFILEMESH_DB_URL")
    if from_environment:
        try:
            return resolved_url(from_environment, folder)
        except BadAddress as bad:
            words = f"found a value that is not shown; {ALLOWED}{bad}"
            raise ConfigError(f"environment variable PROFILEMESH_DB_URL: {words}") from None
    connection = storage.get("connection")
    if connection is None:
        return sqlite_url(absolute(DEFAULT_STORAGE, folder))
    return resolved_url(connection, folder) if isinstance(connection, str) else connection_url(connection, folder)


def _storage_problem(connection: Any, bad: BadAddress, document: Document) -> Problem:
    place: Place = ("storage", "connection") if isinstance(connection, str) else ("storage", "connection", "type")
    return _problem(place, f"{ALLOWED}{bad}", document)


def _storage_among(warehouses: Mapping[str, WarehouseConfig], url: str, document: Document) -> Iterator[Problem]:
    """A problem for each warehouse whose file is the storage's own."""
    file = storage_file(url) if url else None
    for name, warehouse in warehouses.items():
        if file and warehouse.filepath and is_same_file(file, warehouse.filepath):
            section: Place = ("warehouses", name) if "warehouses" in document.data else ("source",)
            place = (*section, "filepath" if look_up(document.data, (*section, "filepath")) else "database")
            yield _problem(place, f"{ALLOWED}another file: this one is ProfileMesh's own storage", document)


def _problems(messages: Any, document: Document, place: Place = ()) -> Iterator[Problem]:
    if isinstance(messages, dict):
        for key, inner in messages.items():
            yield from _problems(inner, document, place if key == "_schema" else (*place, key))
    else:
        for message in messages:
            yield _problem(place, message, document)


def _problem(place: Place, message: str, document: Document) -> Problem:
    is_key = not message.startswith(ALLOWED)
    words = message if is_key else f"{_found(place, document)}; {message}"
    return Problem(place, words, document.line(place, of_key=is_key))


def _found(place: Place, document: Document) -> str:
    found = look_up(document.data, place)
    if found is None:
        return "found nothing"
    if not isinstance(found, Text):
        return "found a list" if isinstance(found, list) else "found a mapping"
    if is_secret(place):
        return "found a value that is not shown"
    shown = without_credentials(found.written)
    return f"found {shown[:57] + '...' if len(shown) > 60 else shown!r}"
