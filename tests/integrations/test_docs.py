"""DAGSTER.md is carried out: its Python runs in its order, its settings load, its commands exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from profilemesh.cli import main
from tests.integrations.deployment import JOB, ORDERS, SENSOR, Deployment

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "dashboard" / "backend" / "DAGSTER.md").read_text()
EXAMPLE = ROOT / "examples" / "dagster"
COMMANDS = {"pip", "export", "profilemesh", "dagster", "dagster-daemon", "dagster-webserver"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", TEXT)


def test_its_python_runs(settled: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(settled.folder)
    names: dict[str, Any] = {}
    found = blocks("python")
    for block in found:
        exec(compile(block, "DAGSTER.md", "exec"), names)  # noqa: S102 - that is what is tested
    assert len(found) >= 6
    repository = names["defs"].get_repository_def()
    assert "quality/shop/main/orders" in {key.to_user_string() for key in repository.assets_defs_by_key}
    assert {"profilemesh_hourly", JOB} & {names["hourly"].name, names["hourly"].job_name} == {"profilemesh_hourly", JOB}


def test_its_commands_are_known(settled: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    assert {line.split()[0] for line in lines} == COMMANDS
    monkeypatch.setenv("PROFILEMESH_CONFIG", settled.config_path)
    ours = [line.split()[1:] for line in lines if line.startswith("profilemesh ")]
    assert ours
    assert [CliRunner().invoke(main, words).exit_code for words in ours] == [0] * len(ours)


def test_its_settings_are_those_of_the_example_and_load(settled: Deployment) -> None:
    ours, dagsters = (yaml.safe_load(block) for block in blocks("yaml"))
    example = yaml.safe_load((EXAMPLE / "dagster.yaml").read_text())
    assert dagsters == {name: example[name] for name in dagsters}
    settled.shop("CREATE TABLE web_events AS SELECT DATE '2026-03-01' AS event_date")
    settled.configure(profiling=ours["profiling"])
    keys = {key.path[-1] for each in settled.definitions.assets or () for key in each.keys}
    assert keys == {"web_events", "days", "summary"}


@pytest.mark.parametrize("name", [JOB, SENSOR, *("schema", "volume", "freshness", "drift"), "profilemesh_WAREHOUSE"])
def test_what_there_is_is_named(name: str) -> None:
    assert f"`{name}`" in TEXT


def test_the_example_loads_in_both_ways(settled: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the configuration beside it, and with the one that the environment names."""
    monkeypatch.setenv("PROFILEMESH_CONFIG", settled.config_path)
    names: dict[str, Any] = {"__file__": str(EXAMPLE / "definitions.py")}
    exec(compile((EXAMPLE / "definitions.py").read_text(), "definitions.py", "exec"), names)  # noqa: S102
    assert names["defs"].resolve_job_def(JOB)
    keys = {key.path[-1] for each in names["defs"].assets for key in each.keys}
    assert ORDERS.name in keys
