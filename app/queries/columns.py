"""The columns of the tables themselves: a list needs rows, and mapped objects take longer to make than to read."""

from __future__ import annotations

from typing import Any, cast

import sqlalchemy as sa

from profilemesh.storage import models

RUNS, RESULTS, EVENTS, STATES = (
    cast(sa.Table, model.__table__) for model in (models.Run, models.Result, models.Event, models.TableState)
)
FINDINGS, OCCURRENCES = (cast(sa.Table, model.__table__) for model in (models.StoredFinding, models.FindingOccurrence))
COLUMN_NAMES = cast(sa.Table, models.ColumnName.__table__)
COLUMN_NAME: Any = COLUMN_NAMES.c
RUN: Any = RUNS.c
RESULT: Any = RESULTS.c
EVENT: Any = EVENTS.c
STATE: Any = STATES.c
FINDING: Any = FINDINGS.c
OCCURRENCE: Any = OCCURRENCES.c
RUN_COUNT: Any = models.RunCount.__table__.c
RUN_SPAN: Any = models.RunSpan.__table__.c
DRIFT_COUNT: Any = models.DriftCount.__table__.c
