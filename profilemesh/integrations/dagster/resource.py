"""The configuration and what it leads to, for assets, sensors and anybody's own ops."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from dagster import ConfigurableResource
from pydantic import Field

from profilemesh.config import Config, load_config
from profilemesh.planning import Plan
from profilemesh.runner import look, opened, utc_now
from profilemesh.storage import Storage, open_storage

_Stamp = tuple[int, int, str]
_loaded: dict[str, tuple[_Stamp, Config]] = {}
"""The last configuration of each file in this process, with what it was made of."""


class ProfileMeshResource(ConfigurableResource):  # type: ignore[type-arg]
    """A ProfileMesh project: its configuration, its storage, its plans."""

    config_path: str = Field(description="The configuration file, by a path that every process of the deployment has.")

    def load_config(self) -> Config:
        """The configuration as it is now: parsed again only when the file or the environment has changed.

        Raises ConfigError, which names file, line and key.
        """
        path = Path(self.config_path).expanduser().absolute()
        stamp = _stamp(path, os.environ)
        known = _loaded.get(str(path))
        if known is not None and known[0] == stamp:
            return known[1]
        config = load_config(path)
        _loaded[str(path)] = (stamp, config)
        return config

    @contextmanager
    def storage(self) -> Iterator[Storage]:
        """The storage, open. Raises StorageError or StorageOutdated if it cannot be used."""
        with closing(open_storage(self.load_config().storage.url)) as storage:
            yield storage

    def plan(self, only: str | None = None, *, force: bool = False) -> Plan:
        """What a tick would do now, and why. Writes nothing; `only` and `force` are those of `look`."""
        config = self.load_config()
        with self.storage() as storage, opened(config) as warehouses:
            return look(config, storage, warehouses, utc_now(), only=only, force=force)


def _stamp(path: Path, environ: Mapping[str, str]) -> _Stamp:
    """Differs whenever the file's configuration may: it takes values from the environment. Only a hash is kept of it,
    for there are passwords in it. A file that is not there is left for `load_config` to complain of."""
    try:
        found = path.stat()
        modified, size = found.st_mtime_ns, found.st_size
    except OSError:
        modified = size = -1
    told = "\0".join(f"{name}={value}" for name, value in sorted(environ.items()))
    return modified, size, hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()
