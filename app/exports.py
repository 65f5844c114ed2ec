"""Lists of any length as a file: read from the storage as they are sent, so that memory holds a batch of rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
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
FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Export:
    """A list to send: its name, the key it stands under in JSON, its columns in order, and how a row is told."""

    name: str
    key: str
    columns: Mapping[str, pa.DataType]
    tell: Callable[[Any], Row]

    def send(self, statement: sa.Select[*tuple[Any, ...]], format: str) -> Response:
        """The rows of the statement as json, csv, jsonl or parquet; they are read while they are sent."""
        write, kind, ending = FORMATS[format]
        rows = self._opened(statement)
        file = f"profilemesh-{self.name}-{datetime.now(UTC):%Y-%m-%d}.{ending}"
        headers = {"Content-Disposition": f'attachment; filename="{file}"', "Cache-Control": "no-store"}
        return Response(write(self, rows), content_type=kind, headers=headers)

    def _opened(self, statement: sa.Select[*tuple[Any, ...]]) -> Iterator[list[Row]]:
        """The first batch is read before anything is sent, so that a storage that is down is a 503."""
        batches = self._batches(statement)
        first = next(batches, [])
        return _continued(first, batches)

    def _batches(self, statement: sa.Select[*tuple[Any, ...]]) -> Iterator[list[Row]]:
        # A connection of its own: that of the request is given back before the body is sent.
        with db.engine.connect() as connection:
            streamed = connection.execution_options(stream_results=True, max_row_buffer=BATCH)
            for batch in streamed.execute(statement).partitions(BATCH):
                yield [self.tell(row) for row in batch]


def _continued(first: list[Row], rest: Iterator[list[Row]]) -> Iterator[list[Row]]:
    try:
        yield first
        yield from rest
    finally:
        # Whoever stops listening lets the connection go.
        rest.close()  # type: ignore[attr-defined]


def _json(export: Export, batches: Iterable[list[Row]]) -> Iterator[bytes]:
    yield b'{"' + export.key.encode() + b'":['
    between = b""
    for batch in batches:
        if batch:
            yield between + orjson.dumps(batch)[1:-1]
            between = b","
    yield b"]}"


def _jsonl(export: Export, batches: Iterable[list[Row]]) -> Iterator[bytes]:
    for batch in batches:
        yield b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in batch)


def _csv(export: Export, batches: Iterable[list[Row]]) -> Iterator[bytes]:
    names = list(export.columns)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(names)
    for batch in batches:
        writer.writerows([[_cell(row.get(name)) for name in names] for row in batch])
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    yield text.getvalue().encode()


def _cell(value: Any) -> Any:
    """As a spreadsheet takes it for what it is: a text that would be a formula there gets an apostrophe before it."""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA) else value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bool):
        return "true" if value else "false"
    return value


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


def _parquet(export: Export, batches: Iterable[list[Row]]) -> Iterator[bytes]:
    schema, sink = pa.schema(list(export.columns.items())), _Sink()
    with pq.ParquetWriter(sink, schema) as writer:
        for group in _groups(batches):
            writer.write_table(pa.Table.from_pylist(group, schema))
            yield sink.taken()
    yield sink.taken()


def _groups(batches: Iterable[list[Row]]) -> Iterator[list[Row]]:
    group: list[Row] = []
    for batch in batches:
        group += batch
        if len(group) >= GROUP:
            yield group
            group = []
    yield group


FORMATS: dict[str, tuple[Callable[[Export, Iterable[list[Row]]], Iterator[bytes]], str, str]] = {
    "json": (_json, "application/json", "json"),
    "csv": (_csv, "text/csv; charset=utf-8", "csv"),
    "jsonl": (_jsonl, "application/x-ndjson", "jsonl"),
    "parquet": (_parquet, "application/vnd.apache.parquet", "parquet"),
}
