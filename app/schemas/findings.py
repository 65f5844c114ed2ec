"""What a list of findings is filtered by, what is done with them, and what they look like to the outside."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from app.queries.findings import CHOICES, ORDER, SEVERITIES, STATES
from app.schemas.fields import Choice, CursorField, Text, Whole
from app.schemas.runs import maybe, sure
from profilemesh.drift import Kind

ACTIONS = ("acknowledge", "snooze", "assign", "comment", "expect", "resolve", "reopen")
LONGEST = 10_000
SINCE = "Only what was seen in the last so many days; without it, whenever that was."


class FindingFilter(Schema):
    """Which findings; shared by the page and the API."""

    warehouse = Text("A warehouse's configured name, or a type such as `duckdb`.")
    environment = Text("The environment of the run that saw it last.")
    schema = Text("The schema's name.")
    table = Text("The table's bare name.")
    q = Text("Part of a table's name.")
    severity = Choice(SEVERITIES, "How far it moved.")
    state = Choice(CHOICES, "What became of it; `unresolved` is all but `resolved`.", default="unresolved")
    owner = Text("Whose it is: the owner that the configuration names, or to whom it is assigned.")
    days = Whole(1, 3650, load_default=None, metadata={"description": SINCE})


class FindingListFilter(FindingFilter):
    limit = Whole(1, 1000, load_default=100, metadata={"description": "At most so many."})
    offset = Whole(0, 10_000_000, load_default=0, metadata={"description": "Leave out so many of the newest."})
    cursor = CursorField(ORDER.shape)


class AnyDays(Whole):
    """Empty is whenever."""

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return None if value == "" else super().deserialize(value, *args, **kwargs)


class FindingPageFilter(FindingFilter):
    days = AnyDays(1, 3650, load_default=None)
    page = Whole(1, 100_000, load_default=1)


class ReplayFilter(Schema):
    """Over which history the rules are tried."""

    q = Text("Part of a table's name.")
    warehouse = Text("A warehouse's configured name, or a type.")
    days = Whole(1, 3650, load_default=30)
    go = Choice(["1"], "Do it.")


class FindingSchema(Schema):
    """A fact that drift found, from its first occurrence until it is resolved."""

    finding_id = sure(fields.String, "Unique.")
    fingerprint = sure(fields.String, "The same whenever this fact is found: table, column, metric and kind.")
    warehouse = sure(fields.String, "The warehouse's configured name.")
    schema_name = maybe(fields.String, "The table's schema.")
    environment = maybe(fields.String, "The environment of the run that saw it last.")
    table_name = sure(fields.String, "The table.")
    column_name = maybe(fields.String, "The column; null where it is the table's.")
    metric_name = sure(
        fields.String, "As `docs/metrics.md` lists them, or `row_count`, `distribution`, `freshness` ..."
    )
    kind = sure(fields.String, ", ".join(Kind) + ".")
    severity = sure(fields.String, "low, medium or high: as last seen.", validate=validate.OneOf(SEVERITIES))
    sentence = sure(fields.String, "It, as a person would say it, as last seen.")
    state = sure(fields.String, ", ".join(STATES) + ".", validate=validate.OneOf(STATES))
    owner = maybe(fields.String, "Whose the table is, by the configuration.")
    assignee = maybe(fields.String, "To whom it is assigned.")
    snoozed_until = maybe(fields.AwareDateTime, "Until when nobody hears of it.")
    opened_at = sure(fields.AwareDateTime, "When it was first found, UTC.")
    last_seen_at = sure(fields.AwareDateTime, "When it was last found.")
    resolved_at = maybe(fields.AwareDateTime, "Since when it is resolved.")
    first_run_id = maybe(fields.String, "The run that found it first.")
    last_run_id = maybe(fields.String, "The run that found it last.")
    occurrences = sure(fields.Integer, "How many runs found it.")
    quiet_runs = sure(fields.Integer, "How many like runs since did not find it.")
    baseline_value = maybe(fields.Float, "What it was, as last seen; null where that is no number.")
    current_value = maybe(fields.Float, "What it is.")
    change_percent = maybe(fields.Float, "Against the baseline.")


class CulpritSchema(Schema):
    partition = sure(fields.String, "The partition.")
    share = sure(fields.Float, "Its share of the change, 1.0 being all of it; more where others made up for it.")


class OccurrenceSchema(Schema):
    """What one run found of it."""

    run_id = sure(fields.String, "The run.")
    at = sure(fields.AwareDateTime, "When.")
    event_id = maybe(fields.String, "The event of `GET /api/drift`.")
    severity = sure(fields.String, "low, medium or high.")
    sentence = sure(fields.String, "As it was then.")
    baseline_value = maybe(fields.Float, "What it was.")
    current_value = maybe(fields.Float, "What it is.")
    change_percent = maybe(fields.Float, "Against the baseline.")
    effect = maybe(fields.Float, "How far it moved, signed, in `unit`.")
    unit = maybe(fields.String, "What the effect is measured in.")
    direction = maybe(fields.String, "up or down.")
    p_value = maybe(fields.Float, "How often chance alone brings as much; null where no test was needed or exists.")
    p_adjusted = maybe(fields.Float, "The same among all tests of the table and run.")
    baseline = maybe(fields.String, "How the earlier runs were chosen.")
    baseline_runs = sure(fields.List, "Which they are, oldest first.", cls_or_instance=fields.String())
    culprits = sure(fields.List, "The partitions at fault.", cls_or_instance=fields.Nested(CulpritSchema))
    explains = sure(fields.List, "The findings that follow from it.", cls_or_instance=fields.Dict())
    details = sure(fields.Dict, "The rest, by kind: types of a schema change, distances by method ...")


class TriageEntrySchema(Schema):
    """What was done with it, by whom."""

    at = sure(fields.AwareDateTime, "When.")
    who = sure(fields.String, "Who.")
    action = sure(fields.String, "opened, acknowledged, snoozed, assigned, commented, resolved ...")
    text = maybe(fields.String, "A comment, an assignee, a time.")


class FindingDetailSchema(FindingSchema):
    """A finding with its occurrences and its history."""

    seen = sure(
        fields.List,
        "Its newest occurrences, newest first, 100 at most.",
        cls_or_instance=fields.Nested(OccurrenceSchema),
    )
    history = sure(fields.List, "Newest first, 500 at most.", cls_or_instance=fields.Nested(TriageEntrySchema))


CLEAN = validate.ContainsNoneOf("\0", error="Must not hold a NUL byte.")


class Triage(Schema):
    """What to do. `snooze` needs `until`, `comment` needs `text`; `assign` without `to` takes the assignee away."""

    action = fields.String(
        required=True, validate=validate.OneOf(ACTIONS), metadata={"description": ", ".join(ACTIONS) + "."}
    )
    until = fields.AwareDateTime(
        load_default=None, allow_none=True, metadata={"description": "With snooze: when it comes back, with its zone."}
    )
    to = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.And(validate.Length(max=255), CLEAN),
        metadata={"description": "With assign: to whom."},
    )
    text = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.And(validate.Length(max=LONGEST), CLEAN),
        metadata={"description": "With comment: what is said."},
    )

    @validates_schema
    def _is_whole(self, data: dict[str, Any], **kwargs: Any) -> None:
        for action, name in (("snooze", "until"), ("comment", "text")):
            if data.get("action") == action and not str(data.get(name) or "").strip():
                raise ValidationError(f"Needed to {action}.", name)


class BulkTriage(Triage):
    findings = fields.List(
        fields.String(validate=validate.Length(1, 36)),
        required=True,
        validate=validate.Length(1, 1000),
        metadata={"description": "The ids, 1,000 at most."},
    )


class TriagedSchema(Schema):
    finding_id = sure(fields.String, "As asked for.")
    result = sure(
        fields.String,
        "done, unchanged (it was so already) or missing.",
        validate=validate.OneOf(("done", "unchanged", "missing")),
    )
    state = maybe(fields.String, "Its state now; null where there is none of that id.")
