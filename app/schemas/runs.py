"""What a list of runs is filtered by, and what a run looks like to the outside."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields

from app.queries.run_pages import NEWEST, SORTS, shape_of
from app.queries.runs import ORDER
from app.schemas.fields import Choice, CursorField, Flag, Text, Whole

Field = fields.Field[Any]
SCOPES = ("full", "merged", "sample", "partial")
ACTIONS = ("full", "partial", "sample")


class RunFilter(Schema):
    """Which runs; shared by the page and the API."""

    warehouse = Text("A warehouse's configured name, or a type such as `duckdb`.")
    schema = Text("The schema's name.")
    table = Text("The table's bare name.")
    status = Text("`success`, `failed`, `running`, or another status that is stored.")
    environment = Text("The environment the run was made in.")
    q = Text("Part of a table's name.")
    scope = Choice(SCOPES, "What the numbers are of.")
    action = Choice(ACTIONS, "What the plan said to do.")
    drift = Flag("Whether drift or a schema change was found.")
    days = Whole(1, 3650, load_default=30, metadata={"description": "Only runs of the last so many days."})


class RunListFilter(RunFilter):
    limit = Whole(1, 1000, load_default=100, metadata={"description": "At most so many runs."})
    offset = Whole(0, 10_000_000, load_default=0, metadata={"description": "Leave out so many of the newest."})
    cursor = CursorField(ORDER.shape)


class RunPageFilter(RunFilter):
    """`cursor` asks for what comes after a row of the list, `newer` for what comes before one."""

    sort = Choice(SORTS, "What it is ordered by; with a minus, from the largest down.", default=NEWEST)
    cursor = CursorField(lambda data: shape_of(data.get("sort")))
    newer = CursorField(lambda data: shape_of(data.get("sort")))


class RunChoice(Schema):
    """Which table, where one run covers several."""

    table = Text("The table, where the run covers several.")
    schema = Text("Its schema.")


def maybe(field: type[Field], description: str, **kwargs: Any) -> Field:
    """A field that is always there and null when unknown."""
    return field(required=True, allow_none=True, metadata={"description": description}, **kwargs)


def sure(field: type[Field], description: str, **kwargs: Any) -> Field:
    return field(required=True, metadata={"description": description}, **kwargs)


class RunSchema(Schema):
    """One table's run."""

    run_id = sure(fields.String, "Together with the table it is unique.")
    dataset_name = sure(fields.String, "The table.")
    schema_name = maybe(fields.String, "Its schema.")
    warehouse = sure(fields.String, "The warehouse's configured name.")
    warehouse_type = sure(fields.String, "postgres, duckdb, sqlite ...")
    profiled_at = sure(fields.AwareDateTime, "When the run was made, UTC.")
    environment = sure(fields.String, "As configured.")
    status = sure(fields.String, "running, success, failed; older runs also completed and others.")
    row_count = maybe(fields.Integer, "Rows of the table, not of what was read.")
    column_count = maybe(fields.Integer, "Columns of the table.")
    rows_scanned = maybe(fields.Integer, "Rows that this run read.")
    duration_seconds = maybe(fields.Float, "How long it took.")
    scope = maybe(fields.String, "full, merged or sample: what the metrics are of.")
    action = maybe(fields.String, "What the plan said to do.")
    reason = maybe(fields.String, "Why.")
    has_drift = sure(fields.Boolean, "Whether drift or a schema change was found.")


class BinSchema(Schema):
    bin_start = sure(fields.Float, "Lower edge.")
    bin_end = sure(fields.Float, "Upper edge.")
    count = sure(fields.Integer, "Values in the bin.")


class ColumnSchema(Schema):
    """The profile of one column. What is unknown, or does not exist for its type, is null."""

    column_name = sure(fields.String, "As the warehouse spells it.")
    column_type = sure(fields.String, "The warehouse's own word.")
    null_count = maybe(fields.Integer, "Rows in which it is NULL.")
    null_percent = maybe(fields.Float, "0 to 100.")
    distinct_count = maybe(fields.Integer, "Different values.")
    distinct_percent = maybe(fields.Float, "0 to 100.")
    min_value = maybe(fields.Raw, "A number for numeric columns, else a text.")
    max_value = maybe(fields.Raw, "A number for numeric columns, else a text.")
    mean = maybe(fields.Float, "Of numeric columns.")
    stddev = maybe(fields.Float, "Of the sample.")
    histogram = maybe(fields.List, "Of numeric columns.", cls_or_instance=fields.Nested(BinSchema))
    metrics = sure(fields.Dict, "Every other metric by its name: quantiles, lengths, top values ...")


class RunDetailSchema(Schema):
    """A run with the profile of every column."""

    run_id = sure(fields.String, "As asked for.")
    dataset_name = sure(fields.String, "The table.")
    schema_name = maybe(fields.String, "Its schema.")
    warehouse = sure(fields.String, "The warehouse's configured name.")
    warehouse_type = sure(fields.String, "postgres, duckdb, sqlite ...")
    profiled_at = sure(fields.AwareDateTime, "When the run was made, UTC.")
    environment = sure(fields.String, "As configured.")
    status = sure(fields.String, "running, success, failed ...")
    row_count = maybe(fields.Integer, "Rows of the table; null only where the run failed before counting.")
    column_count = maybe(fields.Integer, "Columns of the table.")
    columns = sure(fields.List, "In the table's order.", cls_or_instance=fields.Nested(ColumnSchema))
    metadata = sure(fields.Dict, "How the numbers came about: scope, rows_scanned, as_of, reason, column_errors ...")
