"""A profile as a notebook or a prompt shows it: a line per column."""

from __future__ import annotations

from html import escape
from typing import Any

from profilemesh.profiling.metrics import BY_NAME
from profilemesh.profiling.results import column_metrics
from profilemesh.profiling.summary import ColumnSummary, TableSummary

DASH = "–"
SHOWN = ("null_percent", "distinct_count", "min", "max", "mean", "stddev", "median")
HEAD = ("Column", "Type", *(BY_NAME[name].label for name in SHOWN))
COLUMNS = 60
"""Columns that are shown; a note tells how many more there are."""
LENGTH = 32
"""Characters of a cell."""


def as_text(summary: TableSummary) -> str:
    """Aligned lines; numbers to the right."""
    rows = [HEAD, *_rows(summary)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    lines = ["  ".join(_aligned(cell, widths[i], i) for i, cell in enumerate(row)).rstrip() for row in rows]
    return "\n".join([_title(summary), *lines, *_rest(summary)])


def as_html(summary: TableSummary) -> str:
    """A table without style or script; whatever a warehouse named is escaped."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in HEAD)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in _rows(summary))
    rest = "".join(f"<p>{line}</p>" for line in _rest(summary))
    return f"<p>{_title(summary)}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{rest}"


def _title(summary: TableSummary) -> str:
    count = len(summary.columns)
    return f"{summary.rows:,} rows, {count:,} {'column' if count == 1 else 'columns'}"


def _rest(summary: TableSummary) -> list[str]:
    more = len(summary.columns) - COLUMNS
    return [f"and {more:,} more"] if more > 0 else []


def _rows(summary: TableSummary) -> list[tuple[str, ...]]:
    return [_row(name, column) for name, column in list(summary.columns.items())[:COLUMNS]]


def _row(name: str, column: ColumnSummary) -> tuple[str, ...]:
    metrics = column_metrics(column, bins=0, listed=0)
    return _cut(name), _cut(column.type), *(_cell(metric, metrics.get(metric)) for metric in SHOWN)


def _cell(metric: str, value: Any) -> str:
    if value is None:
        return DASH
    if metric.endswith("_percent"):
        return f"{value:.3g} %"
    if isinstance(value, float):
        return f"{value:,.6g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else _cut(str(value))


def _cut(text: str) -> str:
    plain = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return plain if len(plain) <= LENGTH else plain[: LENGTH - 1] + "…"


def _aligned(cell: str, width: int, place: int) -> str:
    return cell.ljust(width) if place < 2 else cell.rjust(width)
