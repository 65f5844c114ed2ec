"""GET /api/dashboard/metrics and GET /api/warehouses."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any

from flask import Response
from flask.views import MethodView
from flask_smorest import Blueprint

from app.answers import send
from app.api.described import RUN, TABLE, leads_to, shown
from app.extensions import db
from app.preview import config_or_none
from app.queries import warehouses
from app.queries.dashboard import Figures, figures
from app.remembered import remembered, tagged, this_minute
from app.schemas.dashboard import DashboardFilter, DashboardSchema, WarehousesSchema
from profilemesh.exporting import alert_json, run_json

blueprint = Blueprint("Dashboard", __name__, url_prefix="/api", description="The figures of the last days.")


@blueprint.route("/dashboard/metrics")
class Metrics(MethodView):
    decorators = [remembered]  # noqa: RUF012 - as Flask has it

    @leads_to(
        blueprint,
        run=(RUN, {"run_id": "/recent_runs/0/run_id"}),
        table=(TABLE, {"table": "/recent_drift/0/table_name"}),
    )
    @blueprint.arguments(DashboardFilter(), location="query")
    @shown(blueprint, DashboardSchema)
    def get(self, wanted: dict[str, Any]) -> Response:
        """Count runs, tables and drift of the last days, day by day and against as many days before

        The days of the trends are those of UTC; the first is cut short, so that each trend adds up to its total.
        """
        return send(figures_json(figures(db.session(), wanted, this_minute())))


@blueprint.route("/warehouses")
class Warehouses(MethodView):
    decorators = [tagged]  # noqa: RUF012 - as Flask has it

    @shown(blueprint, WarehousesSchema)
    def get(self) -> Response:
        """List the types of warehouses that are configured or have runs"""
        config = config_or_none()
        configured = [warehouse.type for warehouse in config.warehouses.values()] if config else []
        return send({"warehouses": sorted({*configured, *warehouses.types(db.session()).values()})})


def figures_json(found: Figures) -> dict[str, Any]:
    now = found.now
    return {
        "total_runs": now.runs,
        "total_tables": now.tables,
        "total_drift_events": now.drift,
        "avg_row_count": now.average_rows or 0,
        "kpis": kpis(found),
        "run_trend": [point(day, count) for day, count in found.runs_by_day.items()],
        "drift_trend": [point(day, count) for day, count in found.drift_by_day.items()],
        "warehouse_breakdown": found.by_type,
        "recent_runs": [run_json(row) for row in found.recent_runs],
        "recent_drift": [alert_json(row, found.types) for row in found.recent_drift],
    }


def point(day: date, count: int) -> dict[str, Any]:
    return {"timestamp": datetime.combine(day, time(tzinfo=UTC)), "value": count}


def kpis(found: Figures) -> list[dict[str, Any]]:
    now, before = found.now, found.before
    return [
        kpi("Runs", now.runs, before.runs),
        kpi("Tables", now.tables, before.tables),
        kpi("Success rate (%)", now.success_percent, before.success_percent),
        kpi("Drift events", now.drift, before.drift),
        kpi("Average rows", now.average_rows, before.average_rows),
    ]


def kpi(name: str, now: float | None, before: float | None) -> dict[str, Any]:
    """A dash for what is unknown: the contract has no null there."""
    change = None if now is None or not before else 100 * (now - before) / abs(before)
    moved = (now or 0) - (before or 0) if now is not None and before is not None else 0
    trend = "up" if moved > 0 else "down" if moved < 0 else "stable"
    value: float | str = "–" if now is None else round(now, 2)
    return {"name": name, "value": value, "change_percent": change, "trend": trend}
