"""The errors the engine raises. Each message names what is wrong and what to do about it."""

from __future__ import annotations


class ProfileMeshError(Exception):
    """The parent of every error ProfileMesh raises on purpose."""


class ConfigError(ProfileMeshError):
    """The configuration cannot be used; the message names file, line, key, what was found and what is allowed."""


class Interrupted(ProfileMeshError):
    """A plan was stopped before all of it was carried out."""


class StorageError(ProfileMeshError):
    """The storage database cannot be used as it is."""


class StorageOutdated(StorageError):
    """The storage schema is older or newer than this version; the message has the command to run."""


class WarehouseError(ProfileMeshError):
    """A warehouse did not do what was asked of it."""


class WarehouseUnreachable(WarehouseError):
    """No connection: wrong host, wrong password, a missing file, a connection lost on the way."""


class WarehouseBusy(WarehouseError):
    """An embedded file is locked by a writer: come back later."""


class TableMissing(WarehouseError):
    """The table is not there (any more)."""


class PermissionDenied(WarehouseError):
    """The role may not read this table or column."""


class StatementTimeout(WarehouseError):
    """The statement ran longer than `execution.statement_timeout_seconds`."""


class ScanCancelled(WarehouseError):
    """The scan was stopped by hand."""


class StatementFailed(WarehouseError):
    """Any other failure of a statement: a type, a value, a function. May be the fault of one column."""


class SummariesIncompatible(ProfileMeshError):
    """Two summaries of different hash families, kinds or layouts were asked to merge."""
