"""The figures of the dashboard."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from app.schemas.drift import DriftAlertSchema
from app.schemas.fields import Text, Whole
from app.schemas.runs import RunSchema, maybe, sure
from app.schemas.tables import PointSchema


class DashboardFilter(Schema):
    warehouse = Text("A warehouse's configured name, or a type such as `duckdb`.")
    days = Whole(1, 3650, load_default=30, metadata={"description": "The last so many days."})


class KpiSchema(Schema):
    """A figure, and its change against as many days before."""

    name = sure(fields.String, "What it counts, in words.")
    value = sure(fields.Raw, "A number, or a text with its unit; a dash when unknown.")
    change_percent = maybe(fields.Float, "Against the period before; null where that has nothing to compare with.")
    trend = sure(fields.String, "up, down or stable.", validate=validate.OneOf(("up", "down", "stable")))


class DashboardSchema(Schema):
    """What the runs of the last days found."""

    total_runs = sure(fields.Integer, "Runs of the period.")
    total_tables = sure(fields.Integer, "Different tables with a run in it.")
    total_drift_events = sure(fields.Integer, "Drift found in it.")
    avg_row_count = sure(fields.Float, "Mean number of rows of the tables, over the runs that counted them; 0 if none.")
    kpis = sure(fields.List, "Each with its change.", cls_or_instance=fields.Nested(KpiSchema))
    run_trend = sure(fields.List, "Runs by UTC day, zeros included.", cls_or_instance=fields.Nested(PointSchema))
    drift_trend = sure(fields.List, "Drift by UTC day, zeros included.", cls_or_instance=fields.Nested(PointSchema))
    warehouse_breakdown = sure(fields.Dict, "Runs by type of warehouse.", keys=fields.String(), values=fields.Integer())
    recent_runs = sure(fields.List, "The newest five.", cls_or_instance=fields.Nested(RunSchema))
    recent_drift = sure(fields.List, "The newest five.", cls_or_instance=fields.Nested(DriftAlertSchema))


class WarehousesSchema(Schema):
    warehouses = sure(fields.List, "The types that are configured or have runs.", cls_or_instance=fields.String())
