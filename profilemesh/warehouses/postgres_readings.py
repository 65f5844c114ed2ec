"""How PostgreSQL sends a column of each kind so that Arrow holds it exactly.

Only the kind is certain: a domain's own name says nothing of its base type, so what a name does not prove is cast.
"""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.sql import quoted_name

from profilemesh.tables import Column, Kind
from profilemesh.warehouses.base import CELL_LIMIT, Form, Reading

Expression = sa.ColumnElement[Any]

_KINDS = {
    **dict.fromkeys(("int2", "int4", "int8", "oid"), Kind.INTEGER),
    **dict.fromkeys(("numeric", "money"), Kind.DECIMAL),
    **dict.fromkeys(("float4", "float8"), Kind.FLOAT),
    "bool": Kind.BOOLEAN,
    "date": Kind.DATE,
    **dict.fromkeys(("time", "timetz"), Kind.TIME),
    **dict.fromkeys(("timestamp", "timestamptz"), Kind.TIMESTAMP),
    "interval": Kind.INTERVAL,
    **dict.fromkeys(("text", "varchar", "bpchar", "name", "char"), Kind.TEXT),
    "bytea": Kind.BYTES,
    "uuid": Kind.UUID,
    **dict.fromkeys(("json", "jsonb"), Kind.JSON),
}

_DECIMAL_DIGITS = 38
"""What the embedded engine's decimals hold."""

# Microseconds since 1970 in 64 bits end in January 294247; PostgreSQL's years go further, and to infinity.
_END_OF_TIME: Expression = sa.literal_column("DATE '294247-01-01'")


def kind_of(base_name: str, type_class: str, built_in: bool) -> Kind:
    """The kind of a base type (domains resolved), by `pg_type.typname`, `typtype` and whether PostgreSQL brings it."""
    if type_class == "e" or base_name == "citext":
        return Kind.TEXT
    if base_name.startswith("_") and type_class == "b":
        return Kind.ARRAY
    return _KINDS.get(base_name, Kind.OTHER) if built_in else Kind.OTHER


def reading_of(column: Column) -> Reading:
    cell: Expression = sa.column(quoted_name(column.name, quote=True))
    return _READERS[column.kind](cell, column.type)


def _integer(cell: Expression, type_name: str) -> Reading:
    return Reading(_unless(type_name in ("smallint", "integer", "bigint"), cell, sa.BigInteger()))


def _float(cell: Expression, type_name: str) -> Reading:
    return Reading(_unless(type_name in ("real", "double precision"), cell, sa.Double()))


def _unless(known: bool, cell: Expression, type_: sa.types.TypeEngine[Any]) -> Expression:
    return sa.type_coerce(cell, type_) if known else sa.cast(cell, type_)


def _decimal(cell: Expression, type_name: str) -> Reading:
    declared = re.fullmatch(r"numeric\((\d+),(-?\d+)\)", type_name)
    if declared and 0 <= int(declared[2]) <= int(declared[1]) <= _DECIMAL_DIGITS:
        return Reading(sa.cast(cell, sa.Text()), Form.DECIMAL_TEXT)
    if type_name.startswith("numeric("):
        return Reading(sa.cast(cell, sa.Text()), Form.NUMBER_TEXT)
    # Without a declared scale "1.5" and "1.50" may stand in one column.
    return Reading(sa.cast(sa.func.trim_scale(sa.cast(cell, sa.Numeric())), sa.Text()), Form.NUMBER_TEXT)


def _boolean(cell: Expression, type_name: str) -> Reading:
    return Reading(sa.type_coerce(cell, sa.Boolean()))


def _date(cell: Expression, type_name: str) -> Reading:
    return _finite(cell, sa.Date())


def _timestamp(cell: Expression, type_name: str) -> Reading:
    return _finite(cell, sa.DateTime())


def _finite(cell: Expression, type_: sa.types.TypeEngine[Any]) -> Reading:
    fits = sa.and_(sa.func.isfinite(cell), cell < _END_OF_TIME)
    return Reading(
        sa.case((fits, sa.type_coerce(cell, type_))),
        odd=sa.and_(cell.is_not(None), sa.not_(fits)),
    )


def _time(cell: Expression, type_name: str) -> Reading:
    if type_name.startswith("time") and type_name.endswith("without time zone"):
        return Reading(sa.type_coerce(cell, sa.Time()))
    zoned = sa.func.timezone("UTC", sa.cast(cell, pg.TIME(timezone=True)))
    return Reading(sa.cast(zoned, sa.Time()))


def _interval(cell: Expression, type_name: str) -> Reading:
    seconds: sa.ColumnElement[float] = sa.cast(sa.extract("epoch", sa.type_coerce(cell, sa.Interval())), sa.Double())
    fits = sa.func.isfinite(cell)
    return Reading(sa.case((fits, seconds)), Form.SECONDS, odd=sa.and_(cell.is_not(None), sa.not_(fits)))


def _text(cell: Expression, type_name: str) -> Reading:
    declared = re.fullmatch(r"character(?: varying)?\((\d+)\)", type_name)
    text = sa.cast(cell, sa.Text())
    if declared and int(declared[1]) <= CELL_LIMIT:
        return Reading(text)
    cut = sa.case((sa.func.octet_length(text) > CELL_LIMIT, sa.func.left(text, CELL_LIMIT, type_=sa.Text)), else_=text)
    return Reading(cut, overflow=_overflow(text))


def _as_text(cell: Expression, type_name: str) -> Reading:
    # No test for the length here: it would make the text once more, and `left` copies short text for less.
    text = sa.cast(cell, sa.Text())
    return Reading(sa.func.left(text, CELL_LIMIT, type_=sa.Text), overflow=_overflow(text))


def _uuid(cell: Expression, type_name: str) -> Reading:
    return Reading(sa.cast(cell, sa.Text()))


def _array(cell: Expression, type_name: str) -> Reading:
    as_text = _as_text(cell, type_name)
    return Reading(as_text.sent, overflow=as_text.overflow, length=sa.func.cardinality(cell, type_=sa.Integer))


def _bytes(cell: Expression, type_name: str) -> Reading:
    blob = sa.type_coerce(cell, sa.LargeBinary())
    length = sa.func.octet_length(blob)
    return Reading(
        sa.case((length > CELL_LIMIT, sa.func.substr(blob, 1, CELL_LIMIT, type_=sa.LargeBinary)), else_=blob),
        overflow=sa.case((length > CELL_LIMIT, _fingerprint(length, blob))),
    )


def _overflow(text: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    length = sa.func.char_length(text)
    # octet_length does not unpack a stored cell, char_length does: it is asked of the long ones only.
    is_long = sa.and_(sa.func.octet_length(text) > CELL_LIMIT, length > CELL_LIMIT)
    return sa.case((is_long, _fingerprint(length, text)))


def _fingerprint(length: Expression, cell: Expression) -> sa.ColumnElement[str]:
    return sa.cast(length, sa.Text()).concat(":").concat(sa.func.md5(cell))


_READERS = {
    Kind.INTEGER: _integer,
    Kind.FLOAT: _float,
    Kind.DECIMAL: _decimal,
    Kind.BOOLEAN: _boolean,
    Kind.DATE: _date,
    Kind.TIME: _time,
    Kind.TIMESTAMP: _timestamp,
    Kind.INTERVAL: _interval,
    Kind.TEXT: _text,
    Kind.BYTES: _bytes,
    Kind.UUID: _uuid,
    Kind.JSON: _as_text,
    Kind.ARRAY: _array,
    Kind.OTHER: _as_text,
}
