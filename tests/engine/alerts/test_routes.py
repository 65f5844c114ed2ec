from __future__ import annotations

from typing import Any

import pytest

from profilemesh.alerts.routes import matches
from profilemesh.config import OwnerRule, Route
from profilemesh.config.model import Config, ProfilingConfig, StorageConfig, TableRule
from profilemesh.planning.selection import owner_of
from profilemesh.tables import TableRef
from tests.engine.alerts.made import entry

CASES: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    ({}, {}, True),
    ({"enabled": False}, {}, False),
    ({"min_severity": "high"}, {"severity": "high"}, True),
    ({"min_severity": "high"}, {"severity": "medium"}, False),
    ({"min_severity": "medium"}, {"severity": "medium"}, True),
    ({"min_severity": "high"}, {"severity": "of a later version"}, True),
    ({"kinds": ("schema", "volume")}, {"kind": "metric"}, False),
    ({"kinds": ("schema", "volume")}, {"kind": "volume"}, True),
    ({"warehouse": ("shop",)}, {}, True),
    ({"warehouse": ("crm",)}, {}, False),
    ({"schema": ("raw_*", "main")}, {}, True),
    ({"schema": ("raw_*",)}, {}, False),
    ({"table": ("ord*",)}, {}, True),
    ({"table": ("ORD*",)}, {}, False),
    ({"table": ("sales[2024]",)}, {"table": "sales[2024]"}, True),
    ({"table": ("sales[2024]",)}, {"table": "sales2"}, True),
    ({"owner": ("sales-*",)}, {"owner": "sales-team"}, True),
    ({"owner": ("sales-*",)}, {"owner": "web-team"}, False),
    ({"owner": ("*",)}, {"owner": None}, False),
    ({}, {"owner": None}, True),
    ({}, {"change": "resolved"}, True),
    ({"resolved": False}, {"change": "resolved"}, False),
    ({"resolved": False}, {"change": "reopened"}, True),
    ({"min_severity": "high"}, {"change": "worsened", "severity": "high"}, True),
    ({"min_severity": "high", "table": ("orders",), "owner": ("a", "b")}, {"owner": "b"}, True),
    ({"min_severity": "high", "table": ("orders",), "owner": ("a", "b")}, {"owner": "b", "table": "x"}, False),
]


@pytest.mark.parametrize(("route", "finding", "is_told"), CASES)
def test_a_route_tells_what_passes_all_its_filters(
    route: dict[str, Any], finding: dict[str, Any], is_told: bool
) -> None:
    assert matches(Route("r", ("json://x",), **route), entry(**finding)) is is_told


TABLES = (
    TableRule(table="orders", owner="sales-team", tags=("finance",)),
    TableRule(table="ledger", tags=("finance",)),
    TableRule(),
)
OWNERS = (OwnerRule("books", tag="fin*"), OwnerRule("platform", schema="raw"), OwnerRule("data", warehouse="shop"))


@pytest.mark.parametrize(
    ("table", "owner"),
    [
        (TableRef("shop", "main", "orders"), "sales-team"),
        (TableRef("shop", "raw", "ledger"), "books"),
        (TableRef("shop", "raw", "other"), "platform"),
        (TableRef("shop", "main", "other"), "data"),
        (TableRef("crm", "main", "other"), None),
    ],
)
def test_owners_come_from_the_table_the_tag_and_the_schema(table: TableRef, owner: str | None) -> None:
    config = Config(None, {}, StorageConfig("sqlite://"), profiling=ProfilingConfig(TABLES), owners=OWNERS)
    assert owner_of(config, table) == owner


def test_a_table_that_no_entry_selects_is_owned_too() -> None:
    config = Config(None, {}, StorageConfig("sqlite://"), owners=OWNERS)
    assert owner_of(config, TableRef("x", "raw", "y")) == "platform"
