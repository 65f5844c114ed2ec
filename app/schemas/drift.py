"""What a list of drift is filtered by, and what an alert looks like to the outside."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from app.queries.drift import ORDER, SEVERITIES
from app.schemas.fields import Choice, CursorField, Text, Whole
from app.schemas.runs import maybe, sure


class DriftFilter(Schema):
    """Which drift; shared by the list and the export."""

    warehouse = Text("A warehouse's configured name, or a type such as `duckdb`.")
    table = Text("The table's bare name.")
    severity = Choice(SEVERITIES, "How far it moved.")
    days = Whole(1, 3650, load_default=30, metadata={"description": "Only drift of the last so many days."})


class DriftListFilter(DriftFilter):
    limit = Whole(1, 1000, load_default=100, metadata={"description": "At most so many."})
    offset = Whole(0, 10_000_000, load_default=0, metadata={"description": "Leave out so many of the newest."})
    cursor = CursorField(ORDER.shape)


class DriftAlertSchema(Schema):
    """A metric that moved away from its baseline, or a change of the columns (`metric_name` is then `schema`)."""

    event_id = sure(fields.String, "Unique.")
    run_id = sure(fields.String, "The run that found it; empty where an older version did not store it.")
    table_name = sure(fields.String, "The table.")
    schema_name = maybe(fields.String, "Its schema.")
    column_name = maybe(fields.String, "The column; null where the table itself drifted.")
    metric_name = sure(fields.String, "As `docs/metrics.md` lists them, or `row_count`, or `schema`.")
    baseline_value = maybe(fields.Float, "What it was.")
    current_value = maybe(fields.Float, "What it is.")
    change_percent = fields.Float(metadata={"description": "Against the baseline; left out when unknown."})
    severity = sure(fields.String, "low, medium or high.", validate=validate.OneOf(SEVERITIES))
    timestamp = sure(fields.AwareDateTime, "When it was found, UTC.")
    warehouse = sure(fields.String, "The warehouse's configured name.")
    warehouse_type = sure(fields.String, "postgres, duckdb, sqlite ...")
