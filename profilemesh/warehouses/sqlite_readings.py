"""What a SQLite column's values are, and how each is sent: by storage class, since any cell may hold any class."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import quoted_name

from profilemesh.tables import Column, Kind
from profilemesh.warehouses.base import CELL_LIMIT, Form, Reading
from profilemesh.warehouses.sqlite_packing import Flag, Rare

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


# SQLite sorts numbers before text before blobs, whatever they hold. A comparison costs a third of a call of typeof().
_FIRST_TEXT: Expression = sa.literal_column("''")
_FIRST_BLOB: Expression = sa.literal_column("x''")


def _is(cell: Expression, storage_class: str) -> sa.ColumnElement[bool]:
    return sa.func.typeof(cell, type_=sa.String) == sa.literal_column(f"'{storage_class}'")


def _known(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """The condition with false for unknown, which is what it is of NULL."""
    return sa.func.ifnull(condition, sa.literal_column("0"), type_=Flag)


def _is_text(cell: Expression) -> sa.ColumnElement[bool]:
    return sa.and_(cell >= _FIRST_TEXT, cell < _FIRST_BLOB)


def _integer(cell: Expression) -> Reading:
    # Of all values only an integer is the same after a bit operation; NULL stays NULL.
    bits = sa.type_coerce(cell, sa.BigInteger()).bitwise_and(sa.literal_column("-1"))
    return Reading(
        sa.case((bits.is_not_distinct_from(cell), sa.type_coerce(cell, sa.BigInteger()))),
        odd=sa.type_coerce(bits.is_distinct_from(cell), Flag()),
        odd_means="invalid",
    )


def _float(cell: Expression) -> Reading:
    return Reading(
        sa.case((cell < _FIRST_TEXT, sa.cast(cell, sa.REAL()))), odd=_known(cell >= _FIRST_TEXT), odd_means="invalid"
    )


def _boolean(cell: Expression) -> Reading:
    number = sa.type_coerce(cell, sa.BigInteger())
    zero: Expression = sa.literal_column("0")
    one: Expression = sa.literal_column("1")
    return Reading(
        sa.case((sa.or_(number == zero, number == one), sa.type_coerce(cell, sa.Boolean()))),
        odd=_known(sa.and_(number != zero, number != one)),
        odd_means="invalid",
    )


def _decimal(cell: Expression) -> Reading:
    number: sa.ColumnElement[float] = sa.type_coerce(cell, sa.Double())
    text = sa.cast(cell, sa.Text())
    whole = sa.cast(sa.cast(cell, sa.BigInteger()), sa.Text())
    is_ordinary = sa.or_(
        sa.and_(number > sa.literal_column("1e-4"), number < sa.literal_column("1e15")),
        sa.and_(number < sa.literal_column("-1e-4"), number > sa.literal_column("-1e15")),
    )
    sent = sa.case(
        (is_ordinary, sa.case((number == sa.cast(cell, sa.BigInteger()), whole), else_=text)),
        (_is(cell, "integer"), text),
        (number < _FIRST_TEXT, _plain_digits(cell)),
    )
    return Reading(sent, Form.NUMBER_TEXT, odd=_known(cell >= _FIRST_TEXT), odd_means="invalid")


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
    cut = sa.case((sa.func.octet_length(cell) > sa.literal_column("64"), sa.func.substr(cell, 1, 64)), else_=cell)
    return Reading(
        sa.case((_is_text(cell), sa.type_coerce(cut, sa.Text()))),
        Form.TIME_TEXT,
        odd=_known(sa.or_(cell < _FIRST_TEXT, cell >= _FIRST_BLOB)),
        odd_means="invalid",
    )


def _text(cell: Expression) -> Reading:
    return Reading(
        sa.case((cell < _FIRST_BLOB, _cut(cell))),
        overflow=_fingerprint(cell, sa.and_(_is_long(cell), cell < _FIRST_BLOB)),
        odd=_known(cell >= _FIRST_BLOB),
        odd_means="invalid",
    )


def _uuid(cell: Expression) -> Reading:
    packed = sa.and_(cell >= _FIRST_BLOB, sa.func.octet_length(cell) == sa.literal_column("16"))
    return Reading(
        sa.case((_is_text(cell), _cut(cell)), (packed, sa.func.lower(sa.func.hex(cell), type_=sa.Text))),
        overflow=_fingerprint(cell, sa.and_(_is_long(cell), _is_text(cell))),
        odd=_known(sa.or_(cell < _FIRST_TEXT, sa.and_(cell >= _FIRST_BLOB, sa.not_(packed)))),
        odd_means="invalid",
    )


def _bytes(cell: Expression) -> Reading:
    blob = sa.cast(cell, sa.LargeBinary())
    # Of an empty blob, substr makes NULL.
    cut = sa.case((_is_long(cell), sa.func.substr(blob, 1, CELL_LIMIT, type_=sa.LargeBinary)), else_=blob)
    return Reading(
        sa.case((cell >= _FIRST_TEXT, cut)),
        overflow=_fingerprint(cell, sa.and_(_is_long(cell), cell >= _FIRST_TEXT)),
        odd=_known(cell < _FIRST_TEXT),
        odd_means="invalid",
    )


def _other(cell: Expression) -> Reading:
    hexadecimal = sa.func.hex(sa.func.substr(cell, 1, CELL_LIMIT // 2), type_=sa.Text)
    return Reading(
        sa.case((cell < _FIRST_BLOB, _cut(cell)), (cell >= _FIRST_BLOB, hexadecimal)),
        overflow=_fingerprint(cell, _is_long(cell)),
    )


def _is_long(cell: Expression) -> sa.ColumnElement[bool]:
    # octet_length is in the record's header; length counts the characters of the whole cell.
    return sa.and_(sa.func.octet_length(cell) > CELL_LIMIT, sa.func.length(cell) > CELL_LIMIT)


def _cut(cell: Expression) -> sa.ColumnElement[str]:
    text = sa.cast(cell, sa.Text())
    return sa.case((_is_long(cell), sa.func.substr(text, 1, CELL_LIMIT, type_=sa.Text)), else_=text)


def _fingerprint(cell: Expression, where: sa.ColumnElement[bool]) -> sa.ColumnElement[str]:
    """SQLite has no hash function: this is the length, 32 characters or bytes of the middle and 96 of the end."""
    length = sa.cast(sa.func.length(cell), sa.Text())
    middle = sa.func.substr(cell, sa.func.length(cell) / sa.literal_column("2"), 32)
    sample = sa.func.hex(middle).concat(sa.func.hex(sa.func.substr(cell, -96, 96)))
    return sa.type_coerce(sa.case((where, length.concat(":").concat(sample))), Rare())


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


def quick_of(column: Column) -> Reading:
    """How this column is sent while every value is of its declared type and no cell is long, as is nearly always so.

    A value that is neither makes the statement fail: here where SQLite would send it along, else in the driver.
    """
    cell: Expression = sa.column(quoted_name(column.name, quote=True))
    too_long = sa.func.octet_length(cell) > sa.literal_column(str(CELL_LIMIT))
    match column.kind:
        case Kind.INTEGER:
            return Reading(sa.type_coerce(cell, sa.BigInteger()), odd_means="invalid")
        case Kind.FLOAT:
            return Reading(sa.type_coerce(cell, sa.REAL()), odd_means="invalid")
        case Kind.TEXT | Kind.JSON:
            sent = _fit(cell, sa.or_(cell >= _FIRST_BLOB, too_long), sa.type_coerce(cell, sa.Text()))
            return Reading(sent, odd_means="invalid")
        case Kind.DECIMAL:
            # Between these bounds its text has no exponent, and SQLite keeps whole numbers as integers.
            text = sa.cast(cell, sa.Text())
            positive = sa.and_(cell > sa.literal_column("1e-4"), cell < sa.literal_column("1e15"))
            negative = sa.and_(cell < sa.literal_column("-1e-4"), cell > sa.literal_column("-1e15"))
            ordinary = sa.or_(negative, cell == sa.literal_column("0"), cell.is_(None))
            sent = sa.case((positive, text), else_=_fit(cell, sa.not_(ordinary), text))
            return Reading(sent, Form.NUMBER_TEXT, odd_means="invalid")
    careful = reading_of(column)
    unfit = [
        condition
        for condition in (careful.odd, None if careful.overflow is None else too_long)
        if condition is not None
    ]
    sent = _fit(cell, sa.or_(*unfit), careful.sent) if unfit else careful.sent
    return Reading(sent, careful.form, odd_means="infinite" if careful.odd is None else "invalid")


def _fit(cell: Expression, unfit: sa.ColumnElement[bool], sent: Expression) -> Expression:
    """What is sent, or an overflow that stops the statement. It hangs on the cell, or it would be computed up front."""
    smallest: Expression = sa.literal_column("-9223372036854775808") + sa.func.length(cell) * sa.literal_column("0")
    return sa.type_coerce(sa.case((unfit, sa.func.abs(smallest)), else_=sent), sent.type)
