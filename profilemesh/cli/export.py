"""`profilemesh export`: whole lists as files, read while they are written."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import click
import sqlalchemy as sa

from profilemesh.cli.context import Context, config_option, fall_silent, json_option, only_option, opened_storage
from profilemesh.cli.names import known_tables
from profilemesh.cli.times import Since
from profilemesh.cli.told import Told
from profilemesh.exporting import (
    DRIFT_COLUMNS,
    FORMATS,
    RUN_COLUMNS,
    Batch,
    Export,
    alert_json,
    alert_values,
    batches_of,
    run_json,
)
from profilemesh.storage import Storage, events, runs, states
from profilemesh.storage.engine import storage_errors
from profilemesh.tables import TableRef

Statement = sa.Select[*tuple[Any, ...]]
Ask = Callable[[list[TableRef] | None, datetime | None], Statement]
EXITS = {1: "the file cannot be written, or the storage not be read; no file is left or changed"}


@click.group()
def export() -> None:
    """Write all runs, or all drift, as CSV, JSON, JSON lines or Parquet."""


def _options(command: Callable[..., None]) -> Callable[..., None]:
    options = (
        config_option,
        json_option,
        only_option,
        click.option("--since", type=Since(), help="From when on: a day, a time, or 36h, 30d, 6w."),
        click.option(
            "--format",
            "format",
            type=click.Choice(list(FORMATS)),
            help="How it is written. [default: as the file's name ends, else csv]",
        ),
        click.option(
            "-o",
            "--output",
            type=click.Path(path_type=Path, allow_dash=True, dir_okay=False),
            default=Path("-"),
            help="The file, which appears when it is whole; else what is printed.",
        ),
        click.pass_obj,
    )
    for option in reversed(options):
        command = option(command)
    return command


@export.command(
    "runs",
    cls=Told,
    examples=[
        "profilemesh export runs > runs.csv",
        "profilemesh export runs --since 30d -o runs.parquet",
        "profilemesh export runs --table 'shop.*' --format jsonl | head",
    ],
    exits=EXITS,
    json=f"As `--format json`: an object whose `runs` have {', '.join(f'`{name}`' for name in RUN_COLUMNS)}.",
)
@_options
def export_runs(context: Context, only: str | None, since: datetime | None, format: str | None, output: Path) -> None:
    """Write every run, newest first.

    Rows are read while they are written, so that their number does not matter. In CSV a text that a spreadsheet would
    take for a formula has an apostrophe before it.
    """
    columns = Export("runs", "runs", RUN_COLUMNS, run_json, tuple)
    _write(context, only, since, format, output, lambda storage: columns, partial(runs.told, RUN_COLUMNS))


@export.command(
    "drift",
    cls=Told,
    examples=["profilemesh export drift > drift.csv", "profilemesh export drift --since 2026-11-01 -o drift.jsonl"],
    exits=EXITS,
    json=f"As `--format json`: an object whose `drift_alerts` have {', '.join(f'`{n}`' for n in DRIFT_COLUMNS)}.",
)
@_options
def export_drift(context: Context, only: str | None, since: datetime | None, format: str | None, output: Path) -> None:
    """Write all drift and all schema changes that were found, newest first.

    An alert for each run that found it, as `GET /api/drift` tells it; `drift` shows them as findings.
    """
    _write(context, only, since, format, output, _drift_of, events.drift)


def _drift_of(storage: Storage) -> Export:
    with storage.read() as session:
        types = states.warehouse_types(session)
    tell, values = partial(alert_json, types=types), partial(alert_values, types=types)
    return Export("drift", "drift_alerts", DRIFT_COLUMNS, tell, values)


def _write(
    context: Context,
    only: str | None,
    since: datetime | None,
    format: str | None,
    output: Path,
    columns: Callable[[Storage], Export],
    ask: Ask,
) -> None:
    chosen = format or ("json" if context.as_json else _format_of(output))
    is_shown = str(output) == "-"
    if chosen == "parquet" and is_shown and sys.stdout.isatty():
        raise click.UsageError("Parquet is no text for a terminal; name a file with -o")
    config = context.config()
    with opened_storage(config) as storage:
        tables = None if only is None else known_tables(config, storage, only)
        rows, export = _Counted(), columns(storage)
        batches = batches_of(storage.engine, ask(tables, since))
        with storage_errors(storage.engine.url), closing(batches), _target(output) as file:
            for piece in export.written(rows.of(batches), chosen):
                file.write(piece)
    if not is_shown:
        click.echo(f"{rows.count:,} {'row' if rows.count == 1 else 'rows'} written to {output}", err=True)


class _Counted:
    count = 0

    def of(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        for batch in batches:
            self.count += len(batch)
            yield batch


def _format_of(output: Path) -> str:
    ending = output.suffix.removeprefix(".").lower()
    return ending if ending in FORMATS else "csv"


@contextmanager
def _target(output: Path) -> Iterator[BinaryIO]:
    """What is printed, or a file that has its name when it is whole: whatever stops the writing leaves the old one."""
    if str(output) == "-":
        try:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            fall_silent()
        return
    is_file = output.is_file() or not output.exists()
    # What a link leads to, not the link; a device or a pipe is written to as it is.
    target = output.resolve() if is_file else output
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.unfinished")
    try:
        with (unfinished if is_file else target).open("wb") as file:
            yield file
        if is_file:
            os.replace(unfinished, target)
    except OSError as error:
        raise click.FileError(str(output), error.strerror or str(error)) from error
    finally:
        with suppress(OSError):
            unfinished.unlink()
