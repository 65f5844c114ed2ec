"""What a SQLite column's values are, and how each is sent: by storage class, since any cell may hold any class."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import quoted_name

from profilemesh.tables import Column, Kind
from profilemesh.warehouses.base import CELL_LIMIT, Form, Reading

Expression = sa.ColumnElement[Any]

_NAMED = {
    **dict.fromkeys(("BOOL", "BOOLEAN"), Kind.BOOLEAN),
    "DATE": Kind.DATE,
    "TIME": Kind.TIME,
    **dict.fromkeys(("DATETIME", "TIMESTAMP", "TIMESTAMPTZ"), Kind.TIMESTAMP),
    **dict.fromkeys(("UUID", "GUID", "UNIQUEIDENTIFIER"), Kind.UUID),
    **dict.fromkeys(("JSON", "JSONB"), Kind.JSON),
    **dict.fromkeys(("DECIMAL", "DEC", "NUMERIC", "NUMBER", "MONEY", "NUM"), Kind.DECIMAL),
    **dict.fromkeys(("STRING", "ENUM"), Kind.TEXT),
    **dict.fromkeys(("BINARY", "VARBINARY", "BYTEA"), Kind.BYTES),
}
# SQLite's own rules of affinity, in its order: https://www.sqlite.org/datatype3.html#determination_of_column_affinity
_AFFINITIES = (
    ("INT", Kind.INTEGER),
    ("CHAR", Kind.TEXT),
    ("CLOB", Kind.TEXT),
    ("TEXT", Kind.TEXT),
    ("BLOB", Kind.BYTES),
    ("REAL", Kind.FLOAT),
    ("FLOA", Kind.FLOAT),
    ("DOUB", Kind.FLOAT),
)


def kind_of(declared: str) -> Kind:
    """The kind of a declared type: common names first, then SQLite's affinity rules; OTHER where neither speaks."""
    words = re.findall(r"\w+", declared.upper())
    if not words:
        return Kind.OTHER
    affinities = (kind for part, kind in _AFFINITIES if part in declared.upper())
    return _NAMED.get(words[0]) or next(affinities, Kind.OTHER)


def reading_of(column: Column) -> Reading:
    """How this column is sent; a value of another storage class than its kind allows is `odd` and sent as NULL."""
    cell: Expression = sa.column(quoted_name(column.name, quote=True))
    return _READERS[column.kind](cell)


def _class(cell: Expression) -> sa.ColumnElement[str]:
    return sa.func.typeof(cell, type_=sa.String)


def _is(cell: Expression, *classes: str) -> sa.ColumnElement[bool]:
    return _class(cell).in_([sa.literal_column(f"'{name}'") for name in classes])


def _is_not(cell: Expression, *classes: str) -> sa.ColumnElement[bool]:
    return sa.not_(_is(cell, *classes, "null"))


def _only(cell: Expression, type_: sa.types.TypeEngine[Any], *classes: str) -> Expression:
    return sa.case((_is(cell, *classes), sa.type_coerce(cell, type_)))


def _integer(cell: Expression) -> Reading:
    return Reading(_only(cell, sa.BigInteger(), "integer"), odd=_is_not(cell, "integer"), odd_means="invalid")


def _float(cell: Expression) -> Reading:
    return Reading(
        sa.case((_is(cell, "integer", "real"), sa.cast(cell, sa.REAL()))),
        odd=_is_not(cell, "integer", "real"),
        odd_means="invalid",
    )


def _boolean(cell: Expression) -> Reading:
    fits = sa.and_(_is(cell, "integer"), sa.type_coerce(cell, sa.BigInteger()).in_([0, 1]))
    return Reading(
        sa.case((fits, sa.type_coerce(cell, sa.Boolean()))),
        odd=sa.and_(sa.not_(_is(cell, "null")), sa.not_(fits)),
        odd_means="invalid",
    )


def _decimal(cell: Expression) -> Reading:
    sent = sa.case(
        (_is(cell, "integer"), sa.cast(cell, sa.Text())),
        (_is(cell, "real"), _plain_digits(cell)),
    )
    return Reading(sent, Form.NUMBER_TEXT, odd=_is_not(cell, "integer", "real"), odd_means="invalid")


