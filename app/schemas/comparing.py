"""Which two runs a page puts side by side."""

from __future__ import annotations

from marshmallow import Schema, ValidationError, fields, validates

from app.schemas.fields import Text, Whole


class RunIds(fields.List[str]):
    """Ids as boxes send them: the name again and again."""

    def __init__(self) -> None:
        super().__init__(fields.String(), load_default=list)


class ComparePageFilter(Schema):
    before = Text("The id of the earlier run.")
    after = Text("The id of the later run.")
    run = RunIds()
    warehouse = Text("The table's warehouse.")
    schema = Text("Its schema.")
    table = Text("The table, where nothing else says which.")
    q = Text("Part of a column's name.")
    page = Whole(1, 100_000, load_default=1)

    @validates("run")
    def _check(self, ids: list[str], data_key: str = "run") -> None:
        if any("\0" in each for each in ids):
            raise ValidationError("Must not hold a NUL byte.")
