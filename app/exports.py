"""Lists of any length as a file: read from the storage as they are sent, so that memory holds a batch of rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa
from flask import Response

from app.extensions import db

BATCH = 2000
GROUP = 50_000
"""Rows in a row group of Parquet."""
Row = dict[str, Any]
Batch = Sequence[sa.Row[*tuple[Any, ...]]]
FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Export:
    """A list to send: its name, the key it stands under in JSON, its columns in order, and how a row is told: as an
    object, and as the values of the columns."""

    name: str
    key: str
    columns: Mapping[str, pa.DataType]
    tell: Callable[[Any], Row]
    values: Callable[[Any], Sequence[Any]]

    def send(self, statement: sa.Select[*tuple[Any, ...]], format: str) -> Response:
        """The rows of the statement as json, csv, jsonl or parquet; they are read while they are sent."""
        write, kind, ending = FORMATS[format]
        rows = self._opened(statement)
        file = f"profilemesh-{self.name}-{datetime.now(UTC):%Y-%m-%d}.{ending}"
        headers = {"Content-Disposition": f'attachment; filename="{file}"', "Cache-Control": "no-store"}
        return Response(write(self, rows), content_type=kind, headers=headers)

    def _opened(self, statement: sa.Select[*tuple[Any, ...]]) -> Iterator[Batch]:
        """The first batch is read before anything is sent, so that a storage that is down is a 503."""
        batches = self._batches(statement)
        first = next(batches, [])
        return _continued(first, batches)

    def _batches(self, statement: sa.Select[*tuple[Any, ...]]) -> Iterator[Batch]:
        # A connection of its own: that of the request is given back before the body is sent.
        with db.engine.connect() as connection:
            streamed = connection.execution_options(stream_results=True, max_row_buffer=BATCH)
            yield from streamed.execute(statement).partitions(BATCH)


def _continued(first: Batch, rest: Iterator[Batch]) -> Iterator[Batch]:
    try:
        yield first
        yield from rest
    finally:
        # Whoever stops listening lets the connection go.
        rest.close()  # type: ignore[attr-defined]


def _json(export: Export, batches: Iterable[Batch]) -> Iterator[bytes]:
    yield b'{"' + export.key.encode() + b'":['
    between = b""
    for batch in batches:
        if batch:
            yield between + orjson.dumps([export.tell(row) for row in batch])[1:-1]
            between = b","
    yield b"]}"


def _jsonl(export: Export, batches: Iterable[Batch]) -> Iterator[bytes]:
    for batch in batches:
        yield b"".join(orjson.dumps(export.tell(row), option=orjson.OPT_APPEND_NEWLINE) for row in batch)


def _csv(export: Export, batches: Iterable[Batch]) -> Iterator[bytes]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(export.columns)
    for batch in batches:
        if batch:
            # Column by column, of which each has one type, and many a text stands in it again and again.
            columns = zip(export.columns.values(), zip(*map(export.values, batch), strict=True), strict=True)
            writer.writerows(zip(*(_cells(kind, values) for kind, values in columns), strict=True))
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    yield text.getvalue().encode()


def _cells(kind: pa.DataType, values: Iterable[Any]) -> Iterable[Any]:
    """As a spreadsheet takes it for what it is: a text that would be a formula there gets an apostrophe before it."""
    if kind == pa.string():
        formulas = {text: f"'{text}" for text in set(values) if text and text.startswith(FORMULA)}
        return [formulas.get(text, text) for text in values] if formulas else values
    if kind == pa.bool_():
        return map({True: "true", False: "false"}.get, values)
    if pa.types.is_timestamp(kind):
        return [value and value.isoformat() for value in values]
    return values


class _Sink:
    """A file that is sent away as it is written."""

    closed = False

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.place = 0

    def write(self, data: Any) -> int:
        self.pieces.append(bytes(data))
        self.place += len(self.pieces[-1])
        return len(self.pieces[-1])

    def tell(self) -> int:
        return self.place

    def flush(self) -> None: ...

    def close(self) -> None: ...

    def taken(self) -> bytes:
        pieces, self.pieces = self.pieces, []
        return b"".join(pieces)


def _parquet(export: Export, batches: Iterable[Batch]) -> Iterator[bytes]:
    schema, sink = pa.schema(list(export.columns.items())), _Sink()
    with pq.ParquetWriter(sink, schema) as writer:
        for group in _groups(export, batches):
            writer.write_table(pa.Table.from_pylist(group, schema))
            yield sink.taken()
    yield sink.taken()


def _groups(export: Export, batches: Iterable[Batch]) -> Iterator[list[Row]]:
    group: list[Row] = []
    for batch in batches:
        group += map(export.tell, batch)
        if len(group) >= GROUP:
            yield group
            group = []
    yield group


FORMATS: dict[str, tuple[Callable[[Export, Iterable[Batch]], Iterator[bytes]], str, str]] = {
    "json": (_json, "application/json", "json"),
    "csv": (_csv, "text/csv; charset=utf-8", "csv"),
    "jsonl": (_jsonl, "application/x-ndjson", "jsonl"),
    "parquet": (_parquet, "application/vnd.apache.parquet", "parquet"),
}
