"""The filters of a page as the parameters of an address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask
from werkzeug.routing import BaseConverter, PathConverter

DEFAULTS: Mapping[str, Any] = {"days": 30, "page": 1}
DAYS = (1, 7, 30, 90, 365)


class Wanted(dict[str, Any]):
    """The filters of a page, and what each of them is where nothing is asked for."""

    def __init__(self, chosen: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
        super().__init__(chosen)
        self.defaults = defaults


class FindingConverter(BaseConverter):
    """The id of a finding: anything but the word that stands in its place to triage many at once. An address of two
    resources would allow what neither of them does."""

    regex = r"(?!triage\Z)[^/]+"
    part_isolating = True


class NameConverter(PathConverter):
    """A name from a warehouse, which may hold any character, also at its start a slash."""

    regex = r"[\s\S]+?"
    part_isolating = False


def init_app(app: Flask) -> None:
    app.jinja_env.globals.update(kept=kept, day_choices=day_choices, log_filter=log_filter)


def kept(wanted: Mapping[str, Any], **changed: Any) -> dict[str, Any]:
    """The filters that are set, with changes; a change of anything leads back to the first page."""
    chosen, defaults = {**wanted, "page": 1, **changed}, {**DEFAULTS, **getattr(wanted, "defaults", {})}
    return {name: value for name, value in chosen.items() if value is not None and value != defaults.get(name)}


def log_filter(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The filters of the plan page that are about its log."""
    return kept({name: value for name, value in wanted.items() if name not in ("preview", "asked")})


def day_choices(chosen: int) -> list[int]:
    return sorted({*DAYS, chosen})
