"""Which rule decides for a table, what it says of the columns, and which configured tables are not there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from profilemesh.config import ColumnRule, Config, ProfilingConfig, StorageConfig, TableRule, WarehouseConfig, Window
from profilemesh.planning.selection import missing_tables, settings_for
from profilemesh.planning.snapshots import Snapshot
from profilemesh.tables import Column, Kind, TableRef

ORDERS = TableRef("shop", "main", "orders")


def configured(*rules: TableRule) -> Config:
    warehouses = {name: WarehouseConfig(name, "duckdb") for name in ("shop", "support")}
    return Config(None, warehouses, StorageConfig("sqlite://"), profiling=ProfilingConfig(tables=rules))


def snapshot(table: TableRef = ORDERS, columns: tuple[str, ...] = ("id", "email", "Email")) -> Snapshot:
    return Snapshot(table, tuple(Column(name, "text", Kind.TEXT) for name in columns))


def owner(*rules: TableRule, table: TableRef = ORDERS) -> str | None:
    settings = settings_for(configured(*rules), snapshot(table))
    assert settings is not None
    return settings.owner


def test_without_rules_every_table_is_selected_whole() -> None:
    settings = settings_for(configured(), snapshot())
    assert settings is not None
    assert [column.name for column in settings.columns] == ["id", "email", "Email"]
    assert (settings.sensitive, settings.paused, settings.window) == (frozenset(), False, None)


def test_a_table_that_no_rule_matches_is_not_selected() -> None:
    assert settings_for(configured(TableRule(table="order")), snapshot()) is None


@pytest.mark.parametrize(
    ("first", "second", "winner"),
    [
        (TableRule(table="*"), TableRule(table="orders"), "second"),
        (TableRule(table="ord*", schema="main", warehouse="shop"), TableRule(table="orders"), "second"),
        (TableRule(table="orders", warehouse="shop"), TableRule(table="orders", schema="main"), "second"),
        (TableRule(table="orders", schema="main"), TableRule(table="orders", warehouse="shop"), "first"),
        (TableRule(schema="main"), TableRule(warehouse="shop"), "first"),
        (TableRule(table="ord*"), TableRule(table="*"), "first"),
        (TableRule(table="*"), TableRule(table="ord*"), "first"),
        (TableRule(table="orders"), TableRule(table="orders", warehouse="support"), "first"),
    ],
)
def test_the_most_specific_rule_decides_then_the_first(first: TableRule, second: TableRule, winner: str) -> None:
    assert owner(replace(first, owner="first"), replace(second, owner="second")) == winner


def test_the_deciding_rule_decides_alone() -> None:
    glob = TableRule(table="*", owner="everyone", tags=("all",), window=Window(0, 60))
    settings = settings_for(configured(glob, TableRule(table="orders", paused=True)), snapshot())
    assert settings is not None
    assert (settings.owner, settings.tags, settings.window, settings.paused) == (None, (), None, True)


@pytest.mark.parametrize("name", ["sales[2024]", "what?", "a*b"])
def test_a_name_that_looks_like_a_glob_is_found_literally(name: str) -> None:
    table = TableRef("shop", "main", name)
    assert owner(TableRule(table="*", owner="glob"), TableRule(table=name, owner="literal"), table=table) == "literal"


def test_globs_are_case_sensitive() -> None:
    assert settings_for(configured(TableRule(table="ORD*")), snapshot()) is None


def test_columns_are_included_then_excluded() -> None:
    rule = TableRule(columns=ColumnRule(include=("id", "*mail"), exclude=("E*",)))
    settings = settings_for(configured(rule), snapshot())
    assert settings is not None
    assert [column.name for column in settings.columns] == ["id", "email"]


def test_sensitive_columns_are_those_among_the_profiled() -> None:
    rule = TableRule(columns=ColumnRule(exclude=("Email",), sensitive=("*mail",)))
    settings = settings_for(configured(rule), snapshot())
    assert settings is not None
    assert settings.sensitive == {"email"}


@pytest.mark.parametrize(
    ("rule", "told", "meant"),
    [
        (TableRule(table="order"), "order", "shop.main.orders"),
        (TableRule(table="Orders", warehouse="shop"), "shop.*.Orders", "shop.main.orders"),
        (TableRule(table="orders", schema="public"), "public.orders", "shop.main.orders"),
        (TableRule(table="orders", warehouse="shpo"), "shpo.*.orders", "shop.main.orders"),
        (TableRule(table="zebra"), "zebra", None),
    ],
)
def test_a_configured_table_that_is_not_there_is_told(rule: TableRule, told: str, meant: str | None) -> None:
    assert missing_tables(configured(rule), [ORDERS], ["shop", "support"]) == [(told, meant)]


def test_globs_and_tables_that_are_there_are_not_missing() -> None:
    rules = (TableRule(table="orders"), TableRule(table="none*"), TableRule(table="orders", schema="m*"))
    assert missing_tables(configured(*rules), [ORDERS], ["shop", "support"]) == []


def test_nothing_is_missing_while_the_warehouse_that_may_hold_it_is_silent() -> None:
    rules = (TableRule(table="tickets", warehouse="support"), TableRule(table="agents"))
    assert missing_tables(configured(*rules), [ORDERS], ["shop"]) == []
    assert len(missing_tables(configured(*rules), [ORDERS], ["shop", "support"])) == 2


def test_what_one_rule_protects_no_other_lays_open() -> None:
    glob = TableRule(table="*", columns=ColumnRule(sensitive=("email",)))
    exact = TableRule(table="orders", owner="sales")
    settings = settings_for(configured(glob, exact), snapshot())
    assert settings is not None
    assert (settings.owner, settings.sensitive) == ("sales", {"email"})
