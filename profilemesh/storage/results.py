"""The stored metrics of a run, column by column, read back as what they are."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from profilemesh.profiling.metrics import BY_NAME, NUMBERS, Unit
from profilemesh.storage.models import Result

Number = int | float
# The columns of the table itself: mapped objects take longer to make than to read.
_RESULT: Any = Result.__table__.c

# A metric that exists only for numbers proves a numeric column; runs of Phase 1 have but the type's name.
OF_NUMBERS = frozenset(name for name, metric in BY_NAME.items() if metric.kinds == NUMBERS and name != "histogram")
NUMERIC_TYPES = frozenset(
    "int integer bigint smallint tinyint mediumint hugeint ubigint uinteger usmallint utinyint uhugeint int2 int4 int8 "
    "int16 int32 int64 int128 serial bigserial smallserial decimal dec numeric number bignumeric bigdecimal money real "
    "float float4 float8 float16 float32 float64 double".split()
)


@dataclass
class ColumnProfile:
    """One column in one run: each metric as it was stored, as text. `run_is_ours` tells estimates from old counts."""

    name: str
    type: str
    values: dict[str, str | None] = field(default_factory=dict)
    estimates: bool = True

    @property
    def is_numeric(self) -> bool:
        if not OF_NUMBERS.isdisjoint(name for name, value in self.values.items() if to_number(value) is not None):
            return True
        word = self.type.lower().split("(")[0].split()[:1]
        return bool(word) and word[0] in NUMERIC_TYPES

    @property
    def unit(self) -> str:
        """What its numbers are measured in: intervals are told in seconds."""
        return " s" if self.type.lower().startswith("interval") and self.is_numeric else ""

    def number(self, metric: str) -> Number | None:
        return to_number(self.values.get(metric))

    def whole(self, metric: str) -> int | None:
        number = self.number(metric)
        return int(number) if number is not None and number == int(number) else None

    def value(self, metric: str) -> Number | str | None:
        """A smallest or largest value: a number only where the column is numeric; else the text as it stands."""
        if self.is_numeric:
            return self.number(metric)
        return None if self.is_empty else self.values.get(metric)

    @property
    def is_empty(self) -> bool:
        rows = self.number("count")
        return rows is not None and rows == self.number("null_count")

    @property
    def histogram(self) -> list[dict[str, Number]] | None:
        bins = [b for b in self.items("histogram") if isinstance(b, dict)]
        shaped = [{key: _plain(b.get(key)) for key in ("bin_start", "bin_end", "count")} for b in bins]
        return shaped if shaped and all(None not in b.values() for b in shaped) else None  # type: ignore[return-value]

    @property
    def date_histogram(self) -> list[dict[str, Any]]:
        bins = (b for b in self.items("date_histogram") if isinstance(b, dict))
        return [b for b in bins if isinstance(b.get("count"), int)]

    @property
    def top_values(self) -> list[tuple[str, int]]:
        """Values and counts, the most frequent first."""
        listed = (v for v in self.items("top_values") if isinstance(v, dict) and {"value", "count"} <= v.keys())
        pairs = [(str(v["value"]), v["count"]) for v in listed]
        return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))

    def items(self, metric: str) -> list[Any]:
        """A list that is stored as JSON; empty when there is none or it cannot be read."""
        try:
            found = json.loads(self.values.get(metric) or "[]")
        except ValueError:
            return []
        return found if isinstance(found, list) else []

    @property
    def distinct_is_exact(self) -> bool:
        return not self.estimates or "top_values" in self.values

    @property
    def other_metrics(self) -> dict[str, Any]:
        """Every metric that has no field of its own in the contract."""
        return {name: self.shaped(name) for name in self.values if name not in CONTRACT}

    def shaped(self, name: str) -> Any:
        """A metric as what it is: a number, a text, or a list with counts; None for what is none of them."""
        if name in ("min", "max"):
            return self.value(name)
        if is_list(name):
            return finite(self.items(name)) if self.values[name] is not None else None
        return self.number(name) if name in BY_NAME else self.values[name]


CONTRACT = frozenset("null_count null_percent distinct_count distinct_percent min max mean stddev histogram".split())


def to_number(text: str | None) -> Number | None:
    """None for what is no finite number: Phase 1 stored "None", "nan" and "inf" as well as "12.0" and "1e+16"."""
    if text is None:
        return None
    try:
        number: Number = int(text)
    except ValueError:
        number = _float(text)
    return _plain(number if abs(number) < 2**63 else float(number))


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _plain(value: Any) -> Number | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value


def finite(value: Any) -> Any:
    """The same, with NaN and the infinities as None."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def is_list(metric: str) -> bool:
    return metric in BY_NAME and BY_NAME[metric].unit is Unit.COUNTS


def counted(columns: Iterable[ColumnProfile]) -> int | None:
    """The table's rows as its columns' metrics tell them, where an old run does not."""
    return max((rows for column in columns if (rows := column.whole("count")) is not None), default=None)


def profile_of(session: Session, run: Any) -> list[ColumnProfile]:
    """The columns of one run, in the order they were stored."""
    rows = session.execute(
        sa.select(_RESULT.column_name, _RESULT.column_type, _RESULT.metric_name, _RESULT.metric_value)
        .where(_RESULT.run_id == run.run_id, _RESULT.dataset_name == run.dataset_name)
        .where(_RESULT.schema_name == run.schema_name, _RESULT.column_name != "")
        .order_by(_RESULT.id)
    )
    columns: dict[str, ColumnProfile] = {}
    for name, type_, metric, value in rows:
        column = columns.setdefault(name, ColumnProfile(name, type_ or "", estimates=run.hash_family is not None))
        column.values[metric] = value
    return list(columns.values())
