"""How one column is looked at, whatever it arrives as: the expressions that its measures are made of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from profilemesh.profiling import sql
from profilemesh.tables import Column, Kind
from profilemesh.warehouses.base import Form

Expression = sa.ColumnElement[Any]


@dataclass(frozen=True)
class Lens:
    """One column as it stands in a source, and how to look at it. `shift` is the one its earlier summaries use;
    `parsed` is what `parse` gives, where the source has it ready.
    """

    column: Column
    value: Expression
    form: Form = Form.NATIVE
    overflow: Expression | None = None
    sent_length: Expression | None = None
    odd: Expression | None = None
    odd_means: Literal["infinite", "invalid"] = "infinite"
    sensitive: bool = False
    shift: float | None = None
    parsed: Expression | None = None

    @property
    def kind(self) -> Kind:
        return self.column.kind

    @property
    def text(self) -> Expression:
        return sa.cast(self.value, sa.Text)

    @property
    def parse(self) -> Expression | None:
        """What a text says: a time, a double, or a finite number in the digits of the declared type; NULL where it
        says none. None for a column that arrives as what it is."""
        if self.form is Form.TIME_TEXT:
            return sql.as_time(self.value) if self.kind is Kind.TIME else sql.as_timestamp(self.value)
        if self.form is Form.NUMBER_TEXT:
            return sql.as_double(self.value)
        if self.form is Form.DECIMAL_TEXT:
            digits = re.findall(r"\d+", self.column.type)[-2:]
            return sql.as_decimal(self.value, *(sa.literal_column(number) for number in digits))
        return None

    @property
    def read(self) -> Expression:
        """The value as what it is, whatever it arrives as."""
        parsed = self.parse if self.parsed is None else self.parsed
        return self.value if parsed is None else parsed

    @property
    def moment(self) -> Expression:
        """The finite date or timestamp."""
        return sa.case((sql.finite(self.read), self.read))

    @property
    def double(self) -> Expression:
        """The number as a double, NaN and infinities included."""
        if self.form is Form.NUMBER_TEXT:
            return self.read
        if self.kind is Kind.INTERVAL and self.form is Form.NATIVE:
            return sql.seconds(self.value)
        return sa.cast(self.read, sa.Double)

    @property
    def number(self) -> Expression:
        """The finite number as a double, else NULL."""
        if self.kind is Kind.FLOAT or self.form in (Form.NUMBER_TEXT, Form.SECONDS):
            return sa.case((sql.finite(self.double), self.double))
        return self.double

    @property
    def length(self) -> Expression:
        if self.sent_length is not None:
            return self.sent_length
        if self.kind is Kind.ARRAY:
            return sql.elements(self.value)
        plain = sql.octets(self.value) if self.kind is Kind.BYTES else sql.characters(self.text)
        if self.overflow is None:
            return plain
        return sa.func.coalesce(sa.cast(sa.func.split_part(self.overflow, ":", 1), sa.BigInteger), plain)

    @property
    def hashed(self) -> Expression:
        """What distinct values are told apart by."""
        if self.kind is Kind.FLOAT:
            return sql.hash64(self._without_minus_zero)
        if self.kind is Kind.INTERVAL:
            return sql.hash64(self.double)
        plain = sql.hash64(self.value)
        return (
            plain
            if self.overflow is None
            else sa.case((self.overflow.is_(None), plain), else_=sql.hash64(self.overflow))
        )

    @property
    def listed(self) -> Expression:
        """What values are counted by: all that is equal as a value is equal as this."""
        if self.kind is Kind.FLOAT:
            return self._without_minus_zero
        return self.text if self.kind is Kind.TEXT else self.value

    @property
    def _without_minus_zero(self) -> Expression:
        return self.double + sa.literal_column("0.0")