def _plain_digits(cell: Expression) -> sa.ColumnElement[str]:
    """The shortest digits that name this double, without exponent or trailing zeros.

    CAST AS TEXT gives those digits, with an exponent where the number is large or small; %f would give more digits
    than the double has. So the exponent is taken apart: -2.5e-07 is "-", "25" behind six zeros.
    """
    number: sa.ColumnElement[float] = sa.type_coerce(cell, sa.Double())
    text = sa.cast(sa.func.abs(number), sa.Text())
    mark = sa.func.instr(text, "e", type_=sa.Integer)
    exponent = sa.cast(sa.func.substr(text, mark + 1), sa.Integer())
    digits = _untrailed(sa.func.replace(sa.func.substr(text, 1, mark - 1), ".", ""), "0")
    zeros = sa.func.printf("%0400d", 0)
    magnitude = sa.case(
        (text == "Inf", "Infinity"),
        (mark == 0, _untrailed(_untrailed(text, "0"), ".")),
        (exponent < 0, sa.literal("0.").concat(sa.func.substr(zeros, 1, -exponent - 1)).concat(digits)),
        else_=digits.concat(sa.func.substr(zeros, 1, exponent + 1 - sa.func.length(digits))),
    )
    return sa.case((number < 0, sa.literal("-")), else_="").concat(magnitude)


def _untrailed(text: sa.ColumnElement[str], character: str) -> sa.ColumnElement[str]:
    return sa.func.rtrim(text, character, type_=sa.Text)


def _time_text(cell: Expression) -> Reading:
    # 64 characters hold every date; longer text is not one and stays unreadable when cut.
    sent = sa.case((_is(cell, "text"), sa.func.substr(cell, 1, 64, type_=sa.Text)))
    return Reading(sent, Form.TIME_TEXT, odd=_is_not(cell, "text"), odd_means="invalid")


def _text(cell: Expression) -> Reading:
    return Reading(
        sa.case((_is(cell, "text", "integer", "real"), _cut(cell))),
        overflow=_overflow(cell, "text"),
        odd=_is_not(cell, "text", "integer", "real"),
        odd_means="invalid",
    )


def _uuid(cell: Expression) -> Reading:
    packed = sa.and_(_is(cell, "blob"), sa.func.length(cell) == 16)
    return Reading(
        sa.case((_is(cell, "text"), _cut(cell)), (packed, sa.func.lower(sa.func.hex(cell), type_=sa.Text))),
        overflow=_overflow(cell, "text"),
        odd=sa.and_(_is_not(cell, "text"), sa.not_(packed)),
        odd_means="invalid",
    )


def _bytes(cell: Expression) -> Reading:
    blob = sa.cast(cell, sa.LargeBinary())
    return Reading(
        sa.case((_is(cell, "blob", "text"), sa.func.substr(blob, 1, CELL_LIMIT, type_=sa.LargeBinary))),
        overflow=_overflow(cell, "blob", "text"),
        odd=_is_not(cell, "blob", "text"),
        odd_means="invalid",
    )


def _other(cell: Expression) -> Reading:
    hexadecimal = sa.func.hex(sa.func.substr(cell, 1, CELL_LIMIT // 2), type_=sa.Text)
    return Reading(
        sa.case((_is(cell, "blob"), hexadecimal), (_is(cell, "text", "integer", "real"), _cut(cell))),
        overflow=_overflow(cell, "text"),
    )


def _is_long(cell: Expression) -> sa.ColumnElement[bool]:
    # octet_length is in the record's header; length counts the characters of the whole cell.
    return sa.and_(sa.func.octet_length(cell) > CELL_LIMIT, sa.func.length(cell) > CELL_LIMIT)


def _cut(cell: Expression) -> sa.ColumnElement[str]:
    text = sa.cast(cell, sa.Text())
    return sa.case((_is_long(cell), sa.func.substr(text, 1, CELL_LIMIT, type_=sa.Text)), else_=text)


def _overflow(cell: Expression, *classes: str) -> sa.ColumnElement[str]:
    """SQLite has no hash function: the fingerprint is 32 characters or bytes of the middle and 96 of the end."""
    length = sa.cast(sa.func.length(cell), sa.Text())
    middle = sa.func.substr(cell, sa.func.length(cell) / sa.literal_column("2"), 32)
    sample = sa.func.hex(middle).concat(sa.func.hex(sa.func.substr(cell, -96, 96)))
    return sa.case((sa.and_(_is(cell, *classes), _is_long(cell)), length.concat(":").concat(sample)))


_READERS = {
    Kind.INTEGER: _integer,
    Kind.FLOAT: _float,
    Kind.DECIMAL: _decimal,
    Kind.BOOLEAN: _boolean,
    Kind.DATE: _time_text,
    Kind.TIME: _time_text,
    Kind.TIMESTAMP: _time_text,
    Kind.TEXT: _text,
    Kind.JSON: _text,
    Kind.UUID: _uuid,
    Kind.BYTES: _bytes,
    Kind.OTHER: _other,
    Kind.INTERVAL: _other,
    Kind.ARRAY: _other,
}
