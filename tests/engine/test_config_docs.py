"""docs/config.md has every key, with the default that holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from marshmallow import Schema
from marshmallow.fields import Field, Nested

from profilemesh.config import model
from profilemesh.config.fields import Either, ListOf, MapOf
from profilemesh.config.model import Config, DriftConfig, Ladders
from profilemesh.config.schemas import ConfigSection, Section

DOCS = (Path(__file__).parents[2] / "docs" / "config.md").read_text(encoding="utf-8")

# Dataclass fields that no key of their own name sets.
SET_OTHERWISE = {
    ("Config", "path"),
    ("Config", "warnings"),
    ("StorageConfig", "url"),
    ("Thresholds", "low"),
    ("Thresholds", "medium"),
    ("Thresholds", "high"),
    ("Window", "start_minute"),
    ("ProbeOverride", "query"),
    ("ProbeOverride", "exact"),
    ("Window", "end_minute"),
}


def documented() -> dict[tuple[str, str], str]:
    """(section, key) -> what the default column says."""
    rows: dict[tuple[str, str], str] = {}
    section = ""
    for line in DOCS.splitlines():
        if heading := re.match(r"## `?([\w.\[\]]+)`?", line):
            section = "" if heading[1] == "Top" else heading[1]
        elif row := re.match(r"\| `(\w+)` \|", line):
            rows[section, row[1]] = line.split("|")[3].strip()
    return rows


def keys(schema: Schema, section: str = "") -> Iterator[tuple[str, str, Any]]:
    """(section, key, what it makes) for every key that the loader accepts; `warehouses` and `hooks` once."""
    for name, field in schema.fields.items():
        key = field.data_key or name
        yield section, key, getattr(schema, "makes", None)
        if key in ("warehouses", "connection"):
            continue
        nested, brackets = inner_section(field)
        if nested:
            yield from keys(nested, f"{section}.{key}{brackets}".removeprefix("."))


def inner_section(field: Field[Any], brackets: str = "") -> tuple[Schema | None, str]:
    if isinstance(field, Nested):
        return field.schema, brackets
    if isinstance(field, Either):
        part = field.long if field.name == "window" else field.short
        return inner_section(part)
    if isinstance(field, ListOf | MapOf):
        return inner_section(field.inner, "[]")
    return None, ""


ACCEPTED = list(keys(ConfigSection()))


@pytest.mark.parametrize(("section", "key"), [(section, key) for section, key, _ in ACCEPTED])
def test_every_key_is_documented_in_its_section(section: str, key: str) -> None:
    assert (section, key) in documented()


def test_no_key_is_documented_that_the_loader_refuses() -> None:
    assert set(documented()) == {(section, key) for section, key, _ in ACCEPTED}


DATACLASSES = [kind for kind in vars(model).values() if isinstance(kind, type) and is_dataclass(kind)]


@pytest.mark.parametrize("kind", DATACLASSES, ids=lambda kind: kind.__name__)
def test_every_field_of_the_configuration_is_documented(kind: type[Any]) -> None:
    words = {key for _, key in documented()}
    for field in fields(kind):
        assert field.name in words or (kind.__name__, field.name) in SET_OTHERWISE


def test_documented_defaults_are_the_ones_that_hold() -> None:
    rows = documented()
    checked = 0
    for section, key, makes in ACCEPTED:
        default = next((field.default for field in fields(makes) if field.name == key), MISSING) if makes else MISSING
        if isinstance(default, bool | int | float | str):
            words = str(default).lower() if isinstance(default, bool) else str(default)
            assert rows[section, key] == f"`{words}`", f"{section}.{key}"
            checked += 1
    assert checked > 35


@pytest.mark.parametrize("strategy", ["absolute_threshold", "standard_deviation"])
def test_documented_thresholds_are_the_ones_that_hold(strategy: str) -> None:
    thresholds = getattr(DriftConfig(), strategy)
    for name in ("low", "medium", "high"):
        row = documented()[f"drift_detection.{strategy}", f"{name}_threshold"]
        assert row == f"`{getattr(thresholds, name)}`"


def test_documented_ladders_are_the_ones_that_hold() -> None:
    for field in fields(Ladders):
        ladder = getattr(Ladders(), field.name)
        row = documented()["drift_detection.thresholds", field.name]
        assert row == f"`[{ladder.low:g}, {ladder.medium:g}, {ladder.high:g}]`"


def test_every_section_that_makes_a_dataclass_fills_all_of_it() -> None:
    for kind in Section.__subclasses__():
        if kind.makes:
            given = {field.attribute or name for name, field in kind().fields.items()}
            assert {field.name for field in fields(kind.makes)} <= given


def test_the_default_environment_is_the_documented_one() -> None:
    default = next(field.default for field in fields(Config) if field.name == "environment")
    assert documented()["", "environment"] == f"`{default}`"
