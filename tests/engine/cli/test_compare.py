"""`compare` measures as drift and the dashboard do."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from profilemesh.storage import open_storage
from tests.commands import called, on_terminal
from tests.engine.ticks import copied
from tests.factories import NOW, add_run, number_metrics
from tests.pages.test_compare import cards
from tests.web import make_app


@pytest.fixture
def folder(empty_storage: Path, tmp_path: Path) -> Path:
    """`wide` moved by 50 % and by a hundredth of its deviation, `total` lost a tenth of its values."""

    def columns(mean: float, nulls: int) -> dict:
        return {
            ("still", "DOUBLE"): number_metrics(1000),
            ("wide", "DOUBLE"): number_metrics(1000, low=-300, high=300, mean=mean, stddev=100.0),
            ("total", "DOUBLE"): number_metrics(1000, nulls, low=0, high=100, mean=40.0, stddev=10.0),
        }

    project = copied(empty_storage, tmp_path)
    storage = open_storage(f"sqlite:///{project.folder / 'profilemesh.db'}")
    with storage.begin() as session:
        add_run(session, run_id="early", at=NOW - timedelta(days=1), columns=columns(2.0, 0))
        add_run(session, run_id="late", columns=columns(3.0, 100))
    storage.close()
    (project.folder / "profilemesh.yml").write_text("warehouses: {shop: {type: duckdb, filepath: shop.duckdb}}\n")
    return project.folder


def test_columns_stand_in_the_order_of_the_page(folder: Path) -> None:
    found = json.loads(called(folder, "compare", "early", "late", "--json").stdout)
    client = make_app(f"sqlite:///{folder / 'profilemesh.db'}").test_client()
    shown = cards(client.get("/compare?before=early&after=late").text)
    assert [column["name"] for column in found["columns"]] == ["total", "wide", "still"]
    assert shown == ["total"], "the others moved hardly"


def test_a_column_says_how_far_it_moved_and_what_the_rules_call_it(folder: Path) -> None:
    found = json.loads(called(folder, "compare", "late", "early", "--json").stdout)
    assert found["before"]["run_id"] == "early" and found["unlike"] is None
    total, wide, still = found["columns"]
    assert total["severity"] == "high" and total["steps"] > 1
    assert wide["severity"] is None and 0 < wide["steps"] < 0.1
    assert still["steps"] == 0


def test_numbers_keep_their_names_on_a_narrow_terminal(folder: Path) -> None:
    text = on_terminal(folder, "compare", "early", "late", columns=50)[1]
    lines = {tuple(line.split()[:2]): line for line in text.splitlines()}
    assert ("total", "Nulls") in lines and "+10 points" in lines["Null", "share"]


def test_a_sample_beside_all_rows_is_not_measured(folder: Path) -> None:
    storage = open_storage(f"sqlite:///{folder / 'profilemesh.db'}")
    with storage.begin() as session:
        add_run(session, run_id="sampled", at=NOW + timedelta(days=1), scope="sample")
    storage.close()
    found = json.loads(called(folder, "compare", "late", "sampled", "--json").stdout)
    assert "read a sample" in found["unlike"] and {column["steps"] for column in found["columns"]} == {None}
