"""The `profilemesh` command: a file per command or family, each imported when it is called."""

from profilemesh.cli.entry import main, run

__all__ = ["main", "run"]
