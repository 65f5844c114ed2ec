"""PostgreSQL: the tables are altered where they stand, each in one pass, so that grants and what was added survive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from profilemesh.errors import StorageError
from profilemesh.storage.adoption.layout import Layout
from profilemesh.storage.adoption.values import NO_TIME, postgres_number
from profilemesh.storage.engine import place


class Tid(sa.types.UserDefinedType[str]):
    """Where a row lies."""

    cache_ok = True

    def get_col_spec(self, **kw: Any) -> str:
        return "tid"


class PostgresLayout(Layout):
    row_key = "ctid"

    def is_row(self, name: str) -> sa.ColumnElement[bool]:
        return self.row == sa.cast(sa.bindparam(name, type_=sa.String), Tid)

    def lock(self) -> None:
        # Between naive and aware times PostgreSQL then knows that there is nothing to rewrite.
        self.execute("SET LOCAL TIME ZONE 'UTC'")
        self.execute(f"LOCK TABLE {self.name} IN ACCESS EXCLUSIVE MODE")
        self._drop_keys_to_runs()

    def is_unique(self, *names: str) -> bool:
        key = self._key()["constrained_columns"]
        return bool(key) and set(key) <= set(names) and names[0] in key

    def _key(self) -> Any:
        return self.inspected.get_pk_constraint(self.name)

    def keep_odd_aside(self) -> None:
        """There is nothing odd: PostgreSQL kept to the types of its columns."""

    def time(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return column

    def whole(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return column

    def take_shape(self) -> None:
        retyped = [column.name for column in self.table.columns if self._is_retyped(column)]
        self._refuse_views(retyped)
        for name in self.columns:
            if name not in retyped and (filled := self._value(name)) is not None:
                without = sa.update(self.old).where(sa.column(name).is_(None))
                self.connection.execute(without.values({name: filled}))
        changes = [change for column in self.table.columns for change in self._changes(column, column.name in retyped)]
        self.execute(f"ALTER TABLE {self.name} {', '.join(changes)}")
        self._replace_key()
        self._count_on()
        for index in sorted(self.table.indexes, key=lambda index: str(index.name)):
            index.create(self.connection, checkfirst=True)

    def _is_retyped(self, column: sa.Column[Any]) -> bool:
        """Whether ours holds what the old type cannot; a text that may be longer than ours stays so."""
        if column.name == "metric_number":
            return True
        old, new = self.columns[column.name]["type"], column.type
        if isinstance(old, sa.String) and isinstance(new, sa.String):
            is_longer = new.length is not None and (old.length is None or old.length > new.length)
            return not is_longer and self.ddl(old) != self.ddl(new)
        return self.ddl(old) != self.ddl(new)

    def _value(self, name: str) -> sa.ColumnElement[Any] | None:
        """What becomes of a column; None if it stays as it is."""
        if name == "metric_number":
            return postgres_number()
        column = self.table.columns.get(name)
        if column is not None and isinstance(column.type, sa.DateTime) and not column.nullable:
            return sa.func.coalesce(sa.column(name), sa.cast(sa.literal(str(NO_TIME)), column.type))
        return self.filled(name)

    def _changes(self, column: sa.Column[Any], is_retyped: bool) -> Iterator[str]:
        name = f"ALTER COLUMN {self.quoted(column.name)}"
        if is_retyped:
            value = self._value(column.name)
            using = "" if value is None else f" USING {self.sql(value)}"
            yield f"{name} TYPE {self.ddl(column.type)}{using}"
        if column.name in {missing.name for missing in self.missing}:
            default = column.server_default
            told = f"SET DEFAULT {default.arg}" if isinstance(default, sa.DefaultClause) else "DROP DEFAULT"
            yield f"{name} {told}"
        if not column.primary_key:
            yield f"{name} {'DROP' if column.nullable else 'SET'} NOT NULL"

    def _refuse_views(self, retyped: list[str]) -> None:
        """A view holds the types of its columns fast."""
        found = self.connection.execute(_VIEWS, {"table": self.name, "columns": retyped}).scalars().all()
        if found:
            raise self._in_the_way(
                f"the view {' and '.join(found)} shows columns of {self.name} whose type must change; keep "
                f"{'its' if len(found) == 1 else 'their'} definition (`pg_dump --table`), drop it, upgrade again, and "
                "create it again"
            )

    def _drop_keys_to_runs(self) -> None:
        for key in self.inspected.get_foreign_keys(self.name):
            if key["referred_table"] == "profilemesh_runs":
                self.execute(f"ALTER TABLE {self.name} DROP CONSTRAINT {self.quoted(str(key['name']))}")

    def _replace_key(self) -> None:
        key, wanted = self._key(), [column.name for column in self.table.primary_key]
        if key["constrained_columns"] == wanted:
            return
        if key["constrained_columns"]:
            self._refuse_foreign_keys()
            self.execute(f"ALTER TABLE {self.name} DROP CONSTRAINT {self.quoted(str(key['name']))}")
        self.execute(f"ALTER TABLE {self.name} ADD PRIMARY KEY ({', '.join(map(self.quoted, wanted))})")

    def _refuse_foreign_keys(self) -> None:
        found = self.connection.execute(_FOREIGN_KEYS, {"table": self.name}).first()
        if found is not None:
            raise self._in_the_way(
                f"the foreign key {found.name} of {found.owner} hangs on the primary key of {self.name}, which must "
                "change; drop it and upgrade again"
            )

    def _in_the_way(self, what: str) -> StorageError:
        return StorageError(f"{place(self.connection.engine.url)}: {what}; nothing was changed")

    def _count_on(self) -> None:
        """Numbers beyond those of an INTEGER, from a sequence that knows which are taken."""
        column = self.table.columns.get("id")
        if column is None or self.columns["id"].get("identity"):
            return
        sequence = self.connection.scalar(sa.select(sa.func.pg_get_serial_sequence(self.name, "id")))
        if sequence is None and self.columns["id"]["default"] is not None:
            return
        if sequence is None:
            sequence = f"{self.name}_id_seq"
            self.execute(f"CREATE SEQUENCE {sequence} OWNED BY {self.name}.id")
            self.execute(f"ALTER TABLE {self.name} ALTER COLUMN id SET DEFAULT nextval('{sequence}')")
        self.execute(f"ALTER SEQUENCE {sequence} AS bigint")
        largest = sa.select(sa.func.max(sa.column("id"))).select_from(self.old).scalar_subquery()
        following = sa.func.greatest(sa.func.nextval(sequence), sa.func.coalesce(largest + 1, 1))
        self.connection.execute(sa.select(sa.func.setval(sequence, following, sa.false())))


_VIEWS = sa.text(
    "SELECT DISTINCT r.ev_class::regclass::text FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid "
    "JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid "
    "WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass "
    "AND d.refobjid = CAST(:table AS regclass) AND r.ev_class <> d.refobjid AND a.attname = ANY(:columns) ORDER BY 1"
)
_FOREIGN_KEYS = sa.text(
    "SELECT conname AS name, conrelid::regclass::text AS owner FROM pg_constraint "
    "WHERE contype = 'f' AND confrelid = CAST(:table AS regclass) ORDER BY 1 LIMIT 1"
)
