"""What the columns of all tables are called, a row each: kept by triggers from what the tables' states list.

A state has its table's columns as one JSON text. To find a column by a part of its name among ten thousand tables, all
of those texts would be read and taken apart.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy.engine import Connection

NAMES = "profilemesh_column_names"
KEY = ("warehouse", "schema_name", "table_name")
_KEYED = ", ".join(KEY)
_COLUMNS = f"{_KEYED}, place, name, lowered, type"


def install(connection: Connection) -> None:
    """Make the triggers, or make them anew."""
    for statement in postgres() if connection.dialect.name == "postgresql" else sqlite():
        connection.exec_driver_sql(statement)


def rename(connection: Connection) -> None:
    """List all names from nothing."""
    connection.exec_driver_sql(f"DELETE FROM {NAMES}")
    list_ = _postgres_names if connection.dialect.name == "postgresql" else _sqlite_names
    connection.exec_driver_sql(list_("s", "profilemesh_table_state s, "))


def _postgres_names(state: str, source: str = "") -> str:
    known = f"CASE WHEN json_typeof({state}.columns) = 'array' THEN {state}.columns ELSE '[]' END"
    key = ", ".join(f"{state}.{name}" for name in KEY)
    name = "each.told ->> 'name'"
    return (
        f"INSERT INTO {NAMES} ({_COLUMNS}) SELECT {key}, each.place, {name}, lower({name}), each.told ->> 'type' "
        f"FROM {source}json_array_elements({known}) WITH ORDINALITY AS each(told, place) "
        f"WHERE json_typeof(each.told) = 'object' AND {name} IS NOT NULL"
    )


def _sqlite_names(state: str, source: str = "") -> str:
    known = f"CASE WHEN json_valid({state}.columns) THEN {state}.columns ELSE '[]' END"
    key = ", ".join(f"{state}.{name}" for name in KEY)
    name = "json_extract(each.value, '$.name')"
    return (
        f"INSERT INTO {NAMES} ({_COLUMNS}) SELECT {key}, each.key + 1, {name}, lower({name}), "
        f"json_extract(each.value, '$.type') FROM {source}json_each({known}) AS each "
        f"WHERE each.type = 'object' AND {name} IS NOT NULL"
    )


def _forgotten(state: str) -> str:
    return f"DELETE FROM {NAMES} WHERE " + " AND ".join(f"{name} = {state}.{name}" for name in KEY)


def postgres() -> Iterator[str]:
    body = {
        "keep": f"{_postgres_names('NEW')};",
        "renew": f"{_forgotten('OLD')}; {_postgres_names('NEW')};",
        "drop": f"{_forgotten('OLD')};",
    }
    for name, statements in body.items():
        yield (
            f"CREATE OR REPLACE FUNCTION profilemesh_column_names_{name}() RETURNS trigger LANGUAGE plpgsql "
            f"SET search_path FROM CURRENT AS $$ BEGIN {statements} RETURN NULL; END $$"
        )
    told = [f"{name}::text" for name in (*KEY, "columns")]
    moved = " OR ".join(f"OLD.{each} IS DISTINCT FROM NEW.{each}" for each in told)
    for name, when, condition in (
        ("keep", "INSERT", "NEW.columns IS NOT NULL"),
        ("renew", f"UPDATE OF {_KEYED}, columns", moved),
        ("drop", "DELETE", "OLD.columns IS NOT NULL"),
    ):
        yield (
            f"CREATE OR REPLACE TRIGGER profilemesh_column_names_{name} AFTER {when} ON profilemesh_table_state "
            f"FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION profilemesh_column_names_{name}()"
        )


def sqlite() -> Iterator[str]:
    moved = " OR ".join(f"OLD.{name} IS NOT NEW.{name}" for name in (*KEY, "columns"))
    add, lose = f"{_sqlite_names('NEW')};", f"{_forgotten('OLD')};"
    for name, when, body in (
        ("keep", "INSERT ON profilemesh_table_state", add),
        ("renew", f"UPDATE OF {_KEYED}, columns ON profilemesh_table_state WHEN {moved}", lose + add),
        ("drop", "DELETE ON profilemesh_table_state", lose),
    ):
        yield f"DROP TRIGGER IF EXISTS profilemesh_column_names_{name}"
        yield f"CREATE TRIGGER profilemesh_column_names_{name} AFTER {when} BEGIN {body} END"
