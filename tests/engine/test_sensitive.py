"""What is sensitive: a column that becomes so later, and a pattern that protects nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from profilemesh.config.model import ColumnRule, PartialProfilingConfig, PartitionRule, TableRule
from profilemesh.planning.selection import Unmatched, unmatched_columns
from profilemesh.profiling.metrics import BY_NAME
from profilemesh.storage.models import Base, Result, Summary
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


def by_mail(project: Project, **rule: Any) -> Project:
    tables = (TableRule(partition=PartitionRule(key=("mail",)), watermark="id", columns=ColumnRule(**rule)),)
    project.incremental["partial_profiling"] = PartialProfilingConfig(min_rows=0)
    return replace(project, profiling={"tables": tables})


def told(project: Project, value: str) -> set[str]:
    """The columns of storage in which the value stands."""
    with project.storage() as storage, storage.read() as session:
        found = ((t, session.execute(sa.select(t))) for t in Base.metadata.sorted_tables)
        cells = ((f"{t.name}.{name}", cell) for t, rows in found for row in rows for name, cell in row._mapping.items())
        return {
            name for name, cell in cells if value in (cell.decode("latin1") if isinstance(cell, bytes) else str(cell))
        }


@pytest.mark.parametrize("rule", [{"sensitive": ("ma*",)}, {"sensitive": ("mail",), "exclude": ("mail",)}])
def test_a_sensitive_column_names_no_partitions(project: Project, rule: dict[str, tuple[str, ...]]) -> None:
    project.duckdb("crm", "CREATE TABLE people AS SELECT 1 AS id, 'a@firma.de' AS mail UNION SELECT 2, 'b@firma.de'")
    project = by_mail(project, **rule)
    project.tick()
    project.duckdb("crm", "INSERT INTO people VALUES (3, 'b@firma.de')")
    assert [(o.action, o.rows) for o in project.tick().outcomes] == [("full", 3)]
    assert told(project, "firma") == set()


def test_partitions_named_by_a_column_that_becomes_sensitive_lose_their_names(project: Project) -> None:
    project.duckdb("crm", "CREATE TABLE people AS SELECT i AS id, i % 5 || '@firma.de' AS mail FROM range(20) r(i)")
    project = by_mail(project)
    project.tick()
    project.duckdb("crm", "INSERT INTO people VALUES (30, '1@firma.de')", "DELETE FROM people WHERE id % 5 = 0")
    assert [o.action for o in project.tick().outcomes] == ["partial"]
    assert {"profilemesh_runs.statements", "profilemesh_runs.scope_detail"} <= told(project, "firma")
    project = by_mail(project, sensitive=("mail",))
    project.tick()
    assert told(project, "firma") == set()
    assert project.left().runs["people"][1].scope_detail["dropped"] == ["withheld"]  # type: ignore[index]
