"""The docs say what the code says: a thing without its heading fails."""

from pathlib import Path

import pytest
from click import Context

from app.settings import SETTINGS
from docs.commands import page as commands_page
from profilemesh.cli import main
from profilemesh.planning.decisions import Reason
from profilemesh.profiling.metrics import CATALOGUE, Metric
from tests.web import make_app

DOCS = Path(__file__).parent.parent / "docs"


def text(name: str) -> str:
    return (DOCS / name).read_text()


@pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.name)
def test_every_metric_has_its_heading_and_its_mark(metric: Metric) -> None:
    mark = " †" if metric.reveals else ""
    assert f"\n### `{metric.name}`{mark}\n" in text("metrics.md")


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_its_heading_and_a_meaning(reason: Reason) -> None:
    assert f"\n### `{reason}`\n" in text("planning.md")
    assert reason.meaning


def test_no_documented_reason_or_metric_is_unknown() -> None:
    documented = [
        line.split("`")[1]
        for name in ("metrics.md", "planning.md")
        for line in text(name).splitlines()
        if line.startswith("### `")
    ]
    assert set(documented) == {metric.name for metric in CATALOGUE} | {reason.value for reason in Reason}


def test_every_setting_stands_in_the_example_with_its_default() -> None:
    example = (DOCS.parent / ".env.example").read_text()
    for setting in SETTINGS:
        assert f"# {setting.name}=" in example
        assert setting.default in example


def test_the_page_of_commands_says_what_they_say() -> None:
    assert [name for name in main.list_commands(Context(main)) if f"\n### `{name}`\n" not in text("cli.md")] == []
    assert text("cli.md") == commands_page(), "run docs/commands.py"


def test_every_address_of_the_api_is_told() -> None:
    paths = make_app("sqlite:///:memory:").test_client().get("/openapi.json").json["paths"]
    named = {
        f"{method.upper()} {path}" for path, methods in paths.items() for method in methods.keys() - {"parameters"}
    }
    assert [name for name in sorted(named) if f"`{name}`" not in text("api.md")] == []
