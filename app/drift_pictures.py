"""The metric of a finding as a picture: small beside its sentence, large with the runs that found it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from app.charts import spark
from app.figures import Course, Figure, Sign, figure, written_out
from app.findings import severity_mark
from app.formats import brief
from app.numerals import compact, number, percent
from app.pictures import from_to
from app.queries import courses


def finding_spark(finding: Any, values: Sequence[float | None]) -> Markup:
    """The metric of a finding in the last runs of its table."""
    write = {"null_percent": percent, "row_count": compact, "distinct_count": compact}.get(finding.metric_name, number)
    label = from_to(finding.metric_name.replace("_", " ").capitalize(), values, write)
    return spark(values, label, width=96) if label else Markup("")


@dataclass(frozen=True)
class Number:
    """One run among the numbers behind the chart: the value as it is written, the severity where the run found it."""

    run: Any
    value: str | None
    severity: str | None


@dataclass(frozen=True)
class FindingChart:
    """`severities` are those of its marks, the gravest first; `level` is the baseline's value; `numbers` the newest
    first."""

    figure: Figure
    severities: Sequence[str]
    level: float | None
    numbers: Sequence[Number]


def finding_chart(
    finding: Any, course: courses.Course, runs: Sequence[Any], seen: Mapping[str, str]
) -> FindingChart | None:
    """`seen` has the severity with which a run found it. None where fewer than two values are known."""
    is_share = course.name.endswith("_percent")
    is_count = course.name.endswith("_count")
    level = finding.baseline_value if course.name == finding.metric_name else None
    found = {
        i: severity_mark(seen[run.run_id])
        for i, (run, value) in enumerate(zip(runs, course.values, strict=bool(course.values)))
        if value is not None and run.run_id in seen
    }
    write = percent if is_share else compact if is_count else number
    drawn = figure(
        Course(
            title=brief(course.label, 60),
            times=[run.profiled_at for run in runs],
            values=course.values,
            write=write,
            unit="%" if is_share else "",
            whole=is_count,
            signs={i: Sign(severity, f"found, {severity}") for i, severity in found.items()},
            level=level,
            about=f"found in {len(found)} of them" + ("" if level is None else f", baseline {write(level)}"),
        )
    )
    if drawn is None:
        return None
    severities = [severity for severity in ("high", "medium", "low") if severity in found.values()]
    numbers = [
        Number(run, None if value is None else written_out(value), found.get(i))
        for i, (run, value) in enumerate(zip(runs, course.values, strict=True))
    ]
    return FindingChart(drawn, severities, level, numbers[::-1])
