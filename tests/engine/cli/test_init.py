"""`profilemesh init`: a file that loads and checks clean, holds no secret, and writes over nothing unasked."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from profilemesh.config import load_config
from profilemesh.config.written import connection_of
from profilemesh.errors import ConfigError
from tests.commands import called

HOSTILE = 'x* [a] "${HOME}" : # \u202e'


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute("CREATE TABLE orders AS SELECT 1 AS id")
        connection.execute('CREATE TABLE "{}" AS SELECT 1 AS id'.format(HOSTILE.replace('"', '""')))
    return tmp_path


def test_its_file_loads_checks_and_profiles_what_was_found(shop: Path) -> None:
    told = json.loads(called(shop, "init", "duckdb:///shop.duckdb", "--json").stdout)
    assert (told["path"], told["warehouse"], told["password_variable"]) == ("profilemesh.yml", "shop", None)
    assert sorted(told["tables"]) == sorted(["shop.main.orders", f"shop.main.{HOSTILE}"])
    config = load_config(shop / "profilemesh.yml", {})
    assert config.warnings == () and config.warehouses["shop"].filepath == shop / "shop.duckdb"
    assert called(shop, "check").code == 0
    assert called(shop, "db", "upgrade").code == 0
    done = json.loads(called(shop, "profile", "--json").stdout)
    assert {each["table"]: each["status"] for each in done["outcomes"]} == {"orders": "success", HOSTILE: "success"}
    assert (done["missing"], done["unmatched_columns"]) == ([], [])


def test_a_file_that_is_there_is_written_over_on_request_alone(shop: Path) -> None:
    (shop / "profilemesh.yml").write_text("mine")
    refused = called(shop, "init", "duckdb:///shop.duckdb")
    assert (refused.code, "--force" in refused.stderr) == (2, True)
    assert (shop / "profilemesh.yml").read_text() == "mine"
    assert called(shop, "init", "duckdb:///shop.duckdb", "--force", "--name", "store").code == 0
    assert list(load_config(shop / "profilemesh.yml", {}).warehouses) == ["store"]


@pytest.mark.parametrize(
    ("url", "code", "said"),
    [
        ("duckdb:///gone.duckdb", 1, "there is no file"),
        ("nonsense", 2, "looks like duckdb:///FILE"),
        ("mysql://u:s3cr3t@h/d", 2, "looks like duckdb:///FILE"),
        ("postgresql://u:s3cr3t@127.0.0.1:1/shop", 1, "no connection"),
        ("postgresql://u:s3cr3t@127.0.0.1", 2, "names no database"),
    ],
)
def test_what_cannot_be_reached_or_read_leaves_no_file_and_tells_no_secret(
    tmp_path: Path, url: str, code: int, said: str
) -> None:
    done = called(tmp_path, "init", url)
    assert (done.code, said in done.stderr) == (code, True), done.stderr
    assert "s3cr3t" not in done.output and list(tmp_path.iterdir()) == []


def test_a_very_short_password_garbles_no_message(tmp_path: Path) -> None:
    said = called(tmp_path, "init", "postgresql://u:p@127.0.0.1:1/shop").stderr
    assert "port 1 failed: Connection refused" in said


def test_a_password_stays_in_the_environment(postgres_server, postgres_database: str, tmp_path: Path) -> None:
    postgres_server.execute("CREATE TABLE orders AS SELECT 1 AS id", database=postgres_database)
    url = f"postgresql://postgres:s3cr3t@/{postgres_database}?host={postgres_server.socket_dir}"
    done = called(tmp_path, "init", url, "--name", "my-shop")
    assert done.code == 0, done.stderr
    text = (tmp_path / "profilemesh.yml").read_text()
    assert "${MY_SHOP_PASSWORD}" in text and "s3cr3t" not in text + done.output
    assert "export MY_SHOP_PASSWORD=..." in done.stdout
    assert called(tmp_path, "check", env={"MY_SHOP_PASSWORD": "s3cr3t"}).code == 0
    without = called(tmp_path, "check")
    assert (without.code, "MY_SHOP_PASSWORD is not set" in without.stderr) == (2, True)


def test_a_password_may_come_from_the_variable_that_the_file_will_name(tmp_path: Path) -> None:
    found = connection_of("postgresql://reader@db.example.com/shop", None, tmp_path, {"SHOP_PASSWORD": "s3cr3t"})
    assert (found.variable, found.config.password) == ("SHOP_PASSWORD", "s3cr3t")
    assert connection_of("postgresql://reader@db.example.com/shop", None, tmp_path, {}).variable is None
    with pytest.raises(ConfigError) as raised:
        connection_of("postgres://u:s3cr3t@[bad/", None, tmp_path, {})
    assert "s3cr3t" not in str(raised.value)
