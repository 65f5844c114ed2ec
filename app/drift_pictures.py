"""The metric of a finding as a picture: small beside its sentence, large with the runs that found it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from app.charts import Mark, line, spark
from app.formats import plain
from app.numerals import compact, number, percent
from app.pictures import day, from_to
from app.queries.courses import Course


def finding_spark(finding: Any, values: Sequence[float | None]) -> Markup:
    """The metric of a finding in the last runs of its table."""
    write = {"null_percent": percent, "row_count": compact, "distinct_count": compact}.get(finding.metric_name, number)
    label = from_to(finding.metric_name.replace("_", " ").capitalize(), values, write)
    return spark(values, label, width=96) if label else Markup("")


def finding_chart(finding: Any, course: Course, runs: Sequence[Any], seen: set[str]) -> Markup:
    """Its metric over time, the runs that found it marked, the baseline drawn across."""
    is_share = course.name.endswith("_percent")
    write = percent if is_share else compact if course.name.endswith("_count") else number
    marks = [
        Mark(run.profiled_at, value, f"{day(run)}: {write(value)}{', found' if is_found else ''}", "found" * is_found)
        for run, value in zip(runs, course.values, strict=bool(course.values))
        for is_found in [run.run_id in seen]
    ]
    known = [mark.value for mark in marks if mark.value is not None]
    if len(known) < 2:
        return Markup("")
    told = f"{course.label} in {len(known)} runs, found in {sum(bool(mark.kind) for mark in marks)} of them: "
    told += f"from {write(known[0])} to {write(known[-1])}, between {write(min(known))} and {write(max(known))}"
    level = finding.baseline_value if course.name == finding.metric_name else None
    return line(marks, plain(told), "%" if is_share else "", whole=course.name.endswith("_count"), level=level)
