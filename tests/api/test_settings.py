import runpy
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.settings import SETTINGS, read_settings, storage_url
from profilemesh.errors import ConfigError
from tests.web import NO_CONFIG, make_app


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_PORT", "eighty"),
        ("API_PORT", "0"),
        ("API_PORT", "65536"),
        ("API_HOST", "http://x"),
        ("CORS_ORIGINS", "dash.example.com"),
        ("CORS_ORIGINS", "https://a.example.com/path"),
        ("SECRET_KEY", "short"),
        ("PROFILEMESH_SCHEDULER", "maybe"),
        ("PROFILEMESH_TICK_MINUTES", "0"),
        ("PROFILEMESH_TICK_MINUTES", "nan"),
        ("PROFILEMESH_TICK_CRON", "0 6 * *"),
        ("PROFILEMESH_TICK_CRON", "0 6 * * 8"),
        ("PROFILEMESH_TICK_CRON", "0 6 31 2 *"),
    ],
)
def test_a_bad_setting_stops_the_boot_and_names_itself(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name}: ") as refused:
        read_settings({name: value})
    assert (value in str(refused.value)) is (name != "SECRET_KEY")


def test_every_setting_has_a_default_that_is_allowed() -> None:
    settings = read_settings({})
    assert set(settings) == {setting.name for setting in SETTINGS}
    assert (settings["API_HOST"], settings["API_PORT"]) == ("127.0.0.1", 8000)
    assert (settings["PROFILEMESH_SCHEDULER"], settings["PROFILEMESH_TICK_MINUTES"]) == (True, 15)


@pytest.mark.parametrize(
    ("weekday", "days"),
    [
        ("1-5", {0, 1, 2, 3, 4}),
        ("0", {6}),
        ("7", {6}),
        ("fri-mon", {4, 5, 6, 0}),
        ("*/2", {6, 1, 3, 5}),
        ("sun,3", {6, 2}),
    ],
)
def test_weekdays_are_numbered_as_cron_numbers_them(weekday: str, days: set[int]) -> None:
    trigger = read_settings({"PROFILEMESH_TICK_CRON": f"0 6 * * {weekday}"})["PROFILEMESH_TICK_CRON"]
    due = [datetime(2026, 11, 23, tzinfo=UTC)]
    for _ in range(14):
        due.append(trigger.get_next_fire_time(None, due[-1] + timedelta(seconds=1)))
    assert {moment.weekday() for moment in due[1:]} == days


def test_the_secret_is_made_up_when_unset() -> None:
    assert read_settings({})["SECRET_KEY"] != read_settings({})["SECRET_KEY"]


def test_origins_are_a_list() -> None:
    settings = read_settings({"CORS_ORIGINS": "https://a.example.com, http://localhost:3000/"})
    assert settings["CORS_ORIGINS"] == ["https://a.example.com", "http://localhost:3000"]
    assert read_settings({"CORS_ORIGINS": ""})["CORS_ORIGINS"] == []


def test_without_a_file_and_a_url_the_boot_names_both() -> None:
    with pytest.raises(ConfigError, match="PROFILEMESH_CONFIG.*PROFILEMESH_DB_URL"):
        make_app("")


def test_a_storage_url_that_is_none_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigError, match="^PROFILEMESH_DB_URL") as refused:
        make_app("mysql://root:hunter2@db/x")
    assert "hunter2" not in str(refused.value)


def test_the_storage_is_that_of_the_configuration(tmp_path: Path) -> None:
    config = tmp_path / "profilemesh.yml"
    config.write_text("source: {type: sqlite, filepath: shop.db}\nstorage: {connection: 'sqlite:///kept.db'}\n")
    settings = {"PROFILEMESH_CONFIG": str(config), "PROFILEMESH_DB_URL": ""}
    assert storage_url(settings) == f"sqlite:///{tmp_path / 'kept.db'}"
    assert storage_url({**settings, "PROFILEMESH_DB_URL": "sqlite:////x/y.db"}) == "sqlite:////x/y.db"


def test_postgres_urls_get_their_driver() -> None:
    given = {"PROFILEMESH_CONFIG": NO_CONFIG, "PROFILEMESH_DB_URL": "postgres://u@h/d"}
    assert storage_url(given) == "postgresql+psycopg2://u@h/d"


def test_the_environment_is_read_with_the_file_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("API_PORT", "9001")
    # Set and unset, so that what the file brings in is taken away again.
    monkeypatch.setenv("API_HOST", "x")
    monkeypatch.delenv("API_HOST")
    (tmp_path / ".env").write_text("API_PORT=9002\nAPI_HOST=0.0.0.0\n")
    settings = read_settings()
    assert (settings["API_PORT"], settings["API_HOST"]) == (9001, "0.0.0.0")


def test_every_setting_stands_in_the_documentation_as_it_is() -> None:
    documented = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    for setting in SETTINGS:
        shown = f"`{setting.default}` " if setting.default else ""
        assert f"| `{setting.name}` | {shown}| {setting.help} |" in documented


def test_wsgi_has_the_app_that_servers_load(empty_storage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROFILEMESH_CONFIG", NO_CONFIG)
    monkeypatch.setenv("PROFILEMESH_DB_URL", f"sqlite:///{empty_storage}")
    monkeypatch.setenv("PROFILEMESH_SCHEDULER", "off")
    app = runpy.run_path(str(Path(__file__).parents[2] / "wsgi.py"))["app"]
    try:
        assert app.test_client().get("/api/runs").json == []
    finally:
        app.extensions["jobs"].stop()
