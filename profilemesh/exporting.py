"""Lists of any length in the formats of files: rows are told as they come, so that memory holds a batch of them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa
from sqlalchemy.engine import Engine

BATCH = 2000
GROUP = 50_000
"""Rows in a row group of Parquet."""
Row = dict[str, Any]
Batch = Sequence[sa.Row[*tuple[Any, ...]]]
FORMULA = ("=", "+", "-", "@", "\t", "\r")
is_negative = re.compile("-[0-9]+([.][0-9]+)?(e[+-]?[0-9]+)?", re.IGNORECASE).fullmatch
TIME, TEXT, WHOLE, NUMBER = pa.timestamp("us", "UTC"), pa.string(), pa.int64(), pa.float64()


@dataclass(frozen=True)
class Export:
    """A list to send: its name, the key it stands under in JSON, its columns in order, and how a row is told: as an
    object, and as the values of the columns."""

    name: str
    key: str
    columns: Mapping[str, pa.DataType]
    tell: Callable[[Any], Row]
    values: Callable[[Any], Sequence[Any]]

    def written(self, batches: Iterable[Batch], format: str) -> Iterator[bytes]:
        """The rows as json, csv, jsonl or parquet, piece by piece."""
        return FORMATS[format].write(self, batches)


def batches_of(engine: Engine, statement: sa.Select[*tuple[Any, ...]]) -> Generator[Batch]:
    """The rows as they are read, on a connection of their own that is given back at the end, or when nobody listens."""
    with engine.connect() as connection:
        streamed = connection.execution_options(stream_results=True, max_row_buffer=BATCH)
        yield from streamed.execute(statement).partitions(BATCH)


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
    """As a spreadsheet takes it for what it is: a text that would be a formula there gets an apostrophe before it; a
    negative number is none."""
    if kind == pa.string():
        suspects = {text for text in set(values) if text and text.startswith(FORMULA)}
        formulas = {text: f"'{text}" for text in suspects if not is_negative(text)}
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


@dataclass(frozen=True)
class Format:
    """How a list is written, what a browser calls that, and how its file's name ends."""

    write: Callable[[Export, Iterable[Batch]], Iterator[bytes]]
    kind: str
    ending: str


FORMATS = {
    "json": Format(_json, "application/json", "json"),
    "csv": Format(_csv, "text/csv; charset=utf-8", "csv"),
    "jsonl": Format(_jsonl, "application/x-ndjson", "jsonl"),
    "parquet": Format(_parquet, "application/vnd.apache.parquet", "parquet"),
}

RUN_COLUMNS: Mapping[str, pa.DataType] = {
    "run_id": TEXT,
    "dataset_name": TEXT,
    "schema_name": TEXT,
    "warehouse": TEXT,
    "warehouse_type": TEXT,
    "profiled_at": TIME,
    "environment": TEXT,
    "status": TEXT,
    "row_count": WHOLE,
    "column_count": WHOLE,
    "rows_scanned": WHOLE,
    "duration_seconds": NUMBER,
    "scope": TEXT,
    "action": TEXT,
    "reason": TEXT,
    "has_drift": pa.bool_(),
}
DRIFT_COLUMNS: Mapping[str, pa.DataType] = {
    "event_id": TEXT,
    "run_id": TEXT,
    "table_name": TEXT,
    "schema_name": TEXT,
    "column_name": TEXT,
    "metric_name": TEXT,
    "baseline_value": NUMBER,
    "current_value": NUMBER,
    "change_percent": NUMBER,
    "severity": TEXT,
    "timestamp": TIME,
    "warehouse": TEXT,
    "warehouse_type": TEXT,
}
METRIC_COLUMNS: Mapping[str, pa.DataType] = {
    "run_id": TEXT,
    "dataset_name": TEXT,
    "schema_name": TEXT,
    "column_name": TEXT,
    "column_type": TEXT,
    "metric_name": TEXT,
    "metric_value": TEXT,
    "metric_number": NUMBER,
}
UNKNOWN = "unknown"


def metric_json(row: Any) -> Row:
    """A row whose columns are those of `METRIC_COLUMNS`."""
    told = dict(zip(METRIC_COLUMNS, row, strict=True))
    told["schema_name"] = told["schema_name"] or None
    return told


def run_json(row: Any) -> Row:
    """A row whose first columns are those of `RUN_COLUMNS`."""
    told = dict(zip(RUN_COLUMNS, row, strict=False))
    told["schema_name"] = told["schema_name"] or None
    return told


def alert_json(row: Any, types: Mapping[str, str]) -> Row:
    """A row of drift as an object."""
    told = dict(zip(DRIFT_COLUMNS, alert_values(row, types), strict=True))
    if told["change_percent"] is None:
        # A page of an existing frontend crashes on null, and knows what to do when it is not there.
        del told["change_percent"]
    return told


def alert_values(row: Any, types: Mapping[str, str]) -> tuple[Any, ...]:
    """The values of `DRIFT_COLUMNS`; `types` are those of warehouses by their names."""
    event_id, type_, run, warehouse, schema, table, column, metric, base, now, change, severity, at = row[:13]
    if type_ == "SchemaChangeDetected":
        metric, base, now, change = "schema", None, None, None
    names = (event_id, run or "", table or UNKNOWN, schema or None, column, metric or UNKNOWN)
    return (*names, base, now, change, severity, at, warehouse, types.get(warehouse, UNKNOWN))
