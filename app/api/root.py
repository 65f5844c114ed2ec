"""GET /: the dashboard for a browser, a sign of life for everyone else."""

from __future__ import annotations

from flask import Response, current_app
from flask.views import MethodView
from flask_smorest import Blueprint
from marshmallow import Schema, fields

from app.answers import send
from app.errors import prefers_html
from app.pages import overview

blueprint = Blueprint("Service", __name__, description="A sign of life.")


class HealthSchema(Schema):
    status = fields.String(required=True, metadata={"description": "healthy"})
    service = fields.String(required=True)
    version = fields.String(required=True)


@blueprint.route("/")
class Root(MethodView):
    @blueprint.response(200, HealthSchema)
    def get(self) -> Response:
        """Tell that the service is up

        A client that prefers text/html gets the dashboard instead.
        """
        if prefers_html():
            response = overview.index()
        else:
            response = send(
                {"status": "healthy", "service": "ProfileMesh", "version": current_app.config["API_VERSION"]}
            )
        response.vary.add("Accept")
        return response
