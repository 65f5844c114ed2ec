"""`profilemesh drift`: what is found, and what other rules would have found, which writes nothing."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from profilemesh.cli import main
from profilemesh.storage import triage
from tests.engine.loads import START, Calm, table, tick
from tests.engine.test_comparing import found
from tests.engine.ticks import Project, copied

SINCE = ("--since", f"{START:%Y-%m-%d}")


@pytest.fixture(scope="module")
def past(empty_storage: Path, calm: Calm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five calm days, one on which addresses are lost, and two calm ones."""
    project = copied(empty_storage, tmp_path_factory.mktemp("past"))
    calm(project, "orders", "others")
    tick(project, 5, table("orders", one_in=5), table("others"))
    for day in (6, 7):
        tick(project, day, table("orders", n=4000 + day))
    settings = {"warehouses": {"shop": {"type": "duckdb", "filepath": "shop.duckdb"}}}
    (project.folder / "profilemesh.yml").write_text(json.dumps(settings))
    return project.folder


@pytest.fixture
def project(past: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    shutil.copytree(past, tmp_path, dirs_exist_ok=True)
    project = Project(tmp_path)
    project.duckdb("shop")
    for name in ("PROFILEMESH_DB_URL", "PROFILEMESH_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(project.folder)
    return project


def said(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(main, ["drift", *words])
    assert done.exit_code == code, done.output
    return done.output


def told(*words: str) -> Any:
    return json.loads(said(*words, "--json"))


def dump(project: Project) -> list[str]:
    with closing(sqlite3.connect(project.folder / "profilemesh.db")) as connection:
        return list(connection.iterdump())


def test_unresolved_findings_are_listed_and_all_of_them_on_request(project: Project) -> None:
    assert told() == [] and "--all" in said()
    [finding] = [each for each in told("--all") if each["metric_name"] == "null_percent"]
    assert (finding["table_name"], finding["column_name"], finding["state"]) == ("orders", "email", "resolved")
    assert "null share of orders.email rose" in said("--all")
    tick(project, 8, table("orders", one_in=5))
    assert [each["state"] for each in told("--table", "orders") if each["metric_name"] == "null_percent"] == ["open"]
    assert told("--table", "others") == []


def test_a_table_that_nobody_knows_is_misuse(project: Project) -> None:
    assert "matches no table" in said("--table", "oders", code=2)
    assert "belong to --replay" in said("--since", "30d", code=2)
    assert "is no time" in said("--replay", "--since", "yesterday", code=2)


def test_the_same_rules_find_the_same(project: Project) -> None:
    done = told("--replay", *SINCE)
    stored = {(each.fingerprint, each.occurrences, each.sentence) for each in found(project).values()}
    assert len(done["findings"]) == len(stored) > 0
    assert {each["stored"]["finding_id"] for each in done["findings"]} == {
        each.finding_id for each in found(project).values()
    }
    assert {(each["occurrences"], each["sentence"]) for each in done["findings"]} == {each[1:] for each in stored}
    assert (done["not_found"], done["summary"]["new"], done["runs"]) == ([], 0, 16)
    [mail] = [each for each in done["findings"] if each["metric"] == "null_percent"]
    assert mail["opened_at"] == f"{START + timedelta(5):%Y-%m-%dT%H:%M:%S+00:00}"


def test_other_rules_find_other_things_against_how_people_took_it(project: Project) -> None:
    mail = found(project)["orders", "email", "null_percent"].finding_id
    with project.storage() as storage, storage.begin() as session:
        triage.comment(session, [mail], "the import", who="ann", now=datetime.now(UTC))
    (project.folder / "deaf.yml").write_text("drift_detection: {rules: [{metric: null_percent, enabled: false}]}")
    done = told("--replay", *SINCE, "--rules", "deaf.yml")
    assert [each["finding_id"] for each in done["not_found"]] == [mail]
    assert done["summary"]["by_verdict"]["useful"] == {"found": 0, "not_found": 1}
    assert "not found: 2026-03-07 null share of orders.email" in said("--replay", *SINCE, "--rules", "deaf.yml")
    quick = "drift_detection: {rules: [{metric: row_count, strategy: absolute_threshold, thresholds: [0.00001, 1, 2]}]}"
    (project.folder / "quick.yml").write_text(quick)
    assert told("--replay", *SINCE, "--rules", "quick.yml")["rules"] == "quick.yml"


def test_expected_findings_count_as_false_alarms(project: Project) -> None:
    ids = [each.finding_id for each in found(project).values()]
    with project.storage() as storage, storage.begin() as session:
        triage.expect(session, ids, who="ann", now=datetime.now(UTC))
    done = told("--replay", *SINCE)
    assert done["summary"]["by_verdict"]["expected"]["found"] == len(ids)


def test_a_replay_writes_nothing(project: Project) -> None:
    before = dump(project)
    said("--replay", *SINCE)
    (project.folder / "other.yml").write_text("drift_detection: {false_discovery_rate: 0.2, baseline: last}")
    said("--replay", "--rules", "other.yml", "--table", "orders")
    assert dump(project) == before


@pytest.mark.parametrize(
    ("content", "complaint"),
    [("warehouses: {}", "drift_detection"), ("drift_detection: {windw: 3}", "did you mean 'window'"), ("[", "YAML")],
)
def test_rules_that_cannot_be_read_are_refused_with_their_line(project: Project, content: str, complaint: str) -> None:
    (project.folder / "bad.yml").write_text(content)
    assert complaint in said("--replay", "--rules", "bad.yml", code=2)


def test_a_whole_configuration_will_do_as_rules(project: Project) -> None:
    (project.folder / "whole.yml").write_text("environment: dev\ndrift_detection: {enabled: false}\nowners: []\n")
    assert told("--replay", *SINCE, "--rules", "whole.yml")["findings"] == []
