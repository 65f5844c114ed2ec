"""SQLite: the table is renamed, made anew, filled from the old one, and the old one dropped.

What somebody else added is kept: columns here, indexes and triggers by `upgrade`, which also sees to it that the views
and keys that name the table do not follow the old one (`legacy_alter_table`, `foreign_keys`).
"""

from __future__ import annotations

import sqlite3
from typing import Any, cast

import sqlalchemy as sa

from profilemesh.errors import StorageError
from profilemesh.storage.adoption.layout import Layout
from profilemesh.storage.adoption.values import NO_TIME, number_of, sqlite_time
from profilemesh.storage.engine import place
from profilemesh.storage.models import written_time


class SqliteLayout(Layout):
    row_key = "rowid"

    def is_row(self, name: str) -> sa.ColumnElement[bool]:
        return self.row == sa.bindparam(name)

    def lock(self) -> None:
        """The transaction began with the lock on the whole file."""
        driver = cast(sqlite3.Connection, self.connection.connection.driver_connection)
        driver.create_function("profilemesh_time", 1, sqlite_time, deterministic=True)
        driver.create_function("profilemesh_number", 3, number_of, deterministic=True)

    def is_unique(self, *names: str) -> bool:
        # Any other key may be NULL, in as many rows as you like.
        key = [column for column in self._reflected() if column["pk"]]
        return [(column["name"], column["type"].upper()) for column in key] == [(names[0], "INTEGER")]

    def _reflected(self) -> list[Any]:
        return list(self.connection.exec_driver_sql(f"PRAGMA table_xinfo({self.name})").mappings())

    def time(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return sa.func.profilemesh_time(column)

    def whole(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return sa.case((sa.func.typeof(column) == "integer", column))

    def keep_odd_aside(self) -> None:
        added = {column.name for column in self.missing}
        for name in [name for name in self.columns if name in self.table.columns and name not in added]:
            column: sa.ColumnElement[Any] = sa.column(name)
            is_odd = sa.and_(column.is_not(None), self._typed(name).is_(None))
            found = sa.select(sa.literal(1)).select_from(self.old).where(is_odd)
            if self._is_typed(name) and self.connection.scalar(sa.select(found.exists())):
                values = {self.aside(name): sa.cast(column, sa.String)}
                self.connection.execute(sa.update(self.old).where(is_odd).values(values))

    def _is_typed(self, name: str) -> bool:
        return name in self.table.columns and isinstance(self.table.columns[name].type, sa.DateTime | sa.Integer)

    def _typed(self, name: str) -> sa.ColumnElement[Any]:
        is_time = isinstance(self.table.columns[name].type, sa.DateTime)
        return self.time(sa.column(name)) if is_time else self.whole(sa.column(name))

    def take_shape(self) -> None:
        reflected = self._reflected()
        self._refuse_computed(reflected)
        before = f"{self.name}_phase1"
        for name in self._indexes():
            self.execute(f"DROP INDEX {self.quoted(name)}")
        self.execute(f"ALTER TABLE {self.name} RENAME TO {before}")
        self._with_defaults(reflected).create(self.connection)
        for column in reflected:
            if column["name"] not in self.table.columns:
                self._add_foreign(column)
        self._copy(before)
        self.execute(f"DROP TABLE {before}")

    def _indexes(self) -> list[str]:
        """Those of statements, not of keys; SQLAlchemy leaves out the ones over expressions."""
        found = "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL"
        return list(self.connection.exec_driver_sql(found, (self.name,)).scalars())

    def _refuse_computed(self, reflected: list[Any]) -> None:
        computed = [column["name"] for column in reflected if column["hidden"]]
        if computed:
            raise StorageError(
                f"{place(self.connection.engine.url)}: {self.name} has the generated column {computed[0]}; drop it, "
                "upgrade again, and add it again; nothing was changed"
            )

    def _with_defaults(self, reflected: list[Any]) -> sa.Table:
        """Our table, with the defaults that its columns had, for writers who rely on them."""
        table = self.table.to_metadata(sa.MetaData())
        known = {column.name for column in self.missing}
        for column in reflected:
            name, default = column["name"], column["dflt_value"]
            if name in table.columns and name not in known and default is not None:
                table.columns[name].server_default = sa.DefaultClause(sa.text(f"({default})".replace(":", "\\:")))
        return table

    def _add_foreign(self, column: Any) -> None:
        # BLOB is what no type means, and later migrations can say it again.
        parts = [self.quoted(column["name"]), column["type"] or "BLOB"]
        if column["dflt_value"] is not None:
            parts.append(f"DEFAULT ({column['dflt_value']})")
        if column["notnull"]:
            parts.append("NOT NULL")
        self.execute(f"ALTER TABLE {self.name} ADD COLUMN {' '.join(parts)}")

    def _copy(self, before: str) -> None:
        values = [self._value(name).label(name) for name in self.columns]
        rows = sa.select(*values).select_from(sa.table(before)).order_by(self.row)
        self.connection.execute(sa.insert(self.old).from_select(list(self.columns), rows))

    def _value(self, name: str) -> sa.ColumnElement[Any]:
        if name == "metric_number":
            return sa.func.profilemesh_number(*map(sa.column, ("metric_name", "column_type", "metric_value")))
        if self._is_typed(name):
            value = self._typed(name)
            is_needed = isinstance(self.table.columns[name].type, sa.DateTime) and not self.table.columns[name].nullable
            return sa.func.coalesce(value, written_time(NO_TIME)) if is_needed else value
        filled = self.filled(name)
        return sa.column(name) if filled is None else filled
