"""What the decision log is filtered by, and what plans, decisions and ticks look like to the outside."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from app.schemas.fields import Choice, Text, Whole
from app.schemas.runs import maybe, sure
from app.schemas.tables import PlaceSchema
from profilemesh.planning import Action, Reason

ACTIONS = tuple(action.value for action in Action)
REASONS = tuple(reason.value for reason in Reason)


class DecisionFilter(Schema):
    """Which decisions; shared by the page and the API."""

    warehouse = Text("A warehouse's configured name, or a type such as `duckdb`.")
    schema = Text("The schema's name.")
    table = Text("The table's bare name.")
    action = Choice(ACTIONS, "What was decided.")
    reason = Choice(REASONS, "Why, as `docs/planning.md` lists them.")
    days = Whole(1, 3650, load_default=30, metadata={"description": "Only what stood in the last so many days."})


class DecisionListFilter(DecisionFilter):
    limit = Whole(1, 1000, load_default=100, metadata={"description": "At most so many decisions."})
    offset = Whole(0, 10_000_000, load_default=0, metadata={"description": "Leave out so many of the newest."})


class DecisionPageFilter(DecisionFilter):
    q = Text("Part of a table's name.")
    page = Whole(1, 100_000, load_default=1)


class PlanPageFilter(DecisionPageFilter):
    preview = Choice(["1"], "Look at the warehouses before the page is sent.")
    asked = Whole(0, 10**11, load_default=None, metadata={"description": "When a run was asked for by hand."})


class ProgressFilter(Schema):
    asked = Whole(0, 10**11, load_default=None, metadata={"description": "When a run was asked for by hand."})


class TickFilter(Schema):
    limit = Whole(1, 1000, load_default=20, metadata={"description": "At most so many ticks."})


class PlanFilter(Schema):
    action = Choice(ACTIONS, "Only decisions to do this.")
    limit = Whole(1, 1000, load_default=1000, metadata={"description": "At most so many decisions."})
    offset = Whole(0, 10_000_000, load_default=0, metadata={"description": "Leave out so many of the first."})


class RunRequest(Schema):
    """What to run now."""

    table = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.And(
            validate.Length(1, 2000), validate.ContainsNoneOf("\0", error="Must not hold a NUL byte.")
        ),
        metadata={"description": "A glob over `table`, `schema.table` or `warehouse.schema.table`; none: all tables."},
    )
    force = fields.Boolean(load_default=False, metadata={"description": "Read it whatever changed."})


class StartedSchema(Schema):
    plan_id = sure(fields.String, "Of the plan that is being carried out; `GET /api/ticks` tells its progress.")


class PlannedSchema(Schema):
    """What the next tick would do with one table."""

    warehouse = sure(fields.String, "The warehouse's configured name.")
    schema_name = maybe(fields.String, "Its schema.")
    table_name = sure(fields.String, "The table.")
    action = sure(fields.String, "full, partial, sample, skip or defer.", validate=validate.OneOf(ACTIONS))
    reason = sure(fields.String, "Why, as a code.", validate=validate.OneOf(REASONS))
    meaning = sure(fields.String, "Why, in words.")
    evidence = sure(fields.Dict, "What the decision saw.")
    staleness_score = maybe(fields.Integer, "0 (proved unchanged) to 100 (never profiled).")
    due_at = maybe(fields.AwareDateTime, "When its interval ends.")
    rows_estimated = maybe(fields.Integer, "Rows that the action is expected to read.")
    bytes_estimated = maybe(fields.Integer, "Bytes that the action is expected to read.")
    rows_naive = maybe(fields.Integer, "Rows that a full scan would read.")
    bytes_naive = maybe(fields.Integer, "Bytes that a full scan would read.")
    is_naive_measured = sure(fields.Boolean, "Whether a profile of this very snapshot counted the whole.")


class DecisionSchema(PlannedSchema):
    """What was decided of a table, and what came of it. Equal skips in a row are one decision."""

    id = sure(fields.Integer, "Grows with time.")
    plan_id = sure(fields.String, "The plan it was first decided in.")
    decided_at = sure(fields.AwareDateTime, "When it was decided first.")
    last_at = sure(fields.AwareDateTime, "When it was decided last.")
    ticks = sure(fields.Integer, "How many ticks in a row decided so.")
    outcome = maybe(fields.String, "success, failed or deferred; null while it is open, and for what is not read.")
    run_id = maybe(fields.String, "The run that read it.")
    rows_actual = maybe(fields.Integer, "Rows that were read.")
    bytes_actual = maybe(fields.Integer, "Bytes that were read.")
    seconds_actual = maybe(fields.Float, "How long that took.")


# The log does not keep when a table was due: its state has that.
del DecisionSchema._declared_fields["due_at"]


class TroubleSchema(Schema):
    warehouse = sure(fields.String, "The warehouse's configured name.")
    reason = sure(fields.String, "warehouse_busy or warehouse_unreachable.")
    message = sure(fields.String, "What it said.")


class MissingSchema(Schema):
    name = sure(fields.String, "As the configuration names it.")
    instead = maybe(fields.String, "The nearest name there is.")


class PlanSchema(Schema):
    """What the next tick would do, and why."""

    plan_id = sure(fields.String, "Equal plans of one moment have equal ids.")
    made_at = sure(fields.AwareDateTime, "When the warehouses were looked at; a plan is kept for a few seconds.")
    seconds = sure(fields.Float, "How long the look took.")
    counts = sure(fields.Dict, "How many tables by action.")
    rows_estimated = maybe(fields.Integer, "Rows that the tick is expected to read; null if any is unknown.")
    decisions = sure(fields.List, "By name.", cls_or_instance=fields.Nested(PlannedSchema))
    troubles = sure(fields.List, "Warehouses that do not answer.", cls_or_instance=fields.Nested(TroubleSchema))
    missing = sure(fields.List, "Tables that no warehouse has.", cls_or_instance=fields.Nested(MissingSchema))


class CurrentSchema(Schema):
    table = sure(fields.String, "warehouse.schema.table")
    rows = sure(fields.Integer, "Rows read so far.")


class TickSchema(Schema):
    """A plan being carried out, or what came of it."""

    tick_id = sure(fields.String, "Unique.")
    plan_id = sure(fields.String, "The plan.")
    asked_by = sure(fields.String, "schedule, hand, command or dagster.")
    status = sure(fields.String, "running, done, failed or interrupted.")
    started_at = sure(fields.AwareDateTime, "When it began.")
    seen_at = sure(fields.AwareDateTime, "When it was last heard of.")
    ended_at = maybe(fields.AwareDateTime, "When it ended.")
    tables_known = sure(fields.Integer, "Tables that were decided about.")
    tables_to_read = sure(fields.Integer, "Tables to be read.")
    tables_done = sure(fields.Integer, "Tables whose turn is over.")
    tables_failed = sure(fields.Integer, "Of these, failed.")
    rows_read = sure(fields.Integer, "Rows read so far.")
    current = sure(fields.List, "The tables being read.", cls_or_instance=fields.Nested(CurrentSchema))
    error = maybe(fields.String, "Why it was interrupted.")


class PartitionSchema(Schema):
    name = sure(fields.String, "As the warehouse, or the partition's key, names it.")
    rows = maybe(fields.Integer, "Rows when it was read.")
    as_of = sure(fields.AwareDateTime, "When it was read.")
    is_apart = sure(fields.Boolean, "Whether it has a summary of its own; the others are one closed rest.")
    is_of_last_run = sure(fields.Boolean, "Whether the last run read it.")


class StateSchema(Schema):
    """What is remembered of a table between ticks."""

    warehouse = sure(fields.String, "The warehouse's configured name.")
    schema_name = maybe(fields.String, "Its schema.")
    table_name = sure(fields.String, "The table.")
    decision = maybe(fields.String, "What the last plan decided; null before the first.")
    reason = maybe(fields.String, "Why, as a code.")
    meaning = maybe(fields.String, "Why, in words.")
    evidence = sure(fields.Dict, "What the decision saw.")
    next_run = sure(fields.String, "What would make it run now, in words.")
    decided_at = maybe(fields.AwareDateTime, "When that was decided.")
    last_profiled_at = maybe(fields.AwareDateTime, "When its stored profile was made.")
    last_verified_at = maybe(fields.AwareDateTime, "Up to when it is proved unchanged since.")
    last_changed_at = maybe(fields.AwareDateTime, "When a changed token was last seen.")
    first_profiled_at = maybe(fields.AwareDateTime, "When it was first profiled.")
    last_full_at = maybe(fields.AwareDateTime, "When every row was last read.")
    sampled_at = maybe(fields.AwareDateTime, "When it was last sampled.")
    due_at = maybe(fields.AwareDateTime, "When its interval ends; before that it is not read unasked.")
    paused_at = maybe(fields.AwareDateTime, "Since when it is paused by hand.")
    vanished_at = maybe(fields.AwareDateTime, "Since when it is gone from its warehouse.")
    deferred_since = maybe(fields.AwareDateTime, "Since when it is put off because it costs too much.")
    is_paused = sure(fields.Boolean, "By hand or by the configuration.")
    is_being_read = sure(fields.Boolean, "Whether a scan of it is running.")
    window = maybe(fields.String, "When it may be read, if not always.")
    staleness_score = maybe(fields.Integer, "0 (proved unchanged) to 100 (never profiled).")
    confidence = maybe(fields.String, "How far an equal token proves the profile true: exact or heuristic.")
    snapshot_id = maybe(fields.String, "A digest of the token that was profiled.")
    row_count = maybe(fields.Integer, "Rows when it was last profiled.")
    last_run_id = maybe(fields.String, "The run that made its stored profile.")
    partitions = sure(fields.List, "Oldest first, if it has any.", cls_or_instance=fields.Nested(PartitionSchema))
    also_in = sure(fields.List, "Other places of a table of this name.", cls_or_instance=fields.Nested(PlaceSchema))
