"""The configuration is parsed once per process, and again when the file or the environment is another."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from profilemesh.errors import ConfigError
from profilemesh.integrations.dagster import ProfileMeshResource
from profilemesh.integrations.dagster._leaving import _is_dagsters
from tests.integrations.deployment import ALL, Deployment


def test_the_same_configuration_is_parsed_once(deployment: Deployment) -> None:
    one, other = (ProfileMeshResource(config_path=deployment.config_path) for _ in range(2))
    assert one.load_config() is other.load_config()


def test_another_file_is_parsed_again(deployment: Deployment) -> None:
    project = ProfileMeshResource(config_path=deployment.config_path)
    assert project.load_config().environment == "development"
    deployment.configure(environment="production")
    assert project.load_config().environment == "production"


def test_another_environment_is_parsed_again(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    deployment.configure(environment="${STAGE:-none}")
    project = ProfileMeshResource(config_path=deployment.config_path)
    assert project.load_config().environment == "none"
    monkeypatch.setenv("STAGE", "test")
    assert project.load_config().environment == "test"


def test_a_plan_is_the_planners(settled: Deployment) -> None:
    plan = ProfileMeshResource(config_path=settled.config_path).plan(force=True)
    assert {decision.table for decision in plan.to_read} == ALL
    assert {decision.reason for decision in plan.to_read} == {"forced"}


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yml"):
        ProfileMeshResource(config_path=str(tmp_path / "nowhere.yml")).load_config()


def test_without_dagster_the_extra_is_named() -> None:
    code = "import sys; sys.modules['dagster'] = None; import profilemesh.integrations.dagster"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert "ImportError: profilemesh.integrations.dagster needs Dagster" in found.stderr
    assert 'pip install "profilemesh[dagster]"' in found.stderr


@pytest.mark.parametrize(
    ("program", "is_dagsters"),
    [
        ("/venv/lib/python3.11/site-packages/dagster/__main__.py", True),
        ("/venv/bin/dagster", False),
        ("-c", False),
        ("", False),
    ],
)
def test_only_dagsters_own_processes_end_in_silence(program: str, is_dagsters: bool) -> None:
    assert _is_dagsters(program) is is_dagsters


def test_nothing_is_told_to_anybody() -> None:
    assert os.environ["DAGSTER_DISABLE_TELEMETRY"]
