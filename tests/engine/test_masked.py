"""No secret of a connection is told, however oddly it is given."""

from pathlib import Path
from typing import Any

import pytest

from profilemesh.config.masked import address_of, without_secrets
from profilemesh.config.model import WarehouseConfig

PASSWORD = "p@ss/w:rd?x=1&y"  # noqa: S105 - a made-up one, as nasty as they get


def connection(**more: Any) -> WarehouseConfig:
    return WarehouseConfig("dwh", "postgres", **more)


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ({"host": "db.example.com", "port": 5432, "database": "sales"}, "db.example.com:5432/sales"),
        ({"host": "db.example.com", "database": "sales"}, "db.example.com/sales"),
        ({"filepath": Path("/data/shop.duckdb")}, "/data/shop.duckdb"),
        ({"account": "xy123.eu"}, "xy123.eu"),
        ({}, None),
    ],
)
def test_an_address_is_where_it_is(given: dict[str, Any], address: str | None) -> None:
    assert address_of(connection(**given)) == address


@pytest.mark.parametrize(
    "given",
    [
        {"database": f"postgresql://ann:{PASSWORD}@db.example.com/sales"},
        {"host": f"ann:{PASSWORD}@db.example.com", "password": PASSWORD},
        {"database": "md:sales?motherduck_token=hunter2secret&x=1"},
        {"database": "host=db dbname=sales password=hunter2secret"},
        {"database": "host=db password='hunter2secret' sslmode=require"},
        {"host": "https://db.example.com/?sig=hunter2secret"},
        {"account": "xy123;api_key=hunter2secret;role=r"},
        {"host": "db hunter2secret", "extra_params": {"options": {"deep": ["hunter2secret"]}}},
        {"filepath": Path("/data/shop.duckdb?key=hunter2secret")},
        {"database": "sales", "host": "db", "password": "hunter2secret", "username": "hunter2secret"},
    ],
)
def test_no_secret_stands_in_an_address_or_a_message(given: dict[str, Any]) -> None:
    config = connection(**given)
    told = [address_of(config) or "", without_secrets(f"could not connect to {given}", config)]
    for text in told:
        assert "hunter2secret" not in text and PASSWORD not in text and "w:rd" not in text, text


def test_what_is_no_secret_is_left_alone() -> None:
    said = 'role "ann" may not read "public"."tokens"; GRANT SELECT ON "public"."tokens" TO "ann"'
    assert without_secrets(said, connection(password="hunter2secret")) == said
