"""Two runs of one table side by side."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from app.schemas.runs import RunSchema, maybe, sure


class ChangeSchema(Schema):
    before = maybe(fields.Raw, "In the first run; null when unknown.")
    after = maybe(fields.Raw, "In the other run; null when unknown.")
    change = maybe(fields.Float, "By how much, where both are numbers.")
    change_percent = maybe(fields.Float, "Against what was before; null where that was 0 or is unknown.")


class ColumnChangeSchema(Schema):
    column_name = sure(fields.String, "As the warehouse spells it.")
    status = sure(fields.String, "What became of it.", validate=validate.OneOf(("same", "retyped", "added", "removed")))
    column_type = maybe(fields.String, "Its type in the first run.")
    other_type = maybe(fields.String, "Its type in the other run.")
    metrics = sure(fields.Dict, "By metric.", keys=fields.String(), values=fields.Nested(ChangeSchema))


class CompareSchema(Schema):
    """What changed from the first run to the other."""

    table_name = sure(fields.String, "The table of both.")
    schema_name = maybe(fields.String, "Its schema.")
    warehouse = sure(fields.String, "The warehouse's configured name.")
    warehouse_type = sure(fields.String, "postgres, duckdb, sqlite ...")
    run = sure(fields.Nested, "The first.", nested=RunSchema)
    other = sure(fields.Nested, "The other.", nested=RunSchema)
    row_count = sure(fields.Nested, "Rows of the table.", nested=ChangeSchema)
    columns = sure(fields.List, "In the order of the other run.", cls_or_instance=fields.Nested(ColumnChangeSchema))
