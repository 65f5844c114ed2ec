"""What is searched for, and what is found."""

from __future__ import annotations

from marshmallow import Schema, ValidationError, fields, validate

from app.schemas.fields import Whole
from app.schemas.runs import RunSchema, maybe, sure


def _no_nul(text: str) -> None:
    if "\0" in text:
        raise ValidationError("Must not hold a NUL byte.")


class SearchFilter(Schema):
    q = fields.String(
        required=True,
        validate=[validate.Length(1, 500), _no_nul],
        metadata={"description": "Part of the name of a table or a column, or the beginning of a run's id."},
    )
    limit = Whole(1, 50, load_default=10, metadata={"description": "At most so many of each kind."})


class SearchPageFilter(Schema):
    """A page without a text asks for one."""

    q = fields.String(load_default="", validate=[validate.Length(max=500), _no_nul])


class FoundTableSchema(Schema):
    table_name = sure(fields.String, "The bare name.")
    schema_name = maybe(fields.String, "Its schema.")
    warehouse = sure(fields.String, "The warehouse's configured name.")
    warehouse_type = sure(fields.String, "postgres, duckdb, sqlite ...")
    row_count = maybe(fields.Integer, "Rows when it was last profiled.")
    last_profiled = maybe(fields.AwareDateTime, "When its stored profile was made.")


class FoundColumnSchema(Schema):
    column_name = sure(fields.String, "As the warehouse spells it.")
    column_type = maybe(fields.String, "The warehouse's own word.")
    table_name = sure(fields.String, "The table it is in.")
    schema_name = maybe(fields.String, "Its schema.")
    warehouse = sure(fields.String, "The warehouse's configured name.")


class SearchSchema(Schema):
    """What is called exactly so comes first, then what begins so."""

    tables = sure(fields.List, "By name.", cls_or_instance=fields.Nested(FoundTableSchema))
    columns = sure(fields.List, "By name.", cls_or_instance=fields.Nested(FoundColumnSchema))
    runs = sure(fields.List, "By id.", cls_or_instance=fields.Nested(RunSchema))
