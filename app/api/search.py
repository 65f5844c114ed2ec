"""GET /api/search."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask.views import MethodView
from flask_smorest import Blueprint

from app.answers import send
from app.api.described import COLUMN, RUN, TABLE, leads_to, shown
from app.extensions import db
from app.queries import search
from app.queries.search import FoundColumn
from app.queries.warehouses import UNKNOWN
from app.remembered import remembered
from app.schemas.search import SearchFilter, SearchSchema
from profilemesh.exporting import run_json

blueprint = Blueprint("Search", __name__, url_prefix="/api", description="One box for tables, columns and runs.")


@blueprint.route("/search")
class Search(MethodView):
    decorators = [remembered]  # noqa: RUF012 - as Flask has it

    @leads_to(
        blueprint,
        table=(TABLE, {"table": "/tables/0/table_name", "warehouse": "/tables/0/warehouse"}),
        column=(COLUMN, {"table": "/columns/0/table_name", "column": "/columns/0/column_name"}),
        run=(RUN, {"run_id": "/runs/0/run_id"}),
    )
    @blueprint.arguments(SearchFilter(), location="query")
    @shown(blueprint, SearchSchema)
    def get(self, wanted: dict[str, Any]) -> Response:
        """Find tables, columns and runs"""
        found = search.search(db.session(), wanted["q"], wanted["limit"])
        return send(
            {
                "tables": [table_json(row) for row in found.tables],
                "columns": [column_json(column) for column in found.columns],
                "runs": [run_json(row) for row in found.runs],
            }
        )


def table_json(row: Any) -> dict[str, Any]:
    return {
        "table_name": row.table_name,
        "schema_name": row.schema_name or None,
        "warehouse": row.warehouse,
        "warehouse_type": row.warehouse_type or UNKNOWN,
        "row_count": row.row_count,
        "last_profiled": row.last_profiled_at,
    }


def column_json(column: FoundColumn) -> dict[str, Any]:
    return {
        "column_name": column.name,
        "column_type": column.type,
        "table_name": column.table.name,
        "schema_name": column.table.schema or None,
        "warehouse": column.table.warehouse,
    }
