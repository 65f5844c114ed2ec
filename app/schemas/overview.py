"""What the overview is narrowed to."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from app.schemas.fields import Text

RANGES = (1, 7, 30, 90)


class Days(fields.Integer):
    def __init__(self) -> None:
        super().__init__(load_default=30, validate=validate.OneOf(RANGES, error="Must be one of 1, 7, 30, 90."))


class OverviewFilter(Schema):
    days = Days()
    warehouse = Text("A warehouse's configured name, or a type.")
    environment = Text("The environment the runs were made in.")
