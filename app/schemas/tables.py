"""What a list of tables is narrowed to, and which of several tables of one name is meant."""

from __future__ import annotations

from marshmallow import Schema

from app.schemas.fields import Text, Whole


class TableFilter(Schema):
    warehouse = Text("A warehouse's configured name.")
    q = Text("Part of a table's name.")
    page = Whole(1, 100_000, load_default=1)


class TableChoice(Schema):
    warehouse = Text("The warehouse, by name or by type.")
    schema = Text("The schema.")
