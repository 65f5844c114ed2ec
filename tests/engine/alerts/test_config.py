from __future__ import annotations

from pathlib import Path

import pytest

from profilemesh.config import AlertsConfig, OwnerRule, QuietHours, Route, Window, load_config
from profilemesh.errors import ConfigError

SOURCE = "source: {type: duckdb, filepath: a.duckdb}\n"
WHOLE = """
owners:
  - {owner: books, tag: finance}
alerts:
  dashboard_url: https://mesh.example.com/
  give_up_after_hours: 24
  routes:
    - name: team
      to: ["jsons://hooks.example.com/${TOKEN}", "ntfys://alerts"]
      min_severity: medium
      kinds: schema
      schema: [raw, "stage_*"]
      owner: books
      resolved: false
      quiet_hours:
        - {hours: "20:00-07:00", time_zone: Europe/Berlin}
        - {days: [sat, sun]}
    - name: all
      to: json://localhost
      quiet_hours: {hours: "22:00-06:00"}
      enabled: no
"""


def load(folder: Path, text: str) -> AlertsConfig:
    path = folder / "profilemesh.yml"
    path.write_text(SOURCE + text)
    return load_config(path, {"TOKEN": "s3cr3t"}).alerts


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    return str(caught.value).removeprefix(f"{folder}/profilemesh.yml:")


def test_a_route_loads_with_all_it_says(tmp_path: Path) -> None:
    found = load(tmp_path, WHOLE)
    assert (found.dashboard_url, found.give_up_after_hours) == ("https://mesh.example.com", 24)
    assert found.routes == (
        Route(
            "team",
            ("jsons://hooks.example.com/s3cr3t", "ntfys://alerts"),
            min_severity="medium",
            kinds=("schema",),
            schema=("raw", "stage_*"),
            owner=("books",),
            resolved=False,
            quiet_hours=(QuietHours(Window(1200, 420), "Europe/Berlin"), QuietHours(Window(days=(5, 6)))),
        ),
        Route("all", ("json://localhost",), enabled=False, quiet_hours=(QuietHours(Window(1320, 360)),)),
    )
    assert "s3cr3t" not in repr(found)
    assert load_config(tmp_path / "profilemesh.yml", {"TOKEN": "x"}).owners == (OwnerRule("books", tag="finance"),)


ROUTE = "alerts:\n  routes:\n    - name: team\n      to: json://localhost\n"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("alerts:\n  rotes: []\n", 3, "unknown key; allowed: routes, dashboard_url"),
        ("alerts:\n  routes:\n    - to: json://x\n", 4, "name: found nothing; allowed: a name of at most 40"),
        ("alerts:\n  routes:\n    - name: a b\n      to: json://x\n", 4, "found 'a b'"),
        ("alerts:\n  routes:\n    - name: a\n", 4, "to: found nothing; allowed: a list of: the address of a channel"),
        ("alerts:\n  routes:\n    - name: a\n      to: []\n", 5, "allowed: at least one address"),
        ("alerts:\n  routes:\n    - name: a\n      to: nope\n", 5, "to: found a value that is not shown; allowed: an"),
        ("alerts:\n  routes:\n    - name: a\n      to:\n        - json://x\n        - nope\n", 7, "routes[0].to[1]"),
        ("alerts:\n  routes:\n    - name: a\n      to: jsons://h/s3cr3t?verify=no\n", 5, "without `verify=no`"),
        (ROUTE + "      min_severity: hihg\n", 6, "did you mean 'high'?"),
        (ROUTE + "      kinds: [scheme]\n", 6, "allowed: metric, distribution, volume, freshness, schema"),
        (ROUTE + "      quiet_hours: {hours: 8-9}\n", 6, 'hours as "HH:MM-HH:MM"'),
        (ROUTE + "      quiet_hours: {days: [someday]}\n", 6, "allowed: mon, tue"),
        (ROUTE + "      quiet_hours: {time_zone: Europe/Berln}\n", 6, "the name of a time zone"),
        (ROUTE + "      quiet_hours: {time_zone: Europe/Berlin}\n", 6, "leave some time to tell"),
        (ROUTE + "    - name: team\n      to: json://localhost\n", 4, "each name once"),
        ("alerts: {dashboard_url: mesh.example.com}\n", 2, "https://profilemesh.example.com"),
        ("owners: [{tag: finance}]\n", 2, "owners[0].owner: found nothing"),
    ],
)
def test_what_is_wrong_is_refused_with_its_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    found = refusal(tmp_path, text)
    assert found.startswith(f"{line}: ")
    assert words in found
    assert "nope" not in found and "s3cr3t" not in found
