"""What both databases have in common when an old table gets our layout."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from profilemesh.storage.adoption.values import MEANT


class Layout(ABC):
    """One old table on its way to ours; `columns` are the ones it has by now, `key` tells its rows apart."""

    row_key: str

    def __init__(self, connection: Connection, table: sa.Table) -> None:
        self.connection, self.table = connection, table
        self.inspected = sa.inspect(connection)
        self.columns: dict[str, Any] = {c["name"]: c for c in self.inspected.get_columns(table.name)}
        # Without types: values come as the database has them.
        self.old = sa.table(table.name, *map(sa.column, self.columns))
        self.missing = [column for column in table.columns if column.name not in self.columns]

    @property
    def name(self) -> str:
        return self.table.name

    @property
    def row(self) -> sa.ColumnElement[Any]:
        """Where a row lies, of rows that no column may tell apart."""
        return sa.literal_column(self.row_key)

    @abstractmethod
    def is_row(self, name: str) -> sa.ColumnElement[bool]:
        """Whether it is the row given as the parameter `name`."""

    @abstractmethod
    def lock(self) -> None: ...

    @abstractmethod
    def take_shape(self) -> None:
        """Our types, keys and indexes, with the values that `values` promises."""

    @abstractmethod
    def is_unique(self, *names: str) -> bool:
        """Whether the database itself sees to it that no two rows agree in all of these columns, or lack the first."""

    @abstractmethod
    def keep_odd_aside(self) -> None:
        """What is no value of its column's type is kept in a column `<name>_phase1` too."""

    @abstractmethod
    def time(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """A time as it will be kept; NULL if it is none."""

    @abstractmethod
    def whole(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """A whole number as it will be kept; NULL if it is none."""

    def add_columns(self, constants: Mapping[str, object]) -> None:
        """Every column it lacks, with the one value that all rows have in it, or without any."""
        for column in self.missing:
            is_constant = not column.nullable and column.name in constants
            self.add(column.name, column.type, constants[column.name] if is_constant else None)

    def add(self, name: str, type_: sa.types.TypeEngine[Any], constant: object = None) -> None:
        default = ""
        if constant is not None:
            default = f" DEFAULT {self.sql(sa.literal(constant, type_))} NOT NULL"
        self.execute(f"ALTER TABLE {self.name} ADD COLUMN {self.quoted(name)} {self.ddl(type_)}{default}")
        self.old.append_column(sa.column(name))
        self.columns[name] = {"name": name, "type": type_, "nullable": constant is None, "default": default or None}

    def aside(self, name: str) -> str:
        """A column for what stood in `name`, in the few rows where it has to give way."""
        found = f"{name}_phase1"
        if found not in self.columns:
            self.add(found, sa.String())
        return found

    def filled(self, name: str) -> sa.ColumnElement[Any] | None:
        """What becomes of a column where it is NULL; None if it stays so."""
        meant = MEANT[self.name].get(name)
        return None if meant is None else sa.func.coalesce(sa.column(name), meant)

    def execute(self, statement: str) -> None:
        self.connection.exec_driver_sql(statement)

    def sql(self, expression: sa.ColumnElement[Any]) -> str:
        return str(expression.compile(dialect=self.connection.dialect, compile_kwargs={"literal_binds": True}))

    def ddl(self, type_: sa.types.TypeEngine[Any]) -> str:
        return str(type_.compile(dialect=self.connection.dialect))

    def quoted(self, name: str) -> str:
        return str(self.connection.dialect.identifier_preparer.quote(name))
