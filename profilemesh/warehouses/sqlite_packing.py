"""What is nearly always empty travels packed: of a hundred columns' flags and overflows one text, NULL where all are.

A column of its own costs as much for an empty cell as for a full one, and flags and overflows are two of three columns.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

# SQLite limits the depth of an expression to 1,000, and each OR adds one.
_PACK_SIZE = 100


class Flag(sa.Boolean):
    """True or false, never NULL, and hardly ever true."""


class Rare(sa.Text):
    """Text that is hardly ever there."""


class Layout:
    """Where a statement's columns stand among those that are sent: the others first, then the packs."""

    def __init__(self, columns: Sequence[sa.ColumnElement[Any]]) -> None:
        self.names = [str(getattr(column, "name", "")) for column in columns]
        self._types = [column.type for column in columns]
        packed = [n for n, type_ in enumerate(self._types) if isinstance(type_, Flag | Rare)]
        self._plain = [n for n in range(len(columns)) if n not in set(packed)]
        self._packs = [tuple(packed[at : at + _PACK_SIZE]) for at in range(0, len(packed), _PACK_SIZE)]
        self.sent: list[sa.ColumnElement[Any]] = [
            *(columns[n] for n in self._plain),
            *(_pack([columns[n] for n in pack]).label(f"pack {at}") for at, pack in enumerate(self._packs)),
        ]

    def unpacked(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The statement's own columns, in its own order."""
        arrays: dict[int, pa.Array] = {}
        for n, column in zip(self._plain, batch.columns, strict=False):
            arrays[n] = _typed(column, self._types[n])
        for pack, column in zip(self._packs, batch.columns[len(self._plain) :], strict=True):
            arrays.update(zip(pack, _unpack(column, [self._types[n] for n in pack]), strict=True))
        return pa.RecordBatch.from_arrays([arrays[n] for n in range(len(self.names))], names=self.names)


def _pack(columns: Sequence[sa.ColumnElement[Any]]) -> sa.ColumnElement[str]:
    filled = (column if isinstance(column.type, Flag) else column.is_not(None) for column in columns)
    return sa.case((sa.or_(*filled), sa.func.json_array(*columns, type_=sa.Text)))


def _unpack(pack: pa.Array, types: Sequence[sa.types.TypeEngine[Any]]) -> Iterator[pa.Array]:
    rows = len(pack)
    filled = np.flatnonzero(pack.is_valid().to_numpy(zero_copy_only=False))
    values = [json.loads(text) for text in pack.take(pa.array(filled)).to_pylist()]
    for n, type_ in enumerate(types):
        cells: np.ndarray[Any, Any] = np.zeros(rows, bool) if isinstance(type_, Flag) else np.full(rows, None, object)
        cells[filled] = [row[n] for row in values]
        yield pa.array(cells, pa.bool_() if isinstance(type_, Flag) else pa.string())


def _typed(column: pa.Array, type_: sa.types.TypeEngine[Any]) -> pa.Array:
    """Booleans as such instead of integers, and text as valid UTF-8: SQLite stores any bytes as text."""
    if isinstance(type_, sa.Boolean):
        return column.cast(pa.bool_())
    if pa.types.is_string(column.type):
        return _valid_text(column)
    return column


def _valid_text(column: pa.Array) -> pa.Array:
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        cells = column.cast(pa.binary()).to_pylist()
        return pa.array([None if cell is None else cell.decode(errors="replace") for cell in cells], pa.string())
    return column
