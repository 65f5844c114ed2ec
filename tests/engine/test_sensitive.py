"""What is sensitive: a column that becomes so later, and a pattern that protects nothing."""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa

from profilemesh.config.model import ColumnRule, TableRule
from profilemesh.planning.selection import Unmatched, unmatched_columns
from profilemesh.profiling.metrics import BY_NAME
from profilemesh.storage.models import Result, Summary
from tests.engine.ticks import Project


def protected(*patterns: str, key: str = "sensitive") -> dict[str, tuple[TableRule, ...]]:
    return {"tables": (TableRule(table="people", columns=ColumnRule(**{key: patterns})),)}


def test_what_older_runs_kept_of_a_column_goes_when_it_becomes_sensitive(project: Project) -> None:
    project.duckdb("crm", "CREATE TABLE people AS SELECT i AS id, 'p' || i || '@firma.de' AS email FROM range(5) r(i)")
    project.tick()
    project = replace(project, profiling=protected("email"))
    report = project.tick()
    assert [(o.status, o.rows) for o in report.outcomes] == [("success", 5)]
    with project.storage() as storage, storage.read() as session:
        rows = session.execute(sa.select(Result.column_name, Result.metric_name, Result.metric_value)).all()
        payloads = session.scalars(sa.select(Summary.run_id)).all()
    assert not any("firma" in (row.metric_value or "") for row in rows)
    kept = {row.metric_name for row in rows if row.column_name == "email"}
    assert "null_count" in kept and not any(BY_NAME[name].reveals for name in kept)
    assert len([row for row in rows if (row.column_name, row.metric_name) == ("id", "max")]) == 2
    assert payloads == [report.outcomes[0].run_id]


def test_unchanged_settings_forget_nothing(project: Project) -> None:
    project = replace(project, profiling=protected("email"))
    project.duckdb("crm", "CREATE TABLE people AS SELECT 1 AS id, 'a' AS email")
    project.tick()
    project.tick(force=True)
    with project.storage() as storage, storage.read() as session:
        assert len(session.scalars(sa.select(Summary.run_id)).all()) == 2


def test_a_pattern_that_protects_nothing_is_said_with_what_was_meant(project: Project) -> None:
    project.duckdb("crm", 'CREATE TABLE people AS SELECT 1 AS "E-Mail", 2 AS "Straße"')
    project = replace(project, profiling=protected("email", "*aße"))
    plan = project.tick().plan
    assert plan.unmatched == (Unmatched("people", "sensitive", "email", "E-Mail"),)


def test_a_rule_without_a_table_is_not_judged_by_its_columns(project: Project) -> None:
    project.duckdb("crm", "CREATE TABLE others AS SELECT 1 AS a")
    project = replace(project, profiling=protected("email", key="exclude"))
    assert unmatched_columns(project.config, []) == []
    assert project.tick().plan.unmatched == ()
