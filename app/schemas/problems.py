"""The one shape of an error."""

from __future__ import annotations

from marshmallow import Schema, fields

PROBLEM = "application/problem+json"


class ProblemSchema(Schema):
    """application/problem+json after RFC 9457."""

    type = fields.String(required=True, metadata={"description": "Always about:blank: the status says the kind."})
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True, metadata={"description": "What was wrong, and what to do about it."})
    errors = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.String()),
        metadata={"description": "With 422: what is wrong with each parameter."},
    )
