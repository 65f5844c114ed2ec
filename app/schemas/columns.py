"""What the pages of a table and of a column are asked for."""

from __future__ import annotations

from app.schemas.fields import Choice, Text, Whole
from app.schemas.tables import TableChoice

AGAINST = {"previous": 0, "week": 7, "month": 30}
"""What the newest run is laid over: the newest like run that is so many days older."""
ORDERS = ("place", "name", "nulls", "distinct", "drift")


class ColumnPageFilter(TableChoice):
    days = Whole(1, 3650, load_default=30)
    against = Choice(AGAINST, "Which earlier run the newest is laid over.", default="week")


class TableHistoryFilter(ColumnPageFilter):
    q = Text("Part of a column's name.")
    sort = Choice(
        ORDERS,
        "Columns in the table's order, by name, or with most nulls, distinct values or drift first.",
        default="place",
    )
    page = Whole(1, 100_000, load_default=1)
