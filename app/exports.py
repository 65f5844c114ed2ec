"""Lists of any length as a file: read from the storage as they are sent, so that memory holds a batch of rows."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from flask import Response

from app.extensions import db
from profilemesh.exporting import FORMATS, Batch, Export, batches_of

__all__ = ["FORMATS", "Export", "send"]


def send(export: Export, statement: sa.Select[*tuple[Any, ...]], format: str) -> Response:
    """The rows of the statement as json, csv, jsonl or parquet; they are read while they are sent."""
    file = f"profilemesh-{export.name}-{datetime.now(UTC):%Y-%m-%d}.{FORMATS[format].ending}"
    headers = {"Content-Disposition": f'attachment; filename="{file}"', "Cache-Control": "no-store"}
    body = export.written(_opened(statement), format)
    return Response(body, content_type=FORMATS[format].kind, headers=headers)


def _opened(statement: sa.Select[*tuple[Any, ...]]) -> Iterator[Batch]:
    """The first batch is read before anything is sent, so that a storage that is down is a 503."""
    # A connection of its own: that of the request is given back before the body is sent.
    batches = batches_of(db.engine, statement)
    first = next(batches, [])
    return _continued(first, batches)


def _continued(first: Batch, rest: Generator[Batch]) -> Iterator[Batch]:
    try:
        yield first
        yield from rest
    finally:
        # Whoever stops listening lets the connection go.
        rest.close()
