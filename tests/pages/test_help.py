import re

import pytest
from flask.testing import FlaskClient
from markupsafe import escape

from app.catalogue import KEYS, UNITS
from profilemesh.config.model import Ladders
from profilemesh.planning.decisions import Action, Reason
from profilemesh.profiling.metrics import CATALOGUE
from tests.web import Served, counted


@pytest.fixture
def page(client: FlaskClient) -> str:
    return client.get("/help").text


def test_every_metric_and_reason_has_its_place(page: str) -> None:
    anchors = re.findall(r'\sid="([^"]+)"', page)
    assert len(anchors) == len(set(anchors))
    wanted = {f"metric-{metric.name}" for metric in CATALOGUE} | {f"reason-{reason}" for reason in Reason}
    assert wanted <= set(anchors)
    assert all(str(escape(metric.meaning)) in page for metric in CATALOGUE)


def test_every_action_and_key_is_told(page: str) -> None:
    assert all(f"<code>{action}</code>" in page for action in Action)
    assert all(f"<kbd>{key}</kbd>" in page for key, _ in KEYS)


def test_every_ladder_has_its_unit() -> None:
    assert set(UNITS) == set(Ladders.__dataclass_fields__)


def test_the_steps_are_those_of_the_configuration(page: str, served: Served) -> None:
    served.configure("drift_detection: {thresholds: {means: [0.17, 0.6, 0.9]}}")
    configured = served.app.test_client().get("/help").text
    assert "0.17" in configured and "0.17" not in page
    assert "The defaults: no configuration" in page and "The defaults" not in configured


def test_links_within_the_page_lead_somewhere(page: str) -> None:
    assert set(re.findall(r'href="#([^"]+)"', page)) - {"content"} <= set(re.findall(r'id="([^"]+)"', page))


def test_help_asks_the_storage_for_nothing_but_the_frame(client: FlaskClient) -> None:
    client.get("/help")
    with counted(client.application) as sent:
        client.get("/help")
    assert len(sent) <= 1
