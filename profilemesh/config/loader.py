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
    storage_file,
    warehouse_config,
)
from profilemesh.config.document import Document, Text, read_document
from profilemesh.config.model import Config, StorageConfig, WarehouseConfig
from profilemesh.config.phase1 import look_up, warnings_of
from profilemesh.config.problems import ALLOWED, Place, Problem, is_secret, one_per_place, without_credentials
from profilemesh.config.schemas import ConfigSection
from profilemesh.errors import ConfigError

DEFAULT_FILE = "profilemesh.yml"
DEFAULT_STORAGE = "profilemesh.db"


def find_config(explicit: str | None = None, environ: Mapping[str, str] = os.environ) -> Path:
    """The file to load: the one named, else `PROFILEMESH_CONFIG`, else ./profilemesh.yml, which must exist."""
    named = explicit or environ.get("PROFILEMESH_CONFIG")
    if named:
        return Path(named).expanduser()
    default = Path(DEFAULT_FILE)
    if not default.exists():
        raise ConfigError(f"no {DEFAULT_FILE} in {Path.cwd()}; name a file with -c FILE or PROFILEMESH_CONFIG")
    return default


def load_config(path: str | Path, environ: Mapping[str, str] = os.environ) -> Config:
    """Load and validate one file.

    Raises `ConfigError`, whose message has a line for each problem: file, line, key, what was found, what is allowed.
    """
    path = Path(path)
    document = read_document(path, environ)
    try:
        loaded = ConfigSection().load(document.data)
    except ValidationError as error:
        messages = error.messages
        raise _error(document, (*document.problems, *_problems(messages, document))) from None
    if document.problems:
        raise _error(document, document.problems)
    folder = Path(os.path.abspath(path)).parent
    warehouses = _warehouses(loaded, folder)
    storage = StorageConfig(_storage_url(loaded.get("storage", {}), document, folder, environ))
    _keep_apart(storage, warehouses, document)
    sections = ("environment", "profiling", "drift_detection", "retry", "execution", "monitoring", "incremental")
    return Config(
        path=Path(os.path.abspath(path)),
        warehouses=MappingProxyType(warehouses),
        storage=storage,
        warnings=warnings_of(document),
        **{name: loaded[name] for name in sections if name in loaded},
    )


def _warehouses(loaded: Mapping[str, Any], folder: Path) -> dict[str, WarehouseConfig]:
    connections = loaded.get("warehouses")
    if connections is None:
        source = loaded["source"]
        name = source.get("name") or ("postgres" if source["type"] == "postgresql" else source["type"])
        connections = {name: source}
    return {name: warehouse_config(name, connection, folder) for name, connection in connections.items()}


def _storage_url(storage: Mapping[str, Any], document: Document, folder: Path, environ: Mapping[str, str]) -> str:
    from_environment = environ.get("PROFILEMESH_DB_URL")
    if from_environment:
        try:
            return resolved_url(from_environment, folder)
        except BadAddress as bad:
            words = f"found a value that is not shown; {ALLOWED}{bad}"
            raise ConfigError(f"environment variable PROFILEMESH_DB_URL: {words}") from None
    connection = storage.get("connection")
    place: Place = ("storage", "connection")
    try:
        if connection is None:
            return resolved_url(f"sqlite:///{absolute(DEFAULT_STORAGE, folder)}", folder)
        if isinstance(connection, str):
            return resolved_url(connection, folder)
        place = (*place, "type")
        return connection_url(connection, folder)
    except BadAddress as bad:
        raise _error(document, [_problem(place, f"{ALLOWED}{bad}", document)]) from None


def _keep_apart(storage: StorageConfig, warehouses: Mapping[str, WarehouseConfig], document: Document) -> None:
    file = storage_file(storage.url)
    key = "warehouses" if "warehouses" in document.data else "source"
    problems = []
    for name, warehouse in warehouses.items():
        if file and warehouse.filepath and is_same_file(file, warehouse.filepath):
            place: Place = (key,) if key == "source" else (key, name)
            field = "filepath" if look_up(document.data, (*place, "filepath")) else "database"
            words = f"found {str(file)!r}, which is ProfileMesh's own storage; {ALLOWED}another file"
            problems.append(Problem((*place, field), words, document.line((*place, field))))
    if problems:
        raise _error(document, problems)


def _error(document: Document, problems: Iterable[Problem]) -> ConfigError:
    return ConfigError("\n".join(f"{document.path}:{p.line}: {p}" for p in one_per_place(problems)))


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
