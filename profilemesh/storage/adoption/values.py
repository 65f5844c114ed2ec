"""What old values become. Whatever is not named here stays as it was.

- NULL where ours must have a value becomes what `MEANT` says.
- NULL or no time at all, where ours must have one, becomes 1970-01-01, unless other rows tell the time (`mending`).
- On SQLite times take the one form in which they compare as texts, and a count that is no whole number becomes NULL.
- `metric_number` is the number that the text `metric_value` is, if it is one.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache

import sqlalchemy as sa

from profilemesh.storage.models import EPOCH, read_time, written_time

NAMELESS = "unknown"

MEANT: dict[str, dict[str, str]] = {
    "profilemesh_runs": {
        "dataset_name": NAMELESS,
        "schema_name": "",
        "environment": "development",
        "status": "unknown",
    },
    "profilemesh_results": {
        "run_id": "",
        "dataset_name": NAMELESS,
        "schema_name": "",
        "column_name": "",
        "metric_name": "unknown",
    },
    "profilemesh_events": {"event_type": "unknown"},
    "profilemesh_table_state": {"schema_name": "", "table_name": NAMELESS},
}

NO_TIME = EPOCH

# As Python writes a finite number: "00123", "+1", " 1" and "1_000" are texts. Up to this length, what has no exponent
# is no larger and no smaller than a double can be; what has one may be.
PLAIN = "^-?(0|[1-9][0-9]*)([.][0-9]+)?$"
SCIENTIFIC = "^-?[0-9]([.][0-9]+)?[eE][+-]?[0-9]{1,3}$"
LONGEST = 300
LARGEST, SMALLEST = "1.7976931348623158e308", "2.5e-324"

# The smallest and largest value of a column of texts are texts, even where they look like numbers.
VALUES_OF_COLUMN = ("min", "max")
NUMERIC_TYPES = (
    "int|integer|bigint|smallint|tinyint|mediumint|hugeint|ubigint|uinteger|usmallint|utinyint|uhugeint|int2|int4|int8|"
    "int16|int32|int64|int128|serial|bigserial|smallserial|decimal|dec|numeric|number|bignumeric|bigdecimal|money|real|"
    "float|float4|float8|float16|float32|float64|double"
)
IS_NUMERIC = f"^ *({NUMERIC_TYPES})( |[(]|$)"


def number_of(metric: str | None, column_type: str | None, text: object) -> float | None:
    """The finite number that a metric's text is, or None."""
    if not isinstance(text, str) or len(text) > LONGEST:
        return None
    if not (re.fullmatch(PLAIN, text) or re.fullmatch(SCIENTIFIC, text)):
        return None
    if metric in VALUES_OF_COLUMN and not re.match(IS_NUMERIC, str(column_type or "").lower()):
        return None
    number = float(text)
    return number if math.isfinite(number) else None


def postgres_number() -> sa.ColumnElement[float | None]:
    """`number_of` as PostgreSQL computes it."""
    text, metric, type_ = (sa.column(name, sa.String) for name in ("metric_value", "metric_name", "column_type"))
    exact = sa.cast(text, sa.Numeric)
    largest, smallest = (sa.literal_column(f"CAST({limit} AS numeric)", sa.Numeric) for limit in (LARGEST, SMALLEST))
    double = sa.cast(text, sa.Double)
    near = sa.case((sa.func.abs(exact) >= largest, None), (sa.func.abs(exact) <= smallest, 0.0), else_=double)
    is_numeric = sa.func.coalesce(sa.func.lower(type_).regexp_match(IS_NUMERIC), sa.false())
    is_value = sa.and_(metric.in_(VALUES_OF_COLUMN), ~is_numeric)
    return sa.case(
        (sa.or_(is_value, sa.func.length(text) > LONGEST), None),
        (text.regexp_match(PLAIN), double),
        (text.regexp_match(SCIENTIFIC), near),
        else_=None,
    )


@lru_cache(maxsize=10_000)
def sqlite_time(value: object) -> str | None:
    """A time in any form in the one form of ours; None if it is no time."""
    found = None if value is None else read_time(value)
    return None if found is None else written_time(found)
