"""What a list of tables is narrowed to, and what a table and its history look like to the outside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, fields

from app.queries import catalogue
from app.queries.catalogue import STATES_TOLD
from app.queries.lists import Shape
from app.queries.tables import SORTS, shape_of
from app.schemas.fields import Choice, CursorField, Flag, Text, Whole
from app.schemas.runs import ColumnSchema, maybe, sure


class TableFilter(Schema):
    """Which tables, in which order; shared by the page and the API."""

    warehouse = Text("A warehouse's configured name, or a type such as `duckdb`.")
    schema = Text("The schema's name.")
    q = Text("Part of a table's name.")
    sort = Choice(SORTS, "What to order by; with a minus the largest, or last, comes first.", default="name")
    stale = Flag("Only those whose staleness is 50 or more, or those where it is less.")
    failing = Flag("Only those whose last run failed, and that are not proved unchanged since; or the others.")
    drifting = Flag("Only those with drift in the last 30 days, or those without.")


def _shape(given: Mapping[str, Any]) -> Shape:
    return shape_of(given.get("sort") or "name")


class TableListFilter(TableFilter):
    limit = Whole(1, 1000, load_default=100, metadata={"description": "At most so many tables."})
    offset = Whole(0, 10_000_000, load_default=0, metadata={"description": "Leave out so many of the first."})
    cursor = CursorField(_shape)


class TablePageFilter(Schema):
    """What the page is narrowed to, and its order."""

    warehouse = Text("A warehouse's configured name, or a type.")
    schema = Text("The schema's name.")
    q = Text("Part of a table's name.")
    state = Choice(STATES_TOLD, "How it stands.")
    sort = Choice([name for key in catalogue.SORTS for name in (key, f"-{key}")], "The order.", default="name")
    page = Whole(1, 100_000, load_default=1)


class TableChoice(Schema):
    warehouse = Text("The warehouse, by name or by type.")
    schema = Text("The schema.")


class HistoryChoice(TableChoice):
    metric = Text("Only this metric, such as `null_percent`; without it, every one.")
    days = Whole(1, 3650, load_default=30, metadata={"description": "Only runs of the last so many days."})
    limit = Whole(1, 1000, load_default=100, metadata={"description": "At most so many of the newest runs."})


class TableSchema(Schema):
    """A table in the list."""

    table_name = sure(fields.String, "The bare name.")
    schema_name = maybe(fields.String, "Its schema.")
    warehouse = sure(fields.String, "The warehouse's configured name.")
    warehouse_type = sure(fields.String, "postgres, duckdb, sqlite ...")
    row_count = maybe(fields.Integer, "Rows when it was last profiled.")
    column_count = maybe(fields.Integer, "Columns in its last run.")
    last_profiled = maybe(fields.AwareDateTime, "When its stored profile was made.")
    last_verified = maybe(fields.AwareDateTime, "Up to when it is proved unchanged since.")
    last_status = maybe(fields.String, "How its last run ended.")
    staleness_score = maybe(fields.Integer, "0 (proved unchanged) to 100 (never profiled).")
    is_stale = sure(fields.Boolean, "Whether the staleness is 50 or more.")
    is_failing = sure(fields.Boolean, "Whether its last run failed, and nothing proves it unchanged since.")
    drift_count = sure(fields.Integer, "Drift found in the last 30 days.")
    decision = maybe(fields.String, "What the last tick decided: full, partial, sample, skip or defer.")
    reason = maybe(fields.String, "Why, as a code.")


class PointSchema(Schema):
    timestamp = sure(fields.AwareDateTime, "UTC.")
    value = sure(fields.Float, "In the unit of what it is a course of.")


class PlaceSchema(Schema):
    warehouse = sure(fields.String, "The warehouse's configured name.")
    schema_name = maybe(fields.String, "The schema.")


class TableMetricsSchema(Schema):
    """The last successful run of a table, and the course of the last 30."""

    table_name = sure(fields.String, "The bare name.")
    schema_name = maybe(fields.String, "Its schema.")
    warehouse = sure(fields.String, "The warehouse's configured name.")
    warehouse_type = sure(fields.String, "postgres, duckdb, sqlite ...")
    run_id = sure(fields.String, "The run that all this is of.")
    last_profiled = sure(fields.AwareDateTime, "When that run was made.")
    row_count = sure(fields.Integer, "Rows; 0 where an old run does not tell.")
    column_count = sure(fields.Integer, "Columns.")
    total_runs = sure(fields.Integer, "Runs of the table, whatever became of them.")
    drift_count = sure(fields.Integer, "Drift that was ever found.")
    row_count_trend = sure(fields.List, "Rows, oldest first.", cls_or_instance=fields.Nested(PointSchema))
    null_percent_trend = sure(
        fields.List,
        "Mean null share of the columns, 0 to 100, oldest first.",
        cls_or_instance=fields.Nested(PointSchema),
    )
    columns = sure(fields.List, "In the table's order.", cls_or_instance=fields.Nested(ColumnSchema))
    also_in = sure(fields.List, "Other places of a table of this name.", cls_or_instance=fields.Nested(PlaceSchema))


class MeasuredSchema(Schema):
    timestamp = sure(fields.AwareDateTime, "When the run was made, UTC.")
    value = maybe(fields.Raw, "A number, or a text where the metric of this column is one, or a list with counts.")
    run_id = sure(fields.String, "The run.")


class HistorySchema(Schema):
    """Every stored value of a column's metrics, run by run."""

    table_name = sure(fields.String, "The bare name.")
    schema_name = maybe(fields.String, "Its schema.")
    warehouse = sure(fields.String, "The warehouse's configured name.")
    warehouse_type = sure(fields.String, "postgres, duckdb, sqlite ...")
    column_name = sure(fields.String, "As the warehouse spells it.")
    column_type = maybe(fields.String, "The warehouse's own word, in the newest of these runs.")
    metrics = sure(
        fields.Dict,
        "By metric, oldest first; lists with counts only where `metric` asks for them.",
        keys=fields.String(),
        values=fields.List(fields.Nested(MeasuredSchema)),
    )
    also_in = sure(fields.List, "Other places of a table of this name.", cls_or_instance=fields.Nested(PlaceSchema))
